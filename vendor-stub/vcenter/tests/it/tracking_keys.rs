//! The `ctkEnabled` keys over the API.

use lab::Behaviour;

use crate::client::Client;
use crate::rig::Rig;

const ON: &str = "<spec><changeTrackingEnabled>true</changeTrackingEnabled></spec>";

fn written(key: &str, value: &str) -> String {
    format!(
        "<spec><extraConfig><key>{key}</key><value xsi:type=\"xsd:string\">{value}</value>\
         </extraConfig></spec>"
    )
}

/// The entries of the extra configuration that are about tracking.
fn shown(client: &mut Client, vm: &str) -> Vec<String> {
    let config = client
        .read(("VirtualMachine", vm), &["config.extraConfig"])
        .unwrap();
    let entries = config.split("<key>").skip(1);
    let plain = entries.map(|entry| {
        let key = entry.split('<').next().unwrap();
        let value = entry.split("xsd:string\">").nth(1).unwrap();
        format!("{key}={}", value.split('<').next().unwrap())
    });
    plain.filter(|entry| entry.contains("ctkEnabled")).collect()
}

#[test]
fn a_disk_switched_off_has_no_change_id_and_each_key_shows_once() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    client.task("ReconfigVM_Task", vm, ON);
    client.task(
        "ReconfigVM_Task",
        vm,
        &written("scsi0:0.ctkEnabled", "FALSE"),
    );
    assert_eq!(shown(&mut client, &rig.vm), ["scsi0:0.ctkEnabled=FALSE"]);
    let snapshot = client.snapshot(&rig.vm);
    let config = client
        .read(("VirtualMachineSnapshot", &snapshot), &["config"])
        .unwrap();
    let disks: Vec<&str> = config.split("xsi:type=\"VirtualDisk\"").skip(1).collect();
    let has_id: Vec<bool> = disks
        .iter()
        .map(|disk| disk.contains("<changeId>"))
        .collect();
    assert_eq!(has_id, [false, true]);
    assert_eq!(
        shown(&mut client, &rig.vm),
        [
            "ctkEnabled=TRUE",
            "scsi0:0.ctkEnabled=FALSE",
            "scsi0:1.ctkEnabled=TRUE"
        ],
    );
}

#[test]
fn a_site_may_show_the_keys_before_any_cycle() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let behaviour = Behaviour {
        tracking_keys_at_once: true,
        ..Behaviour::default()
    };
    rig.lab.set_behaviour(behaviour).unwrap();
    client.task("ReconfigVM_Task", vm, ON);
    let all = [
        "ctkEnabled=TRUE",
        "scsi0:0.ctkEnabled=TRUE",
        "scsi0:1.ctkEnabled=TRUE",
    ];
    assert_eq!(shown(&mut client, &rig.vm), all);
    let enabled = client.read(vm, &["config.changeTrackingEnabled"]).unwrap();
    assert!(enabled.contains(">false<"), "{enabled}");
    client.snapshot(&rig.vm);
    assert_eq!(shown(&mut client, &rig.vm), all);
}
