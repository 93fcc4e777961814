//! Checking and mending: each kind of damage, planted and found.

use std::fs::{self, File};

use proptest::prelude::*;
use vmdk::{CheckReport, DiskKind, Error, ProblemKind};

use crate::scratch::{READ, Scratch, WRITE, all, sectors};

/// Where the parts of `disk` are, in bytes: twice a directory of one sector and a table of four.
const REDUNDANT_DIRECTORY: usize = 21 * 512;
const REDUNDANT_TABLE: usize = 22 * 512;
const DIRECTORY: usize = 26 * 512;
const TABLE: usize = 27 * 512;

/// A sparse disk of five grains; grain 0 has ones, 1 twos, 3 threes, and 4 is short and has fours.
fn disk() -> Scratch {
    let scratch = Scratch::new();
    let mut disk = scratch.sparse("a.vmdk", 4 * 128 + 9);
    for (grain, byte) in [(0, 1), (1, 2), (3, 3)] {
        disk.write_at(grain * 128, &sectors(128, byte)).unwrap();
    }
    disk.write_at(512, &sectors(9, 4)).unwrap();
    scratch
}

fn check(scratch: &Scratch, repair: bool) -> CheckReport {
    vmdk::check(&scratch.path("a.vmdk"), repair).unwrap()
}

/// The entry of a grain in the primary table.
fn entry(scratch: &Scratch, grain: usize) -> u32 {
    let bytes = fs::read(scratch.path("a.vmdk")).unwrap();
    let at = TABLE + grain * 4;
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Damages the disk, finds just these problems, mends them, and finds nothing more.
fn mended(damage: impl FnOnce(&Scratch), problems: &[ProblemKind]) -> (Scratch, CheckReport) {
    let scratch = disk();
    damage(&scratch);
    let before = fs::read(scratch.path("a.vmdk")).unwrap();
    let found = check(&scratch, false);
    let kinds: Vec<ProblemKind> = found.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, problems);
    assert!(!found.is_clean() && !found.is_repaired());
    let after = fs::read(scratch.path("a.vmdk")).unwrap();
    assert!(before == after, "a check changes nothing");
    let report = check(&scratch, true);
    assert!(report.is_repaired(), "{report:?}");
    assert_eq!(check(&scratch, false), CheckReport::default());
    (scratch, report)
}

/// The first byte of each grain.
fn firsts(scratch: &Scratch) -> Vec<u8> {
    let content = all(&scratch.open("a.vmdk", READ).unwrap());
    content.chunks(128 * 512).map(|grain| grain[0]).collect()
}

const WHOLE: [u8; 5] = [1, 2, 0, 3, 4];

#[test]
fn a_good_disk_of_any_kind_is_clean() {
    for kind in DiskKind::ALL {
        let scratch = Scratch::new();
        let mut disk = scratch.create("a.vmdk", kind, 1001);
        disk.write_at(77, &sectors(400, 5)).unwrap();
        drop(disk);
        assert_eq!(check(&scratch, false), CheckReport::default(), "{kind:?}");
        assert_eq!(check(&scratch, true), CheckReport::default(), "{kind:?}");
    }
}

#[test]
fn an_unclean_end_is_noted() {
    let (scratch, _) = mended(
        |disk| disk.patch("a.vmdk", 72, &[1]),
        &[ProblemKind::NotClosed],
    );
    assert_eq!(firsts(&scratch), WHOLE);
}

#[test]
fn a_directory_that_lost_a_table_gets_it_back() {
    for (at, redundant) in [(DIRECTORY, false), (REDUNDANT_DIRECTORY, true)] {
        for entry in [0_u32, 0x00ff_ffff] {
            let damage = |disk: &Scratch| disk.patch("a.vmdk", at, &entry.to_le_bytes());
            let problem = ProblemKind::DirectoryEntry {
                table: 0,
                redundant,
            };
            let (scratch, report) = mended(damage, &[problem]);
            assert_eq!(report.lost_grains, 0);
            assert_eq!(firsts(&scratch), WHOLE);
        }
    }
    // Both lost: the tables are where they customarily are.
    let damage = |disk: &Scratch| {
        disk.patch("a.vmdk", DIRECTORY, &[0xff; 4]);
        disk.patch("a.vmdk", REDUNDANT_DIRECTORY, &[0xff; 4]);
    };
    let problem = |redundant| ProblemKind::DirectoryEntry {
        table: 0,
        redundant,
    };
    let (scratch, _) = mended(damage, &[problem(false), problem(true)]);
    assert_eq!(firsts(&scratch), WHOLE);
}

#[test]
fn the_copy_of_a_table_that_knows_a_grain_is_believed() {
    for table in [TABLE, REDUNDANT_TABLE] {
        for entry in [0_u32, 0x00ff_ffff, 5] {
            let damage = |disk: &Scratch| disk.patch("a.vmdk", table + 4, &entry.to_le_bytes());
            let (scratch, report) = mended(damage, &[ProblemKind::CopiesDiffer { grain: 1 }]);
            assert_eq!(report.lost_grains, 0);
            assert_eq!(firsts(&scratch), WHOLE);
        }
    }
}

#[test]
fn a_grain_that_both_tables_lost_is_given_up() {
    let damage = |disk: &Scratch| {
        for table in [TABLE, REDUNDANT_TABLE] {
            disk.patch("a.vmdk", table + 4, &0x00ff_ffff_u32.to_le_bytes());
        }
    };
    let sector = 0x00ff_ffff;
    let (scratch, report) = mended(damage, &[ProblemKind::Dangling { grain: 1, sector }]);
    assert_eq!(report.lost_grains, 1);
    assert_eq!(firsts(&scratch), [1, 0, 0, 3, 4]);
}

#[test]
fn a_grain_entered_twice_gets_a_place_of_its_own() {
    let sector = entry(&disk(), 0);
    let damage = |disk: &Scratch| {
        for table in [TABLE, REDUNDANT_TABLE] {
            disk.patch("a.vmdk", table + 8, &sector.to_le_bytes());
        }
    };
    let (scratch, report) = mended(damage, &[ProblemKind::Doubled { grain: 2, sector }]);
    assert_eq!(report.lost_grains, 0);
    assert_eq!(firsts(&scratch), [1, 2, 1, 3, 4]);
    // Writing one no longer changes the other.
    let mut disk = scratch.open("a.vmdk", WRITE).unwrap();
    disk.write_at(256, &sectors(128, 9)).unwrap();
    assert_eq!(firsts(&scratch), [1, 2, 9, 3, 4]);
}

#[test]
fn a_grain_that_is_cut_short_is_filled_with_zeros() {
    let cut = |disk: &Scratch| {
        let file = File::options()
            .write(true)
            .open(disk.path("a.vmdk"))
            .unwrap();
        let length_bytes = u64::from(entry(disk, 4)) * 512 + 512;
        file.set_len(length_bytes).unwrap();
    };
    let (scratch, _) = mended(cut, &[ProblemKind::GrainCutShort { grain: 4 }]);
    let content = all(&scratch.open("a.vmdk", READ).unwrap());
    assert!(content[512 * 512..] == [sectors(1, 4), sectors(8, 0)].concat());
}

#[test]
fn a_grain_a_child_lost_shows_its_parent_again() {
    let scratch = Scratch::new();
    let mut base = scratch.flat("base.vmdk", 300);
    base.write_at(0, &sectors(300, 7)).unwrap();
    let mut child = base
        .create_child(&scratch.path("a.vmdk"), DiskKind::MonolithicSparse)
        .unwrap();
    child.write_at(0, &sectors(300, 8)).unwrap();
    drop(child);
    for table in [TABLE, REDUNDANT_TABLE] {
        scratch.patch("a.vmdk", table, &0x00ff_ffff_u32.to_le_bytes());
    }
    assert_eq!(check(&scratch, true).lost_grains, 1);
    assert_eq!(firsts(&scratch), [7, 8, 8]);
}

#[test]
fn what_cannot_be_mended_says_so() {
    let scratch = Scratch::new();
    let mut disk = scratch.create("a.vmdk", DiskKind::StreamOptimized, 300);
    disk.write_at(0, &sectors(300, 7)).unwrap();
    drop(disk);
    let first = entry(&scratch, 0) as usize * 512;
    scratch.patch("a.vmdk", first + 14, &[0x55; 8]);
    let report = check(&scratch, true);
    assert_eq!(report.problems[0].kind, ProblemKind::Packed { grain: 0 });
    assert!(!report.is_repaired());

    let scratch = Scratch::new();
    scratch.flat("a.vmdk", 300);
    scratch.write("a-flat.vmdk", sectors(299, 1));
    let report = check(&scratch, true);
    assert_eq!(report.problems[0].kind, ProblemKind::FileCutShort);
    assert!(!report.is_repaired());

    scratch.write("a.vmdk", "no disk");
    let refused = vmdk::check(&scratch.path("a.vmdk"), true);
    assert!(matches!(refused, Err(Error::NotVmdk { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random damage to tables: after a repair that says it mended all, nothing is found, all can be
    /// read, and what no damage touched is as it was.
    #[test]
    fn scrambled_tables_are_mended_or_refused(
        changes in proptest::collection::vec((REDUNDANT_DIRECTORY..TABLE + 32, any::<u8>()), 1..8)
    ) {
        let scratch = disk();
        for &(offset_bytes, byte) in &changes {
            scratch.patch("a.vmdk", offset_bytes, &[byte]);
        }
        let report = check(&scratch, true);
        if report.is_repaired() {
            prop_assert_eq!(check(&scratch, false), CheckReport::default());
            // Grains can have been exchanged by the damage, never made up.
            let found = firsts(&scratch);
            prop_assert!(found.iter().all(|byte| *byte <= 4), "{:?}", found);
        }
    }
}
