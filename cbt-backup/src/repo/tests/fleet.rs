//! A fleet of processes on one repository, each killed, or stopped for a while, at any moment.
//!
//! Four writers, two sweepers that also compact, one who drops points and takes some back, and readers with and
//! without a pin. They tell what they were told is done. After each round all are killed at
//! once, and then all that was told must be so. `CBT_FLEET_SECONDS` says how long it goes on, without it
//! for seconds; `CBT_FLEET_SEED` says how the dice fall, which does not repeat what the system does.

mod ground;
mod herd;
mod keeper;
mod reader;
mod sweeper;
mod told;
mod worker;
mod writer;

use std::time::{Duration, Instant};

use self::ground::{Ground, create};
use self::herd::Herd;
use self::told::Told;
use self::worker::{Role, Worker};
use super::killed::Dice;
use super::real_store::place;

/// The address of the store, for a child.
const STORE: &str = "CBT_FLEET_STORE";
const ROLE: &str = "CBT_FLEET_ROLE";
const SEED: &str = "CBT_FLEET_SEED";
const SECONDS: &str = "CBT_FLEET_SECONDS";
/// Everybody is killed, and everything is checked, so often,
const ROUND: Duration = Duration::from_secs(20);
/// and less often where a check takes as long.
const SLOW_ROUND: Duration = Duration::from_mins(1);

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok();
    value.map(|value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable}: {value}"))
    })
}

#[test]
#[ignore = "is run, and killed, by another test"]
fn works_until_it_is_killed() {
    let address = std::env::var(STORE).expect("the parent names a store");
    let role = std::env::var(ROLE).expect("the parent names a role");
    let seed = number(SEED).expect("the parent names a seed");
    Worker::new(Ground::open(&address), Dice(seed)).work(Role::parse(&role));
}

/// Lets the fleet loose on a new repository, in rounds, for so long if nobody says otherwise.
fn let_loose(address: &str, round: Duration, usual: Duration) {
    let lasts = number(SECONDS).map_or(usual, Duration::from_secs);
    let clock = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = number(SEED).unwrap_or(clock).max(1);
    println!("fleet: seed {seed}, {lasts:?}");
    let mut dice = Dice(seed);
    let mut told = Told::default();
    let mut herd = Herd::new(address);
    let begun = Instant::now();
    while begun.elapsed() < lasts {
        let round = round.min(lasts.saturating_sub(begun.elapsed()));
        let before = told.points();
        herd.run(round, &mut dice, &mut told);
        let ground = Ground::open(address);
        let checks = Instant::now();
        drop(told.judge(&ground));
        let judged = checks.elapsed();
        ground.clean_up();
        let cleaned = checks.elapsed();
        told.judge_clean(&ground);
        assert!(told.points() > before, "nobody made a point: {told}");
        println!("fleet: after {:?}: {herd}; {told}", begun.elapsed());
        let all = checks.elapsed();
        println!("fleet: judged by {judged:?}, cleaned up by {cleaned:?}, judged again by {all:?}");
    }
}

#[test]
fn a_fleet_under_kills_loses_nothing_it_has_told() {
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().to_str().unwrap();
    create(address);
    let_loose(address, ROUND, Duration::from_secs(10));
}

#[test]
#[ignore = "needs a store of its own: cargo xtask stores"]
fn a_fleet_on_a_store_of_its_own_loses_nothing_it_has_told() {
    let address = place("CBT_BACKUP_TEST_STORE");
    create(&address);
    let_loose(&address, SLOW_ROUND, Duration::from_secs(30));
}
