//! The two things under test that Cargo does not hand to a test by itself.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

/// What Cargo tells a test of itself. A build script that looks at one of these would run again.
const OF_THIS_TEST: [&str; 6] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "LD_LIBRARY_PATH",
];

/// The stand-in library, which Cargo built beside this test as a dev-dependency of it.
///
/// # Errors
///
/// When it is not there.
pub fn stand_in_library() -> Result<PathBuf> {
    let library = env::current_exe()?.with_file_name("libvixDiskLib.so");
    ensure!(library.is_file(), "{} is not there", library.display());
    Ok(library)
}

/// The real `cbt-backup`, built by one nested Cargo a process, with this test's profile and target
/// folder. Cargo holds no lock while tests run, so the nested one gets it.
///
/// # Errors
///
/// When it cannot be built.
pub fn program() -> Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = PROGRAM.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow!("{error}"))
}

/// The workspace's manifest. Cargo tells a running test where its package is; a target folder that was copied from
/// another checkout still has that one's place compiled in.
fn manifest() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("../Cargo.toml")
}

fn build() -> Result<PathBuf> {
    let test = env::current_exe()?;
    // TARGET/PROFILE/deps/this-test
    let profile = test
        .ancestors()
        .nth(2)
        .context("this test is in no target folder")?;
    let target = profile
        .parent()
        .context("this test is in no target folder")?;
    let profile = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => bail!("the profile's folder has no name"),
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.args(["build", "--quiet", "--bin", "cbt-backup"]);
    // With a test among the targets Cargo turns on what the tests of both packages turn on in
    // their dependencies, as it did for `cargo test --workspace`: then nothing is built twice.
    cargo.args([
        "--package",
        "cbt-backup",
        "--package",
        "cbt-tests",
        "--test",
        "it",
    ]);
    cargo.args([
        "--message-format",
        "json-render-diagnostics",
        "--profile",
        profile,
    ]);
    cargo.arg("--manifest-path").arg(manifest());
    cargo.arg("--target-dir").arg(target);
    for (name, _) in env::vars_os() {
        if OF_THIS_TEST
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            cargo.env_remove(name);
        }
    }
    let built = cargo.output().context("failed to start cargo")?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        // Every test that needs the program gets the one line; this is told once.
        let _ = write!(io::stderr(), "{}", tail(&said));
        bail!("{}", refusal(&built.status.to_string(), &said));
    }
    executable(&String::from_utf8_lossy(&built.stdout)).context("cargo built no program")
}

/// Why there is no program, in one line: how Cargo ended, and the first error it told.
fn refusal(status: &str, said: &str) -> String {
    let first = said.lines().find(|line| line.starts_with("error"));
    let cause = first.unwrap_or(if said.trim().is_empty() {
        "it said nothing, as when it is killed"
    } else {
        "it told no error"
    });
    format!("cargo could not build the program under test ({status}): {cause}")
}

/// The end of what Cargo said, a screen or so. Lines of the linker are long, and cut.
fn tail(said: &str) -> String {
    const LINES: usize = 40;
    const CHARACTERS: usize = 300;
    let lines: Vec<&str> = said.lines().collect();
    let mut tail = String::new();
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        tail.extend(line.chars().take(CHARACTERS));
        tail.push('\n');
    }
    tail
}

/// The program among Cargo's messages, one JSON object a line.
fn executable(messages: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours =
            message["reason"] == "compiler-artifact" && message["target"]["name"] == "cbt-backup";
        message["executable"]
            .as_str()
            .filter(|_| ours)
            .map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = concat!(
            "not json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"cbt-backup"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/o"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"cbt-backup"},"executable":"/p"}"#,
        );
        assert_eq!(executable(messages), Some(PathBuf::from("/p")));
        assert_eq!(executable(""), None);
    }

    #[test]
    fn why_there_is_no_program_is_one_line() {
        let said = "   Compiling x\nerror: linking failed\nnote: more\nerror: could not compile\n";
        let told = refusal("exit status: 101", said);
        assert!(
            told.ends_with("(exit status: 101): error: linking failed"),
            "{told}"
        );
        let killed = refusal("signal: 9 (SIGKILL)", "");
        assert!(
            killed.contains("SIGKILL") && killed.contains("said nothing"),
            "{killed}"
        );
        assert!(refusal("exit status: 1", "warning").ends_with("told no error"));
    }

    #[test]
    fn a_flood_of_the_linker_is_cut() {
        let flood = format!(
            "first\n{}last\n",
            format!("{}\n", "ß".repeat(9000)).repeat(50)
        );
        let tail = tail(&flood);
        assert!(
            tail.len() < 30_000 && tail.ends_with("last\n"),
            "{}",
            tail.len()
        );
        assert!(!tail.contains("first"));
    }
}
