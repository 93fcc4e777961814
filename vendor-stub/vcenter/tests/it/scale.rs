//! A large inventory.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use lab::{Lab, SiteSpec, VmSpec};

use crate::client::{Client, between};
use crate::rig::{PASSWORD, USER};

const VMS: u32 = 10_000;
const MAX_MIB: u64 = 300;

/// Copies the files of one VM, which is faster than to make them one by one.
fn large_lab(root: &std::path::Path) -> Lab {
    let lab = Lab::create(root, SiteSpec::default()).unwrap();
    let first = lab.add_vm(VmSpec {
        name: "vm-01021".to_owned(),
        ..VmSpec::default()
    });
    assert_eq!(first.unwrap().moref, "vm-1021");
    let text = std::fs::read_to_string(root.join("vm/vm-1021.json")).unwrap();
    for number in 1022..1021 + VMS {
        let copy = text
            .replace("vm-01021", &format!("vm-{number:05}"))
            .replace("vm-1021", &format!("vm-{number}"));
        std::fs::write(root.join(format!("vm/vm-{number}.json")), copy).unwrap();
    }
    lab
}

/// The greatest size a process had, in MiB.
fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = between(&status, "VmHWM:", "kB").trim().parse::<u64>();
    peak.unwrap() >> 10
}

#[test]
fn the_names_of_ten_thousand_vms_come_in_pages_and_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lab");
    let lab = large_lab(&root);
    let mut serve = Command::new(env!("CARGO_BIN_EXE_vcenter-stub"))
        .args(["--lab".as_ref(), root.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(serve.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let address = between(&line, "https://", "/sdk ").parse().unwrap();
    let mut client = Client::new(address, &lab.certificate_pem().unwrap());
    client.login(USER, PASSWORD).unwrap();

    let collector = ("PropertyCollector", "propertyCollector");
    let args = "<container type=\"Folder\">group-d1</container><type>VirtualMachine</type>\
                <recursive>true</recursive>";
    let view = client.call("CreateContainerView", ("ViewManager", "ViewManager"), args);
    let view = view.unwrap();
    let args = format!(
        "<specSet><propSet><type>VirtualMachine</type><pathSet>name</pathSet></propSet>\
         <objectSet><obj type=\"ContainerView\">{}</obj><skip>true</skip>\
         <selectSet xsi:type=\"TraversalSpec\"><type>ContainerView</type><path>view</path></selectSet>\
         </objectSet></specSet><options></options>",
        between(&view, "type=\"ContainerView\">", "<")
    );
    let mut answer = client
        .call("RetrievePropertiesEx", collector, &args)
        .unwrap();
    let mut names = HashSet::new();
    let mut pages = 1;
    loop {
        let values = answer.split("<val xsi:type=\"xsd:string\">").skip(1);
        names.extend(values.map(|rest| rest[..rest.find('<').unwrap()].to_owned()));
        if !answer.contains("<token>") {
            break;
        }
        let token = format!("<token>{}</token>", between(&answer, "<token>", "<"));
        answer = client
            .call("ContinueRetrievePropertiesEx", collector, &token)
            .unwrap();
        pages += 1;
    }
    let peak = peak_mib(serve.id());
    serve.kill().unwrap();
    serve.wait().unwrap();
    assert_eq!(names.len(), VMS as usize);
    assert_eq!(pages, 100);
    assert!(peak < MAX_MIB, "{peak} MiB");
}
