//! Tests of faults: which calls they fire on, in which processes.

use super::*;
use crate::SiteSpec;

fn lab() -> (tempfile::TempDir, Lab) {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
    (folder, lab)
}

fn fired(faults: &Faults, call: &str, calls: usize) -> Vec<bool> {
    (0..calls)
        .map(|_| faults.next(call).unwrap().is_some())
        .collect()
}

#[test]
fn nth_and_count_say_which_calls() {
    let (_folder, lab) = lab();
    assert_eq!(lab.faults().next("A").unwrap(), None);
    let fault = Fault {
        call: "A".into(),
        nth: Some(2),
        count: Some(2),
        code: Some(14009),
        ..Fault::default()
    };
    lab.set_faults(std::slice::from_ref(&fault)).unwrap();
    // All handles of a process count together, also those on another path to the folder.
    let other = Lab::open(&lab.root().join("vm/..")).unwrap().faults();
    assert_eq!(fired(&other, "B", 2), [false, false]);
    assert_eq!(fired(&lab.faults(), "A", 1), [false]);
    assert_eq!(other.next("A").unwrap(), Some(fault));
    assert_eq!(fired(&lab.faults(), "A", 3), [true, false, false]);

    lab.set_faults(&[Fault {
        call: "A".into(),
        count: Some(0),
        ..Fault::default()
    }])
    .unwrap();
    assert_eq!(fired(&other, "A", 3), [true, true, true]);
    lab.set_faults(&[]).unwrap();
    assert_eq!(fired(&other, "A", 1), [false]);
}

#[test]
fn once_is_consumed_across_processes() {
    let (_folder, lab) = lab();
    let once = Fault {
        call: "A".into(),
        count: Some(0),
        once: Some(true),
        ..Fault::default()
    };
    lab.set_faults(std::slice::from_ref(&once)).unwrap();
    assert_eq!(fired(&lab.faults(), "A", 3), [true, false, false]);
    // Another process has counters of its own and meets the marker.
    *locked(&shared(lab.root())) = Counted::default();
    assert_eq!(fired(&lab.faults(), "A", 1), [false]);
    lab.set_faults(&[once]).unwrap();
    assert_eq!(fired(&lab.faults(), "A", 2), [true, false]);
}

#[test]
fn the_documented_file_parses_and_a_changed_one_is_read_again() {
    let (_folder, lab) = lab();
    let text = "[[fault]]\ncall = \"QueryChangedDiskAreas\"\nnth = 1\ncount = 1\nonce = false\ncode = 14009\n\
        fault = \"FileFault\"\nmessage = \"text\"\ndelay_ms = 200\nhttp_status = 502\ntruncate = 100\n\
        lie = \"stalled-page\"\n";
    fs::write(lab.faults_file(), text).unwrap();
    let fault = lab.faults().next("QueryChangedDiskAreas").unwrap().unwrap();
    assert_eq!(
        (fault.lie, fault.http_status, fault.truncate),
        (Some(Lie::StalledPage), Some(502), Some(100))
    );
    fs::write(lab.faults_file(), "[[fault]]\ncall = \"Login\"\n").unwrap();
    assert_eq!(fired(&lab.faults(), "Login", 2), [true, false]);
    fs::remove_file(lab.faults_file()).unwrap();
    assert_eq!(fired(&lab.faults(), "Login", 1), [false]);
}

#[test]
fn bad_faults_are_refused() {
    let (_folder, lab) = lab();
    for text in [
        "[[fault]]\n",
        "[[fault]]\ncall = \"A\"\nwhat = 1\n",
        "[[fault]]\ncall = \"A\"\nlie = \"x\"\n",
        "\u{ff}(",
    ] {
        fs::write(lab.faults_file(), text).unwrap();
        assert!(
            matches!(lab.faults().next("A"), Err(Error::Toml { .. })),
            "{text}"
        );
    }
    for fault in [
        Fault::default(),
        Fault {
            call: "A".into(),
            nth: Some(0),
            ..Fault::default()
        },
        Fault {
            call: "A".into(),
            rate: Some(0.0),
            ..Fault::default()
        },
        Fault {
            call: "A".into(),
            never: Some(true),
            ..Fault::default()
        },
    ] {
        assert!(matches!(
            lab.set_faults(&[fault]),
            Err(Error::InvalidFault { .. })
        ));
    }
}

#[test]
fn a_rate_hits_the_same_calls_in_every_run() {
    let (_folder, lab) = lab();
    let rated = |seed| Fault {
        call: "A".into(),
        rate: Some(0.25),
        seed: Some(seed),
        ..Fault::default()
    };
    let hits = |fault: Fault| {
        lab.set_faults(&[fault]).unwrap();
        fired(&lab.faults(), "A", 400)
    };
    let first = hits(rated(1));
    let count = first.iter().filter(|hit| **hit).count();
    assert!((60..140).contains(&count), "{count} of 400");
    assert_eq!(first, hits(rated(1)));
    assert_ne!(first, hits(rated(2)));
    let limited = Fault {
        nth: Some(11),
        count: Some(20),
        rate: Some(1.0),
        ..rated(1)
    };
    let first = hits(limited);
    assert_eq!(first.iter().filter(|hit| **hit).count(), 20);
    assert!(!first[9] && first[10]);
}

#[test]
fn a_fault_of_one_process_fires_in_no_other() {
    let (_folder, lab) = lab();
    let of = |pid| Fault {
        call: "A".into(),
        pid: Some(pid),
        ..Fault::default()
    };
    lab.set_faults(&[of(std::process::id() + 1)]).unwrap();
    assert_eq!(fired(&lab.faults(), "A", 2), [false, false]);
    lab.set_faults(&[of(std::process::id())]).unwrap();
    assert!(lab.faults().any().unwrap());
    assert!(lab.faults().stands(&of(std::process::id())).unwrap());
    assert_eq!(fired(&lab.faults(), "A", 2), [true, false]);
    lab.set_faults(&[]).unwrap();
    assert!(!lab.faults().any().unwrap());
    assert!(!lab.faults().stands(&of(std::process::id())).unwrap());
}
