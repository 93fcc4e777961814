//! What every command is given.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::anyhow;
use tokio::runtime::Handle;

use crate::{
    cli::{
        config::Config,
        exit_code::{ExitCode, Failure},
        options::ServerOptions,
        output::Output,
        progress::Progress,
    },
    vsphere::Client,
};

/// How often is looked whether a signal came.
const SIGNAL_POLL: Duration = Duration::from_millis(50);

/// How long a login under way is waited for after a signal.
const LOGIN_GRACE: Duration = Duration::from_secs(10);

/// What every command is given.
#[derive(Clone, Debug)]
pub struct Context {
    /// The configuration file.
    pub config: Config,
    /// Standard output.
    pub output: Output,
    /// Show no progress.
    pub quiet: bool,
    /// Where async calls run.
    pub runtime: Handle,
    /// Set by the first Ctrl-C.
    pub cancel: Arc<AtomicBool>,
}

impl Context {
    /// A display for a long command.
    pub fn progress(&self) -> Progress {
        Progress::new(self.output, self.quiet)
    }

    /// Logs in, does the work, and logs out on every way out.
    ///
    /// # Errors
    /// Those of the login and of the work.
    pub fn with_client<T>(
        &self,
        server: &ServerOptions,
        work: impl AsyncFnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.runtime.block_on(async {
            let client = self.log_in(server).await?;
            let done = work(&client).await;
            if let Err(error) = client.logout().await {
                tracing::warn!(%error, "logging out failed");
            }
            done
        })
    }

    /// Logs in. A login that a signal meets is waited for, so that its session can be ended.
    async fn log_in(&self, server: &ServerOptions) -> Result<Client, Failure> {
        let mut login = pin!(server.client(&self.config));
        let stopped = async { Ok::<_, Failure>(login.as_mut().await) };
        match self.unless_stopped(stopped).await {
            Ok(done) => done,
            Err(interrupted) => {
                if let Ok(Ok(client)) = tokio::time::timeout(LOGIN_GRACE, login).await
                    && let Err(error) = client.logout().await
                {
                    tracing::warn!(%error, "logging out failed");
                }
                Err(interrupted)
            }
        }
    }

    /// What `work` gives, unless a signal comes before. Only for work that may be cut short
    /// anywhere, such as looking.
    ///
    /// # Errors
    /// 130 after a signal; those of the work.
    pub async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, impl Into<Failure>>>,
    ) -> Result<T, Failure> {
        let stopped = async {
            while !self.cancel.load(Ordering::SeqCst) {
                tokio::time::sleep(SIGNAL_POLL).await;
            }
        };
        tokio::select! {
            done = work => done.map_err(Into::into),
            () = stopped => Err(Failure::new(ExitCode::Interrupted, anyhow!("interrupted"))),
        }
    }
}
