//! Random histories of a chain against a plain copy in memory.

use proptest::prelude::*;
use vmdk::{Disk, DiskKind};

use crate::scratch::{ALONE, READ, Scratch, WRITE, all};

/// Three grains of 64 KiB and a bit, so that the last grain is short.
const CAPACITY_SECTORS: u64 = 3 * 128 + 37;

#[derive(Clone, Debug)]
enum Step {
    Write { sector: u64, sectors: u64, byte: u8 },
    Unmap { sector: u64, sectors: u64 },
    Snapshot(DiskKind),
    Reopen,
}

fn range() -> impl Strategy<Value = (u64, u64)> {
    // Borders of grains and of the disk come up often.
    let sector = prop_oneof![
        0..CAPACITY_SECTORS,
        Just(0),
        Just(128),
        Just(256),
        Just(384)
    ];
    let sectors = prop_oneof![1..CAPACITY_SECTORS, Just(1), Just(128), Just(256)];
    (sector, sectors).prop_map(|(sector, sectors)| (sector, sectors.min(CAPACITY_SECTORS - sector)))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (range(), any::<u8>()).prop_map(|((sector, sectors), byte)| Step::Write { sector, sectors, byte }),
        3 => range().prop_map(|(sector, sectors)| Step::Unmap { sector, sectors }),
        1 => Just(Step::Snapshot(DiskKind::MonolithicSparse)),
        1 => Just(Step::Snapshot(DiskKind::SplitSparse)),
        1 => Just(Step::Reopen),
    ]
}

/// What outside the allocated runs is not zero, as the first such sector.
fn unlisted_data(disk: &Disk, model: &[u8]) -> Option<u64> {
    let runs = disk.allocated(0, disk.capacity_sectors()).unwrap();
    let apart = runs
        .windows(2)
        .all(|two| two[0].end_sector() < two[1].start_sector);
    assert!(apart, "{runs:?}");
    let listed = |sector| {
        let mut runs = runs.iter();
        runs.any(|run| run.start_sector <= sector && sector < run.end_sector())
    };
    let sectors = model.chunks(512).zip(0..);
    let mut data = sectors.filter(|(content, _)| content.iter().any(|&byte| byte != 0));
    data.find(|&(_, sector)| !listed(sector))
        .map(|(_, sector)| sector)
}

fn play(mut disk: Disk, scratch: &Scratch, steps: &[Step]) {
    let mut model = vec![0; (CAPACITY_SECTORS * 512) as usize];
    let mut frozen = Vec::new();
    let mut name = "base.vmdk".to_owned();
    for step in steps {
        match *step {
            Step::Write {
                sector,
                sectors,
                byte,
            } => {
                // Each sector differs from the next, so that a shift would show.
                let data: Vec<u8> = (0..sectors * 512)
                    .map(|n| byte.wrapping_add((n / 512) as u8))
                    .collect();
                disk.write_at(sector, &data).unwrap();
                let start = (sector * 512) as usize;
                model[start..start + data.len()].copy_from_slice(&data);
            }
            Step::Unmap { sector, sectors } => {
                disk.unmap(sector, sectors).unwrap();
                let start = (sector * 512) as usize;
                model[start..start + (sectors * 512) as usize].fill(0);
            }
            Step::Snapshot(kind) => {
                frozen.push((name.clone(), model.clone()));
                let child = format!("base-{:06}.vmdk", frozen.len());
                disk = disk.create_child(&scratch.path(&child), kind).unwrap();
                name = child;
            }
            Step::Reopen => {
                disk.flush().unwrap();
                drop(disk);
                disk = scratch.open(&name, WRITE).unwrap();
            }
        }
        assert!(all(&disk) == model, "after {step:?}");
        assert_eq!(unlisted_data(&disk, &model), None, "after {step:?}");
    }
    assert_eq!(disk.links(), frozen.len() + 1);
    for (name, model) in &frozen {
        let disk = scratch.open(name, READ).unwrap();
        assert!(all(&disk) == *model, "{name} changed");
    }
    merge_down(scratch, frozen.len(), &model);
}

/// Merges each child into its parent through what the child alone holds; the content stays.
fn merge_down(scratch: &Scratch, children: usize, model: &[u8]) {
    let path = |number: usize| match number {
        0 => "base.vmdk".to_owned(),
        _ => format!("base-{number:06}.vmdk"),
    };
    for number in (1..=children).rev() {
        let child = scratch.open(&path(number), ALONE).unwrap();
        let mut parent = scratch.open(&path(number - 1), WRITE).unwrap();
        for run in child.allocated(0, CAPACITY_SECTORS).unwrap() {
            let mut data = vec![0; (run.sectors * 512) as usize];
            child.read_at(run.start_sector, &mut data).unwrap();
            parent.write_at(run.start_sector, &data).unwrap();
        }
        assert!(all(&parent) == model, "after merging {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_base_with_children_reads_as_its_model(
        kind in prop::sample::select(DiskKind::ALL.as_slice()),
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        // A stream is written front to back, so it has no history.
        prop_assume!(kind != DiskKind::StreamOptimized);
        let scratch = Scratch::new();
        let disk = scratch.create("base.vmdk", kind, CAPACITY_SECTORS);
        play(disk, &scratch, &steps);
    }
}
