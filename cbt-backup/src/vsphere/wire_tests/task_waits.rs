//! Waiting for a task by the server's own waits.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{task, task_answer};
use crate::vsphere::test_server::{Reply, Seen, TestServer, usual};
use crate::vsphere::{Client, Error, TaskInfo};

const WAIT: &str = "WaitForUpdatesEx";
const LOOK: &str = "RetrievePropertiesEx";

/// A server with one collector and one filter, whose waits go by `script`, numbered from 0.
/// Looks find the task `looked`.
async fn rig(
    looked: &'static str,
    script: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> TestServer {
    let waits = AtomicUsize::new(0);
    TestServer::start(move |seen| match seen.method() {
        "CreatePropertyCollector" => made(seen, "PropertyCollector", "collector-1"),
        "CreateFilter" => made(seen, "PropertyFilter", "filter-1"),
        "DestroyPropertyCollector" | "CancelWaitForUpdates" => Reply::answer(seen.method(), ""),
        WAIT => script(waits.fetch_add(1, Ordering::SeqCst)),
        LOOK => task_answer(looked, ""),
        _ => usual(seen, 0),
    })
    .await
}

fn made(seen: &Seen, kind: &str, id: &str) -> Reply {
    let inside = format!("<returnval type=\"{kind}\">{id}</returnval>");
    Reply::answer(seen.method(), &inside)
}

/// News of the task.
fn news(kind: &str, state: &str, more: &str) -> Reply {
    let change = match state {
        "" => String::new(),
        state => format!(
            "<changeSet><name>info</name><op>assign</op><val xsi:type=\"TaskInfo\"><name>M_Task</name><state>{state}</state>{more}</val></changeSet>"
        ),
    };
    let task = task().0;
    Reply::answer(
        WAIT,
        &format!(
            "<returnval><version>v</version><filterSet><filter type=\"PropertyFilter\">filter-1</filter><objectSet><kind>{kind}</kind><obj type=\"{}\">{}</obj>{change}</objectSet></filterSet></returnval>",
            task.kind, task.id
        ),
    )
}

async fn waited(server: &TestServer) -> (Result<TaskInfo, Error>, Vec<u8>) {
    let client = Client::connect(server.options()).await.unwrap();
    let mut progress = Vec::new();
    let ended = client
        .wait_task(
            &task(),
            Duration::from_mins(1),
            &mut |percent| progress.push(percent),
            &|| false,
        )
        .await;
    (ended, progress)
}

#[tokio::test]
async fn the_server_tells_of_changes_and_is_not_asked() {
    let server = rig("running", |wait| match wait {
        0 => news("enter", "queued", ""),
        1 | 2 => news("modify", "running", "<progress>10</progress>"),
        3 => news("modify", "running", "<progress>70</progress>"),
        _ => news(
            "modify",
            "success",
            "<result type=\"VirtualMachineSnapshot\" xsi:type=\"ManagedObjectReference\">snapshot-1</result>",
        ),
    })
    .await;
    let (ended, progress) = waited(&server).await;
    assert_eq!(ended.unwrap().result.unwrap().id, "snapshot-1");
    assert_eq!(progress, [10, 70]);
    assert_eq!((server.count(WAIT), server.count(LOOK)), (5, 0));
    let last = server.seen().pop().unwrap();
    assert_eq!(last.method(), "DestroyPropertyCollector");
}

#[tokio::test]
async fn a_failed_task_tells_its_fault() {
    let server = rig("running", |_| {
        news(
            "enter",
            "error",
            "<error><fault xsi:type=\"ApplicationQuiesceFault\"/><localizedMessage>vss</localizedMessage></error>",
        )
    })
    .await;
    let error = waited(&server).await.0.unwrap_err();
    assert!(matches!(error, Error::TaskFailed { .. }), "{error:?}");
    assert_eq!(error.fault_type(), Some("ApplicationQuiesceFault"));
    assert_eq!(server.count("DestroyPropertyCollector"), 1);
}

#[tokio::test]
async fn a_server_without_waits_is_asked() {
    for fault in [
        "MethodNotFound",
        "NotSupported",
        "NoPermission",
        "InvalidProperty",
    ] {
        let server = rig("success", move |_| Reply::fault(fault)).await;
        waited(&server).await.0.unwrap();
        assert_eq!((server.count(WAIT), server.count(LOOK)), (1, 1), "{fault}");
        // What was made is taken away before the server is asked.
        assert_eq!(server.count("DestroyPropertyCollector"), 1);
    }
}

#[tokio::test]
async fn a_proxy_that_bears_no_long_waits_does_not_keep_the_end_from_being_seen() {
    let looks = AtomicUsize::new(0);
    let server = TestServer::start(move |seen| match seen.method() {
        "CreatePropertyCollector" => made(seen, "PropertyCollector", "collector-1"),
        "CreateFilter" => made(seen, "PropertyFilter", "filter-1"),
        WAIT => Reply::typed(504, "text/html", "<html>"),
        LOOK if looks.fetch_add(1, Ordering::SeqCst) < 5 => task_answer("running", ""),
        LOOK => task_answer("success", ""),
        "DestroyPropertyCollector" | "CancelWaitForUpdates" => Reply::answer(seen.method(), ""),
        _ => usual(seen, 0),
    })
    .await;
    waited(&server).await.0.unwrap();
    // Three waits with three attempts each, then the server is only asked.
    assert_eq!((server.count(WAIT), server.count(LOOK)), (9, 6));
}

#[tokio::test]
async fn an_end_that_nobody_told_of_is_noticed_by_a_look() {
    let server = rig("success", |wait| match wait {
        0 => news("enter", "running", ""),
        _ => Reply::answer(WAIT, ""),
    })
    .await;
    waited(&server).await.0.unwrap();
    assert_eq!(server.count(LOOK), 1);
}

#[tokio::test]
async fn a_task_that_leaves_is_looked_at_once_more() {
    let server = TestServer::start(move |seen| match seen.method() {
        "CreatePropertyCollector" => made(seen, "PropertyCollector", "collector-1"),
        "CreateFilter" => made(seen, "PropertyFilter", "filter-1"),
        WAIT => news("leave", "", ""),
        LOOK => Reply::fault("ManagedObjectNotFound"),
        "DestroyPropertyCollector" => Reply::answer(seen.method(), ""),
        _ => usual(seen, 0),
    })
    .await;
    let ended = waited(&server).await.0;
    assert!(
        matches!(ended, Err(Error::TaskVanished { .. })),
        "{ended:?}"
    );
    assert_eq!(server.count(LOOK), 1);
}

#[tokio::test]
async fn a_cancellation_ends_a_wait_that_the_server_holds() {
    let server = rig("running", |_| Reply::Silent).await;
    let client = Client::connect(server.options()).await.unwrap();
    let is_cancelled = AtomicBool::new(false);
    let begun = Mutex::new(None);
    let task = task();
    let cancelled = || is_cancelled.load(Ordering::SeqCst);
    let mut ignore = |_| {};
    let wait = client.wait_task(&task, Duration::from_mins(1), &mut ignore, &cancelled);
    let cancel = async {
        while server.count(WAIT) == 0 {
            tokio::task::yield_now().await;
        }
        is_cancelled.store(true, Ordering::SeqCst);
        *begun.lock().unwrap() = Some(Instant::now());
    };
    let (ended, ()) = tokio::join!(wait, cancel);
    assert!(matches!(ended, Err(Error::Cancelled { .. })), "{ended:?}");
    let begun = begun.lock().unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(server.count("DestroyPropertyCollector"), 1);
}
