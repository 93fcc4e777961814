//! The vSphere side of a command that needs VDDK: from the login to the logout.

use std::{path::Path, time::Duration};

use vddk::Library;

use super::Context;
use crate::{
    cli::{
        exit_code::Failure,
        options::{ServerOptions, VddkOptions},
    },
    engine::{HotAdd, Site},
    vsphere::Client,
};

/// Sessions of vSphere end after about 30 idle minutes.
const KEEP_ALIVE_EVERY: Duration = Duration::from_mins(10);

/// Starts the library, logs in, does the work, and logs out on every way out.
///
/// # Errors
/// 14 without a library, which is looked for before anything is touched in vSphere; those of the login
/// and of the work.
pub(super) fn with_site<T>(
    context: &Context,
    server: &ServerOptions,
    vddk: &VddkOptions,
    state_dir: &Path,
    task_time_out: Duration,
    work: impl FnOnce(&Site) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let library = Library::load(vddk.library(&context.config))?;
    let login = context.runtime.block_on(server.connect(&context.config))?;
    let site = Site {
        client: login.client,
        library,
        hot_add: HotAdd::new(state_dir),
        runtime: context.runtime.clone(),
        user: login.user,
        password: login.password,
        task_time_out,
    };
    let alive = context.runtime.spawn(keep_alive(site.client.clone()));
    let done = work(&site);
    alive.abort();
    if let Err(error) = context.runtime.block_on(site.client.logout()) {
        tracing::warn!(%error, "logging out failed");
    }
    done
}

/// Keeps the session from running out while disks are read: traffic of the data path does not.
async fn keep_alive(client: Client) {
    loop {
        tokio::time::sleep(KEEP_ALIVE_EVERY).await;
        if let Err(error) = client.current_time().await {
            tracing::warn!(%error, "the session could not be kept alive");
        }
    }
}
