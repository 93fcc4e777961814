//! How links find their parents, and when they refuse them.

use std::fs;

use vmdk::{Disk, Error, OpenOptions};

use crate::scratch::{ALONE, READ, Scratch, WRITE, all, sectors};

#[test]
fn a_parent_written_after_its_child_was_made_is_refused() {
    let scratch = Scratch::new();
    scratch.flat("a.vmdk", 200);
    scratch.child("a.vmdk", "a-000001.vmdk");
    let mut parent = scratch.open("a.vmdk", WRITE).unwrap();
    parent.write_at(0, &sectors(1, 1)).unwrap();
    let opened = scratch.open("a-000001.vmdk", READ);
    let Err(Error::ParentChanged {
        expected_cid,
        found_cid,
        ..
    }) = opened
    else {
        panic!("{opened:?}");
    };
    assert_eq!(expected_cid, 0xffff_fffe);
    assert_eq!(found_cid, parent.descriptor().cid);
    // Alone, the child can still be looked at.
    scratch.open("a-000001.vmdk", ALONE).unwrap();
}

#[test]
fn hints_lead_to_another_folder_and_absolute_ones_to_what_exists() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("gold")).unwrap();
    fs::create_dir(scratch.path("clone")).unwrap();
    scratch
        .flat("gold/a.vmdk", 200)
        .write_at(9, &sectors(1, 4))
        .unwrap();
    let child = scratch.child("gold/a.vmdk", "clone/b.vmdk");
    let hint = |disk: &Disk| disk.descriptor().parent_file_name_hint.clone();
    assert_eq!(hint(&child).as_deref(), Some("../gold/a.vmdk"));
    let mut found = sectors(1, 0);
    child.read_at(9, &mut found).unwrap();
    assert_eq!(found, sectors(1, 4));

    let text = |hint: &str| {
        let cid = scratch.open("gold/a.vmdk", READ).unwrap().descriptor().cid;
        format!(
            "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID={cid:08x}\n\
             createType=\"monolithicSparse\"\n{hint}\nRW 200 ZERO\n"
        )
    };
    let absolute = scratch.path("gold/a.vmdk");
    let absolute = format!("parentFileNameHint=\"{}\"", absolute.display());
    scratch.write("clone/c.vmdk", text(&absolute));
    assert_eq!(scratch.open("clone/c.vmdk", READ).unwrap().links(), 2);
    for hint in [
        "",
        "parentFileNameHint=\"a.vmdk\"",
        "parentFileNameHint=\"/vmfs/volumes/x/a.vmdk\"",
        "parentFileNameHint=\"../gold\"",
    ] {
        scratch.write("clone/c.vmdk", text(hint));
        let opened = scratch.open("clone/c.vmdk", READ);
        assert!(
            matches!(opened, Err(Error::ParentNotFound { .. })),
            "{hint}"
        );
    }
}

/// A descriptor of zeros with a parent.
fn zeros(scratch: &Scratch, name: &str, parent: &str) {
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nCID=7\nparentCID=7\ncreateType=\"custom\"\n\
         parentFileNameHint=\"{parent}\"\nRW 8 ZERO\n"
    );
    scratch.write(name, text);
}

#[test]
fn loops_and_endless_chains_are_refused() {
    let scratch = Scratch::new();
    zeros(&scratch, "self.vmdk", "./self.vmdk");
    zeros(&scratch, "a.vmdk", "b.vmdk");
    zeros(&scratch, "b.vmdk", "a.vmdk");
    for name in ["self.vmdk", "a.vmdk"] {
        let opened = scratch.open(name, READ);
        assert!(matches!(opened, Err(Error::Loop { .. })), "{opened:?}");
    }
    scratch.write(
        "d0.vmdk",
        "# Disk DescriptorFile\nversion=1\nCID=7\ncreateType=\"custom\"\nRW 8 ZERO\n",
    );
    for number in 1..=64 {
        let parent = format!("d{}.vmdk", number - 1);
        zeros(&scratch, &format!("d{number}.vmdk"), &parent);
    }
    assert_eq!(scratch.open("d63.vmdk", READ).unwrap().links(), 64);
    let opened = scratch.open("d64.vmdk", READ);
    assert!(matches!(
        opened,
        Err(Error::ChainTooLong {
            limit_links: 64,
            ..
        })
    ));
}

#[test]
fn a_parent_without_a_usable_content_id_gets_no_child() {
    let scratch = Scratch::new();
    scratch.flat("a.vmdk", 8);
    scratch.replace("a.vmdk", "CID=fffffffe", "CID=ffffffff");
    let made = vmdk::create_child(&scratch.path("a.vmdk"), &scratch.path("b.vmdk"));
    assert!(matches!(made, Err(Error::Unsupported { .. })));
    assert!(!scratch.path("b.vmdk").exists());
}

#[test]
fn a_child_gets_another_parent() {
    let scratch = Scratch::new();
    scratch.flat("a.vmdk", 200);
    scratch
        .child("a.vmdk", "b.vmdk")
        .write_at(0, &sectors(128, 1))
        .unwrap();
    scratch
        .child("b.vmdk", "c.vmdk")
        .write_at(150, &sectors(1, 2))
        .unwrap();
    let before = all(&scratch.open("c.vmdk", READ).unwrap());
    let set_parent = |child, parent| vmdk::set_parent(&scratch.path(child), &scratch.path(parent));

    scratch
        .open("a.vmdk", WRITE)
        .unwrap()
        .write_at(0, &sectors(128, 1))
        .unwrap();
    fs::remove_file(scratch.path("b.vmdk")).unwrap();
    assert!(scratch.open("c.vmdk", READ).is_err());
    set_parent("c.vmdk", "a.vmdk").unwrap();
    let disk = scratch.open("c.vmdk", READ).unwrap();
    assert_eq!(disk.links(), 2);
    assert!(all(&disk) == before);

    let orphan = set_parent("a.vmdk", "c.vmdk");
    assert!(matches!(orphan, Err(Error::ParentNotFound { .. })));
    assert!(set_parent("c.vmdk", "gone.vmdk").is_err());
    scratch.open("c.vmdk", READ).unwrap();
}

#[test]
fn a_parent_smaller_than_its_child_ends_in_zeros() {
    let scratch = Scratch::new();
    scratch
        .flat("a.vmdk", 100)
        .write_at(0, &sectors(100, 1))
        .unwrap();
    let cid = scratch.open("a.vmdk", READ).unwrap().descriptor().cid;
    drop(scratch.sparse("b.vmdk", 300));
    scratch.replace(
        "b.vmdk",
        "parentCID=ffffffff",
        &format!("parentCID={cid:08x}"),
    );
    // A hint in the text inside makes it a child; there is room behind it.
    let content = fs::read(scratch.path("b.vmdk")).unwrap();
    let text = String::from_utf8_lossy(&content[512..21 * 512]);
    let text = text
        .trim_end_matches('\0')
        .replace("createType=", "parentFileNameHint=\"a.vmdk\"\ncreateType=");
    scratch.patch("b.vmdk", 512, text.as_bytes());
    let mut disk = scratch.open("b.vmdk", WRITE).unwrap();
    assert!(all(&disk) == [sectors(100, 1), sectors(200, 0)].concat());
    disk.write_at(90, &sectors(20, 2)).unwrap();
    let expected = [sectors(90, 1), sectors(20, 2), sectors(190, 0)].concat();
    assert!(all(&disk) == expected);
}

#[test]
fn a_renamed_sparse_disk_still_finds_itself() {
    let scratch = Scratch::new();
    scratch
        .sparse("a.vmdk", 200)
        .write_at(3, &sectors(1, 6))
        .unwrap();
    fs::rename(scratch.path("a.vmdk"), scratch.path("b.vmdk")).unwrap();
    let disk = scratch.open("b.vmdk", READ).unwrap();
    let expected = [sectors(3, 0), sectors(1, 6), sectors(196, 0)].concat();
    assert!(all(&disk) == expected);
}

#[test]
fn extents_are_opened_when_they_are_read() {
    let scratch = Scratch::new();
    let mut text = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n\
                    createType=\"twoGbMaxExtentFlat\"\n"
        .to_owned();
    for number in 1..=300_u16 {
        let name = format!("a-f{number:03}.vmdk");
        text.extend(["RW 2 FLAT \"", &name, "\" 0\n"]);
        if number != 200 {
            scratch.write(&name, sectors(2, number as u8));
        }
    }
    scratch.write("a.vmdk", text);
    let disk = scratch.open("a.vmdk", OpenOptions::default()).unwrap();
    assert_eq!(disk.capacity_sectors(), 600);
    let mut found = sectors(398, 0);
    disk.read_at(0, &mut found).unwrap();
    let expected: Vec<u8> = (1..=199).flat_map(|n| sectors(2, n)).collect();
    assert!(found == expected);
    let missing = disk.read_at(397, &mut found[..1024]);
    assert!(matches!(missing, Err(Error::Io { .. })));
}
