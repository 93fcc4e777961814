//! Random histories against a naive model: a plain copy of the disk, and for each snapshot the
//! set of grains written since the one before.

use std::collections::BTreeSet;

use lab::SiteSpec;
use proptest::prelude::*;

use crate::{Fixture, GRAIN, KEY};

/// No multiple of a grain, so that the last grain is short.
const SECTORS: u64 = 11 * 128 + 37;
const CAPACITY: u64 = SECTORS * 512;

#[derive(Clone, Debug)]
enum Step {
    Write {
        sector: u64,
        sectors: u64,
        byte: u8,
    },
    Unmap {
        sector: u64,
        sectors: u64,
    },
    Snapshot,
    /// Remove the snapshot at this position of those that are left, modulo their number.
    Remove {
        position: usize,
        children: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    // Ranges that end on the last sector come up often.
    let range = (0..SECTORS, 1..200u64, any::<bool>()).prop_map(|(sector, sectors, to_end)| {
        let sector = if to_end {
            SECTORS.saturating_sub(sectors)
        } else {
            sector
        };
        (sector, sectors.min(SECTORS - sector))
    });
    prop_oneof![
        4 => (range.clone(), 0..4u8).prop_map(|((sector, sectors), byte)| Step::Write { sector, sectors, byte }),
        2 => range.prop_map(|(sector, sectors)| Step::Unmap { sector, sectors }),
        2 => Just(Step::Snapshot),
        1 => (any::<usize>(), prop::bool::weighted(0.2))
            .prop_map(|(position, children)| Step::Remove { position, children }),
    ]
}

/// A snapshot as the model remembers it.
#[derive(Debug)]
struct Landmark {
    moref: String,
    change_id: String,
    content: Vec<u8>,
    /// Number of landmarks before it.
    number: usize,
    removed: bool,
}

#[derive(Debug)]
struct Model {
    content: Vec<u8>,
    landmarks: Vec<Landmark>,
    /// Grains written after each landmark and before the next.
    written: Vec<BTreeSet<u64>>,
}

impl Model {
    fn change(&mut self, sector: u64, sectors: u64, byte: u8) {
        let (start, length) = ((sector * 512) as usize, (sectors * 512) as usize);
        self.content[start..start + length].fill(byte);
        let grains = sector / 128..(sector + sectors).div_ceil(128);
        self.written.last_mut().unwrap().extend(grains);
    }

    /// Grains written after one landmark and before another.
    fn between(&self, from: &Landmark, to: &Landmark) -> BTreeSet<u64> {
        self.written[from.number + 1..=to.number]
            .iter()
            .flatten()
            .copied()
            .collect()
    }
}

fn run(fixture: &Fixture, model: &mut Model, step: &Step) {
    match *step {
        Step::Write {
            sector,
            sectors,
            byte,
        } => {
            fixture.write(sector * 512, &vec![byte; (sectors * 512) as usize]);
            model.change(sector, sectors, byte);
        }
        Step::Unmap { sector, sectors } => {
            fixture
                .lab
                .guest_unmap(&fixture.vm, KEY, sector * 512, sectors * 512)
                .unwrap();
            model.change(sector, sectors, 0);
        }
        Step::Snapshot => {
            let (moref, change_id) = fixture.landmark("s");
            let (content, number) = (model.content.clone(), model.landmarks.len());
            model.landmarks.push(Landmark {
                moref,
                change_id,
                content,
                number,
                removed: false,
            });
            model.written.push(BTreeSet::new());
        }
        Step::Remove { position, children } => {
            let left: Vec<usize> = model
                .landmarks
                .iter()
                .filter(|landmark| !landmark.removed)
                .map(|landmark| landmark.number)
                .collect();
            if left.is_empty() {
                return;
            }
            let position = position % left.len();
            fixture
                .lab
                .remove_snapshot(&model.landmarks[left[position]].moref, children)
                .unwrap();
            let gone = if children {
                &left[position..]
            } else {
                &left[position..=position]
            };
            for number in gone {
                model.landmarks[*number].removed = true;
            }
        }
    }
}

fn changed(fixture: &Fixture, snapshot: &str, id: &str) -> BTreeSet<u64> {
    let (mut grains, mut offset) = (BTreeSet::new(), 0);
    while offset < CAPACITY {
        let page = fixture
            .lab
            .changed_areas(&fixture.vm, Some(snapshot), KEY, offset, id)
            .unwrap();
        for area in page.areas {
            let end = area.start_bytes + area.length_bytes;
            assert!(end == CAPACITY || end.is_multiple_of(GRAIN));
            grains.extend(area.start_bytes / GRAIN..end.div_ceil(GRAIN));
        }
        offset += page.length_bytes;
    }
    grains
}

fn check(fixture: &Fixture, model: &Model) {
    assert!(fixture.read(None) == model.content, "running state");
    for to in model.landmarks.iter().filter(|landmark| !landmark.removed) {
        assert!(fixture.read(Some(&to.moref)) == to.content, "{}", to.moref);
        // Ids of removed snapshots are as good as any.
        for from in &model.landmarks[..=to.number] {
            let found = changed(fixture, &to.moref, &from.change_id);
            assert_eq!(
                found,
                model.between(from, to),
                "{} to {}",
                from.change_id,
                to.moref
            );
        }
        // All that is not zero is allocated.
        let allocated = changed(fixture, &to.moref, "*");
        for (grain, bytes) in (0..).zip(to.content.chunks(GRAIN as usize)) {
            assert!(
                allocated.contains(&grain) || bytes.iter().all(|byte| *byte == 0),
                "grain {grain}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_history_matches_the_model(
        steps in prop::collection::vec(step(), 1..40),
        page_extents in 1..4usize,
    ) {
        let fixture = Fixture::tracked(SiteSpec { page_extents, ..SiteSpec::default() }, CAPACITY);
        let mut model =
            Model { content: vec![0; CAPACITY as usize], landmarks: Vec::new(), written: vec![BTreeSet::new()] };
        for step in &steps {
            run(&fixture, &mut model, step);
        }
        run(&fixture, &mut model, &Step::Snapshot);
        check(&fixture, &model);
        // What is left can be taken apart from the front.
        while model.landmarks.iter().any(|landmark| !landmark.removed) {
            run(&fixture, &mut model, &Step::Remove { position: 0, children: false });
        }
        check(&fixture, &model);
        prop_assert_eq!(fixture.lab.vm(&fixture.vm).unwrap().disks[0].chain.len(), 1);
        prop_assert_eq!(fixture.files(), ["app01-ctk.vmdk", "app01-flat.vmdk", "app01.vmdk"]);
    }
}
