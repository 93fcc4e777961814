//! Growing disks, rightly and as some releases do.

use lab::{Behaviour, DiskChange, SiteSpec, VmChange};

use crate::{Fixture, GRAIN, KEY};

fn grow(fixture: &Fixture, capacity_bytes: u64) {
    let change = VmChange {
        disks: vec![DiskChange::Grow {
            device_key: KEY,
            capacity_bytes,
        }],
        ..VmChange::default()
    };
    fixture.lab.reconfigure(&fixture.vm, change).unwrap();
}

/// Grains told as changed since `id`, after a write before and one behind the old end.
fn told(behaviour: Behaviour, before: u64, after: u64, writes: &[u64]) -> Vec<u64> {
    let fixture = Fixture::tracked(SiteSpec::default(), before);
    fixture.lab.set_behaviour(behaviour).unwrap();
    let (first, id) = fixture.landmark("s1");
    fixture.lab.remove_snapshot(&first, false).unwrap();
    grow(&fixture, after);
    for grain in writes {
        fixture.write(grain * GRAIN, &[1; 512]);
    }
    let (second, _) = fixture.landmark("s2");
    let page = fixture
        .lab
        .changed_areas(&fixture.vm, Some(&second), KEY, 0, &id)
        .unwrap();
    let areas = page.areas.iter();
    areas
        .flat_map(|area| {
            let first = area.start_bytes / GRAIN;
            first..first + area.length_bytes.div_ceil(GRAIN)
        })
        .collect()
}

#[test]
fn what_came_with_growth_is_told_as_changed() {
    let right = told(Behaviour::default(), 4 * GRAIN, 6 * GRAIN, &[1, 5]);
    assert_eq!(right, [1, 4, 5]);
}

#[test]
fn hot_growth_may_lose_what_is_behind_the_old_end() {
    let behaviour = Behaviour {
        hot_growth_is_not_tracked: true,
        ..Behaviour::default()
    };
    assert_eq!(told(behaviour, 4 * GRAIN, 6 * GRAIN, &[1, 5]), [1]);
}

#[test]
fn growth_over_128_gib_may_shift_the_areas() {
    let behaviour = Behaviour {
        growth_over_128_gib_shifts_areas: true,
        ..Behaviour::default()
    };
    let border = 128_u64 << 30;
    let last = border / GRAIN;
    let wrong = told(behaviour.clone(), border - GRAIN, border + GRAIN, &[1]);
    assert_eq!(wrong, [2, last]);
    let small = told(behaviour, 4 * GRAIN, 6 * GRAIN, &[1]);
    assert_eq!(small, [1, 4, 5]);
}
