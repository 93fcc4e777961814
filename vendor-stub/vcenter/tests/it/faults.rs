//! Faults and lies that a test orders in the lab.

use std::time::{Duration, Instant};

use lab::{Fault, Lie};

use crate::client::Page;
use crate::rig::{CAPACITY_BYTES, Rig};

fn order(rig: &Rig, call: &str, fault: Fault) {
    let fault = Fault {
        call: call.to_owned(),
        count: Some(0),
        ..fault
    };
    rig.lab.set_faults(&[fault]).unwrap();
}

/// The page at offset 0 for `*`, and the next one, as a server with that lie tells them.
fn pages(lie: Option<Lie>) -> (Page, Page) {
    let rig = Rig::new();
    let mut client = rig.client();
    rig.lab.set_change_tracking(&rig.vm, true).unwrap();
    rig.lab.guest_write(&rig.vm, 2000, 0, &[1; 512]).unwrap();
    rig.lab
        .guest_write(&rig.vm, 2000, 8 << 20, &[1; 512])
        .unwrap();
    rig.lab
        .guest_write(&rig.vm, 2000, 16 << 20, &[1; 512])
        .unwrap();
    let snapshot = client.snapshot(&rig.vm);
    let lie = Fault {
        lie,
        ..Fault::default()
    };
    order(&rig, "QueryChangedDiskAreas", lie);
    let first = client.query(&rig.vm, &snapshot, 0, "*").unwrap();
    let next = client.query(&rig.vm, &snapshot, 4 << 20, "*").unwrap();
    (first, next)
}

#[test]
fn each_lie_is_told() {
    let (honest, rest) = pages(None);
    assert_eq!((honest.start, honest.length), (0, CAPACITY_BYTES));
    assert_eq!(honest.areas.len(), 3);
    assert_eq!((rest.start, rest.areas.len()), (4 << 20, 2));

    let ends = |page: &Page| -> Vec<u64> {
        let areas = page.areas.iter();
        areas.map(|(start, length)| start + length).collect()
    };
    assert_eq!(pages(Some(Lie::StalledPage)).0.length, 0);
    assert_ne!(pages(Some(Lie::WrongStart)).0.start, 0);
    let out = pages(Some(Lie::OutOfPage)).0;
    assert!(ends(&out).iter().any(|end| *end > out.start + out.length));
    let beyond = pages(Some(Lie::BeyondCapacity)).0;
    assert!(
        ends(&beyond)
            .iter()
            .any(|end| *end > CAPACITY_BYTES + (64 << 10))
    );
    let (first, next) = pages(Some(Lie::EmptyEnd));
    assert!(first.length > 0 && first.length < CAPACITY_BYTES);
    assert_eq!((next.length, next.areas.len()), (0, 0));
    let overlap = pages(Some(Lie::Overlap)).0;
    assert!(overlap.areas[1..].contains(&overlap.areas[0]));
    assert_eq!(pages(Some(Lie::Omit)).0.areas, honest.areas[..2]);
}

#[test]
fn an_ordered_fault_fails_the_call_or_the_task() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let fault = |name: &str| Fault {
        fault: Some(name.to_owned()),
        message: Some("ordered & <typed>".to_owned()),
        ..Fault::default()
    };
    let snapshot = "<name>x</name><memory>false</memory><quiesce>true</quiesce>";
    order(
        &rig,
        "CreateSnapshot_Task",
        fault("ApplicationQuiesceFault"),
    );
    let info = client.task("CreateSnapshot_Task", vm, snapshot);
    assert!(info.contains(
        "<error><fault xsi:type=\"ApplicationQuiesceFault\"></fault>\
         <localizedMessage>ordered &amp; &lt;typed&gt;</localizedMessage></error>"
    ));
    assert!(rig.lab.vm(&rig.vm).unwrap().snapshots.is_empty());

    order(&rig, "CreateSnapshot_Task", fault("NoPermission"));
    let denied = client
        .call("CreateSnapshot_Task", vm, snapshot)
        .unwrap_err();
    assert_eq!(denied.type_name, "NoPermission");
    order(&rig, "QueryChangedDiskAreas", fault("FileFault"));
    let denied = client.query(&rig.vm, "snapshot-1", 0, "*").unwrap_err();
    assert_eq!(
        (denied.type_name.as_str(), denied.text.as_str()),
        ("FileFault", "ordered &amp; &lt;typed&gt;")
    );
    order(&rig, "CurrentTime", fault("FaultOfANewRelease"));
    let service = ("ServiceInstance", "ServiceInstance");
    let unknown = client.call("CurrentTime", service, "").unwrap_err();
    assert_eq!(unknown.type_name, "FaultOfANewRelease");
}

#[test]
fn an_ordered_loss_of_the_session_shows_in_the_form_of_the_method() {
    let rig = Rig::new();
    let mut client = rig.client();
    let lost = Fault {
        fault: Some("NotAuthenticated".to_owned()),
        count: Some(1),
        call: "RetrievePropertiesEx".to_owned(),
        ..Fault::default()
    };
    rig.lab.set_faults(&[lost]).unwrap();
    let hidden = client.read(("VirtualMachine", &rig.vm), &["name"]).unwrap();
    assert!(hidden.contains("<missingSet><path>name</path>"));
    let time = client.call("CurrentTime", ("ServiceInstance", "ServiceInstance"), "");
    assert_eq!(time.unwrap_err().type_name, "NotAuthenticated");
}

#[test]
fn broken_answers_below_soap() {
    let rig = Rig::new();
    let mut client = rig.client();
    let time = crate::client::envelope(
        "CurrentTime",
        "<_this type=\"ServiceInstance\">ServiceInstance</_this>",
    );
    let status = Fault {
        http_status: Some(502),
        ..Fault::default()
    };
    order(&rig, "CurrentTime", status);
    let answer = client.post(&time, "");
    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    let cut = Fault {
        truncate: Some(100),
        ..Fault::default()
    };
    order(&rig, "CurrentTime", cut);
    let answer = client.post(&time, "");
    assert_eq!((answer.status, answer.body.len()), (200, 100));
    let late = Fault {
        delay_ms: Some(150),
        ..Fault::default()
    };
    order(&rig, "CurrentTime", late);
    let begin = Instant::now();
    assert_eq!(client.post(&time, "").status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(150));
}
