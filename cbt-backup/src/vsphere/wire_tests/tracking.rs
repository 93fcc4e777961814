//! Switching tracking, against a VM that behaves: what is sent, in which order, and what is left.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::test_server::{Reply, Seen, TestServer, usual};
use super::vm;
use crate::vsphere::{
    Client, SnapshotSpec, SwitchOptions, TrackingCause, TrackingError, TrackingReport,
    TrackingState, Vm,
};

/// One VM at a server, as far as tracking needs it.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one way in which a VM may differ"
)]
struct Site {
    enabled: bool,
    /// A stun cycle since it was switched on.
    cycled: bool,
    powered_off: bool,
    hardware: u32,
    /// Ids, names and descriptions.
    snapshots: Vec<(String, String, String)>,
    made: usize,
    /// Do it, but break the connection instead of answering, so many times.
    lose_answers_to_create: usize,
    refuse_to_remove: bool,
    /// Give disks no change ids in snapshots.
    untracked: bool,
    switches: Vec<&'static str>,
    /// Give disks their settings with the switch, not with the cycle.
    keys_at_once: bool,
    /// Methods, and from which to which call each is refused.
    refusals: Vec<(&'static str, RangeInclusive<usize>)>,
    counts: BTreeMap<String, usize>,
    /// The release of the host; the usual one if empty.
    host: &'static str,
}

impl Site {
    fn answer(&mut self, seen: &Seen) -> Reply {
        let count = self.counts.entry(seen.method().to_owned()).or_default();
        *count += 1;
        let count = *count;
        let is_refused = |(method, calls): &(&str, RangeInclusive<usize>)| {
            seen.method() == *method && calls.contains(&count)
        };
        if self.refusals.iter().any(is_refused) {
            return Reply::fault("SnapshotFault");
        }
        match seen.method() {
            "RetrievePropertiesEx" => self.properties(seen.operation()),
            "ReconfigVM_Task" => {
                let on = seen.operation().contains("<changeTrackingEnabled>true<");
                self.switches.push(if on { "on" } else { "off" });
                (self.enabled, self.cycled) = (on, false);
                task("ReconfigVM_Task")
            }
            "CreateSnapshot_Task" => self.create(seen.operation()),
            "RemoveSnapshot_Task" if self.refuse_to_remove => Reply::fault("SystemError"),
            "RemoveSnapshot_Task" => {
                self.switches.push("removed");
                let operation = seen.operation();
                self.snapshots
                    .retain(|(id, ..)| !operation.contains(&format!(">{id}<")));
                task("RemoveSnapshot_Task")
            }
            _ => usual(seen, 0),
        }
    }

    fn create(&mut self, operation: &str) -> Reply {
        self.made += 1;
        self.switches.push("snapshot");
        let text = |name: &str| {
            let (_, rest) = operation.split_once(&format!("<{name}>")).unwrap();
            rest.split_once("</").unwrap().0.to_owned()
        };
        let id = format!("snapshot-{}", self.made);
        self.snapshots.push((id, text("name"), text("description")));
        self.cycled = true;
        if self.lose_answers_to_create > 0 {
            self.lose_answers_to_create -= 1;
            return Reply::Cut {
                body: Vec::new(),
                promised: 100,
            };
        }
        task("CreateSnapshot_Task")
    }

    fn properties(&self, operation: &str) -> Reply {
        let object = |kind: &str, id: &str, properties: String| {
            Reply::answer(
                "RetrievePropertiesEx",
                &format!(
                    "<returnval><objects><obj type=\"{kind}\">{id}</obj>{properties}</objects></returnval>"
                ),
            )
        };
        if operation.contains("<obj type=\"Task\">") {
            let result = format!(
                "<result type=\"VirtualMachineSnapshot\" xsi:type=\"ManagedObjectReference\">snapshot-{}</result>",
                self.made
            );
            let info = format!("<name>X</name><state>success</state>{result}");
            return object("Task", "task-1", property("info", "TaskInfo", &info));
        }
        if operation.contains("<obj type=\"HostSystem\">") {
            let version = if self.host.is_empty() {
                "8.0.2"
            } else {
                self.host
            };
            let product = format!("<fullName>VMware ESXi</fullName><version>{version}</version>");
            let version = property("summary.config.product", "AboutInfo", &product);
            return object("HostSystem", "host-1", version);
        }
        if let Some((_, rest)) = operation.split_once("<obj type=\"VirtualMachineSnapshot\">") {
            let id = rest.split_once('<').unwrap().0;
            let change_id = if self.enabled && !self.untracked {
                "<changeId>52 aa/7</changeId>"
            } else {
                ""
            };
            let disk = device(change_id);
            let config =
                format!("<hardware><device xsi:type=\"VirtualDisk\">{disk}</device></hardware>");
            let config = property("config", "VirtualMachineConfigInfo", &config);
            return object("VirtualMachineSnapshot", id, config);
        }
        object("VirtualMachine", "vm-1", self.vm())
    }

    fn vm(&self) -> String {
        let nodes: Vec<String> = self
            .snapshots
            .iter()
            .map(|(id, name, description)| format!("<rootSnapshotList><snapshot type=\"VirtualMachineSnapshot\">{id}</snapshot><name>{name}</name><description>{description}</description></rootSnapshotList>"))
            .collect();
        let current = self.snapshots.last().map(|(id, ..)| {
            format!("<currentSnapshot type=\"VirtualMachineSnapshot\">{id}</currentSnapshot>")
        });
        let tree = format!("{}{}", current.unwrap_or_default(), nodes.concat());
        let keys = if self.enabled && (self.cycled || self.keys_at_once) && !self.untracked {
            "<OptionValue><key>scsi0:0.ctkEnabled</key><value xsi:type=\"xsd:string\">TRUE</value></OptionValue>"
        } else {
            ""
        };
        let power = if self.powered_off {
            "poweredOff"
        } else {
            "poweredOn"
        };
        let devices = format!(
            "<VirtualDevice xsi:type=\"ParaVirtualSCSIController\"><key>1000</key><busNumber>0</busNumber><sharedBus>noSharing</sharedBus></VirtualDevice><VirtualDevice xsi:type=\"VirtualDisk\">{}</VirtualDevice>",
            device("")
        );
        [
            property("name", "xsd:string", "app01"),
            property("config.version", "xsd:string", &format!("vmx-{:02}", self.hardware)),
            property("config.changeTrackingEnabled", "xsd:boolean", &self.enabled.to_string()),
            property("capability.changeTrackingSupported", "xsd:boolean", "true"),
            property("runtime.powerState", "VirtualMachinePowerState", power),
            property("runtime.connectionState", "VirtualMachineConnectionState", "connected"),
            "<propSet><name>runtime.host</name><val type=\"HostSystem\" xsi:type=\"ManagedObjectReference\">host-1</val></propSet>".to_owned(),
            property("config.extraConfig", "ArrayOfOptionValue", keys),
            property("config.hardware.device", "ArrayOfVirtualDevice", &devices),
            property("snapshot", "VirtualMachineSnapshotInfo", &tree),
        ]
        .concat()
    }
}

fn property(name: &str, kind: &str, value: &str) -> String {
    format!("<propSet><name>{name}</name><val xsi:type=\"{kind}\">{value}</val></propSet>")
}

fn device(change_id: &str) -> String {
    format!(
        "<key>2000</key><deviceInfo><label>Hard disk 1</label></deviceInfo><backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName>[ds] a/a.vmdk</fileName><diskMode>persistent</diskMode>{change_id}</backing><controllerKey>1000</controllerKey><unitNumber>0</unitNumber><capacityInKB>1024</capacityInKB>"
    )
}

fn task(method: &str) -> Reply {
    Reply::answer(method, "<returnval type=\"Task\">task-1</returnval>")
}

async fn rig(site: Site) -> (TestServer, Client, Arc<Mutex<Site>>) {
    let site = Arc::new(Mutex::new(Site {
        hardware: if site.hardware == 0 {
            19
        } else {
            site.hardware
        },
        ..site
    }));
    let shared = Arc::clone(&site);
    let server = TestServer::start(move |seen| shared.lock().unwrap().answer(seen)).await;
    let client = Client::connect(server.options()).await.unwrap();
    (server, client, site)
}

fn options(cycle: bool) -> SwitchOptions<'static> {
    SwitchOptions {
        cycle,
        task_limit: Duration::from_secs(20),
        cancelled: &|| false,
        on_step: &|_| {},
    }
}

fn ids(report: &TrackingReport) -> Vec<&'static str> {
    report.causes.iter().map(TrackingCause::id).collect()
}

fn foreign() -> (String, String, String) {
    let text = |text: &str| text.to_owned();
    (text("snapshot-0"), text("before upgrade"), text("mine"))
}

#[tokio::test]
async fn enabling_is_pending_without_a_cycle_and_on_with_one() {
    let (_server, client, site) = rig(Site::default()).await;
    let (_, report) = client.tracking(&vm()).await.unwrap();
    assert_eq!(
        (report.state, ids(&report)),
        (TrackingState::Off, vec!["not-switched-on"])
    );
    let (_, report) = client
        .enable_tracking(&vm(), &options(false))
        .await
        .unwrap();
    assert_eq!(
        (report.state, ids(&report)),
        (TrackingState::Pending, vec!["no-cycle-yet"])
    );
    let (_, report) = client.enable_tracking(&vm(), &options(true)).await.unwrap();
    assert_eq!(report.state, TrackingState::On);
    assert_eq!(report.disks[0].change_id.as_deref(), Some("52 aa/7"));
    // It was on already: only the cycle was missing.
    assert_eq!(site.lock().unwrap().switches, ["on", "snapshot", "removed"]);
    assert!(site.lock().unwrap().snapshots.is_empty());
    // It is on: nothing more is done, unless a cycle is wanted for its proof.
    client
        .enable_tracking(&vm(), &options(false))
        .await
        .unwrap();
    assert_eq!(site.lock().unwrap().switches.len(), 3);
    client.enable_tracking(&vm(), &options(true)).await.unwrap();
    assert_eq!(site.lock().unwrap().switches[3..], ["snapshot", "removed"]);
}

#[tokio::test]
async fn settings_that_are_there_at_once_are_no_stun_cycle() {
    let (_server, client, site) = rig(Site {
        keys_at_once: true,
        ..Site::default()
    })
    .await;
    let (_, report) = client
        .enable_tracking(&vm(), &options(false))
        .await
        .unwrap();
    assert_eq!(
        (report.state, ids(&report)),
        (TrackingState::Pending, vec!["no-cycle-yet"])
    );
    let (_, report) = client.enable_tracking(&vm(), &options(true)).await.unwrap();
    assert_eq!((report.state, ids(&report)), (TrackingState::On, vec![]));
    assert_eq!(site.lock().unwrap().switches, ["on", "snapshot", "removed"]);
}

#[tokio::test]
async fn a_cycle_beside_snapshots_is_refused_and_not_left_out() {
    let (server, client, _) = rig(Site {
        enabled: true,
        untracked: true,
        snapshots: vec![foreign()],
        ..Site::default()
    })
    .await;
    let (_, report) = client.tracking(&vm()).await.unwrap();
    assert_eq!(ids(&report), ["no-cycle-yet", "snapshots-exist"]);
    let refused = client.enable_tracking(&vm(), &options(true)).await;
    assert!(
        matches!(refused, Err(TrackingError::Refused { .. })),
        "{refused:?}"
    );
    assert_eq!(server.count("CreateSnapshot_Task"), 0);
}

#[tokio::test]
async fn a_reset_that_fails_in_the_middle_switches_on_again_or_says_that_it_is_off() {
    let (create, reconfigure) = ("CreateSnapshot_Task", "ReconfigVM_Task");
    for (refused, is_left_off, switches) in [
        // Nothing was switched.
        ((reconfigure, 1..=9), false, &[][..]),
        // The cycle after the switch-off.
        ((create, 1..=1), false, &["off", "on"]),
        // The one after the switch-on.
        (
            (create, 2..=2),
            false,
            &["off", "snapshot", "removed", "on"],
        ),
        // The switch-on itself.
        ((reconfigure, 2..=9), true, &["off", "snapshot", "removed"]),
    ] {
        let (_server, client, site) = rig(Site {
            enabled: true,
            refusals: vec![refused.clone()],
            ..Site::default()
        })
        .await;
        let error = client
            .reset_tracking(&vm(), &options(true))
            .await
            .unwrap_err();
        assert_eq!(
            matches!(error, TrackingError::LeftOff { .. }),
            is_left_off,
            "{refused:?}: {error}"
        );
        assert_eq!(site.lock().unwrap().switches, switches, "{refused:?}");
    }
    // With a snapshot of ours there it must not be switched on.
    let (_server, client, site) = rig(Site {
        enabled: true,
        refuse_to_remove: true,
        ..Site::default()
    })
    .await;
    let error = client
        .reset_tracking(&vm(), &options(true))
        .await
        .unwrap_err();
    assert!(matches!(error, TrackingError::LeftOff { .. }), "{error}");
    assert_eq!(site.lock().unwrap().switches, ["off", "snapshot"]);
}

#[tokio::test]
async fn snapshots_and_old_hardware_are_refused_before_anything_is_sent() {
    let (server, client, _) = rig(Site {
        snapshots: vec![foreign()],
        ..Site::default()
    })
    .await;
    for refused in [
        client.enable_tracking(&vm(), &options(true)).await,
        client.reset_tracking(&vm(), &options(true)).await,
    ] {
        let error = refused.unwrap_err();
        assert_eq!(
            error.to_string(),
            "change tracking is left as it is: a snapshot exists"
        );
    }
    assert_eq!(server.count("ReconfigVM_Task"), 0);
    let (server, client, _) = rig(Site {
        hardware: 4,
        ..Site::default()
    })
    .await;
    let error = client
        .enable_tracking(&vm(), &options(true))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("vmx-04"), "{error}");
    assert_eq!(server.count("ReconfigVM_Task"), 0);
}

#[tokio::test]
async fn a_host_older_than_4_0_gets_no_switch_and_is_named() {
    for enabled in [false, true] {
        let (server, client, site) = rig(Site {
            host: "3.5.0",
            enabled,
            ..Site::default()
        })
        .await;
        let (_, report) = client.tracking(&vm()).await.unwrap();
        assert_eq!(
            (report.state, ids(&report)),
            (TrackingState::Off, vec!["host-too-old"])
        );
        for refused in [
            client.enable_tracking(&vm(), &options(true)).await,
            client.reset_tracking(&vm(), &options(true)).await,
        ] {
            assert_eq!(
                refused.unwrap_err().to_string(),
                "change tracking is left as it is: the host has release 3.5.0, tracking needs 4.0"
            );
        }
        assert_eq!(server.count("ReconfigVM_Task"), 0);
        assert!(site.lock().unwrap().switches.is_empty());
    }
}

#[tokio::test]
async fn a_reset_is_off_cycle_on_cycle_and_without_cycles_for_a_vm_that_is_off() {
    let (_server, client, site) = rig(Site {
        enabled: true,
        cycled: true,
        ..Site::default()
    })
    .await;
    let (_, report) = client.reset_tracking(&vm(), &options(true)).await.unwrap();
    assert_eq!(report.state, TrackingState::On);
    assert_eq!(
        site.lock().unwrap().switches,
        ["off", "snapshot", "removed", "on", "snapshot", "removed"]
    );
    let (_server, client, site) = rig(Site {
        enabled: true,
        cycled: true,
        powered_off: true,
        ..Site::default()
    })
    .await;
    let (_, report) = client.reset_tracking(&vm(), &options(true)).await.unwrap();
    assert_eq!(
        (report.state, ids(&report)),
        (TrackingState::Pending, vec!["no-cycle-yet"])
    );
    assert_eq!(site.lock().unwrap().switches, ["off", "on"]);
}

#[tokio::test]
async fn a_reset_that_does_not_help_is_not_repeated() {
    let (_server, client, site) = rig(Site {
        enabled: true,
        untracked: true,
        ..Site::default()
    })
    .await;
    let (_, report) = client.reset_tracking(&vm(), &options(true)).await.unwrap();
    assert_eq!(
        (report.state, ids(&report)),
        (TrackingState::Off, vec!["no-change-id"])
    );
    assert_eq!(
        report.causes[0].to_string(),
        "Hard disk 1 has no change id after a stun cycle"
    );
    assert_eq!(site.lock().unwrap().made, 2);
}

#[tokio::test]
async fn a_snapshot_whose_answer_got_lost_is_found_and_not_made_twice() {
    let (server, client, site) = rig(Site {
        lose_answers_to_create: 1,
        snapshots: vec![foreign()],
        enabled: true,
        ..Site::default()
    })
    .await;
    let spec = SnapshotSpec {
        name: "cbt-backup".to_owned(),
        description: "run 1".to_owned(),
        quiesce: crate::vsphere::Quiesce::None,
    };
    let limit = Duration::from_secs(20);
    let made = client.make_snapshot(&vm(), &spec, limit).await.unwrap();
    assert_eq!(made.id, "snapshot-1");
    assert_eq!(server.count("CreateSnapshot_Task"), 1);
    let removed = client
        .remove_own_snapshots(
            &vm(),
            Some("cbt-backup"),
            "run 1",
            crate::vsphere::Unmerged::Nothing,
            limit,
        )
        .await
        .unwrap();
    assert_eq!(removed, 1);
    // The other one is not ours.
    assert_eq!(site.lock().unwrap().snapshots, [foreign()]);
}

#[tokio::test]
async fn a_cycle_that_is_left_is_told_with_its_description() {
    let (_server, client, site) = rig(Site {
        refuse_to_remove: true,
        ..Site::default()
    })
    .await;
    let error = client
        .enable_tracking(&vm(), &options(true))
        .await
        .unwrap_err();
    let TrackingError::CycleLeft { description, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(site.lock().unwrap().snapshots[0].2, description);
}

#[tokio::test]
async fn a_signal_is_heard_between_steps_and_leaves_nothing() {
    let (_server, client, site) = rig(Site::default()).await;
    let stop = SwitchOptions {
        cancelled: &|| true,
        ..options(true)
    };
    let stopped: Result<(Vm, _), _> = client.enable_tracking(&vm(), &stop).await;
    assert!(matches!(stopped, Err(TrackingError::Interrupted { .. })));
    assert!(site.lock().unwrap().switches.is_empty());
}

#[tokio::test]
async fn the_state_of_a_vm_with_a_snapshot_is_proved_by_its_change_ids() {
    let (_server, client, _) = rig(Site {
        enabled: true,
        snapshots: vec![foreign()],
        ..Site::default()
    })
    .await;
    let (_, report) = client.tracking(&vm()).await.unwrap();
    assert_eq!(report.state, TrackingState::On);
    assert_eq!(report.snapshot.unwrap().id, "snapshot-0");
}
