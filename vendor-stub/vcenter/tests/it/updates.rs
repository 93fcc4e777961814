//! Filters and what is reported through them.

use std::thread;
use std::time::{Duration, Instant};

use lab::{Permission, PowerState, Role, SiteSpec, VmSpec};

use crate::client::{Client, Fault, between};
use crate::rig::Rig;

const DEFAULT: &str = "propertyCollector";

/// A filter on the names and power states of the VMs in a view.
const VIEW_SPEC: &str = "<propSet><type>VirtualMachine</type><pathSet>name</pathSet>\
    <pathSet>runtime.powerState</pathSet></propSet>\
    <objectSet><obj type=\"ContainerView\">VIEW</obj><skip>true</skip>\
    <selectSet xsi:type=\"TraversalSpec\"><type>ContainerView</type><path>view</path></selectSet>\
    </objectSet>";

fn view(client: &mut Client) -> String {
    let args = "<container type=\"Folder\">group-d1</container><type>VirtualMachine</type>\
                <recursive>true</recursive>";
    let answer = client.call("CreateContainerView", ("ViewManager", "ViewManager"), args);
    between(&answer.unwrap(), "type=\"ContainerView\">", "<").to_owned()
}

fn create(
    client: &mut Client,
    collector: &str,
    spec: &str,
    partial: bool,
) -> Result<String, Fault> {
    let args = format!("<spec>{spec}</spec><partialUpdates>{partial}</partialUpdates>");
    let answer = client.call("CreateFilter", ("PropertyCollector", collector), &args)?;
    Ok(between(&answer, "type=\"PropertyFilter\">", "<").to_owned())
}

/// WaitForUpdatesEx with a time limit in seconds and further options.
fn wait(
    client: &mut Client,
    collector: &str,
    version: &str,
    seconds: u32,
    more: &str,
) -> Result<String, Fault> {
    let args = format!(
        "<version>{version}</version><options><maxWaitSeconds>{seconds}</maxWaitSeconds>{more}\
         </options>"
    );
    client.call("WaitForUpdatesEx", ("PropertyCollector", collector), &args)
}

fn version(answer: &str) -> String {
    between(answer, "<version>", "<").to_owned()
}

fn vm_spec(vm: &str, path: &str) -> String {
    format!(
        "<propSet><type>VirtualMachine</type><pathSet>{path}</pathSet></propSet>\
         <objectSet><obj type=\"VirtualMachine\">{vm}</obj></objectSet>"
    )
}

#[test]
fn a_view_in_a_filter_follows_what_other_processes_do_to_the_lab() {
    let rig = Rig::with(&["a", "b"], SiteSpec::default(), 100);
    let mut client = rig.client();
    let spec = VIEW_SPEC.replace("VIEW", &view(&mut client));
    let filter = create(&mut client, DEFAULT, &spec, false).unwrap();
    let first = wait(&mut client, DEFAULT, "", 30, "").unwrap();
    assert_eq!(first.matches("<kind>enter</kind>").count(), 2, "{first}");
    assert_eq!(between(&first, "type=\"PropertyFilter\">", "<"), filter);
    assert!(first.contains(
        "<name>runtime.powerState</name><op>assign</op>\
         <val xsi:type=\"VirtualMachinePowerState\">poweredOn</val>"
    ));
    let nothing = wait(&mut client, DEFAULT, &version(&first), 0, "").unwrap();
    assert_eq!(nothing, "");

    // The waiting call ends by itself when the lab changes under it.
    let mut waiter = client.twin();
    let from = version(&first);
    let waiting = thread::spawn(move || wait(&mut waiter, DEFAULT, &from, 600, "").unwrap());
    let added = rig.lab.add_vm(VmSpec {
        name: "late".to_owned(),
        ..VmSpec::default()
    });
    let added = added.unwrap().moref;
    let second = waiting.join().unwrap();
    assert!(
        second.contains(&format!(
            "<kind>enter</kind><obj type=\"VirtualMachine\">{added}</obj>"
        )),
        "{second}"
    );
    assert!(!second.contains(&rig.vm), "only what changed: {second}");

    rig.lab
        .set_power_state(&rig.vm, PowerState::PoweredOff)
        .unwrap();
    std::fs::remove_file(rig.lab.root().join(format!("vm/{added}.json"))).unwrap();
    let third = wait(&mut client, DEFAULT, &version(&second), 30, "").unwrap();
    assert!(third.contains(&format!(
        "<objectSet><kind>modify</kind><obj type=\"VirtualMachine\">{}</obj><changeSet>\
         <name>runtime.powerState</name><op>assign</op>\
         <val xsi:type=\"VirtualMachinePowerState\">poweredOff</val></changeSet></objectSet>",
        rig.vm
    )));
    assert!(third.contains(&format!(
        "<objectSet><kind>leave</kind><obj type=\"VirtualMachine\">{added}</obj></objectSet>"
    )));
}

#[test]
fn a_task_is_waited_for_in_a_collector_of_its_own() {
    let rig = Rig::new();
    let mut client = rig.client();
    let own = client.call(
        "CreatePropertyCollector",
        ("PropertyCollector", DEFAULT),
        "",
    );
    let own = between(&own.unwrap(), "type=\"PropertyCollector\">", "<").to_owned();
    assert!(own.starts_with(&format!("session[{}]52", client.session_key)));
    let args = "<name>x</name><memory>false</memory><quiesce>false</quiesce>";
    let vm = ("VirtualMachine", rig.vm.as_str());
    let task = client.call("CreateSnapshot_Task", vm, args).unwrap();
    let task = between(&task, "type=\"Task\">", "<").to_owned();
    let spec = format!(
        "<propSet><type>Task</type><pathSet>info.state</pathSet><pathSet>info.progress</pathSet>\
         <pathSet>info.result</pathSet></propSet><objectSet><obj type=\"Task\">{task}</obj>\
         </objectSet><reportMissingObjectsInResults>true</reportMissingObjectsInResults>"
    );
    create(&mut client, &own, &spec, false).unwrap();
    let mut from = String::new();
    let mut answers = 0;
    let last = loop {
        answers += 1;
        let answer = wait(&mut client, &own, &from, 60, "").unwrap();
        from = version(&answer);
        if answer.contains(">success<") {
            break answer;
        }
        assert!(
            answer.contains(">queued<")
                || answer.contains("running")
                || answer.contains("info.progress"),
            "{answer}"
        );
    };
    assert!(
        last.contains(
            "<name>info.result</name><op>assign</op><val type=\"VirtualMachineSnapshot\""
        )
    );
    // A task that had ended before the first look had no progress to lose.
    assert!(
        answers == 1 || last.contains("<name>info.progress</name><op>assign</op></changeSet>"),
        "{last}"
    );

    // Forgotten in time: it leaves, and is told to be missing.
    rig.vcenter.advance_clock(Duration::from_secs(601));
    let gone = wait(&mut client, &own, &from, 60, "").unwrap();
    assert!(
        gone.contains(&format!(
            "<kind>leave</kind><obj type=\"Task\">{task}</obj>"
        )),
        "{gone}"
    );
    assert!(gone.contains(&format!(
        "<missingSet><obj type=\"Task\">{task}</obj><fault><fault xsi:type=\"ManagedObjectNotFound\">"
    )));
    let destroyed = client.call("DestroyPropertyCollector", ("PropertyCollector", &own), "");
    assert_eq!(destroyed.unwrap(), "");
    let dead = wait(&mut client, &own, "", 0, "").unwrap_err();
    assert_eq!(dead.type_name, "ManagedObjectNotFound");
}

#[test]
fn partial_updates_name_what_is_inside() {
    let rig = Rig::new();
    let mut client = rig.client();
    create(&mut client, DEFAULT, &vm_spec(&rig.vm, "config"), true).unwrap();
    let whole = client.call(
        "CreatePropertyCollector",
        ("PropertyCollector", DEFAULT),
        "",
    );
    let whole = between(&whole.unwrap(), "type=\"PropertyCollector\">", "<").to_owned();
    create(&mut client, &whole, &vm_spec(&rig.vm, "config"), false).unwrap();
    let mut first = |collector: &str| version(&wait(&mut client, collector, "", 9, "").unwrap());
    let (partly, wholly) = (first(DEFAULT), first(&whole));
    rig.lab
        .update_vm(&rig.vm, |vm| {
            vm.annotation = "new".to_owned();
            Ok(())
        })
        .unwrap();
    let partial = wait(&mut client, DEFAULT, &partly, 30, "").unwrap();
    assert!(partial.contains(
        "<name>config.annotation</name><op>assign</op><val xsi:type=\"xsd:string\">new</val>"
    ));
    assert!(!partial.contains("<name>config</name>"), "{partial}");
    let complete = wait(&mut client, &whole, &wholly, 30, "").unwrap();
    assert!(
        complete.contains(
            "<name>config</name><op>assign</op><val xsi:type=\"VirtualMachineConfigInfo\">"
        )
    );
}

#[test]
fn long_results_come_in_parts_whose_versions_are_good_for_one_use() {
    let rig = Rig::with(&["a", "b", "c"], SiteSpec::default(), 100);
    let mut client = rig.client();
    let spec = VIEW_SPEC.replace("VIEW", &view(&mut client));
    create(&mut client, DEFAULT, &spec, false).unwrap();
    let two = "<maxObjectUpdates>2</maxObjectUpdates>";
    let first = wait(&mut client, DEFAULT, "", 0, two).unwrap();
    assert_eq!(first.matches("<objectSet>").count(), 2);
    assert!(first.contains("<truncated>true</truncated>"));
    let old = format!("<version>{}</version>", version(&first));
    let collector = ("PropertyCollector", DEFAULT);
    let refused = client.call("CheckForUpdates", collector, &old).unwrap_err();
    assert_eq!(refused.type_name, "InvalidCollectorVersion");

    let first = wait(&mut client, DEFAULT, "", 0, two).unwrap();
    let second = wait(&mut client, DEFAULT, &version(&first), 0, two).unwrap();
    assert_eq!(second.matches("<objectSet>").count(), 1);
    assert!(!second.contains("truncated"));
    let spent = wait(&mut client, DEFAULT, &version(&first), 0, two).unwrap_err();
    assert_eq!(spent.type_name, "InvalidCollectorVersion");
    assert_eq!(
        wait(&mut client, DEFAULT, &version(&second), 0, two).unwrap(),
        ""
    );
    let all = client.call("CheckForUpdates", collector, "<version></version>");
    assert_eq!(all.unwrap().matches("<kind>enter</kind>").count(), 3);
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_version() {
    let rig = Rig::new();
    let mut client = rig.client();
    create(
        &mut client,
        DEFAULT,
        &vm_spec(&rig.vm, "runtime.powerState"),
        false,
    )
    .unwrap();
    let first = wait(&mut client, DEFAULT, "", 9, "").unwrap();
    rig.lab
        .set_power_state(&rig.vm, PowerState::PoweredOff)
        .unwrap();
    let lost = wait(&mut client, DEFAULT, &version(&first), 9, "").unwrap();
    let again = wait(&mut client, DEFAULT, &version(&first), 9, "").unwrap();
    for answer in [&lost, &again] {
        assert!(answer.contains(">poweredOff<"), "{answer}");
    }
    let stale = wait(&mut client, DEFAULT, &version(&lost), 0, "").unwrap_err();
    assert_eq!(stale.type_name, "InvalidCollectorVersion");
    assert_eq!(
        wait(&mut client, DEFAULT, &version(&again), 0, "").unwrap(),
        ""
    );
    let unknown = wait(&mut client, DEFAULT, "99", 0, "").unwrap_err();
    assert_eq!(unknown.type_name, "InvalidCollectorVersion");
}

#[test]
fn a_wait_blocks_nobody_and_ends_by_cancel_logout_or_a_client_that_goes() {
    let rig = Rig::new();
    let mut client = rig.client();
    create(&mut client, DEFAULT, &vm_spec(&rig.vm, "name"), false).unwrap();
    let from = version(&wait(&mut client, DEFAULT, "", 9, "").unwrap());
    let collector = ("PropertyCollector", DEFAULT);
    let waiting = |client: &Client| {
        let (mut twin, from) = (client.twin(), from.clone());
        thread::spawn(move || {
            let args = format!("<version>{from}</version>");
            twin.call("WaitForUpdates", ("PropertyCollector", DEFAULT), &args)
                .unwrap_err()
                .type_name
        })
    };
    // Cancelling reaches calls that wait; one that comes later waits on. So until it ends.
    let cancelled = waiting(&client);
    let limit = Instant::now() + Duration::from_secs(30);
    while !cancelled.is_finished() {
        assert!(Instant::now() < limit);
        client.call("CancelWaitForUpdates", collector, "").unwrap();
    }
    assert_eq!(cancelled.join().unwrap(), "RequestCanceled");

    // A client that hangs up: the server goes on, and the version still counts.
    client.hang_up(
        "WaitForUpdates",
        &format!("<_this type=\"PropertyCollector\">{DEFAULT}</_this><version>{from}</version>"),
    );
    assert_eq!(wait(&mut client, DEFAULT, &from, 0, "").unwrap(), "");

    let ended = waiting(&client);
    client
        .call("Logout", ("SessionManager", "SessionManager"), "")
        .unwrap();
    assert_eq!(ended.join().unwrap(), "NotAuthenticated");
}

#[test]
fn what_a_filter_may_not_ask() {
    let rig = Rig::new();
    let mut client = rig.client();
    let create = |client: &mut Client, spec: &str| create(client, DEFAULT, spec, false);
    let fault = |answer: Result<String, Fault>| answer.unwrap_err().type_name;
    let wrong = create(&mut client, &vm_spec(&rig.vm, "config.hardwar"));
    assert_eq!(fault(wrong), "InvalidProperty");
    let missing = vm_spec("vm-1", "name");
    assert_eq!(
        fault(create(&mut client, &missing)),
        "ManagedObjectNotFound"
    );
    let tolerant =
        format!("{missing}<reportMissingObjectsInResults>true</reportMissingObjectsInResults>");
    let filter = create(&mut client, &tolerant).unwrap();
    let told = wait(&mut client, DEFAULT, "", 0, "").unwrap();
    assert!(
        told.contains("<missingSet><obj type=\"VirtualMachine\">vm-1</obj>"),
        "{told}"
    );

    let listed = client
        .read(("PropertyCollector", DEFAULT), &["filter"])
        .unwrap();
    assert!(listed.contains(&filter));
    let read = client.read(("PropertyFilter", &filter), &["spec", "partialUpdates"]);
    assert!(
        read.unwrap()
            .contains("<val xsi:type=\"PropertyFilterSpec\"><propSet>")
    );
    let this = ("PropertyFilter", filter.as_str());
    assert_eq!(client.call("DestroyPropertyFilter", this, "").unwrap(), "");
    assert_eq!(
        fault(client.call("DestroyPropertyFilter", this, "")),
        "ManagedObjectNotFound"
    );

    for options in [
        "<maxWaitSeconds>-1</maxWaitSeconds>",
        "<maxObjectUpdates>0</maxObjectUpdates>",
    ] {
        let args = format!("<version></version><options>{options}</options>");
        let refused = client.call("WaitForUpdatesEx", ("PropertyCollector", DEFAULT), &args);
        assert_eq!(fault(refused), "InvalidArgument");
    }
}

#[test]
fn what_the_caller_may_not_read_shows_neither_in_filters_nor_in_fetch() {
    let rig = Rig::with(&["seen", "hidden"], SiteSpec::default(), 100);
    let vms = rig.lab.vms().unwrap();
    let permission = Permission {
        entity: vms[0].moref.clone(),
        role: Role::new("reader", ["System.Read"]),
        propagate: true,
    };
    rig.lab
        .set_user("some@vsphere.local", "secret", Some(vec![permission]))
        .unwrap();
    let mut client = rig.stranger();
    client.login("some@vsphere.local", "secret").unwrap();
    for vm in &vms {
        create(&mut client, DEFAULT, &vm_spec(&vm.moref, "name"), false).unwrap();
    }
    let told = wait(&mut client, DEFAULT, "", 9, "").unwrap();
    assert!(
        told.contains(">seen<") && !told.contains(">hidden<"),
        "{told}"
    );
    let hidden = ("VirtualMachine", vms[1].moref.as_str());
    let fetched = client
        .call("Fetch", hidden, "<prop>name</prop>")
        .unwrap_err();
    assert_eq!(fetched.type_name, "NoPermission");
}
