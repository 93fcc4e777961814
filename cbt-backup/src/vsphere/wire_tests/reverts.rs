//! The history of tasks over the wire: what is asked, and what proves nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::vm;
use crate::vsphere::test_server::{Reply, Seen, TestServer, usual};
use crate::vsphere::{Client, Error, RevertDoubt, RevertHistory};

/// The server's clock stands at 09:00:00.104.
const SINCE: &str = "2026-01-15T08:00:00Z";
const OLD: &str = "2026-01-15T07:00:00Z";
const LATER: &str = "2026-01-15T08:30:00Z";

fn since() -> Timestamp {
    SINCE.parse().unwrap()
}

fn task(entity: &str, name: &str, state: &str, ended: &str) -> String {
    format!(
        "<returnval><key>task-1</key><task type=\"Task\">task-1</task><name>{name}</name><descriptionId>d</descriptionId><entity type=\"VirtualMachine\">{entity}</entity><state>{state}</state><cancelled>false</cancelled><cancelable>false</cancelable><reason xsi:type=\"TaskReasonUser\"><userName>u</userName></reason><queueTime>{ended}</queueTime><completeTime>{ended}</completeTime><eventChainId>1</eventChainId></returnval>"
    )
}

fn snapshot() -> String {
    task("vm-1", "CreateSnapshot_Task", "success", LATER)
}

/// A server whose history is read by `script`, which gets the collector's kind, the number of the
/// read, and the call.
async fn server(
    script: impl Fn(&str, usize, &Seen) -> Reply + Send + Sync + 'static,
) -> TestServer {
    let (collectors, reads, logins) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    TestServer::start(move |seen| match seen.method() {
        "CreateCollectorForTasks" => {
            let kind = if seen.operation().contains("<entity>") {
                "vm"
            } else {
                "old"
            };
            let number = collectors.fetch_add(1, Ordering::SeqCst);
            Reply::answer(
                seen.method(),
                &format!("<returnval type=\"TaskHistoryCollector\">{kind}-{number}</returnval>"),
            )
        }
        "RewindCollector" | "DestroyCollector" => Reply::answer(seen.method(), ""),
        "ReadNextTasks" => {
            let (_, id) = seen.operation().split_once("Collector\">").unwrap();
            let kind = id.split('-').next().unwrap();
            script(kind, reads.fetch_add(1, Ordering::SeqCst), seen)
        }
        method => {
            let is_login = usize::from(method == "Login");
            usual(seen, logins.fetch_add(is_login, Ordering::SeqCst))
        }
    })
    .await
}

fn page(tasks: &[String]) -> Reply {
    Reply::answer("ReadNextTasks", &tasks.concat())
}

async fn asked(server: &TestServer) -> RevertHistory {
    let client = Client::connect(server.options()).await.unwrap();
    let found = client.reverts_since(&vm(), since()).await.unwrap();
    client.logout().await.unwrap();
    found
}

/// The history's calls, in their order.
fn methods(server: &TestServer) -> Vec<String> {
    let seen = server.seen();
    let methods = seen.iter().map(|seen| seen.method().to_owned());
    methods
        .filter(|method| method.contains("Collector") || method.contains("Tasks"))
        .collect()
}

#[tokio::test]
async fn the_history_is_read_to_its_end_and_the_collector_destroyed() {
    let server = server(|_, read, _| match read {
        0 => page(&[task("vm-1", "PowerOnVM_Task", "success", OLD), snapshot()]),
        1 => page(&[snapshot()]),
        _ => page(&[]),
    })
    .await;
    assert_eq!(asked(&server).await, RevertHistory::NoRevert);
    assert_eq!(
        methods(&server),
        [
            "CreateCollectorForTasks",
            "RewindCollector",
            "ReadNextTasks",
            "ReadNextTasks",
            "ReadNextTasks",
            "DestroyCollector"
        ]
    );
    let seen = server.seen();
    let made = seen
        .iter()
        .find(|seen| seen.method() == "CreateCollectorForTasks");
    // From a day before: something may have been at work for long.
    let filter = "<filter><entity><entity type=\"VirtualMachine\">vm-1</entity><recursion>self</recursion></entity><time><timeType>queuedTime</timeType><beginTime>2026-01-14T08:00:00Z</beginTime></time></filter>";
    assert!(made.unwrap().operation().contains(filter));
}

#[tokio::test]
async fn a_history_that_shows_no_old_task_of_the_vm_is_asked_for_any() {
    for (old, expected) in [
        (OLD, RevertHistory::NoRevert),
        // A server that does not heed the filter.
        (LATER, RevertDoubt::TooShort { since: since() }.into()),
    ] {
        let server = server(move |kind, read, _| match (kind, read) {
            ("vm", 0) => page(&[snapshot()]),
            ("old", _) => page(&[task("vm-9", "PowerOnVM_Task", "error", old)]),
            _ => page(&[]),
        })
        .await;
        assert_eq!(asked(&server).await, expected);
        let seen = server.seen();
        let made = seen
            .iter()
            .rfind(|seen| seen.method() == "CreateCollectorForTasks");
        let filter = "<filter><time><timeType>completedTime</timeType><endTime>2026-01-15T08:00:00Z</endTime></time></filter>";
        assert!(made.unwrap().operation().contains(filter));
        assert_eq!(server.count("DestroyCollector"), 2);
    }
}

#[tokio::test]
async fn a_revert_on_any_page_is_told_with_its_time() {
    let server = server(|_, read, _| match read {
        0 => page(&[snapshot()]),
        1 => page(&[task("vm-1", "RevertToSnapshot_Task", "success", LATER)]),
        _ => page(&[]),
    })
    .await;
    let when = LATER.parse().unwrap();
    assert_eq!(asked(&server).await, RevertHistory::Reverted { when });
}

#[tokio::test]
async fn refusals_and_nonsense_prove_nothing() {
    let replies: [fn() -> Reply; 6] = [
        || Reply::fault_with("NoPermission", "<privilegeId>System.Read</privilegeId>"),
        || Reply::fault("NotSupported"),
        || Reply::fault("InvalidState"),
        || Reply::answer("ReadNextTasks", "<returnval><name>x</name></returnval>"),
        || Reply::typed(200, "text/html", "<html/>"),
        || Reply::answer("Login", ""),
    ];
    for reply in replies {
        let server = server(move |_, _, _| reply()).await;
        let found = asked(&server).await;
        assert!(
            matches!(
                &found,
                RevertHistory::Unknown {
                    why: RevertDoubt::Unreadable { why }
                } if why.contains("ReadNextTasks")
            ),
            "{found:?}"
        );
        assert_eq!(server.count("ReadNextTasks"), 1);
    }
    let refused = TestServer::start(|seen| match seen.method() {
        "CreateCollectorForTasks" => Reply::fault("NoPermission"),
        _ => usual(seen, 0),
    })
    .await;
    let found = asked(&refused).await;
    let RevertHistory::Unknown { why } = found else {
        panic!("{found:?}");
    };
    let said = why.to_string();
    assert!(
        said.contains("can't be read: CreateCollectorForTasks was refused: NoPermission"),
        "{said}"
    );
}

#[tokio::test]
async fn a_collector_is_destroyed_after_a_failed_read_too() {
    let server = server(|_, _, _| Reply::fault("NotSupported")).await;
    let client = Client::connect(server.options()).await.unwrap();
    client.reverts_since(&vm(), since()).await.unwrap();
    let destroyed = async {
        while server.count("DestroyCollector") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), destroyed)
        .await
        .unwrap();
    client.logout().await.unwrap();
}

#[tokio::test]
async fn a_history_without_end_is_given_up() {
    let server = server(|_, _, _| page(&[snapshot()])).await;
    assert_eq!(asked(&server).await, RevertDoubt::TooLong.into());
    assert_eq!(server.count("ReadNextTasks"), 101);
    assert_eq!(server.count("DestroyCollector"), 1);
}

#[tokio::test]
async fn a_session_lost_in_between_begins_anew() {
    let server = server(|_, read, seen| match read {
        0 => page(&[task("vm-1", "PowerOnVM_Task", "success", OLD), snapshot()]),
        1 => Reply::fault("NotAuthenticated"),
        2 => {
            assert!(seen.header("Cookie").unwrap().contains("cookie-1"));
            page(&[task("vm-1", "PowerOnVM_Task", "success", OLD), snapshot()])
        }
        _ => page(&[]),
    })
    .await;
    assert_eq!(asked(&server).await, RevertHistory::NoRevert);
    assert_eq!(server.count("Login"), 2);
    assert_eq!(server.count("CreateCollectorForTasks"), 2);
    // The first one died with its session.
    assert_eq!(server.count("DestroyCollector"), 1);
}

#[tokio::test]
async fn trouble_that_may_pass_is_an_error() {
    let server = server(|_, _, _| Reply::typed(503, "text/html", "busy")).await;
    let client = Client::connect(server.options()).await.unwrap();
    let error = client.reverts_since(&vm(), since()).await.unwrap_err();
    assert!(
        matches!(error, Error::HttpStatus { status: 503, .. }),
        "{error:?}"
    );
    assert_eq!(server.count("ReadNextTasks"), 3);
    client.logout().await.unwrap();
}

#[tokio::test]
async fn without_a_history_or_with_a_time_to_come_nothing_is_asked() {
    let server = server(|_, _, _| panic!("nothing is read")).await;
    let client = Client::connect(server.options()).await.unwrap();
    let future: Timestamp = "2026-01-15T09:00:01Z".parse().unwrap();
    let found = client.reverts_since(&vm(), future).await.unwrap();
    assert_eq!(found, RevertDoubt::FutureTime { since: future }.into());
    client.logout().await.unwrap();
    assert!(methods(&server).is_empty());

    let plain = TestServer::start(|seen| match usual(seen, 0) {
        Reply::Full {
            status,
            headers,
            body,
        } if seen.method() == "RetrieveServiceContent" => {
            let body = String::from_utf8(body).unwrap();
            let body = body.replace("taskManager", "otherManager").into_bytes();
            Reply::Full {
                status,
                headers,
                body,
            }
        }
        reply => reply,
    })
    .await;
    assert_eq!(asked(&plain).await, RevertDoubt::NoHistory.into());
}
