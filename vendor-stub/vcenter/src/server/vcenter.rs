//! The handle on a running server.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use lab::Lab;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::State;
use super::listener::{accept, acceptor};
use crate::clock::Clock;
use crate::task::Tasks;
use crate::{Error, Options};

/// How long stopping waits for work that is under way.
const GRACE: Duration = Duration::from_secs(5);

/// A running stand-in vCenter. It has a thread and a runtime of its own and stops when
/// this handle is stopped or dropped.
#[derive(Debug)]
pub struct VCenter {
    address: SocketAddr,
    thumbprint_sha1: String,
    thumbprint_sha256: String,
    state: Arc<State>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl VCenter {
    /// Starts a server on a lab. When this returns, it accepts connections.
    ///
    /// # Errors
    ///
    /// [`Error::Lab`] when the lab cannot be read, [`Error::Certificate`] when its
    /// certificate or key is unusable, [`Error::Listen`] when the address is taken,
    /// [`Error::Thread`] when the system gives no thread.
    pub fn start(lab: Lab, options: Options) -> Result<Self, Error> {
        let acceptor = acceptor(&lab)?;
        let thumbprint_sha1 = lab.thumbprint_sha1()?;
        let thumbprint_sha256 = lab.thumbprint_sha256()?;
        let idle_secs = lab.site()?.session_idle_secs;
        // Those of a server that was killed.
        lab.end_all_sessions()?;
        let (listener, address) = listen(options.listen)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("vcenter-stub")
            .enable_all()
            .build()
            .map_err(|source| Error::Thread { source })?;
        let duration = Duration::from_millis(options.task_duration_ms);
        let memory = Duration::from_secs(options.task_memory_secs);
        let clock = Arc::new(Clock::new());
        let handle = runtime.handle().clone();
        let tasks = Tasks::new(handle, Arc::clone(&clock), duration, memory);
        let state = Arc::new(State::new(lab, options, clock, tasks, idle_secs));
        let (stop, stopped) = watch::channel(false);
        let served = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("vcenter-stub".into())
            .spawn(move || {
                runtime.block_on(serve(listener, acceptor, served, stopped));
                runtime.shutdown_timeout(GRACE);
            })
            .map_err(|source| Error::Thread { source })?;
        Ok(Self {
            address,
            thumbprint_sha1,
            thumbprint_sha256,
            state,
            stop,
            thread: Some(thread),
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the SDK, such as `https://127.0.0.1:4433/sdk`.
    pub fn url(&self) -> String {
        format!("https://{}/sdk", self.address)
    }

    /// SHA-1 of the certificate, as `AA:BB:...`.
    pub fn thumbprint_sha1(&self) -> &str {
        &self.thumbprint_sha1
    }

    /// SHA-256 of the certificate, as `AA:BB:...`.
    pub fn thumbprint_sha256(&self) -> &str {
        &self.thumbprint_sha256
    }

    /// Lets time pass for sessions and finished tasks, so that a test need not wait until
    /// one idles out or is forgotten.
    pub fn advance_clock(&self, by: Duration) {
        self.state.clock.advance(by);
        self.state.expire_sessions();
        self.state.changes().tell();
    }

    /// Stops the server. Connections are cut; the work of a running task is waited for,
    /// at most five seconds.
    pub fn stop(mut self) {
        self.stop_inner();
    }

    fn stop_inner(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the thread of the server panicked");
        }
        if let Err(error) = self.state.lab.end_all_sessions() {
            tracing::warn!(%error, "sessions not ended in the lab");
        }
    }
}

impl Drop for VCenter {
    fn drop(&mut self) {
        self.stop_inner();
    }
}

fn listen(address: SocketAddr) -> Result<(StdListener, SocketAddr), Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = StdListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn serve(
    listener: StdListener,
    acceptor: TlsAcceptor,
    state: Arc<State>,
    stopped: watch::Receiver<bool>,
) {
    match TcpListener::from_std(listener) {
        Ok(listener) => accept(listener, acceptor, state, stopped).await,
        Err(error) => tracing::error!(%error, "listener not usable"),
    }
}
