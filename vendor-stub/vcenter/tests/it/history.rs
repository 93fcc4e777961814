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
