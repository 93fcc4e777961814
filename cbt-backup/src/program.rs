//! From the command line to the exit code.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::anyhow;
use clap::Parser;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use tracing_subscriber::EnvFilter;

use crate::{
    cli::{
        Cli, Command,
        config::Config,
        exit_code::{ExitCode, Failure},
        output::{Output, note, on_terminal, was_cut_off},
        reexec,
    },
    commands::Context,
};

/// Runs the program with the process's own arguments.
pub fn run() -> process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let output = Output {
        json: cli.global.json,
    };
    let code = match prepare(&cli).and_then(|context| dispatch(&cli.command, &context)) {
        Ok(code) => code,
        Err(failure) => {
            failure.tell(output);
            failure.code
        }
    };
    if code == ExitCode::Done && was_cut_off() {
        return ExitCode::Unexpected.into();
    }
    code.into()
}

/// Wrong usage; also where help or the version was asked for. With `--json` a line says so, as of any failure.
fn refuse(error: &clap::Error) -> process::ExitCode {
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::Done.into();
    }
    if std::env::args_os().any(|word| word == "--json") {
        let text = error.to_string();
        let what = text.lines().next().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(what).to_owned();
        let failure = Failure::new(ExitCode::Usage, anyhow!(what)).with_hint("try --help");
        failure.tell_machines(Output { json: true });
    }
    ExitCode::Usage.into()
}

/// Everything that must stand before a command runs, in this order: the right environment, then
/// threads.
fn prepare(cli: &Cli) -> Result<Context, Failure> {
    let config = Config::read(cli.global.config.as_deref())
        .map_err(|error| Failure::new(ExitCode::Usage, error))?;
    if let Some(options) = cli.command.vddk() {
        let location = options.location(&config);
        reexec::with_library_folder(location.as_deref()).map_err(|error| {
            Failure::new(
                ExitCode::Vddk,
                anyhow::Error::new(error).context("failed to start again with VDDK's folder"),
            )
        })?;
    }
    log_to_stderr(cli.global.verbose);
    // Without it the makers of HTTP clients panic. An error says that it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cancel = Arc::new(AtomicBool::new(false));
    if cli.command.ends_by_itself() {
        watch_signals(&cancel)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("cbt-net")
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitCode::Unexpected, error))?;
    let handle = runtime.handle().clone();
    // It lives as long as the process: nothing waits for its end.
    std::mem::forget(runtime);
    Ok(Context {
        config,
        output: Output {
            json: cli.global.json,
        },
        quiet: cli.global.quiet,
        runtime: handle,
        cancel,
    })
}

fn dispatch(command: &Command, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Init(command) => command.run(context),
        Command::Backup(command) => command.run(context),
        Command::Run(command) => command.run(context),
        Command::Audit(command) => command.run(context),
        Command::List(command) => command.run(context),
        Command::Show(command) => command.run(context),
        Command::Space(command) => command.run(context),
        Command::Restore(command) => command.run(context),
        Command::Copy(command) => command.run(context),
        Command::Verify(command) => command.run(context),
        Command::Forget(command) => command.run(context),
        Command::Undelete(command) => command.run(context),
        Command::Prune(command) => command.run(context),
        Command::Key(command) => command.run(context),
        Command::Janitor(command) => command.run(context),
        Command::Vms(command) => command.run(context),
        Command::Cbt(command) => command.run(context),
        Command::Privileges(command) => command.run(context),
        Command::Info(command) => command.run(context),
        Command::Man(command) => command.run(context),
    }
}

/// The first signal asks for a clean end, the second ends at once.
fn watch_signals(cancel: &Arc<AtomicBool>) -> Result<(), Failure> {
    let failed = |error| {
        Failure::new(
            ExitCode::Unexpected,
            anyhow::Error::new(error).context("failed to watch for signals"),
        )
    };
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
    let cancel = Arc::clone(cancel);
    let watch = move || {
        for _ in signals.forever() {
            if cancel.swap(true, Ordering::SeqCst) {
                process::exit(ExitCode::Interrupted as i32);
            }
            note("stopping, and leaving all in order; a second signal ends at once");
        }
    };
    std::thread::Builder::new()
        .name("cbt-signals".to_owned())
        .spawn(watch)
        .map_err(failed)?;
    Ok(())
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        // What other libraries think worth an error stands in our own words already.
        0 => "off,cbt_backup=error,vddk=error",
        1 => "cbt_backup=info,vddk=info,warn",
        2 => "cbt_backup=debug,vddk=debug,info",
        _ => "trace",
    };
    let filter =
        EnvFilter::try_from_env("CBT_BACKUP_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(on_terminal())
        .init();
}
