//! What happens to a VM's tracking between two runs: whatever it is, every byte is in the next point.

use std::fs;

use anyhow::Result;
use cbt_tests::Bench;
use lab::{Behaviour, PowerState, SnapshotSpec, TrackingOverSnapshots};

const MIB: u64 = 1 << 20;
const FIRST: i32 = 2000;

/// Something that happens to the VM, on a site that behaves in some way.
struct Case {
    name: &'static str,
    behaviour: Behaviour,
    happens: fn(&mut Bench) -> Result<()>,
    /// What the next run does with the first disk, with a part of the reason.
    next: (&'static str, &'static str),
    /// Events of the next run.
    told: &'static [&'static str],
}

fn look(bench: &mut Bench) -> Result<()> {
    let _ = bench.lab.vm(&bench.vm)?;
    Ok(())
}

fn power_cycle(bench: &mut Bench) -> Result<()> {
    for state in [PowerState::PoweredOff, PowerState::PoweredOn] {
        bench.lab.set_power_state(&bench.vm, state)?;
    }
    Ok(())
}

fn relocate(bench: &mut Bench) -> Result<()> {
    Ok(bench.lab.relocate(&bench.vm, "datastore2")?)
}

fn move_to_another_host(bench: &mut Bench) -> Result<()> {
    Ok(bench.lab.replace_host("host-99", "esx02.lab.test")?)
}

fn lose_the_map(bench: &mut Bench) -> Result<()> {
    Ok(bench.lab.lose_tracking(&bench.vm)?)
}

fn lose_the_map_and_power_cycle(bench: &mut Bench) -> Result<()> {
    lose_the_map(bench)?;
    power_cycle(bench)
}

/// Another product's reset.
fn switch_off_and_on(bench: &mut Bench) -> Result<()> {
    for enabled in [false, true] {
        bench.lab.set_change_tracking(&bench.vm, enabled)?;
        pass_a_snapshot(bench)?;
    }
    Ok(())
}

fn switch_off(bench: &mut Bench) -> Result<()> {
    bench.lab.set_change_tracking(&bench.vm, false)?;
    pass_a_snapshot(bench)
}

fn pass_a_snapshot(bench: &mut Bench) -> Result<()> {
    let made = bench
        .lab
        .create_snapshot(&bench.vm, &SnapshotSpec::named("passing"))?;
    Ok(bench.lab.remove_snapshot(&made.moref, false)?)
}

fn cases() -> Vec<Case> {
    let usual = Behaviour::default;
    let case = |name, happens, next, told| Case {
        name,
        behaviour: usual(),
        happens,
        next,
        told,
    };
    vec![
        case("nothing", look, ("incremental", ""), &[]),
        case("a snapshot", pass_a_snapshot, ("incremental", ""), &[]),
        case("a power cycle", power_cycle, ("incremental", ""), &[]),
        case(
            "a storage move",
            relocate,
            ("incremental", ""),
            &["tracking-storage-moved"; 2],
        ),
        case(
            "a move to another host",
            move_to_another_host,
            ("incremental", ""),
            &["tracking-moved"; 2],
        ),
        Case {
            behaviour: Behaviour {
                relocation_resets_tracking: true,
                ..usual()
            },
            ..case(
                "a storage move of vSphere 5",
                relocate,
                ("full", "files moved"),
                &["tracking-restarted-by-storage-move"; 2],
            )
        },
        case(
            "a lost map",
            lose_the_map,
            ("full", "FileFault"),
            &["changed-areas-failed"; 2],
        ),
        case(
            "a lost map and a power cycle",
            lose_the_map_and_power_cycle,
            ("full", "begins anew"),
            &["tracking-restarted"; 2],
        ),
        case(
            "a reset by somebody",
            switch_off_and_on,
            ("full", "begins anew"),
            &["tracking-restarted"; 2],
        ),
        case(
            "somebody switches it off",
            switch_off,
            ("full", "begins anew"),
            &["tracking-on", "tracking-restarted", "tracking-restarted"],
        ),
        Case {
            behaviour: Behaviour {
                over_reported_grains: 3,
                ..usual()
            },
            ..case("too much is told", look, ("incremental", ""), &[])
        },
        Case {
            behaviour: Behaviour {
                grains_told_at_once: 16,
                ..usual()
            },
            ..case("large grains", look, ("incremental", ""), &[])
        },
    ]
}

fn walk(case: &Case) -> Result<()> {
    let name = case.name;
    let mut bench = Bench::new()?;
    bench.lab.set_behaviour(case.behaviour.clone())?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    let before = bench.backup(&[])?.expect_code(0);
    assert_eq!(before.disk(FIRST).text("action"), "incremental", "{name}");

    bench.guest_write(FIRST, 3 * MIB, &[1; 4096])?;
    (case.happens)(&mut bench)?;
    bench.guest_write(FIRST, 5 * MIB + 512, &[2; 12_288])?;
    bench.guest_unmap(FIRST, 8 * MIB, 2 * MIB)?;
    let next = bench.backup(&[])?.expect_code(0);
    let disk = next.disk(FIRST);
    assert_eq!(disk.text("action"), case.next.0, "{name}: {next:#?}");
    if !case.next.1.is_empty() {
        let reason = disk.text("reason");
        assert!(reason.contains(case.next.1), "{name}: {reason}");
    }
    let (audited, told): (Vec<_>, Vec<_>) = next
        .events()
        .into_iter()
        .partition(|kind| kind == "audited");
    assert_eq!(told, case.told, "{name}: {next:#?}");
    // What may have cost tracking a change is looked at, where there is something to compare.
    let risky = |kind: &&String| *kind != "tracking-on" && kind.starts_with("tracking-");
    let wanted = told.iter().filter(risky).count();
    assert!(audited.len() <= wanted, "{name}: {next:#?}");

    bench.guest_write(FIRST, 9 * MIB, &[3; 4096])?;
    let _ = bench.backup(&[])?.expect_code(0);
    bench.assert_put_back()?;
    bench.assert_sound()
}

/// Tracking that begins anew is believed again.
fn assert_mended_by_a_reset(bench: &mut Bench) -> Result<()> {
    let reset = bench.server_arguments("cbt", &["reset", &bench.vm]);
    let _ = bench.run(reset)?.expect_code(0);
    let fresh = bench.backup(&[])?.expect_code(0);
    assert_eq!(fresh.disk(FIRST).text("action"), "full");
    bench.guest_write(FIRST, 6 * MIB, &[5; 4096])?;
    let usual = bench.backup(&[])?.expect_code(0);
    assert_eq!(usual.disk(FIRST).text("action"), "incremental");
    bench.assert_sound()
}

#[test]
fn whatever_happens_to_tracking_the_next_points_hold_every_byte() -> Result<()> {
    cases().iter().try_for_each(walk)
}

#[test]
fn tracking_that_began_beside_a_snapshot_is_not_believed_until_it_begins_anew() -> Result<()> {
    let mut bench = Bench::new()?;
    bench.lab.set_behaviour(Behaviour {
        tracking_over_snapshots: TrackingOverSnapshots::Incomplete,
        ..Behaviour::default()
    })?;
    let _ = bench.init()?.expect_code(0);
    let stands = bench.take_snapshot("of somebody")?;
    let refused = bench.backup(&[])?.expect_code(0);
    assert_eq!(refused.events(), ["tracking-off"], "{refused:#?}");
    assert!(refused.stdout.contains("a snapshot exists"), "{refused:#?}");

    // Somebody switches it on all the same; our snapshot lets that take effect.
    bench.lab.set_change_tracking(&bench.vm, true)?;
    let begins = bench.backup(&[])?.expect_code(0);
    assert_eq!(begins.disk(FIRST).text("action"), "full");
    let distrusted = "tracking-distrusted".to_owned();
    assert!(begins.events().contains(&distrusted), "{begins:#?}");

    bench.lab.remove_snapshot(&stands.moref, false)?;
    for round in 1..=3 {
        bench.guest_write(FIRST, round * MIB, &[4; 4096])?;
        let next = bench.backup(&[])?.expect_code(0);
        assert_eq!(next.disk(FIRST).text("action"), "full", "{next:#?}");
        assert!(next.events().contains(&distrusted), "{next:#?}");
    }
    assert_mended_by_a_reset(&mut bench)
}

#[test]
fn change_ids_of_a_host_that_loses_writes_are_never_built_upon() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    let site = bench.lab.root().join("site.json");
    let sound = fs::read_to_string(&site)?;
    let old = sound
        .replace("\"8.0.2\"", "\"6.0.0\"")
        .replace("22380479", "3073146");
    assert!(old.contains("6.0.0") && old.contains("3073146"));
    fs::write(&site, old)?;
    bench.guest_write(FIRST, MIB, &[3; 4096])?;
    let there = bench.backup(&[])?.expect_code(0);
    assert_eq!(there.disk(FIRST).text("action"), "full");
    let distrusted = "tracking-distrusted".to_owned();
    assert!(there.events().contains(&distrusted), "{there:#?}");

    // It is patched, or the VM moves. What was lost while that run's snapshot went is not in the map.
    fs::write(&site, sound)?;
    bench.guest_write(FIRST, 2 * MIB, &[4; 4096])?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.disk(FIRST).text("action"), "full", "{next:#?}");
    assert!(next.events().contains(&distrusted), "{next:#?}");
    assert_mended_by_a_reset(&mut bench)
}
