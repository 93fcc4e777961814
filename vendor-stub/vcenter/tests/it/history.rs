//! Past tasks in collectors of a session.

use crate::client::{Client, between};
use crate::rig::Rig;

const MANAGER: (&str, &str) = ("TaskManager", "TaskManager");

fn collector(client: &mut Client, filter: &str) -> String {
    let args = format!("<filter>{filter}</filter>");
    let made = client
        .call("CreateCollectorForTasks", MANAGER, &args)
        .unwrap();
    between(&made, "type=\"TaskHistoryCollector\">", "<").to_owned()
}

/// The names of tasks in an answer.
fn names(answer: &str) -> Vec<&str> {
    let infos = answer.split("<name>").skip(1);
    infos.map(|rest| between(rest, "", "<")).collect()
}

#[test]
fn past_tasks_are_read_forth_and_back_and_selected() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    client.snapshot(&rig.vm);
    client.task("RemoveAllSnapshots_Task", vm, "");
    client.task("PowerOnVM_Task", vm, "");
    let id = collector(&mut client, "");
    let history = ("TaskHistoryCollector", id.as_str());
    let mut read = |method: &str, count: u32| {
        let args = format!("<maxCount>{count}</maxCount>");
        client.call(method, history, &args).unwrap()
    };
    let first = read("ReadNextTasks", 2);
    assert_eq!(
        names(&first),
        ["CreateSnapshot_Task", "RemoveAllSnapshots_Task"]
    );
    assert_eq!(names(&read("ReadNextTasks", 2)), ["PowerOnVM_Task"]);
    assert!(names(&read("ReadNextTasks", 2)).is_empty());
    let back = read("ReadPreviousTasks", 2);
    assert_eq!(names(&back), ["PowerOnVM_Task", "RemoveAllSnapshots_Task"]);
    client.call("RewindCollector", history, "").unwrap();
    let args = "<maxCount>1</maxCount>";
    let first = client.call("ReadNextTasks", history, args).unwrap();
    assert_eq!(names(&first), ["CreateSnapshot_Task"]);
    client.call("SetCollectorPageSize", history, args).unwrap();
    let page = client.read(history, &["latestPage"]).unwrap();
    assert!(page.contains("PowerOnVM_Task") && !page.contains("CreateSnapshot_Task"));

    let failed = collector(&mut client, "<state>error</state>");
    let args = "<maxCount>9</maxCount>";
    let read = client
        .call("ReadNextTasks", ("TaskHistoryCollector", &failed), args)
        .unwrap();
    assert_eq!(names(&read), ["PowerOnVM_Task"]);
    let mut by_time = |kind: &str, limits: &str| {
        let filter = format!("<time><timeType>{kind}</timeType>{limits}</time>");
        let id = collector(&mut client, &filter);
        let args = "<maxCount>9</maxCount>";
        let history = ("TaskHistoryCollector", id.as_str());
        let read = client.call("ReadNextTasks", history, args).unwrap();
        names(&read).len()
    };
    let past = "<endTime>2020-01-01T00:00:00Z</endTime>";
    let since = "<beginTime>2020-01-01T00:00:00Z</beginTime>";
    for kind in ["queuedTime", "startedTime", "completedTime"] {
        assert_eq!(
            (by_time(kind, past), by_time(kind, since)),
            (0, 3),
            "{kind}"
        );
    }
    client.call("DestroyCollector", history, "").unwrap();
    let gone = client.call("ReadNextTasks", history, args).unwrap_err();
    assert_eq!(gone.type_name, "ManagedObjectNotFound");
    let wrong = client
        .call(
            "ReadNextTasks",
            ("TaskHistoryCollector", &failed),
            "<maxCount>0</maxCount>",
        )
        .unwrap_err();
    assert_eq!(wrong.type_name, "InvalidArgument");
}

const EVENTS: (&str, &str) = ("EventManager", "EventManager");

/// The types of events in an answer.
fn kinds(answer: &str) -> Vec<&str> {
    let events = answer.split("<returnval xsi:type=\"").skip(1);
    events.map(|rest| between(rest, "", "\"")).collect()
}

#[test]
fn events_tell_what_tasks_did() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    client.task("PowerOffVM_Task", vm, "");
    client.task("PowerOffVM_Task", vm, "");
    let renamed = "<spec><annotation>x</annotation></spec>";
    client.task("ReconfigVM_Task", vm, renamed);
    let mut query = |filter: &str| {
        let args = format!("<filter>{filter}</filter>");
        client.call("QueryEvents", EVENTS, &args).unwrap()
    };
    let all = query("");
    assert_eq!(
        kinds(&all),
        [
            "TaskEvent",
            "VmPoweredOffEvent",
            "TaskEvent",
            "TaskEvent",
            "VmReconfiguredEvent"
        ]
    );
    let off = format!(
        "<host><name>esx01.lab.test</name><host type=\"HostSystem\">host-16</host></host>\
         <vm><name>app01</name><vm type=\"VirtualMachine\">{}</vm></vm>\
         <fullFormattedMessage>app01 on esx01.lab.test in DC0 is powered off</fullFormattedMessage>\
         <template>false</template>",
        rig.vm
    );
    assert!(all.contains(&off), "{all}");
    let entity = |kind: &str, id: &str, how: &str| {
        format!(
            "<entity><entity type=\"{kind}\">{id}</entity><recursion>{how}</recursion></entity>"
        )
    };
    for (filter, count) in [
        (entity("VirtualMachine", &rig.vm, "self"), 5),
        (entity("Folder", "group-d1", "self"), 0),
        (entity("Folder", "group-v4", "children"), 5),
        (entity("HostSystem", "host-16", "all"), 5),
        ("<type>VmEvent</type>".into(), 2),
        ("<eventTypeId>vim.event.VmPoweredOffEvent</eventTypeId>".into(), 1),
        ("<category>error</category>".into(), 0),
        ("<userName><systemUser>false</systemUser><userList>VSPHERE.LOCAL\\backup</userList></userName>".into(), 5),
        ("<userName><systemUser>false</systemUser><userList>root</userList></userName>".into(), 0),
        ("<time><beginTime>2999-01-01T00:00:00Z</beginTime></time>".into(), 0),
        ("<maxCount>2</maxCount>".into(), 2),
    ] {
        assert_eq!(kinds(&query(&filter)).len(), count, "{filter}");
    }
    let made = client
        .call("CreateCollectorForEvents", EVENTS, "<filter></filter>")
        .unwrap();
    let id = between(&made, "type=\"EventHistoryCollector\">", "<").to_owned();
    let history = ("EventHistoryCollector", id.as_str());
    let page = client.read(history, &["latestPage"]).unwrap();
    assert_eq!(page.matches("<Event xsi:type").count(), 5, "{page}");
    let args = "<maxCount>2</maxCount>";
    let next = client.call("ReadNextEvents", history, args).unwrap();
    assert_eq!(kinds(&next), ["TaskEvent", "VmPoweredOffEvent"]);
    client.call("ResetCollector", history, "").unwrap();
    let last = client.call("ReadPreviousEvents", history, args).unwrap();
    assert_eq!(kinds(&last), ["VmReconfiguredEvent", "TaskEvent"]);
    client.task("PowerOnVM_Task", vm, "");
    let latest = client
        .read(EVENTS, &["latestEvent", "description"])
        .unwrap();
    assert!(latest.contains("xsi:type=\"VmPoweredOnEvent\""), "{latest}");
}
