//! First-class disks: made, written, frozen, held.

use lab::{DatastoreKind, DatastoreSpec, Error, FirstClassDiskSpec, Kind, Lab, SiteSpec};
use tempfile::TempDir;

const CAPACITY: u64 = (1 << 20) + 1536;

fn lab() -> (TempDir, Lab) {
    let folder = tempfile::tempdir().unwrap();
    let site = SiteSpec::default().with_datastores([
        DatastoreSpec::new("datastore1", DatastoreKind::Vmfs),
        DatastoreSpec::new("other", DatastoreKind::Nfs),
    ]);
    let lab = Lab::create(&folder.path().join("lab"), site).unwrap();
    (folder, lab)
}

fn spec(id: Option<&str>) -> FirstClassDiskSpec {
    FirstClassDiskSpec {
        id: id.map(str::to_owned),
        capacity_bytes: CAPACITY,
        ..FirstClassDiskSpec::default()
    }
}

fn sector(lab: &Lab, id: &str, snapshot: Option<&str>, offset_bytes: u64) -> u8 {
    let mut buffer = [0xEE; 512];
    lab.read_first_class_disk(id, snapshot, offset_bytes, &mut buffer)
        .unwrap();
    assert!(buffer.iter().all(|byte| *byte == buffer[0]));
    buffer[0]
}

#[test]
fn a_disk_has_an_id_and_keeps_what_is_written() {
    let (folder, lab) = lab();
    assert!(lab.first_class_disks().unwrap().is_empty());
    let image = folder.path().join("image.raw");
    std::fs::write(&image, [7; 1024]).unwrap();
    let disk = lab
        .add_first_class_disk(FirstClassDiskSpec {
            datastore: Some("other".into()),
            image: Some(image),
            ..spec(None)
        })
        .unwrap();
    assert_eq!((disk.id.len(), disk.capacity_bytes), (36, CAPACITY));
    assert_eq!(disk.datastore, "other");
    assert_eq!(disk.chain, [format!("[other] fcd/{}.vmdk", disk.id)]);
    assert_eq!(lab.first_class_disk(&disk.id).unwrap(), disk);
    let named = lab.add_first_class_disk(spec(Some("b"))).unwrap();
    assert_eq!(lab.first_class_disks().unwrap().len(), 2);

    lab.write_first_class_disk(&disk.id, CAPACITY - 512, &[9; 512])
        .unwrap();
    assert_eq!(sector(&lab, &disk.id, None, 512), 7);
    assert_eq!(sector(&lab, &disk.id, None, 1024), 0);
    assert_eq!(sector(&lab, &disk.id, None, CAPACITY - 512), 9);
    assert_eq!(sector(&lab, &named.id, None, CAPACITY - 512), 0);
}

#[test]
fn a_snapshot_keeps_what_was() {
    let (_folder, lab) = lab();
    let id = lab.add_first_class_disk(spec(Some("d"))).unwrap().id;
    lab.write_first_class_disk(&id, 0, &[1; 512]).unwrap();
    let disk = lab.snapshot_first_class_disk(&id).unwrap();
    let first = disk.snapshots[0].id.clone();
    assert_eq!(disk.link(Some(&first)), Some("[datastore1] fcd/d.vmdk"));
    assert_eq!(disk.link(None), Some("[datastore1] fcd/d-000001.vmdk"));
    lab.write_first_class_disk(&id, 0, &[2; 512]).unwrap();
    let second = lab.snapshot_first_class_disk(&id).unwrap();
    let second = second.snapshots[1].id.clone();
    lab.write_first_class_disk(&id, 0, &[3; 512]).unwrap();
    assert_eq!(sector(&lab, &id, Some(&first), 0), 1);
    assert_eq!(sector(&lab, &id, Some(&second), 0), 2);
    assert_eq!(sector(&lab, &id, None, 0), 3);
    let missing = lab.read_first_class_disk(&id, Some("no"), 0, &mut [0; 512]);
    assert!(
        matches!(
            missing,
            Err(Error::NotFound {
                kind: Kind::Snapshot,
                ..
            })
        ),
        "{missing:?}"
    );
}

#[test]
fn who_has_the_disk_open_keeps_it_as_it_is() {
    let (_folder, lab) = lab();
    let id = lab.add_first_class_disk(spec(Some("d"))).unwrap().id;
    let disk = lab.snapshot_first_class_disk(&id).unwrap();
    let file = |link: &str| {
        let path = link.replace("[datastore1] ", "datastores/datastore1/");
        lab.root().join(path)
    };
    let [base, last] = [&disk.chain[0], &disk.chain[1]].map(|link| file(link));
    let in_use = |result: Result<(), Error>| matches!(result, Err(Error::InUse { .. }));

    let reader = lab.disk_lock(&last).unwrap();
    assert!(in_use(lab.write_first_class_disk(&id, 0, &[1; 512])));
    assert!(in_use(lab.snapshot_first_class_disk(&id).map(drop)));
    assert!(in_use(lab.disk_write_lock(&base).map(drop)), "a link below");
    drop(reader);
    lab.write_first_class_disk(&id, 0, &[1; 512]).unwrap();
    let loose = |path: &str| lab.loose_disk_file(path).map(drop);
    assert!(in_use(loose(&disk.chain[0])) && in_use(loose(&disk.chain[1])));
    assert!(loose("[datastore1] fcd/new.vmdk").is_ok());
}

#[test]
fn what_cannot_be_is_refused() {
    let (_folder, lab) = lab();
    lab.add_first_class_disk(spec(Some("d"))).unwrap();
    let twice = lab.add_first_class_disk(spec(Some("d")));
    assert!(matches!(twice, Err(Error::AlreadyExists { .. })));
    for id in ["", "..", "../site", "a/b", ".hidden"] {
        let made = lab.add_first_class_disk(spec(Some(id)));
        assert!(matches!(made, Err(Error::InvalidName { .. })), "{id:?}");
        let found = lab.first_class_disk(id);
        assert!(matches!(found, Err(Error::NotFound { .. })), "{id:?}");
    }
    let nowhere = FirstClassDiskSpec {
        datastore: Some("nowhere".into()),
        ..spec(None)
    };
    let nowhere = lab.add_first_class_disk(nowhere);
    assert!(matches!(
        nowhere,
        Err(Error::NotFound {
            kind: Kind::Datastore,
            ..
        })
    ));
    let nothing = lab.add_first_class_disk(FirstClassDiskSpec::default());
    assert!(matches!(nothing, Err(Error::InvalidSpec { .. })));
    let past = lab.write_first_class_disk("d", CAPACITY, &[0; 512]);
    assert!(matches!(past, Err(Error::OutOfRange { .. })));
    let odd = lab.write_first_class_disk("d", 1, &[0; 512]);
    assert!(matches!(odd, Err(Error::Unaligned { .. })));
    let damaged = FirstClassDiskSpec {
        image: Some("/nowhere/image.raw".into()),
        ..spec(Some("e"))
    };
    let damaged = lab.add_first_class_disk(damaged);
    assert!(matches!(damaged, Err(Error::Io { .. })), "{damaged:?}");
    lab.add_first_class_disk(spec(Some("e"))).unwrap();
    assert_eq!(lab.first_class_disks().unwrap().len(), 2);
    let site = lab.site().unwrap();
    let found = site.datastore_by_moref("datastore-18");
    assert_eq!(found.map(|found| found.name.as_str()), Some("other"));
    assert!(site.datastore_by_moref("datastore-1").is_none());
}
