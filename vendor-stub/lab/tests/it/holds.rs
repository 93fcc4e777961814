//! Who may have a disk open beside whom, and the links of dead clients.

use std::time::{Duration, Instant};

use lab::{Error, PowerState, SiteSpec};

use crate::{Fixture, GRAIN};

fn running_link(fixture: &Fixture) -> std::path::PathBuf {
    let vm = fixture.lab.vm(&fixture.vm).unwrap();
    let file = &vm.disks[0].top().unwrap().file;
    fixture.lab.resolve_disk(&fixture.vm, None, file).unwrap()
}

fn in_use<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::InUse { .. }))
}

#[test]
fn one_writer_or_many_readers() {
    let fixture = Fixture::new(GRAIN);
    let (lab, disk) = (&fixture.lab, running_link(&fixture));
    let first = lab.disk_lock(&disk).unwrap();
    let second = lab.disk_lock(&disk).unwrap();
    assert!(in_use(&lab.disk_write_lock(&disk)));
    drop(first);
    assert!(in_use(&lab.disk_write_lock(&disk)));
    drop(second);
    let writer = lab.disk_write_lock(&disk).unwrap();
    assert!(in_use(&lab.disk_write_lock(&disk)));
    assert!(in_use(&lab.disk_lock(&disk)));
    drop(writer);
    drop(lab.disk_lock(&disk).unwrap());
}

#[test]
fn a_parent_is_read_while_its_child_is_written() {
    let fixture = Fixture::new(GRAIN);
    let base = running_link(&fixture);
    let _ = fixture.snapshot("s");
    let child = running_link(&fixture);
    assert_ne!(base, child);
    let writer = fixture.lab.disk_write_lock(&child).unwrap();
    let reader = fixture.lab.disk_lock(&base).unwrap();
    assert!(in_use(&fixture.lab.disk_write_lock(&base)));
    drop((writer, reader));
}

#[test]
fn a_vm_is_not_powered_on_while_its_disk_is_open() {
    let fixture = Fixture::new(GRAIN);
    let lab = &fixture.lab;
    lab.set_power_state(&fixture.vm, PowerState::PoweredOff)
        .unwrap();
    let writer = lab.disk_write_lock(&running_link(&fixture)).unwrap();
    assert!(in_use(
        &lab.set_power_state(&fixture.vm, PowerState::PoweredOn)
    ));
    drop(writer);
    lab.set_power_state(&fixture.vm, PowerState::PoweredOn)
        .unwrap();
}

/// A lab whose host does not notice dead clients.
fn forgetful(scale: f64) -> Fixture {
    let site = SiteSpec {
        nfc_time_scale: Some(scale),
        ..SiteSpec::default()
    };
    Fixture::with(site, GRAIN)
}

/// Leaves the record of a link as a process does that is killed.
fn die_with_link(fixture: &Fixture, write: bool, time_out: Option<Duration>) {
    let disk = running_link(fixture);
    let link = fixture.lab.nfc_link(&disk, write, time_out).unwrap();
    let folder = fixture.lab.root().join("nfc-links");
    let records: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    let [record] = records.as_slice() else {
        panic!("{records:?}")
    };
    let text = std::fs::read(record).unwrap();
    drop(link);
    assert!(!record.exists(), "a client that ends well leaves nothing");
    std::fs::write(record, text).unwrap();
}

#[test]
fn without_time_outs_a_dead_clients_disk_stays_locked() {
    let fixture = forgetful(0.0);
    let disk = running_link(&fixture);
    die_with_link(&fixture, true, None);
    assert!(in_use(&fixture.lab.disk_lock(&disk)));
    assert!(in_use(&fixture.lab.disk_write_lock(&disk)));
}

#[test]
fn a_dead_reader_is_in_the_way_of_writers_and_of_merging() {
    let fixture = forgetful(0.0);
    let disk = running_link(&fixture);
    die_with_link(&fixture, false, None);
    assert!(in_use(&fixture.lab.disk_write_lock(&disk)));
    drop(fixture.lab.disk_lock(&disk).unwrap());
    let (snapshot, _) = fixture.snapshot("s");
    let refused = fixture.lab.remove_snapshot(&snapshot, false);
    assert!(matches!(refused, Err(Error::Locked { .. })));
}

#[test]
fn with_time_outs_it_is_freed_when_they_have_passed() {
    let fixture = forgetful(0.001);
    let disk = running_link(&fixture);
    die_with_link(&fixture, true, Some(Duration::from_hours(1)));
    assert!(in_use(&fixture.lab.disk_lock(&disk)), "3.6 seconds");

    die_with_link_again(&fixture, Duration::from_mins(1));
    let begin = Instant::now();
    // The lab has no event for it: time passes at the host.
    while in_use(&fixture.lab.disk_lock(&disk)) {
        assert!(begin.elapsed() < Duration::from_secs(10), "never freed");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Shortens the time-out of the only record.
fn die_with_link_again(fixture: &Fixture, time_out: Duration) {
    let folder = fixture.lab.root().join("nfc-links");
    for entry in std::fs::read_dir(&folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    die_with_link(fixture, true, Some(time_out));
}

#[test]
fn a_host_that_notices_keeps_nothing() {
    let fixture = Fixture::new(GRAIN);
    let disk = running_link(&fixture);
    let link = fixture.lab.nfc_link(&disk, true, None).unwrap();
    link.heard();
    assert!(!fixture.lab.root().join("nfc-links").exists());
    drop(fixture.lab.disk_write_lock(&disk).unwrap());
}
