//! Following changes, and what gets in its way.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::vsphere::test_server::{Reply, Seen, TestServer, usual};
use crate::vsphere::{
    Client, Error, Moref, ObjectChange, PropertyFilterSpec, TaskRef, TaskState, Updates, Watch,
    WatchMethod,
};

const WAIT: &str = "WaitForUpdatesEx";
const LIMIT: Duration = Duration::from_secs(30);

/// A server with collectors `collector-<n>` and filters `filter-<n>`, whose waits go by
/// `script`; the number counts them.
async fn server(script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> TestServer {
    let (waits, made, logins) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    TestServer::start(move |seen| {
        let reference = |kind: &str, name: &str| {
            let number = made.fetch_add(1, Ordering::SeqCst);
            Reply::answer(
                seen.method(),
                &format!("<returnval type=\"{kind}\">{name}-{number}</returnval>"),
            )
        };
        match seen.method() {
            "CreatePropertyCollector" => reference("PropertyCollector", "collector"),
            "CreateFilter" => reference("PropertyFilter", "filter"),
            "DestroyPropertyCollector" | "DestroyPropertyFilter" | "CancelWaitForUpdates" => {
                Reply::answer(seen.method(), "")
            }
            WAIT | "WaitForUpdates" | "CheckForUpdates" => {
                script(waits.fetch_add(1, Ordering::SeqCst), seen)
            }
            method => {
                let is_login = usize::from(method == "Login");
                usual(seen, logins.fetch_add(is_login, Ordering::SeqCst))
            }
        }
    })
    .await
}

/// An answer with one object for `filter-<filter>`.
fn news(seen: &Seen, version: &str, filter: usize, kind: &str, more: &str) -> Reply {
    Reply::answer(
        seen.method(),
        &format!(
            "<returnval><version>{version}</version><filterSet><filter type=\"PropertyFilter\">filter-{filter}</filter><objectSet><kind>{kind}</kind><obj type=\"VirtualMachine\">vm-1</obj></objectSet></filterSet>{more}</returnval>"
        ),
    )
}

fn spec() -> PropertyFilterSpec {
    PropertyFilterSpec::of_object(&Moref::vm("vm-1"), &["name"])
}

async fn watching(server: &TestServer) -> (Client, Watch) {
    let client = Client::connect(server.options()).await.unwrap();
    let mut watch = client.watch();
    watch.add(spec(), false);
    (client, watch)
}

fn version(seen: &Seen) -> String {
    let (_, rest) = seen.body.split_once("<version>").unwrap();
    rest.split_once("</version>").unwrap().0.to_owned()
}

/// The versions that the waits so far were asked with.
fn versions(server: &TestServer) -> Vec<String> {
    let seen = server.seen();
    let waits = seen.iter().filter(|s| s.body.contains("<version>"));
    waits.map(version).collect()
}

fn kind(updates: &Updates) -> &ObjectChange {
    &updates.seen[0].objects[0].change
}

#[tokio::test]
async fn changes_come_with_their_versions_and_the_collector_goes() {
    let server = server(|call, seen| match call {
        0 => news(seen, "1", 1, "enter", "<truncated>true</truncated>"),
        1 => news(seen, "2", 1, "enter", ""),
        2 | 3 => Reply::answer(WAIT, ""),
        _ => news(seen, "3", 1, "modify", ""),
    })
    .await;
    let (_client, mut watch) = watching(&server).await;
    assert_eq!(server.count("CreatePropertyCollector"), 0);
    let first = watch.wait(LIMIT).await.unwrap().unwrap();
    assert!(first.is_fresh && first.is_truncated);
    assert_eq!(kind(&first), &ObjectChange::Enter);
    let second = watch.wait(LIMIT).await.unwrap().unwrap();
    assert!(!second.is_fresh && !second.is_truncated);
    // A wait that ran out is renewed with the same version.
    let third = watch.wait(LIMIT).await.unwrap().unwrap();
    assert_eq!(kind(&third), &ObjectChange::Modify);
    assert_eq!(versions(&server), ["", "1", "2", "2", "2"]);
    watch.close().await;
    let seen = server.seen();
    let last = seen.last().unwrap();
    assert_eq!(last.method(), "DestroyPropertyCollector");
    assert!(last.body.contains(">collector-0<"));
}

#[tokio::test]
async fn a_look_does_not_wait_and_a_wait_ends_in_time() {
    let server = server(|_, seen| Reply::answer(seen.method(), "")).await;
    for method in [WatchMethod::WaitEx, WatchMethod::Poll, WatchMethod::Wait] {
        let (_client, watch) = watching(&server).await;
        let mut watch = watch.by(method);
        assert_eq!(watch.check().await.unwrap(), None);
        let last = server.seen().pop().unwrap();
        match method {
            WatchMethod::WaitEx => {
                assert!(last.body.contains("<maxWaitSeconds>0</maxWaitSeconds>"));
            }
            _ => assert_eq!(last.method(), "CheckForUpdates"),
        }
        assert_eq!(watch.wait(Duration::from_millis(20)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_blocking_wait_is_cancelled_when_its_time_is_over() {
    let server = server(|call, seen| match call {
        0 => news(seen, "1", 1, "enter", ""),
        1 => Reply::Silent,
        _ => news(seen, "2", 1, "leave", ""),
    })
    .await;
    let (_client, watch) = watching(&server).await;
    let mut watch = watch.by(WatchMethod::Wait);
    assert!(watch.wait(LIMIT).await.unwrap().is_some());
    let nothing = watch.wait(Duration::from_millis(300)).await.unwrap();
    assert_eq!(nothing, None);
    assert_eq!(server.count("CancelWaitForUpdates"), 1);
    let left = watch.wait(LIMIT).await.unwrap().unwrap();
    assert_eq!(kind(&left), &ObjectChange::Leave);
    assert!(!left.is_fresh);
    assert_eq!(versions(&server), ["", "1", "1"]);
}

#[tokio::test]
async fn a_version_the_server_does_not_know_starts_over() {
    let server = server(|call, seen| match call {
        0 => news(seen, "1", 1, "enter", ""),
        1 => Reply::fault("InvalidCollectorVersion"),
        _ => news(seen, "9", 1, "enter", ""),
    })
    .await;
    let (_client, mut watch) = watching(&server).await;
    assert!(watch.wait(LIMIT).await.unwrap().unwrap().is_fresh);
    assert!(watch.wait(LIMIT).await.unwrap().unwrap().is_fresh);
    assert_eq!(versions(&server), ["", "1", ""]);
    assert_eq!(server.count("CreatePropertyCollector"), 1);
}

#[tokio::test]
async fn starting_over_is_bounded() {
    let server = server(|_, _| Reply::fault("InvalidCollectorVersion")).await;
    let (_client, mut watch) = watching(&server).await;
    let error = watch.wait(LIMIT).await.unwrap_err();
    assert_eq!(error.fault_type(), Some("InvalidCollectorVersion"));
    assert!(server.count(WAIT) < 10);
}

#[tokio::test]
async fn a_lost_session_or_collector_makes_all_anew() {
    let hidden = "<returnval><version>2</version><filterSet><filter type=\"PropertyFilter\">filter-1</filter><objectSet><kind>modify</kind><obj type=\"VirtualMachine\">vm-1</obj><missingSet><path>name</path><fault><fault xsi:type=\"NotAuthenticated\"/></fault></missingSet></objectSet></filterSet></returnval>";
    for (way, logins) in [(0, 2), (1, 2), (2, 1)] {
        let server = server(move |call, seen| match call {
            0 => news(seen, "1", 1, "enter", ""),
            1 if way == 0 => Reply::fault("NotAuthenticated"),
            1 if way == 1 => Reply::answer(WAIT, hidden),
            1 => Reply::fault_with(
                "ManagedObjectNotFound",
                "<obj type=\"PropertyCollector\">collector-0</obj>",
            ),
            // Filters are numbered on: collector 2, filter 3.
            _ => news(seen, "1", 3, "enter", ""),
        })
        .await;
        let (_client, mut watch) = watching(&server).await;
        assert!(watch.wait(LIMIT).await.unwrap().unwrap().is_fresh);
        let again = watch.wait(LIMIT).await.unwrap().unwrap();
        assert!(again.is_fresh);
        assert_eq!(again.seen.len(), 1);
        assert_eq!(versions(&server), ["", "1", ""]);
        assert_eq!(server.count("Login"), logins, "way {way}");
        assert_eq!(server.count("CreateFilter"), 2);
    }
}

#[tokio::test]
async fn the_version_of_a_truncated_set_is_used_once() {
    let server = server(|call, seen| match call {
        0 => news(seen, "1", 1, "enter", "<truncated>true</truncated>"),
        1 | 3 => Reply::typed(502, "text/html", "<html>"),
        2 => news(seen, "1", 1, "enter", ""),
        _ => news(seen, "2", 1, "modify", ""),
    })
    .await;
    let (_client, mut watch) = watching(&server).await;
    for is_fresh in [true, true, false] {
        let updates = watch.wait(LIMIT).await.unwrap().unwrap();
        assert_eq!(updates.is_fresh, is_fresh);
    }
    assert_eq!(versions(&server), ["", "1", "", "1", "1"]);
}

#[tokio::test]
async fn endless_truncation_to_nothing_is_noticed() {
    let server = server(|call, seen| match call {
        0 => news(seen, "1", 1, "enter", ""),
        _ => Reply::answer(
            WAIT,
            "<returnval><version>1</version><truncated>true</truncated></returnval>",
        ),
    })
    .await;
    let (_client, mut watch) = watching(&server).await;
    watch.wait(LIMIT).await.unwrap();
    let error = watch.wait(LIMIT).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer { .. }), "{error:?}");
    assert!(server.count(WAIT) < 30);
}

#[tokio::test]
async fn a_wait_can_be_interrupted_and_one_given_up_is_cancelled() {
    let is_cancelled = Mutex::new(false);
    let server = server(move |call, seen| match call {
        0 => news(seen, "1", 1, "enter", ""),
        1 => Reply::fault("RequestCanceled"),
        2 => Reply::Silent,
        _ => {
            *is_cancelled.lock().unwrap() = true;
            news(seen, "5", 1, "enter", "")
        }
    })
    .await;
    let (_client, mut watch) = watching(&server).await;
    assert!(watch.interrupter().is_none());
    watch.wait(LIMIT).await.unwrap();
    watch.interrupter().unwrap().interrupt().await.unwrap();
    assert_eq!(server.count("CancelWaitForUpdates"), 1);
    let error = watch.wait(LIMIT).await.unwrap_err();
    assert_eq!(error.fault_type(), Some("RequestCanceled"));
    tokio::select! {
        updates = watch.wait(LIMIT) => panic!("{updates:?}"),
        () = async {
            while server.count(WAIT) < 3 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    assert!(watch.wait(LIMIT).await.unwrap().unwrap().is_fresh);
    assert_eq!(server.count("CancelWaitForUpdates"), 2);
}

#[tokio::test]
async fn a_filter_is_removed_at_the_server_and_its_news_left_out() {
    let server = server(|call, seen| news(seen, &call.to_string(), 1, "enter", "")).await;
    let (_client, mut watch) = watching(&server).await;
    let mut other = spec();
    other.report_missing = Some(true);
    let second = watch.add(other, true);
    let updates = watch.wait(LIMIT).await.unwrap().unwrap();
    assert_ne!(updates.seen[0].filter, second);
    let first = updates.seen[0].filter;
    watch.remove(first);
    assert_eq!(watch.wait(Duration::from_millis(5)).await.unwrap(), None);
    let seen = server.seen();
    let method = "DestroyPropertyFilter";
    let destroyed = seen.iter().find(|s| s.method() == method).unwrap();
    assert!(destroyed.body.contains(">filter-1<"));
    assert_eq!(server.count(method), 1);
    let last = seen.iter().rfind(|s| s.method() == "CreateFilter").unwrap();
    assert!(last.body.contains("<reportMissingObjectsInResults>true</reportMissingObjectsInResults></spec><partialUpdates>true</partialUpdates>"));
}

fn task_news(version: &str, filter: usize, state: &str) -> Reply {
    Reply::answer(
        WAIT,
        &format!(
            "<returnval><version>{version}</version><filterSet><filter type=\"PropertyFilter\">filter-{filter}</filter><objectSet><kind>enter</kind><obj type=\"Task\">task-5151</obj><changeSet><name>info</name><op>assign</op><val xsi:type=\"TaskInfo\"><name>M_Task</name><state>{state}</state></val></changeSet></objectSet></filterSet></returnval>"
        ),
    )
}

#[tokio::test]
async fn a_task_is_followed_until_it_is_gone() {
    let server = server(|call, _| match call {
        0 => task_news("1", 1, "running"),
        1 => task_news("2", 1, "success"),
        _ => Reply::answer(
            WAIT,
            "<returnval><version>3</version><filterSet><filter type=\"PropertyFilter\">filter-1</filter><missingSet><obj type=\"Task\">task-5151</obj><fault><fault xsi:type=\"ManagedObjectNotFound\"/></fault></missingSet></filterSet></returnval>",
        ),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let mut watch = client.watch_task(&TaskRef(Moref::new("Task", "task-5151")));
    for state in [TaskState::Running, TaskState::Success] {
        assert_eq!(watch.next(LIMIT).await.unwrap().unwrap().state, state);
    }
    let gone = watch.next(LIMIT).await.unwrap_err();
    assert_eq!(gone.fault_type(), Some("ManagedObjectNotFound"));
    watch.close().await;
}

#[tokio::test]
async fn a_server_without_waits_is_told_as_such() {
    let server = server(|_, _| Reply::fault("MethodNotFound")).await;
    let client = Client::connect(server.options()).await.unwrap();
    let mut watch = client.watch_task(&TaskRef(Moref::new("Task", "task-1")));
    assert!(watch.next(LIMIT).await.unwrap_err().is_unsupported());
}

/// What the samples say, with our values put in.
#[tokio::test]
async fn the_requests_are_those_of_the_samples() {
    let server = server(|call, seen| news(seen, &(call + 1).to_string(), 1, "enter", "")).await;
    let client = Client::connect(server.options()).await.unwrap();
    let mut spec = PropertyFilterSpec::of_object(
        &Moref::new("Task", "task-5151"),
        &["info.state", "info.progress", "info.error", "info.result"],
    );
    spec.report_missing = Some(true);
    let mut watch = client.watch();
    let id = watch.add(spec, false);
    watch.wait(LIMIT).await.unwrap();
    watch.wait(Duration::from_secs(1)).await.unwrap();
    let mut watch = watch.by(WatchMethod::Poll);
    watch.check().await.unwrap();
    watch.interrupter().unwrap().interrupt().await.unwrap();
    watch.remove(id);
    let _ = watch.check().await.unwrap();
    watch.close().await;
    let collector =
        "session[52f1d2a9-6c1b-4d0e-9a3e-2f6b1c7d8e90]52aa40f3-91c5-7e0d-3b6a-cc21f0d4b7e1";
    let filter =
        "session[52f1d2a9-6c1b-4d0e-9a3e-2f6b1c7d8e90]52c9be17-02d4-6f8a-b5c1-7e93a0d2f4b6";
    let seen = server.seen();
    let sent = |method: &str, nth: usize| {
        let mut matching = seen.iter().filter(|s| s.method() == method);
        let operation = matching.nth(nth).unwrap().operation();
        operation
            .replace("collector-0", collector)
            .replace("filter-1", filter)
    };
    macro_rules! same {
        ($sample:literal, $method:literal, $nth:literal $(, $from:literal => $to:literal)*) => {
            let sample = include_str!(concat!("../testdata/requests/", $sample, ".xml"));
            let sample = sample.to_owned()$(.replace($from, $to))*;
            let sent = sent($method, $nth);
            assert!(sample.contains(&sent), "{sent}");
        };
    }
    same!("23-create-property-collector", "CreatePropertyCollector", 0);
    same!("24-create-filter", "CreateFilter", 0);
    same!("25-wait-for-updates-ex-first", "WaitForUpdatesEx", 0, ">60<" => ">10<", ">100<" => ">500<");
    same!("26-wait-for-updates-ex-next", "WaitForUpdatesEx", 1, ">2<" => ">1<",
        "</maxWaitSeconds>" => "</maxWaitSeconds><maxObjectUpdates>500</maxObjectUpdates>");
    same!("27-check-for-updates", "CheckForUpdates", 0, "<version>" => "<version>2");
    same!("28-cancel-wait-for-updates", "CancelWaitForUpdates", 0);
    same!("29-destroy-property-filter", "DestroyPropertyFilter", 0);
    same!(
        "30-destroy-property-collector",
        "DestroyPropertyCollector",
        0
    );
}
