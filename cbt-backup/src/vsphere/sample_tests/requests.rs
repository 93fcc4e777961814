//! Every request that the client can send, against the sample of it.
//!
//! A real server refuses parameters in another order ("vsphere-api.md" 1.6), and so the elements
//! are compared one by one: names, order, namespace, `xsi:type` and the type of references.
//! A new request is one more row of [`rows`], or of [`acting::rows`] where the values are the
//! sample's too; its sample leaves [`NOT_SENT`].

mod acting;

use std::collections::BTreeSet;

use crate::vsphere::Moref;
use crate::vsphere::changed_areas::query_operation;
use crate::vsphere::inventory::{destroy_operation, view_operation};
use crate::vsphere::operation::Operation;
use crate::vsphere::property::{PropertyFilterSpec, PropertySpec, retrieve_spec_operation};
use crate::vsphere::snapshot::{create_operation, remove_operation};
use crate::vsphere::vm::change_tracking_operation;
use crate::vsphere::xml::{Reader, Tag, XmlError};

macro_rules! request {
    ($name:literal) => {
        include_str!(concat!("../testdata/requests/", $name, ".xml"))
    };
}

/// Samples that the tests over the wire compare with what was sent.
const ON_THE_WIRE: &[&str] = &[
    "01", "02", "04", "15", "18", "19", "20", "23", "24", "25", "26", "27", "28", "29", "30", "68",
];

/// Samples of calls that the client does not make, and why.
const NOT_SENT: &[(&str, &str)] = &[
    ("03", "hosts lack it; the current session is read instead"),
    ("22", "undocumented; properties are retrieved"),
    ("38", "disks are read through VDDK"),
    ("39", "as 38"),
    ("40", "as 38"),
    ("41", "as 38"),
    ("44", "it removes the snapshots of others"),
    ("47", "VDDK attaches disks to its own VM by itself"),
    ("48", "as 47"),
    ("56", "the VM's configuration has the disk's id"),
    ("57", "the VM's configuration names its files"),
    ("58", "a disk is made with its size"),
];

/// The request of each sample, by its number.
fn rows() -> Vec<(&'static str, Operation)> {
    let (vm, snapshot) = (Moref::vm("vm-1021"), Moref::snapshot("snapshot-2044"));
    let root = Moref::new("Folder", "group-d1");
    let views = Moref::new("ViewManager", "ViewManager");
    let view = Moref::new("ContainerView", "session[1]2");
    let changes = |id| query_operation(&vm, &snapshot, 2000, 0, id);
    let id = "52 b4 49 50 30 2b 1d b6-51 46 74 5d f1 95 37 9b/16";
    let wanted = |sample: &'static str, kinds: &[&str]| {
        let wanted = kinds.iter();
        let wanted = wanted.map(|kind| PropertySpec::new(*kind, &paths(sample, kind)));
        wanted.collect::<Vec<_>>()
    };
    let of_one = |sample: &'static str, object: &Moref| {
        let wanted = wanted(sample, &[&object.kind]);
        retrieve(&PropertyFilterSpec::of_objects([object], wanted), None)
    };
    let of_all = PropertyFilterSpec::of_view(
        &view,
        wanted(request!("17-retrieve-properties-ex-inventory-view"), &KINDS),
    );
    let task = Moref::new("Task", "task-5151");
    vec![
        (
            "12",
            of_one(request!("12-retrieve-properties-ex-one-vm"), &vm),
        ),
        (
            "13",
            of_one(
                request!("13-retrieve-properties-ex-snapshot-config"),
                &snapshot,
            ),
        ),
        (
            "14",
            of_one(request!("14-retrieve-properties-ex-task"), &task),
        ),
        ("16", view_operation(&views, &root, &KINDS)),
        ("17", retrieve(&of_all, Some(200))),
        ("21", destroy_operation(&view)),
        ("31", change_tracking_operation(&vm, true)),
        ("32", change_tracking_operation(&vm, false)),
        ("33", create_operation(&vm, "n", "d", false, true)),
        ("36", changes(id)),
        ("37", changes("*")),
        ("43", remove_operation(&snapshot)),
        ("45", Operation::new("ConsolidateVMDisks_Task", &vm)),
    ]
}

const KINDS: [&str; 7] = [
    "Folder",
    "Datacenter",
    "ComputeResource",
    "ResourcePool",
    "HostSystem",
    "Datastore",
    "VirtualMachine",
];

fn retrieve(spec: &PropertyFilterSpec, page_objects: Option<u32>) -> Operation {
    let collector = Moref::new("PropertyCollector", "propertyCollector");
    retrieve_spec_operation(&collector, spec, page_objects)
}

/// The samples by their numbers.
fn samples() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/vsphere/testdata/requests");
    let mut samples: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let number = name.split('-').next().unwrap().to_owned();
            (number, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    samples.sort();
    samples
}

/// The elements of a request's body, one a line: depth, name, types.
fn shape(envelope: &str) -> Vec<String> {
    fn visit(
        r: &mut Reader<'_>,
        tag: &Tag,
        depth: usize,
        lines: &mut Vec<String>,
    ) -> Result<(), XmlError> {
        let types = (&tag.xsi_type, &tag.kind);
        lines.push(format!("{depth} {} {types:?}", tag.name));
        r.children(tag, |r, tag| visit(r, tag, depth + 1, lines))
    }
    let body = body(envelope);
    let end = body.find('>').unwrap();
    // The start tag of the operation has the namespace.
    let mut lines = vec![body[..end].to_owned()];
    Reader::new(envelope)
        .document(|r, root| {
            r.children(root, |r, tag| match tag.name.as_str() {
                "Body" => visit(r, tag, 0, &mut lines),
                _ => Ok(()),
            })
        })
        .unwrap();
    lines
}

fn body(envelope: &str) -> &str {
    let (_, rest) = envelope.split_once("<soapenv:Body>").unwrap();
    rest.split_once("</soapenv:Body>").unwrap().0.trim()
}

#[test]
fn every_request_has_the_elements_of_its_sample() {
    let samples = samples();
    assert_eq!(samples.len(), 68);
    for (number, operation) in rows() {
        let (_, sample) = samples.iter().find(|(known, _)| known == number).unwrap();
        let envelope = operation.envelope("id").unwrap();
        let sent = shape(std::str::from_utf8(&envelope).unwrap());
        assert_eq!(sent, shape(sample), "request {number}");
    }
}

#[test]
fn every_request_that_acts_is_its_sample() {
    let samples = samples();
    for (number, operation) in acting::rows() {
        let (_, sample) = samples.iter().find(|(known, _)| known == number).unwrap();
        same(&operation, sample);
    }
}

#[test]
fn every_sample_is_accounted_for_once() {
    let rows = rows();
    let acting = acting::rows();
    let compared = rows.iter().chain(&acting).map(|(number, _)| *number);
    let known: Vec<&str> = compared
        .chain(ON_THE_WIRE.iter().copied())
        .chain(NOT_SENT.iter().map(|(number, _)| *number))
        .collect();
    let unique: BTreeSet<&str> = known.iter().copied().collect();
    assert_eq!(unique.len(), known.len(), "a sample is listed twice");
    let samples = samples();
    let all: BTreeSet<&str> = samples.iter().map(|(number, _)| number.as_str()).collect();
    assert_eq!(unique, all);
}

#[test]
fn another_order_or_type_is_noticed() {
    let sample = request!("36-query-changed-disk-areas");
    let swapped = sample
        .replace("<deviceKey>2000</deviceKey>", "")
        .replace("<changeId>", "<deviceKey>2000</deviceKey><changeId>");
    assert_ne!(shape(sample), shape(&swapped));
    let untyped = sample.replace(" type=\"VirtualMachineSnapshot\"", "");
    assert_ne!(shape(sample), shape(&untyped));
    let elsewhere = sample.replace("urn:vim25", "urn:internalvim25");
    assert_ne!(shape(sample), shape(&elsewhere));
}

fn same(operation: &Operation, sample: &str) {
    let envelope = operation.envelope("id").unwrap();
    let envelope = std::str::from_utf8(&envelope).unwrap();
    assert_eq!(body(envelope), body(sample));
}

#[test]
fn requests_are_those_of_the_samples() {
    let (vm, snapshot) = (Moref::vm("vm-1021"), Moref::snapshot("snapshot-2044"));
    same(
        &change_tracking_operation(&vm, true),
        request!("31-reconfig-enable-cbt"),
    );
    let create = create_operation(&vm, "Backup", "Temporary Snapshot for Backup", false, true);
    same(&create, request!("33-create-snapshot"));
    same(&remove_operation(&snapshot), request!("43-remove-snapshot"));
    same(
        &Operation::new("ConsolidateVMDisks_Task", &vm),
        request!("45-consolidate-disks"),
    );
    let id = "52 b4 49 50 30 2b 1d b6-51 46 74 5d f1 95 37 9b/16";
    same(
        &query_operation(&vm, &snapshot, 2000, 0, id),
        request!("36-query-changed-disk-areas"),
    );
    let star = request!("37-query-changed-disk-areas-star");
    same(&query_operation(&vm, &snapshot, 2000, 0, "*"), star);
}

#[test]
fn retrievals_are_those_of_the_samples() {
    let collector = Moref::new("PropertyCollector", "propertyCollector");
    let one = |object: &Moref, paths: &[&str], sample: &str| {
        let spec = PropertyFilterSpec::of_object(object, paths);
        same(&retrieve_spec_operation(&collector, &spec, None), sample);
    };
    one(
        &Moref::new("Task", "task-5151"),
        &["info"],
        request!("14-retrieve-properties-ex-task"),
    );
    let snapshot = Moref::snapshot("snapshot-2044");
    one(
        &snapshot,
        &["config", "vm"],
        request!("13-retrieve-properties-ex-snapshot-config"),
    );
    let vm_sample = request!("12-retrieve-properties-ex-one-vm");
    one(
        &Moref::vm("vm-1021"),
        &paths(vm_sample, "VirtualMachine"),
        vm_sample,
    );

    let root = Moref::new("Folder", "group-d1");
    let kinds = KINDS;
    let views = Moref::new("ViewManager", "ViewManager");
    same(
        &view_operation(&views, &root, &kinds),
        request!("16-create-container-view"),
    );
    let view = Moref::new(
        "ContainerView",
        "session[52f1d2a9-6c1b-4d0e-9a3e-2f6b1c7d8e90]5286fa88-7318-63fc-4917-f258ec859d33",
    );
    same(&destroy_operation(&view), request!("21-destroy-view"));
    let sample = request!("17-retrieve-properties-ex-inventory-view");
    let all_paths: Vec<Vec<&str>> = kinds.iter().map(|kind| paths(sample, kind)).collect();
    let wanted = kinds.iter().zip(&all_paths);
    let wanted = wanted.map(|(kind, paths)| PropertySpec::new(*kind, paths));
    let spec = PropertyFilterSpec::of_view(&view, wanted.collect());
    same(
        &retrieve_spec_operation(&collector, &spec, Some(200)),
        sample,
    );
}

/// The paths that a sample asks of a managed type.
fn paths<'s>(sample: &'s str, kind: &str) -> Vec<&'s str> {
    let (_, rest) = sample
        .split_once(&format!("<propSet><type>{kind}</type>"))
        .unwrap();
    let (set, _) = rest.split_once("</propSet>").unwrap();
    let items = set.split("<pathSet>").skip(1);
    items
        .map(|item| item.strip_suffix("</pathSet>").unwrap())
        .collect()
}
