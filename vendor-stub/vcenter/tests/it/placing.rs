//! Folders, datacenters and resource pools: made, moved, named and taken away.

use crate::client::{Client, between};
use crate::rig::Rig;

const ROOT: (&str, &str) = ("Folder", "group-d1");
const VMS: (&str, &str) = ("Folder", "group-v4");
const POOL: (&str, &str) = ("ResourcePool", "resgroup-9");

fn made(client: &mut Client, method: &str, this: (&str, &str), args: &str) -> String {
    let answer = client.call(method, this, args).unwrap();
    between(&answer, "\">", "<").to_owned()
}

fn done(client: &mut Client, method: &str, this: (&str, &str), args: &str) {
    let info = client.task(method, this, args);
    assert!(info.contains("<state>success</state>"), "{method}: {info}");
}

fn failed(client: &mut Client, method: &str, this: (&str, &str), args: &str) -> String {
    let info = client.task(method, this, args);
    between(&info, "<error><fault xsi:type=\"", "\"").to_owned()
}

fn found(client: &mut Client, path: &str) -> String {
    let args = format!("<inventoryPath>{path}</inventoryPath>");
    let index = ("SearchIndex", "SearchIndex");
    let answer = client.call("FindByInventoryPath", index, &args).unwrap();
    if answer.is_empty() {
        return answer;
    }
    between(&answer, "\">", "<").to_owned()
}

#[test]
fn folders_are_made_moved_named_and_taken_away() {
    let rig = Rig::new();
    let mut client = rig.client();
    let name = |name: &str| format!("<name>{name}</name>");
    let list = |kind: &str, id: &str| format!("<list type=\"{kind}\">{id}</list>");
    let one = made(&mut client, "CreateFolder", VMS, &name("one"));
    let inner = made(
        &mut client,
        "CreateFolder",
        ("Folder", &one),
        &name("a &amp; b"),
    );
    assert_eq!(found(&mut client, "DC0/vm/one/a &amp; b"), inner);
    let taken = client
        .call("CreateFolder", VMS, &name("app01"))
        .unwrap_err();
    assert_eq!(taken.type_name, "DuplicateName");

    done(
        &mut client,
        "MoveIntoFolder_Task",
        ("Folder", &inner),
        &list("VirtualMachine", &rig.vm),
    );
    assert_eq!(found(&mut client, "DC0/vm/one/a &amp; b/app01"), rig.vm);
    let parent = client
        .read(("VirtualMachine", &rig.vm), &["parent"])
        .unwrap();
    assert!(parent.contains(&inner), "{parent}");
    // Neither into itself, nor into a folder of another kind, nor where its name is taken.
    for (folder, what) in [
        (inner.as_str(), list("Folder", &one)),
        ("group-h5", list("Folder", &one)),
        ("group-d1", list("VirtualMachine", &rig.vm)),
        (one.as_str(), list("Folder", "group-v4")),
    ] {
        let fault = failed(
            &mut client,
            "MoveIntoFolder_Task",
            ("Folder", folder),
            &what,
        );
        assert_eq!(fault, "InvalidFolder", "{what} into {folder}");
    }
    done(
        &mut client,
        "MoveIntoFolder_Task",
        VMS,
        &list("Folder", &inner),
    );
    let rename = "<newName>two</newName>";
    done(&mut client, "Rename_Task", ("Folder", &inner), rename);
    assert_eq!(found(&mut client, "DC0/vm/two/app01"), rig.vm);
    assert_eq!(found(&mut client, "DC0/vm/one/a &amp; b"), "");

    done(&mut client, "Destroy_Task", ("Folder", &one), "");
    assert_eq!(found(&mut client, "DC0/vm/one"), "");
    let running = failed(&mut client, "Destroy_Task", ("Folder", &inner), "");
    assert_eq!(running, "InvalidPowerState");
    assert_eq!(
        failed(&mut client, "Destroy_Task", VMS, ""),
        "ResourceInUse"
    );
    done(
        &mut client,
        "PowerOffVM_Task",
        ("VirtualMachine", &rig.vm),
        "",
    );
    done(&mut client, "Destroy_Task", ("Folder", &inner), "");
    assert!(rig.lab.vms().unwrap().is_empty());
}

#[test]
fn a_datacenter_comes_with_its_folders_and_goes_with_them() {
    let rig = Rig::new();
    let mut client = rig.client();
    let folder = made(&mut client, "CreateFolder", ROOT, "<name>North</name>");
    let this = ("Folder", folder.as_str());
    let dc = made(&mut client, "CreateDatacenter", this, "<name>DC1</name>");
    for part in ["vm", "host", "datastore", "network"] {
        assert!(found(&mut client, &format!("North/DC1/{part}")).starts_with("group-"));
    }
    let vms = found(&mut client, "North/DC1/vm");
    let inner = made(
        &mut client,
        "CreateFolder",
        ("Folder", &vms),
        "<name>x</name>",
    );
    assert_eq!(found(&mut client, "North/DC1/vm/x"), inner);
    let wrong = client
        .call("CreateDatacenter", VMS, "<name>DC2</name>")
        .unwrap_err();
    assert_eq!(wrong.type_name, "NotSupported");
    // There is no host for it.
    let vm = format!("<list type=\"VirtualMachine\">{}</list>", rig.vm);
    let far = failed(&mut client, "MoveIntoFolder_Task", ("Folder", &vms), &vm);
    assert_eq!(far, "InvalidFolder");
    done(
        &mut client,
        "MoveIntoFolder_Task",
        this,
        "<list type=\"Datacenter\">datacenter-3</list>",
    );
    assert_eq!(found(&mut client, "North/DC0/vm/app01"), rig.vm);
    let busy = failed(&mut client, "Destroy_Task", this, "");
    assert_eq!(busy, "ResourceInUse");
    done(&mut client, "Destroy_Task", ("Datacenter", &dc), "");
    assert_eq!(found(&mut client, "North/DC1"), "");
    assert_eq!(rig.lab.site().unwrap().folders.len(), 6);
}

#[test]
fn resource_pools_hold_vms_and_hand_them_up_when_they_go() {
    let rig = Rig::new();
    let mut client = rig.client();
    let allocation = |limit: i32| {
        format!(
            "<reservation>0</reservation><expandableReservation>true</expandableReservation>\
             <limit>{limit}</limit><shares><shares>4000</shares><level>normal</level></shares>"
        )
    };
    let spec = |cpu: i32| {
        format!(
            "<cpuAllocation>{}</cpuAllocation><memoryAllocation>{}</memoryAllocation>",
            allocation(cpu),
            allocation(-1)
        )
    };
    let args = format!("<name>gold</name><spec>{}</spec>", spec(500));
    let pool = made(&mut client, "CreateResourcePool", POOL, &args);
    let this = ("ResourcePool", pool.as_str());
    let inner = made(&mut client, "CreateResourcePool", this, &args);
    assert_eq!(
        found(&mut client, "DC0/host/esx01.lab.test/Resources/gold/gold"),
        inner
    );
    let list = format!("<list type=\"VirtualMachine\">{}</list>", rig.vm);
    client
        .call("MoveIntoResourcePool", ("ResourcePool", &inner), &list)
        .unwrap();
    let mut pool_of = |wanted: &str| {
        let read = client.read(("VirtualMachine", &rig.vm), &["resourcePool"]);
        assert!(read.unwrap().contains(&format!(">{wanted}<")), "{wanted}");
    };
    pool_of(&inner);
    let limit = "<config><cpuAllocation><limit>700</limit></cpuAllocation><memoryAllocation></memoryAllocation></config>";
    let mut client = rig.client();
    client
        .call("UpdateConfig", this, &format!("<name>silver</name>{limit}"))
        .unwrap();
    let read = client
        .read(this, &["name", "config", "vm", "resourcePool"])
        .unwrap();
    for part in [
        ">silver<",
        "<limit>700</limit>",
        "<limit>-1</limit>",
        &inner,
    ] {
        assert!(read.contains(part), "{part}: {read}");
    }
    done(&mut client, "Destroy_Task", ("ResourcePool", &inner), "");
    pool_of(&pool);
    client.call("DestroyChildren", POOL, "").unwrap();
    pool_of("resgroup-9");
    assert_eq!(
        failed(&mut client, "Destroy_Task", POOL, ""),
        "ResourceInUse"
    );
    assert_eq!(rig.lab.site().unwrap().pools().count(), 1);
}

#[test]
fn a_vm_is_made_and_copied_in_the_folder_and_pool_asked_for() {
    let rig = Rig::new();
    let mut client = rig.client();
    let one = made(&mut client, "CreateFolder", VMS, "<name>one</name>");
    let folder = made(
        &mut client,
        "CreateFolder",
        ("Folder", &one),
        "<name>one</name>",
    );
    let allocation = "<shares><shares>4000</shares><level>normal</level></shares>";
    let spec = format!(
        "<name>p</name><spec><cpuAllocation>{allocation}</cpuAllocation>\
         <memoryAllocation>{allocation}</memoryAllocation></spec>"
    );
    let pool = made(&mut client, "CreateResourcePool", POOL, &spec);
    let pool = format!("<pool type=\"ResourcePool\">{pool}</pool>");
    let config =
        "<config><name>new</name><files><vmPathName>[datastore1]</vmPathName></files></config>";
    let this = ("Folder", folder.as_str());
    done(
        &mut client,
        "CreateVM_Task",
        this,
        &format!("{config}{pool}"),
    );
    let copy = format!(
        "<folder type=\"Folder\">{folder}</folder><name>copy</name>\
         <spec><location>{pool}</location><template>false</template><powerOn>false</powerOn></spec>"
    );
    done(
        &mut client,
        "CloneVM_Task",
        ("VirtualMachine", &rig.vm),
        &copy,
    );
    for name in ["new", "copy"] {
        assert!(found(&mut client, &format!("DC0/vm/one/one/{name}")).starts_with("vm-"));
        let path = format!("DC0/host/esx01.lab.test/Resources/p/{name}");
        assert!(found(&mut client, &path).starts_with("vm-"));
    }
    let host = ("Folder", "group-h5");
    let wrong = client.call("CreateVM_Task", host, &format!("{config}{pool}"));
    assert_eq!(wrong.unwrap_err().type_name, "NotSupported");
}
