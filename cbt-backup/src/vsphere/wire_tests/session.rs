//! Sessions: handed over, kept alive, renewed, refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{server, time, usual_server};
use crate::secret::Secret;
use crate::vsphere::test_server::{Reply, Seen, TestServer, usual};
use crate::vsphere::{Client, ConnectOptions, Error, Trust};

const CURRENT: &str = "<propSet><name>currentSession</name><val xsi:type=\"UserSession\"><key>key-7</key><userName>VSPHERE.LOCAL\\backup</userName><fullName>Backup</fullName><loginTime>2026-01-15T09:00:00Z</loginTime></val></propSet>";

fn current_session(properties: &str) -> Reply {
    Reply::answer(
        "RetrievePropertiesEx",
        &format!(
            "<returnval><objects><obj type=\"SessionManager\">SessionManager</obj>{properties}</objects></returnval>"
        ),
    )
}

fn handed_over(server: &TestServer, cookie: &str) -> ConnectOptions {
    let mut options = server.options();
    options.password = Secret::new(String::new());
    options.session = Some(Secret::new(cookie.to_owned()));
    options
}

#[tokio::test]
async fn a_session_handed_over_is_used_and_left_as_it_is() {
    for cookie in ["\"abc\"", "vmware_soap_session=\"abc\""] {
        let server = server("RetrievePropertiesEx", |_, _| current_session(CURRENT)).await;
        let client = Client::connect(handed_over(&server, cookie)).await.unwrap();
        client.current_time().await.unwrap();
        let user = client.user_session().unwrap();
        assert_eq!(
            (user.key.as_str(), user.full_name.as_str()),
            ("key-7", "Backup")
        );
        assert_eq!(user.user_name, "VSPHERE.LOCAL\\backup");
        assert!(user.login_time.is_some());
        assert_eq!(client.session_cookie().unwrap().expose(), "\"abc\"");
        client.logout().await.unwrap();
        assert!(matches!(client.current_time().await, Err(Error::LoggedOut)));
        assert_eq!(server.count("Login") + server.count("Logout"), 0);
        for request in &server.seen()[2..] {
            assert_eq!(
                request.header("Cookie"),
                Some("vmware_soap_session=\"abc\"")
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_cookie_is_told_as_such_and_not_shown() {
    let server = usual_server().await;
    for cookie in [
        "",
        "vmware_soap_session=",
        "a; b=c",
        "s3cret\nb",
        "s3cret\u{1}",
    ] {
        let error = Client::connect(handed_over(&server, cookie))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::BadCookie), "{cookie:?}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}

/// A server without the optional managers, which answers questions for properties by `script`.
async fn plain_server(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> TestServer {
    TestServer::start(move |seen| match seen.method() {
        "RetrieveServiceContent" => Reply::answer(
            "RetrieveServiceContent",
            "<returnval><rootFolder type=\"Folder\">group-d1</rootFolder><propertyCollector type=\"PropertyCollector\">propertyCollector</propertyCollector><about><name>Plain</name><apiType>VirtualCenter</apiType></about></returnval>",
        ),
        "RetrievePropertiesEx" => script(seen),
        _ => usual(seen, 0),
    })
    .await
}

#[tokio::test]
async fn without_a_session_manager_nobody_logs_in_but_a_session_is_used() {
    let server = plain_server(|_| panic!("nothing is read")).await;
    let error = Client::connect(server.options()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::NotOffered {
                what: "session manager"
            }
        ),
        "{error:?}"
    );
    assert_eq!(server.count("Login"), 0);
    let client = Client::connect(handed_over(&server, "abc")).await.unwrap();
    assert_eq!(server.count("CurrentTime"), 1);
    assert!(client.user_session().is_none());
    client.logout().await.unwrap();
}

#[tokio::test]
async fn without_a_view_manager_the_inventory_is_walked() {
    let place = |kind: &str, id: &str, more: &str| {
        format!(
            "<objects><obj type=\"{kind}\">{id}</obj><propSet><name>name</name><val>{id}</val></propSet>{more}</objects>"
        )
    };
    let parent = "<propSet><name>parent</name><val type=\"Folder\" xsi:type=\"ManagedObjectReference\">group-v3</val></propSet>";
    let server = plain_server(move |seen| {
        let objects = if seen.operation().contains("<type>VirtualMachine</type>") {
            // The walk meets folders on its way; the question did not want them.
            place("Folder", "group-v3", "") + &place("VirtualMachine", "vm-1", parent)
        } else {
            place("Folder", "group-v3", "") + &place("ClusterComputeResource", "domain-c1", "")
        };
        assert!(seen.operation().contains("<name>folderTSpec</name>"));
        Reply::answer(
            "RetrievePropertiesEx",
            &format!("<returnval>{objects}</returnval>"),
        )
    })
    .await;
    let client = Client::connect(handed_over(&server, "abc")).await.unwrap();
    let vms = client.vms().await.unwrap();
    let paths: Vec<&str> = vms.iter().map(|vm| vm.path.as_str()).collect();
    assert_eq!(paths, ["group-v3/vm-1"]);
    assert_eq!(server.count("CreateContainerView"), 0);
    assert_eq!(server.count("DestroyView"), 0);
    assert_eq!(server.count("RetrievePropertiesEx"), 2);
}

#[tokio::test]
async fn a_session_that_is_gone_is_told_as_such() {
    let hidden = "<missingSet><path>currentSession</path><fault><fault xsi:type=\"NotAuthenticated\"/></fault></missingSet>";
    for properties in ["", hidden] {
        let server = server("RetrievePropertiesEx", move |_, _| {
            current_session(properties)
        })
        .await;
        let connected = Client::connect(handed_over(&server, "abc")).await;
        assert!(
            matches!(connected, Err(Error::SessionGone { .. })),
            "{connected:?}"
        );
        assert_eq!(server.count("Login"), 0);
    }
    let server = usual_server().await;
    let trust = Trust::Thumbprint(server.thumbprints().sha256);
    let address = server.address().parse().unwrap();
    let options = ConnectOptions::with_session(address, Secret::new("abc".to_owned()), trust);
    assert!(!format!("{options:?}").contains("abc"));
}

#[tokio::test]
async fn a_session_handed_over_can_t_be_renewed() {
    let server = TestServer::start(|seen| match seen.method() {
        "RetrievePropertiesEx" => current_session(CURRENT),
        "CurrentTime" => Reply::fault("NotAuthenticated"),
        _ => usual(seen, 0),
    })
    .await;
    let client = Client::connect(handed_over(&server, "abc")).await.unwrap();
    let ended = client.current_time().await;
    assert!(matches!(ended, Err(Error::SessionGone { .. })), "{ended:?}");
    assert_eq!(server.count("Login"), 0);
}

#[tokio::test]
async fn the_login_tells_who_is_logged_in() {
    let server = server("Login", |_, _| {
        Reply::answer("Login", "<returnval><key>k</key><userName>U</userName><fullName>F</fullName><loginTime>2023-12-14T06:53:33.763524Z</loginTime></returnval>").with_cookie("c")
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    assert_eq!(client.user_session().unwrap().user_name, "U");
    assert_eq!(client.session_cookie().unwrap().expose(), "\"c\"");
    client.logout().await.unwrap();
    assert!(client.user_session().is_none() && client.session_cookie().is_none());
}

#[tokio::test]
async fn an_idle_session_is_kept_alive_until_the_end() {
    let server = usual_server().await;
    let mut options = server.options();
    options.keep_alive = Some(Duration::from_millis(20));
    let client = Client::connect(options).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), async {
        while server.count("CurrentTime") < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    client.logout().await.unwrap();
    let methods: Vec<String> = server
        .seen()
        .iter()
        .map(|s| s.method().to_owned())
        .collect();
    assert_eq!(methods.iter().filter(|m| *m == "Login").count(), 1);
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_is_tried_once() {
    let logins = AtomicUsize::new(0);
    let server = TestServer::start(move |seen: &Seen| match seen.method() {
        "CurrentTime" => Reply::fault("NotAuthenticated"),
        "Login" if logins.fetch_add(1, Ordering::SeqCst) > 0 => Reply::fault("InvalidLogin"),
        _ => usual(seen, 0),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    for _ in 0..3 {
        let error = client.current_time().await.unwrap_err();
        assert!(matches!(error, Error::InvalidLogin { .. }), "{error:?}");
    }
    assert_eq!(server.count("Login"), 2);
}

#[tokio::test]
async fn a_fault_names_the_operation_as_the_servers_logs_do() {
    let server = server("CurrentTime", |call, _| match call {
        0 => Reply::fault("NotSupported"),
        _ => time(),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let error = client.current_time().await.unwrap_err();
    let sent = server.seen().pop().unwrap();
    let (_, rest) = sent.body.split_once("<operationID>").unwrap();
    let (id, _) = rest.split_once('<').unwrap();
    assert_eq!(error.fault().unwrap().operation_id.as_deref(), Some(id));
    assert_eq!(
        error.to_string(),
        format!("CurrentTime was refused: NotSupported [operation {id}]")
    );
}

#[tokio::test]
async fn a_call_given_up_during_a_login_leaves_no_session() {
    let logins = AtomicUsize::new(0);
    let server = TestServer::start(move |seen: &Seen| match seen.method() {
        "CurrentTime" => Reply::fault("NotAuthenticated"),
        "Login" if logins.fetch_add(1, Ordering::SeqCst) > 0 => Reply::Late {
            after: Duration::from_millis(300),
            then: Box::new(usual(seen, 1)),
        },
        _ => usual(seen, 0),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let call = {
        let client = client.clone();
        tokio::spawn(async move { client.current_time().await })
    };
    while server.count("Login") < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    client.logout().await.unwrap();
    let seen = server.seen();
    let last = seen.last().unwrap();
    assert_eq!(last.method(), "Logout");
    // That of the second login, which nobody waited for any more.
    let cookie = last.header("cookie").unwrap();
    assert!(cookie.contains("cookie-1"), "{cookie}");
}
