//! The client against a server on the wire: trust, session, repetition, bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::test_server::{PASSWORD, Reply, Seen, TestServer, usual};
use super::{Client, Error, Moref, TaskRef};

mod attributes;
mod files;
mod hostile;
mod pages;
mod patience;
mod proxy;
mod reverts;
mod searches;
mod session;
mod task_waits;
mod tasks;
mod tracking;
mod trust;
mod watch;

/// A server that does the usual, but answers `method` by `script`, which gets the number of
/// the call to it, from 0.
async fn server(
    method: &'static str,
    script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
) -> TestServer {
    let (logins, calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    TestServer::start(move |seen| {
        if seen.method() == method {
            return script(calls.fetch_add(1, Ordering::SeqCst), seen);
        }
        let is_login = usize::from(seen.method() == "Login");
        usual(seen, logins.fetch_add(is_login, Ordering::SeqCst))
    })
    .await
}

async fn usual_server() -> TestServer {
    server("nothing else", |_, _| Reply::Silent).await
}

fn time() -> Reply {
    Reply::answer("CurrentTime", "<returnval>2026-01-15T09:00:00Z</returnval>")
}

fn vm() -> Moref {
    Moref::vm("vm-1")
}

#[tokio::test]
async fn connecting_agrees_on_a_version_and_keeps_the_quoted_cookie() {
    let server = usual_server().await;
    let client = Client::connect(server.options()).await.unwrap();
    assert_eq!(client.about().name, "Test Center");
    assert!(client.about().is_vcenter());
    assert_eq!(client.api_version(), "8.0.2.0");
    assert_eq!(client.session_key(), "key-0");
    assert_eq!(client.thumbprints(), server.thumbprints());
    client.current_time().await.unwrap();
    client.logout().await.unwrap();
    let seen = server.seen();
    let methods: Vec<&str> = seen.iter().map(Seen::method).collect();
    assert_eq!(
        methods,
        [
            "/sdk/vimServiceVersions.xml",
            "RetrieveServiceContent",
            "Login",
            "CurrentTime",
            "Logout"
        ]
    );
    for request in &seen[1..] {
        assert!(request.head.starts_with("POST /sdk HTTP/1.1"));
        assert_eq!(request.header("SOAPAction"), Some("\"urn:vim25/8.0.2.0\""));
        assert_eq!(
            request.header("Content-Type"),
            Some("text/xml; charset=utf-8")
        );
        assert!(
            request
                .header("User-Agent")
                .unwrap()
                .starts_with("cbt-backup/")
        );
        assert_eq!(request.header("Accept-Encoding"), Some("gzip"));
    }
    assert_eq!(seen[2].header("Cookie"), None);
    let cookie = Some("vmware_soap_session=\"cookie-0\"");
    assert_eq!(seen[3].header("Cookie"), cookie);
    assert_eq!(seen[4].header("Cookie"), cookie);
    assert!(
        seen[3]
            .body
            .contains("<operationID>cbt-backup-2</operationID>")
    );
}

#[tokio::test]
async fn requests_of_the_session_are_those_of_the_samples() {
    let server = usual_server().await;
    let client = Client::connect(server.options()).await.unwrap();
    client.current_time().await.unwrap();
    client.logout().await.unwrap();
    let samples = [
        include_str!("testdata/requests/01-retrieve-service-content.xml"),
        include_str!("testdata/requests/02-login.xml"),
        include_str!("testdata/requests/04-current-time.xml"),
        include_str!("testdata/requests/68-logout.xml"),
    ];
    for (seen, sample) in server.seen()[1..].iter().zip(samples) {
        let sample = sample.replace(
            "p&amp;ss&lt;word",
            &PASSWORD.replace('&', "&amp;").replace('<', "&lt;"),
        );
        assert!(sample.contains(seen.operation()), "{}", seen.operation());
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_not_shown() {
    let server = server("Login", |_, _| {
        Reply::fault("InvalidLogin").with_cookie("x")
    })
    .await;
    let error = Client::connect(server.options()).await.unwrap_err();
    assert!(matches!(error, Error::InvalidLogin { .. }), "{error:?}");
    assert_eq!(server.count("Login"), 1);
    assert!(!format!("{error:?} {error}").contains(PASSWORD));
}

#[tokio::test]
async fn no_secret_is_in_the_debug_form() {
    let server = usual_server().await;
    let options = server.options();
    assert!(!format!("{options:?}").contains(PASSWORD));
    let client = Client::connect(options).await.unwrap();
    let shown = format!("{client:?}");
    assert!(
        !shown.contains(PASSWORD) && !shown.contains("cookie-0"),
        "{shown}"
    );
    client.logout().await.unwrap();
}

#[tokio::test]
async fn an_expired_session_is_renewed_once_and_the_call_repeated() {
    let server = server("CurrentTime", |_, seen| match seen.header("Cookie") {
        Some(cookie) if cookie.contains("cookie-1") => time(),
        _ => Reply::fault("NotAuthenticated"),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    client.current_time().await.unwrap();
    assert_eq!(client.session_key(), "key-1");
    assert_eq!((server.count("Login"), server.count("CurrentTime")), (2, 2));
    let logins: Vec<Seen> = server
        .seen()
        .into_iter()
        .filter(|s| s.method() == "Login")
        .collect();
    assert_eq!(logins[1].header("Cookie"), None);
}

#[tokio::test]
async fn a_server_that_always_forgets_is_not_asked_for_ever() {
    let server = server("CurrentTime", |_, _| Reply::fault("NotAuthenticated")).await;
    let client = Client::connect(server.options()).await.unwrap();
    let error = client.current_time().await.unwrap_err();
    assert_eq!(error.fault_type(), Some("NotAuthenticated"));
    assert_eq!((server.count("Login"), server.count("CurrentTime")), (2, 2));
}

#[tokio::test]
async fn many_calls_that_notice_at_once_log_in_once() {
    let server = server("CurrentTime", |_, seen| match seen.header("Cookie") {
        Some(cookie) if cookie.contains("cookie-1") => time(),
        _ => Reply::fault("NotAuthenticated"),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.current_time().await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(server.count("Login"), 2);
}

const EXPIRED: &str = "<returnval><objects><obj type=\"Task\">task-1</obj><missingSet><path>info</path><fault><fault xsi:type=\"NotAuthenticated\"><privilegeId>System.Read</privilegeId></fault><localizedMessage>x</localizedMessage></fault></missingSet></objects></returnval>";

fn task_answer(state: &str, more: &str) -> Reply {
    Reply::answer(
        "RetrievePropertiesEx",
        &format!(
            "<returnval><objects><obj type=\"Task\">task-1</obj><propSet><name>info</name><val xsi:type=\"TaskInfo\"><name>CreateSnapshot_Task</name><state>{state}</state>{more}</val></propSet></objects></returnval>"
        ),
    )
}

fn task() -> TaskRef {
    TaskRef(Moref::new("Task", "task-1"))
}

#[tokio::test]
async fn a_dead_session_is_noticed_inside_a_good_answer() {
    let server = server("RetrievePropertiesEx", |call, _| match call {
        0 => Reply::answer("RetrievePropertiesEx", EXPIRED),
        _ => task_answer("queued", ""),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    client.task(&task()).await.unwrap();
    assert_eq!(server.count("Login"), 2);
}

/// Replies that a second attempt may mend.
fn broken(kind: usize) -> Reply {
    match kind {
        0 => Reply::Cut {
            body: b"<?xml version=\"1.0\"?><soapenv:Env".to_vec(),
            promised: 5000,
        },
        1 => Reply::typed(502, "text/html", "<html>Bad Gateway<br></html>"),
        2 => Reply::typed(503, "text/plain", "starting"),
        _ => Reply::xml(200, "<a><b>"),
    }
}

#[tokio::test]
async fn reads_are_repeated_after_a_failure_of_the_transport() {
    for kind in 0..4 {
        let server = server("CurrentTime", move |call, _| match call {
            0 | 1 => broken(kind),
            _ => time(),
        })
        .await;
        let client = Client::connect(server.options()).await.unwrap();
        client.current_time().await.unwrap();
        assert_eq!(server.count("CurrentTime"), 3, "kind {kind}");
    }
}

#[tokio::test]
async fn repetition_is_bounded_and_writes_are_never_repeated() {
    for kind in 0..4 {
        let server = server("CurrentTime", move |_, _| broken(kind)).await;
        let client = Client::connect(server.options()).await.unwrap();
        let error = client.current_time().await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert_eq!(server.count("CurrentTime"), 3);
    }
    for kind in 0..4 {
        let server = server("CreateSnapshot_Task", move |_, _| broken(kind)).await;
        let client = Client::connect(server.options()).await.unwrap();
        let made = client.create_snapshot(&vm(), "n", "d", false, false).await;
        assert!(made.is_err());
        assert_eq!(server.count("CreateSnapshot_Task"), 1, "kind {kind}");
    }
}

#[tokio::test]
async fn statuses_and_pages_are_told_apart() {
    let page = "<!DOCTYPE html><html><body>proxy</body></html>";
    let server = server("CurrentTime", move |call, _| match call {
        0 => Reply::typed(200, "text/html", page),
        1 => Reply::typed(500, "text/html", page),
        2 => Reply::typed(404, "text/html", page),
        3 => Reply::typed(302, "text/html\r\nLocation: https://127.0.0.1:9/", page),
        _ => Reply::xml(200, page),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(match client.current_time().await.unwrap_err() {
            Error::HttpStatus { status, .. } => status,
            Error::NotXml { beginning, .. } if beginning.contains("<!DOCTYPE html>") => 1,
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(statuses, [1, 500, 404, 302, 1]);
}

#[tokio::test]
async fn a_silent_server_times_out_and_is_not_asked_again() {
    let server = server("CurrentTime", |_, _| Reply::Silent).await;
    let mut options = server.options();
    options.timeouts.total = Duration::from_millis(1500);
    let client = Client::connect(options).await.unwrap();
    let error = client.current_time().await.unwrap_err();
    assert!(
        matches!(error, Error::TimedOut { limit_ms: 1500, .. }),
        "{error:?}"
    );
    assert_eq!(server.count("CurrentTime"), 1);
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let server = server("CurrentTime", |_, _| Reply::Endless).await;
    let mut options = server.options();
    options.max_body_bytes = 100_000;
    let client = Client::connect(options).await.unwrap();
    let error = client.current_time().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                limit_bytes: 100_000,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_packed_answer_is_unpacked_and_its_real_size_counts() {
    let packed = include_bytes!("testdata/answers/c44-current-time.xml.gz");
    let unpacked = include_bytes!("testdata/answers/c44-current-time.xml");
    let reply = || Reply::Full {
        status: 200,
        headers: vec![
            "Content-Type: text/xml".to_owned(),
            "Content-Encoding: gzip".to_owned(),
        ],
        body: packed.to_vec(),
    };
    let server = server("CurrentTime", move |_, _| reply()).await;
    let client = Client::connect(server.options()).await.unwrap();
    client.current_time().await.unwrap();
    // The other answers of the test server fit this bound; the unpacked one does not.
    let mut tight = server.options();
    tight.max_body_bytes = unpacked.len() - 1;
    let outcome = Client::connect(tight).await;
    assert!(
        matches!(outcome, Err(Error::TooLarge { .. })),
        "{outcome:?}"
    );
}

fn page(method: &str, token: Option<&str>, objects: &[(&str, &str)]) -> Reply {
    let token = token
        .map(|t| format!("<token>{t}</token>"))
        .unwrap_or_default();
    let object = |(id, name): &(&str, &str)| {
        format!(
            "<objects><obj type=\"VirtualMachine\">{id}</obj><propSet><name>name</name><val xsi:type=\"xsd:string\">{name}</val></propSet></objects>"
        )
    };
    let objects: Vec<String> = objects.iter().map(object).collect();
    let objects = objects.concat();
    Reply::answer(method, &format!("<returnval>{token}{objects}</returnval>"))
}

/// A server of two pages; `cut_in` is the call of the second page that finds no session.
async fn inventory_server(cut_in: Option<usize>) -> TestServer {
    let (logins, pages) = (AtomicUsize::new(0), AtomicUsize::new(0));
    TestServer::start(move |seen| match seen.method() {
        "CreateContainerView" => Reply::answer(
            "CreateContainerView",
            "<returnval type=\"ContainerView\">session[1]2</returnval>",
        ),
        "DestroyView" => Reply::answer("DestroyView", ""),
        "RetrievePropertiesEx" => page("RetrievePropertiesEx", Some("7"), &[("vm-2", "b")]),
        "ContinueRetrievePropertiesEx" => {
            let call = pages.fetch_add(1, Ordering::SeqCst);
            if cut_in == Some(call) {
                return Reply::fault("NotAuthenticated");
            }
            page("ContinueRetrievePropertiesEx", None, &[("vm-1", "a")])
        }
        method => {
            let is_login = usize::from(method == "Login");
            usual(seen, logins.fetch_add(is_login, Ordering::SeqCst))
        }
    })
    .await
}

#[tokio::test]
async fn the_inventory_is_read_page_by_page_and_the_view_destroyed() {
    let server = inventory_server(None).await;
    let client = Client::connect(server.options()).await.unwrap();
    let names: Vec<String> = client
        .vms()
        .await
        .unwrap()
        .into_iter()
        .map(|vm| vm.name)
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(client.find_vm("vm-2").await.unwrap().name, "b");
    // One view of the places and one of the VMs, each time.
    assert_eq!(server.count("CreateContainerView"), 4);
    assert_eq!(server.count("DestroyView"), 4);
    let seen = server.seen();
    let next = seen
        .iter()
        .find(|s| s.method() == "ContinueRetrievePropertiesEx")
        .unwrap();
    let sample = include_str!("testdata/requests/19-continue-retrieve-properties-ex.xml");
    assert!(sample.replace(">0<", ">7<").contains(next.operation()));
}

#[tokio::test]
async fn a_session_lost_between_pages_starts_the_list_over_with_a_new_view() {
    let server = inventory_server(Some(0)).await;
    let client = Client::connect(server.options()).await.unwrap();
    assert_eq!(client.vms().await.unwrap().len(), 2);
    // The view of the lost session died with it.
    assert_eq!(server.count("CreateContainerView"), 3);
    assert_eq!(server.count("DestroyView"), 2);
    assert_eq!(server.count("ContinueRetrievePropertiesEx"), 3);
    assert_eq!(server.count("Login"), 2);
}

#[tokio::test]
async fn a_task_is_followed_to_its_end_with_progress() {
    let server = server("RetrievePropertiesEx", |call, _| match call {
        0 => task_answer("queued", ""),
        1 | 2 => task_answer("running", "<progress>40</progress>"),
        3 => Reply::fault("HostCommunication"),
        4 => task_answer("running", "<progress>140</progress>"),
        _ => task_answer("success", "<result type=\"VirtualMachineSnapshot\" xsi:type=\"ManagedObjectReference\">snapshot-9</result>"),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let mut progress = Vec::new();
    let info = client
        .wait_task(
            &task(),
            Duration::from_mins(1),
            &mut |p| progress.push(p),
            &|| false,
        )
        .await
        .unwrap();
    assert_eq!(info.result, Some(Moref::snapshot("snapshot-9")));
    assert_eq!(progress, [40, 100]);
}

#[tokio::test]
async fn a_failed_task_is_an_error_with_its_fault() {
    let server = server("RetrievePropertiesEx", |_, _| {
        task_answer("error", "<error><fault xsi:type=\"FileLocked\"><file>[ds] a.vmdk</file></fault><localizedMessage>Locked.</localizedMessage></error>")
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let ended = client
        .wait_task(&task(), Duration::from_mins(1), &mut |_| {}, &|| false)
        .await;
    let error = ended.unwrap_err();
    assert_eq!(error.fault_type(), Some("FileLocked"));
    assert_eq!(
        error.to_string(),
        "task CreateSnapshot_Task (Task:task-1) failed: FileLocked: Locked (file [ds] a.vmdk)"
    );
}

#[tokio::test]
async fn waiting_ends_by_time_and_by_wish() {
    let server = server("RetrievePropertiesEx", |_, _| {
        task_answer("running", "<progress>7</progress>")
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let late = client
        .wait_task(&task(), Duration::from_millis(5), &mut |_| {}, &|| false)
        .await;
    assert!(
        matches!(late, Err(Error::TaskTimedOut { progress: 7, .. })),
        "{late:?}"
    );
    let is_cancelled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_cancelled);
    let stopped = client
        .wait_task(
            &task(),
            Duration::from_mins(1),
            &mut |_| is_cancelled.store(true, Ordering::SeqCst),
            &|| flag.load(Ordering::SeqCst),
        )
        .await;
    assert!(
        matches!(stopped, Err(Error::Cancelled { .. })),
        "{stopped:?}"
    );
}

#[tokio::test]
async fn logging_out_is_done_once_and_ends_the_client() {
    let server = usual_server().await;
    let client = Client::connect(server.options()).await.unwrap();
    let clone = client.clone();
    client.logout().await.unwrap();
    clone.logout().await.unwrap();
    assert_eq!(server.count("Logout"), 1);
    assert!(matches!(clone.current_time().await, Err(Error::LoggedOut)));
    assert_eq!(server.count("CurrentTime"), 0);
}

#[tokio::test]
async fn logging_out_of_a_dead_session_is_no_error() {
    let server = server("Logout", |_, _| Reply::fault("NotAuthenticated")).await;
    let client = Client::connect(server.options()).await.unwrap();
    client.logout().await.unwrap();
    assert_eq!(server.count("Login"), 1);
}

#[tokio::test]
async fn a_vm_is_read_with_the_path_of_its_folders() {
    let server = server("RetrievePropertiesEx", |_, seen| {
        let property = |name: &str, val: &str| format!("<propSet><name>{name}</name>{val}</propSet>");
        let object = |kind: &str, id: &str, properties: &str| {
            Reply::answer("RetrievePropertiesEx", &format!("<returnval><objects><obj type=\"{kind}\">{id}</obj>{properties}</objects></returnval>"))
        };
        let place = |kind: &str, id: &str, name: &str, parent: &str| {
            object(kind, id, &format!("{}{parent}", property("name", &format!("<val>{name}</val>"))))
        };
        let parent = |kind: &str, id: &str| property("parent", &format!("<val type=\"{kind}\" xsi:type=\"ManagedObjectReference\">{id}</val>"));
        match seen.operation() {
            o if o.contains(">vm-1</obj>") => object("VirtualMachine", "vm-1", &format!("{}{}", property("name", "<val>app01</val>"), parent("Folder", "group-v3"))),
            o if o.contains(">group-v3</obj>") => place("Folder", "group-v3", "vm", &parent("Datacenter", "dc-1")),
            o if o.contains(">dc-1</obj>") => place("Datacenter", "dc-1", "DC0", &parent("Folder", "group-x")),
            _ => Reply::fault("NoPermission"),
        }
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let read = client.vm(&vm()).await.unwrap();
    assert_eq!(
        (read.name.as_str(), read.folder_path.as_str()),
        ("app01", "DC0/vm")
    );
    assert_eq!(read.moref(), vm());
    let gone = client.vm(&Moref::vm("vm-9")).await.unwrap_err();
    assert_eq!(gone.fault_type(), Some("NoPermission"));
}

/// Futures must be able to move between the threads of the runtime.
#[test]
fn calls_are_send_and_the_client_is_shared() {
    fn send<T: Send>(_: impl FnOnce(&'static Client) -> T) {}
    fn shared<T: Clone + Send + Sync>() {}
    shared::<Client>();
    send(Client::vms);
    send(|client| client.find_vm("x"));
    send(|client| client.vm(Box::leak(Box::new(vm()))));
    send(Client::logout);
    send(|client| {
        client.query_changed_disk_areas(
            Box::leak(Box::new(vm())),
            Box::leak(Box::new(vm())),
            1,
            0,
            "*",
        )
    });
    send(|client| client.create_snapshot(Box::leak(Box::new(vm())), "", "", false, false));
}
