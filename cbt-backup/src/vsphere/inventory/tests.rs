//! Paths and selectors over a small inventory with holes, loops, vApps and odd names.

use std::collections::HashMap;

use super::VmSummary;
use super::entity::Entity;
use super::listing::Pick;
use super::places::Places;
use crate::vsphere::error::Error;
use crate::vsphere::moref::Moref;
use crate::vsphere::property::Found;
use crate::vsphere::selector::VmSelection;

fn moref(id: &str) -> Moref {
    let kind = match id.split('-').next().unwrap_or_default() {
        "vm" => "VirtualMachine",
        "host" => "HostSystem",
        "datastore" => "Datastore",
        "domain" => "ClusterComputeResource",
        "resgroup" => "ResourcePool",
        "vapp" => "VirtualApp",
        "datacenter" => "Datacenter",
        "pod" => "StoragePod",
        _ => "Folder",
    };
    Moref::new(kind, id)
}

fn found(id: &str, properties: Entity) -> Found<Entity> {
    Found {
        moref: moref(id),
        properties,
        missing: Vec::new(),
    }
}

fn place(id: &str, name: &str, parent: &str) -> Found<Entity> {
    let properties = Entity {
        name: name.to_owned(),
        parent: Some(moref(parent)).filter(|_| !parent.is_empty()),
        ..Entity::default()
    };
    found(id, properties)
}

/// A VM by id, name, folder, pool, host and datastores.
fn vm(id: &str, name: &str, parent: &str, pool: &str, host: &str) -> Found<Entity> {
    let some = |id: &str| Some(moref(id)).filter(|_| !id.is_empty());
    let digits: String = id.chars().filter(char::is_ascii_digit).collect();
    let properties = Entity {
        name: name.to_owned(),
        parent: some(parent),
        pool: some(pool),
        host: some(host),
        datastores: vec![moref("datastore-1")],
        instance_uuid: Some(format!("50200000-0000-0000-0000-{digits:0>12}")),
        bios_uuid: Some("42200000-0000-0000-0000-00000000000b".to_owned()),
        ..Entity::default()
    };
    found(id, properties)
}

fn places() -> Places {
    let mut vapp = place("vapp-1", "Shop", "resgroup-2");
    vapp.properties.parent_folder = Some(moref("group-prod"));
    let all = vec![
        place("datacenter-1", "DC0", "group-d1"),
        place("group-v", "vm", "datacenter-1"),
        place("group-prod", "Prod", "group-v"),
        place("group-test", "Test", "group-v"),
        place("group-old", "Prod", "group-test"),
        place("loop", "loop", "loop"),
        place("group-h", "host", "datacenter-1"),
        place("domain-1", "C1", "group-h"),
        place("host-1", "esx1", "domain-1"),
        place("host-2", "esx2", "domain-1"),
        place("resgroup-1", "Resources", "domain-1"),
        place("resgroup-2", "Gold", "resgroup-1"),
        vapp,
        place("vapp-2", "Inner", "vapp-1"),
        place("group-s", "datastore", "datacenter-1"),
        place("pod-1", "Pod", "group-s"),
        place("datastore-1", "ds 1", "pod-1"),
        place("datastore-2", "ds2", "group-s"),
    ];
    Places::new(&moref("group-d1"), all)
}

fn vms() -> Vec<Found<Entity>> {
    let mut in_vapp = vm("vm-5", "shop1", "", "vapp-2", "host-2");
    in_vapp.properties.parent_vapp = Some(moref("vapp-2"));
    let mut slashed = vm("vm-1", "app%2f01", "group-v", "resgroup-1", "host-1");
    slashed.properties.datastores.push(moref("datastore-2"));
    slashed.properties.attributes = vec![(7, "daily".to_owned()), (8, "x".to_owned())];
    let mut other = vm("vm-2", "web", "group-prod", "resgroup-2", "host-2");
    other.properties.datastores = vec![moref("datastore-2")];
    other.properties.bios_uuid = None;
    let mut template = vm("vm-8", "golden", "group-old", "", "host-1");
    template.properties.is_template = true;
    vec![
        other,
        slashed,
        vm("vm-3", "web", "group-v", "resgroup-1", "host-1"),
        vm("vm-4", "lost", "unseen", "unseen-pool", "unseen-host"),
        in_vapp,
        vm("vm-6", "looped", "loop", "resgroup-1", "host-1"),
        vm("vm-7", "vm-2", "group-v", "resgroup-1", "host-1"),
        template,
    ]
}

fn pick(include: &[&str], exclude: &[&str]) -> Result<Vec<VmSummary>, Error> {
    let texts = |all: &[&str]| {
        all.iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let selection = VmSelection::parse(&texts(include), &texts(exclude))?;
    let attributes = HashMap::from([("Backup".to_owned(), 7), ("Owner".to_owned(), 8)]);
    let mut pick = Pick::new(places(), &selection, &attributes)?;
    // Two pages: what is known must last from one to the next.
    let mut rest = vms();
    let first = rest.drain(..3).collect();
    let mut all = pick.page(first);
    all.extend(pick.page(rest));
    pick.finish()?;
    Ok(all)
}

fn ids(include: &[&str], exclude: &[&str]) -> Vec<String> {
    let picked = pick(include, exclude).unwrap();
    let mut ids: Vec<String> = picked.into_iter().map(|vm| vm.moref.id).collect();
    ids.sort();
    ids
}

#[test]
fn paths_are_built_and_holes_and_loops_survived() {
    let all = pick(&[], &[]).unwrap();
    let path = |id: &str| &all.iter().find(|vm| vm.moref.id == id).unwrap().path;
    assert_eq!(all.len(), 8);
    assert_eq!(path("vm-1"), "DC0/vm/app%2f01");
    assert_eq!(path("vm-2"), "DC0/vm/Prod/web");
    assert_eq!(path("vm-4"), "lost");
    // A vApp inside a vApp, in the folder where the outer one is shown.
    assert_eq!(path("vm-5"), "DC0/vm/Prod/Shop/Inner/shop1");
    assert!(path("vm-6").ends_with("loop/looped"));
}

#[test]
fn a_summary_tells_all_places() {
    let all = pick(&["vm-5"], &[]).unwrap();
    let vm = &all[0];
    assert_eq!(vm.folder, "DC0/vm/Prod/Shop/Inner");
    assert_eq!(vm.vapp.as_deref(), Some("Inner"));
    assert_eq!(vm.host.as_deref(), Some("esx2"));
    assert_eq!(vm.cluster.as_deref(), Some("C1"));
    let pool = "DC0/host/C1/Resources/Gold/Shop/Inner";
    assert_eq!(vm.pool.as_deref(), Some(pool));
    assert_eq!(vm.datastores, ["ds 1"]);
    let lost = pick(&["lost"], &[]).unwrap().remove(0);
    assert_eq!((lost.host, lost.pool, lost.cluster), (None, None, None));
    assert_eq!(lost.folder, "");
}

#[test]
fn one_vm_is_found_by_id_uuid_path_and_name() {
    for selector in [
        "vm-1",
        "moref:vm-1",
        "50200000-0000-0000-0000-000000000001",
        "uuid:{502000000000-0000-0000-000000000001}",
        "/DC0/vm/app%2f01",
        "/DC0/vm/app%2F01",
        "DC0/vm/app%2f01",
        "path:DC0/vm/app%2f01",
        "app/01",
        "name:app/01",
    ] {
        assert_eq!(ids(&[selector], &[]), ["vm-1"], "{selector}");
    }
    assert_eq!(ids(&["DC0/vm/web"], &[]), ["vm-3"]);
    assert_eq!(ids(&["name:vm-2"], &[]), ["vm-7"]);
    assert_eq!(ids(&["moref:vm-2"], &[]), ["vm-2"]);
}

#[test]
fn groups_are_found_by_pattern_place_and_attribute() {
    for (selector, expected) in [
        ("glob:w?b", &["vm-2", "vm-3"][..]),
        ("glob:app*", &["vm-1"]),
        ("glob:/DC0/vm/*", &["vm-1", "vm-3", "vm-7"]),
        ("glob:/DC0/vm/Prod/**", &["vm-2", "vm-5"]),
        (r"re:^(web|lost)$", &["vm-2", "vm-3", "vm-4"]),
        ("re:^/DC0/vm/Prod/", &["vm-2", "vm-5"]),
        ("folder:/DC0/vm/Prod", &["vm-2", "vm-5"]),
        ("folder:Test", &["vm-8"]),
        ("folder:group-prod", &["vm-2", "vm-5"]),
        (
            "folder:DC0",
            &["vm-1", "vm-2", "vm-3", "vm-5", "vm-7", "vm-8"],
        ),
        ("pool:Gold", &["vm-2", "vm-5"]),
        ("vapp:Shop", &["vm-5"]),
        ("vapp:Inner", &["vm-5"]),
        (
            "cluster:C1",
            &["vm-1", "vm-2", "vm-3", "vm-5", "vm-6", "vm-7", "vm-8"],
        ),
        ("host:esx2", &["vm-2", "vm-5"]),
        (
            "host:esx*",
            &["vm-1", "vm-2", "vm-3", "vm-5", "vm-6", "vm-7", "vm-8"],
        ),
        ("datastore:ds2", &["vm-1", "vm-2"]),
        (
            "datastore:Pod",
            &["vm-1", "vm-3", "vm-4", "vm-5", "vm-6", "vm-7", "vm-8"],
        ),
        ("attr:Backup=daily", &["vm-1"]),
        ("attr:Owner=?", &["vm-1"]),
    ] {
        assert_eq!(ids(&[selector], &[]), expected, "{selector}");
    }
}

#[test]
fn several_selectors_add_up_and_excluded_ones_are_left_out() {
    assert_eq!(
        ids(&["vm-1", "glob:web", "/DC0/vm/web"], &[]),
        ["vm-1", "vm-2", "vm-3"]
    );
    assert_eq!(
        ids(&["glob:web", "lost"], &["folder:/DC0/vm/Prod"]),
        ["vm-3", "vm-4"]
    );
    assert_eq!(ids(&[], &["host:esx*"]), ["vm-4"]);
    // A selector of one that is met and then left out is not missing.
    assert!(ids(&["vm-1"], &["app/01"]).is_empty());
}

#[test]
fn several_are_named_and_none_is_answered_with_what_is_near() {
    let error = pick(&["web"], &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"web\" is more than one VM: DC0/vm/Prod/web (vm-2), DC0/vm/web (vm-3)"
    );
    // The name of one, the id of another: nobody but the user can tell.
    assert!(matches!(
        pick(&["vm-2"], &[]),
        Err(Error::VmAmbiguous { .. })
    ));
    let copies = pick(&["uuid:42200000-0000-0000-0000-00000000000b"], &[]).unwrap_err();
    assert!(matches!(copies, Error::VmAmbiguous { candidates, .. } if candidates.len() == 7));
    let Err(Error::VmNotFound { near, .. }) = pick(&["app-01"], &[]) else {
        panic!("found");
    };
    assert_eq!(near, ["app/01"]);
    let none = pick(&["glob:nothing*"], &[]).unwrap_err();
    assert!(matches!(none, Error::NothingSelected { .. }), "{none}");
}

#[test]
fn a_place_that_is_not_there_or_not_alone_is_an_error() {
    let error = |selector| pick(&[selector], &[]).unwrap_err().to_string();
    assert_eq!(
        error("folder:Prod"),
        "\"Prod\" is more than one folder: DC0/vm/Test/Prod (group-old), DC0/vm/Prod (group-prod)"
    );
    assert_eq!(
        error("host:esx3"),
        "no host \"esx3\", did you mean esx1, esx2?"
    );
    assert_eq!(error("vapp:Gold"), "no vApp \"Gold\"");
    assert_eq!(
        error("attr:Bakup=daily"),
        "VMs have no custom attribute \"Bakup\" here, did you mean Backup?"
    );
    assert!(error("pool:/DC0/host/C1/Gold").starts_with("no resource pool"));
    // The same for what is to be left out: a slip there would back up too much.
    let excluded = pick(&[], &["host:esx3"]).unwrap_err();
    assert!(matches!(excluded, Error::PlaceNotFound { .. }));
}
