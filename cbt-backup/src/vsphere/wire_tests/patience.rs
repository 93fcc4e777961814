//! What passes by itself, and how long it is waited for.

use super::{server, time};
use crate::vsphere::test_server::{Reply, TestServer, usual};
use crate::vsphere::{Client, Error};

fn busy() -> Reply {
    Reply::typed(503, "text/html", "<html>starting</html>")
}

/// A server that is busy at the first `times` calls of `method`.
async fn busy_server(method: &'static str, times: usize) -> TestServer {
    server(method, move |call, seen| {
        if call < times {
            busy()
        } else {
            usual(seen, call - times)
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_starts_is_waited_for_at_first_contact_and_at_the_login() {
    for method in [
        "/sdk/vimServiceVersions.xml",
        "RetrieveServiceContent",
        "Login",
    ] {
        let server = busy_server(method, 2).await;
        let client = Client::connect(server.options()).await.unwrap();
        assert_eq!(server.count(method), 3, "{method}");
        client.logout().await.unwrap();

        let server = busy_server(method, usize::MAX).await;
        let error = Client::connect(server.options()).await.unwrap_err();
        assert!(
            matches!(error, Error::HttpStatus { status: 503, .. }),
            "{error:?}"
        );
        assert_eq!(server.count(method), 3, "{method}");
    }
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again() {
    let server = server("Login", |_, _| Reply::fault("InvalidLogin")).await;
    let error = Client::connect(server.options()).await.unwrap_err();
    assert!(matches!(error, Error::InvalidLogin { .. }), "{error:?}");
    assert_eq!(server.count("Login"), 1);
}

#[tokio::test]
async fn reads_outlast_trouble_of_a_host_and_one_system_error() {
    for (fault, times, calls) in [
        ("HostCommunication", 2, 3),
        ("HostNotConnected", 1, 2),
        ("SystemError", 1, 2),
    ] {
        let server = server("CurrentTime", move |call, _| {
            if call < times {
                Reply::fault(fault)
            } else {
                time()
            }
        })
        .await;
        let client = Client::connect(server.options()).await.unwrap();
        client.current_time().await.unwrap();
        assert_eq!(server.count("CurrentTime"), calls, "{fault}");
    }
    for (fault, calls) in [
        ("HostCommunication", 3),
        ("SystemError", 2),
        ("NoPermission", 1),
    ] {
        let server = server("CurrentTime", move |_, _| Reply::fault(fault)).await;
        let client = Client::connect(server.options()).await.unwrap();
        let error = client.current_time().await.unwrap_err();
        assert_eq!(error.fault_type(), Some(fault));
        assert_eq!(server.count("CurrentTime"), calls, "{fault}");
    }
}
