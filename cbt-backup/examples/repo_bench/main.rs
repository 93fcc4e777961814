//! Our side of `cargo xtask bench repo`: one step of a measurement a process. Each prints one line of
//! JSON: `seconds` without opening the repository, `bytes` that were worked on, and `peak_bytes` of memory.

#![forbid(unsafe_code)]

mod disk;
mod null_store;
mod steps;

use std::io::Write as _;
use std::process::ExitCode;

const USAGE: &str = "usage: repo_bench zstd IMAGE
       repo_bench null IMAGE
       repo_bench init FOLDER
       repo_bench full|again FOLDER IMAGE
       repo_bench increment FOLDER IMAGE BLOCK_LIST
       repo_bench restore FOLDER [OUTPUT]
       repo_bench random FOLDER IMAGE READS";

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["zstd", image] => steps::zstd(image),
        ["null", image] => steps::null(image),
        ["init", folder] => steps::init(folder),
        ["full", folder, image] => steps::back_up(folder, image, &steps::Work::Full),
        ["again", folder, image] => steps::back_up(folder, image, &steps::Work::Again),
        ["increment", folder, image, list] => {
            steps::back_up(folder, image, &steps::Work::Increment(list))
        }
        ["restore", folder] => steps::restore(folder, None),
        ["restore", folder, output] => steps::restore(folder, Some(output)),
        ["random", folder, image, reads] => steps::random(folder, image, reads),
        _ => Err(USAGE.into()),
    };
    let told = match &done {
        Ok(line) => writeln!(std::io::stdout(), "{line}"),
        Err(failure) => writeln!(std::io::stderr(), "error: {failure}"),
    };
    match (done, told) {
        (Ok(_), Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
