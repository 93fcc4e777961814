//! `vcenter-stub serve`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use lab::Lab;
use tokio::signal::unix::{SignalKind, signal};
use vcenter_stub::{Options, VCenter};

/// Serve a lab until interrupted.
///
/// Prints one line with the URL and both thumbprints of the certificate.
#[derive(Debug, Args)]
#[command(after_help = "Example: vcenter-stub serve lab --listen 127.0.0.1:8989")]
pub(super) struct Serve {
    /// Folder of the lab.
    lab: PathBuf,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How long a task takes, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = Options::default().task_duration_ms)]
    task_ms: u64,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let lab = Lab::open(&self.lab)?;
        let mut options = Options::default();
        options.listen = self.listen;
        options.task_duration_ms = self.task_ms;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("failed to make a runtime")?;
        runtime.block_on(async {
            // Listen for signals before anybody can know that the server runs.
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let vcenter = VCenter::start(lab, options)?;
            writeln!(
                std::io::stdout(),
                "{} sha1={} sha256={}",
                vcenter.url(),
                vcenter.thumbprint_sha1(),
                vcenter.thumbprint_sha256()
            )?;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            vcenter.stop();
            Ok(())
        })
    }
}
