//! Explores the sets of actors and prints what was found.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use protocol::{Outcome, Scene, Variant, explore};

/// Explore the protocol of the repository to the end.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  cargo run --release -p protocol
  cargo run --release -p protocol -- --thorough
  cargo run --release -p protocol -- --huge --only '3 sweeps'
  cargo run --release -p protocol -- --wrong")]
struct Arguments {
    /// Also the sets that take minutes and a gigabyte
    #[arg(long)]
    thorough: bool,
    /// Also the sets that take an hour, or more memory than most machines have
    #[arg(long)]
    huge: bool,
    /// Only the sets whose name has this in it
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The protocols with a mistake in them, with the trace to the damage
    #[arg(long)]
    wrong: bool,
    /// States after which a set is given up
    #[arg(long, default_value_t = 100_000_000)]
    limit: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut scenes = Scene::quick();
    if arguments.thorough {
        scenes.extend(Scene::thorough());
    }
    if arguments.huge {
        scenes.extend(Scene::huge());
    }
    if let Some(only) = &arguments.only {
        scenes.retain(|scene| scene.name.contains(only));
    }
    let mut good = true;
    if arguments.wrong {
        for variant in Variant::WRONG {
            good &= wrong(&scenes, variant, arguments.limit);
        }
    } else {
        for scene in &scenes {
            good &= right(scene, arguments.limit);
        }
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn right(scene: &Scene, limit: usize) -> bool {
    let start = Instant::now();
    let outcome = explore(scene, limit);
    let seconds = start.elapsed().as_secs();
    match outcome {
        Outcome::Safe { states } => {
            println!("{}: {states} states, safe, {seconds} s", scene.name);
            true
        }
        Outcome::Unfinished { states } => {
            println!(
                "{}: given up after {states} states, {seconds} s: no proof",
                scene.name
            );
            false
        }
        Outcome::Broken {
            promise,
            trace,
            states,
        } => {
            println!("{}: BROKEN after {states} states: {promise}", scene.name);
            for step in trace {
                println!("  {step}");
            }
            false
        }
    }
}

/// Whether one of the sets shows the mistake.
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn wrong(scenes: &[Scene], variant: Variant, limit: usize) -> bool {
    for scene in scenes {
        let scene = scene.under(variant);
        if let Outcome::Broken {
            promise,
            trace,
            states,
        } = explore(&scene, limit)
        {
            println!(
                "{variant}: {} ({states} states): not so: {promise}",
                scene.name
            );
            for step in trace {
                println!("  {step}");
            }
            return true;
        }
    }
    println!("{variant}: NOT FOUND");
    false
}
