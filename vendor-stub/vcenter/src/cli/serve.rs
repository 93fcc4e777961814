//! `vcenter-stub --lab` and `vcenter-stub serve`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use lab::Lab;
use tokio::signal::unix::{SignalKind, signal};
use vcenter_stub::{FaultForm, Form, Options, VCenter};

/// Serve a lab until interrupted, as --lab does.
#[derive(Debug, Args)]
#[command(after_help = "Example: vcenter-stub serve lab --listen 127.0.0.1:8989")]
pub(super) struct Serve {
    /// Folder of the lab.
    lab: PathBuf,
    #[command(flatten)]
    serving: Serving,
}

/// How a lab is served.
#[derive(Debug, Args)]
pub(super) struct Serving {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Answer as a bare ESXi host: ids `ha-...`, numbers for VMs, no methods of a vCenter only.
    #[arg(long)]
    esxi: bool,
    /// How long a task takes, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = Options::default().task_duration_ms)]
    task_ms: u64,
    /// How long a finished task can still be read, in seconds.
    #[arg(long, value_name = "N", default_value_t = Options::default().task_memory_secs)]
    task_memory: u64,
    /// Greatest number of objects in one page of properties.
    #[arg(long, value_name = "N", default_value_t = Options::default().page_limit)]
    page_limit: usize,
    /// Greatest number of objects in one answer of WaitForUpdatesEx.
    #[arg(long, value_name = "N", default_value_t = Options::default().update_limit)]
    update_limit: usize,
    /// Write answers in another form that servers use. May be repeated.
    #[arg(long, value_name = "FORM")]
    form: Vec<FormName>,
}

/// The forms by their names.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormName {
    /// Another prefix than xsi for the namespace of types.
    OtherPrefix,
    /// The type of a reference behind its xsi:type.
    TypeFirst,
    /// Empty elements as one tag.
    ShortEmpty,
    /// Faults with a faultMessage.
    FaultMessage,
    /// Details of faults in no namespace, and no text.
    FaultUnqualified,
    /// Details of faults in urn:internalvim25.
    FaultInternal,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<()> {
        self.serving.run(&self.lab)
    }
}

impl Serving {
    pub(super) fn run(self, lab: &Path) -> anyhow::Result<()> {
        let lab = Lab::open(lab)?;
        let options = self.options();
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

    fn options(&self) -> Options {
        let mut options = Options::default();
        options.listen = self.listen;
        options.bare_host = self.esxi;
        options.task_duration_ms = self.task_ms;
        options.task_memory_secs = self.task_memory;
        options.page_limit = self.page_limit;
        options.update_limit = self.update_limit;
        options.form = form(&self.form);
        options
    }
}

fn form(names: &[FormName]) -> Form {
    let mut form = Form::default();
    for name in names {
        match name {
            FormName::OtherPrefix => form.other_prefix = true,
            FormName::TypeFirst => form.type_first = true,
            FormName::ShortEmpty => form.short_empty = true,
            FormName::FaultMessage => form.fault = FaultForm::Message,
            FormName::FaultUnqualified => form.fault = FaultForm::Unqualified,
            FormName::FaultInternal => form.fault = FaultForm::Internal,
        }
    }
    form
}
