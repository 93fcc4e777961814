//! What must not compile. Each file of `tests/compile_fail` is named after the rule that it breaks.

use std::{env, fs, path::Path, process::Command};

/// The compiler whose words stand in the `.stderr` files. They change from one release to the next.
const RECORDED: &str = "1.95";

/// Names the folder with copies of the cases, in the process that leaves the words aside.
const COPIES: &str = "COMPILE_FAIL_COPIES";

const NAME: &str = "compile_fail::what_breaks_a_rule_does_not_compile";

#[test]
fn what_breaks_a_rule_does_not_compile() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    if let Some(copies) = env::var_os(COPIES) {
        return refused_in(Path::new(&copies));
    }
    let release = release();
    if release.starts_with(RECORDED) {
        return refused_in(&cases);
    }
    println!("skipped: what the compiler says, which is known of {RECORDED}; this is {release}");
    let copies = tempfile::tempdir().unwrap();
    for case in fs::read_dir(&cases).unwrap() {
        let case = case.unwrap().path();
        if case.extension().is_some_and(|extension| extension == "rs") {
            fs::copy(&case, copies.path().join(case.file_name().unwrap())).unwrap();
        }
    }
    // Told to write the words down, trybuild compares nothing. A case that compiles still fails.
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(COPIES, copies.path())
        .env("TRYBUILD", "overwrite")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

/// Wants a compiler's error for every case of the folder.
fn refused_in(folder: &Path) {
    trybuild::TestCases::new().compile_fail(folder.join("*.rs"));
}

/// The compiler's release, for instance `1.95.0`.
fn release() -> String {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("-V").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(' ').nth(1).unwrap().to_owned()
}
