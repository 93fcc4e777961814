//! Runs each check in a process of its own and collects what they say.

use std::{
    env,
    io::{self, Read},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    checks::{self, Check},
    options::Options,
    report::{Report, Row, Verdict},
};

/// A check that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(2);

pub(crate) fn run(options: &Options) -> ExitCode {
    let wanted: Vec<_> = checks::all()
        .filter(|check| {
            let only = options.only.as_deref().unwrap_or_default();
            check.name.contains(only)
        })
        .collect();
    if options.list {
        for check in wanted {
            println!("{} ({}): {}", check.name, check.source, check.expected);
        }
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new(&options.libdir);
    for check in wanted {
        eprintln!("{} …", check.name);
        report.rows.push(one(check, options));
    }
    if let Err(error) = report.write(options.json.as_deref()) {
        eprintln!("conformance: failed to write the report: {error}");
        return ExitCode::from(2);
    }
    ExitCode::from(report.exit_code())
}

fn one(check: &Check, options: &Options) -> Row {
    let (verdict, seen) = match begin(check, options).and_then(end) {
        Ok(said) => said,
        Err(error) => (Verdict::Broken, format!("could not be run: {error}")),
    };
    Row {
        name: check.name,
        source: check.source,
        expected: check.expected,
        verdict,
        seen,
    }
}

fn begin(check: &Check, options: &Options) -> io::Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command
        .args(["--check", check.name, "--libdir"])
        .arg(&options.libdir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(server) = &options.server {
        command.args(server.arguments());
    }
    // VMware's library loads its companions by bare name, and the loader looks at this variable
    // only when a process starts.
    if let Some(folder) = vddk::library_folder(Some(&options.libdir)) {
        let mut folders = vec![folder];
        folders.extend(
            env::var_os("LD_LIBRARY_PATH")
                .iter()
                .flat_map(env::split_paths),
        );
        let joined = env::join_paths(folders).map_err(io::Error::other)?;
        command.env("LD_LIBRARY_PATH", joined);
    }
    command.spawn()
}

fn end(mut child: Child) -> io::Result<(Verdict, String)> {
    let mut output = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        if let Some(output) = &mut output {
            // What is no text is no answer of ours either.
            let _ = output.take(64 * 1024).read_to_string(&mut text);
        }
        text
    });
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begun.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let text = reader.join().unwrap_or_default();
    Ok(match status {
        None => (
            Verdict::Deviates,
            format!("nothing for {} s", LIMIT.as_secs()),
        ),
        Some(status) => judge(status, &text),
    })
}

fn judge(status: ExitStatus, text: &str) -> (Verdict, String) {
    if let Some(signal) = status.signal() {
        return (
            Verdict::Deviates,
            format!("the process died of signal {signal}"),
        );
    }
    match text.lines().last().and_then(Verdict::from_line) {
        Some(said) => said,
        None => (
            Verdict::Deviates,
            format!("the process ended with {status} and no answer"),
        ),
    }
}
