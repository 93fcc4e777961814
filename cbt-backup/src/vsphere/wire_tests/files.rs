//! Files on datastores: what is sent, and what each answer means.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::test_server::{Reply, Seen, TestServer, usual};
use crate::vsphere::{
    Client, DatastoreFile, DatastorePath, Error, FilePart, Proxy, TicketMethod, Trust,
};

const URL: &str = "/folder/app%2001/app%2001.nvram?dcPath=North%2FDC0&dsName=my%20store";

fn file() -> DatastoreFile {
    DatastoreFile {
        path: "[my store] app 01/app 01.nvram"
            .parse::<DatastorePath>()
            .unwrap(),
        datacenter_path: Some("North/DC0".to_owned()),
    }
}

/// A server that answers requests for files by `script`, which gets their number.
async fn server(script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> TestServer {
    let (calls, logins) = (AtomicUsize::new(0), AtomicUsize::new(0));
    TestServer::start(move |seen| {
        let is_file = seen.head.split(' ').nth(1).unwrap().starts_with("/folder");
        if is_file {
            return script(calls.fetch_add(1, Ordering::SeqCst), seen);
        }
        let is_login = usize::from(seen.method() == "Login");
        usual(seen, logins.fetch_add(is_login, Ordering::SeqCst))
    })
    .await
}

fn reply(status: u16, body: &str) -> Reply {
    Reply::typed(status, "application/octet-stream", body)
}

async fn client(server: &TestServer) -> Client {
    Client::connect(server.options()).await.unwrap()
}

#[tokio::test]
async fn a_file_is_fetched_with_the_cookie_by_its_encoded_name() {
    let server = server(|_, _| reply(200, "nvram")).await;
    let client = client(&server).await;
    let got = client.download_file(&file(), None, 100).await.unwrap();
    assert_eq!(got, b"nvram");
    let seen = server.seen().pop().unwrap();
    assert!(
        seen.head.starts_with(&format!("GET {URL} HTTP/1.1")),
        "{}",
        seen.head
    );
    assert_eq!(
        seen.header("Cookie"),
        Some("vmware_soap_session=\"cookie-0\"")
    );
}

#[tokio::test]
async fn a_part_is_asked_for_and_nothing_else_is_taken_for_it() {
    let ranged = |range: &str, status: u16| {
        let header = format!("Content-Range: bytes {range}/100");
        Reply::Full {
            status,
            headers: vec![header],
            body: b"abcd".to_vec(),
        }
    };
    let server = server(move |call, _| match call {
        0 => ranged("8-11", 206),
        1 => ranged("0-3", 206),
        _ => reply(200, "everything"),
    })
    .await;
    let client = client(&server).await;
    let part = Some(FilePart {
        start_bytes: 8,
        length_bytes: 4,
    });
    assert_eq!(
        client.download_file(&file(), part, 100).await.unwrap(),
        b"abcd"
    );
    let seen = server.seen().pop().unwrap();
    assert_eq!(seen.header("Range"), Some("bytes=8-11"));
    for _ in 0..2 {
        let error = client.download_file(&file(), part, 100).await.unwrap_err();
        assert!(matches!(error, Error::BadAnswer { .. }), "{error}");
    }
}

#[tokio::test]
async fn more_than_the_bound_is_not_taken_told_or_untold() {
    let server = server(|call, _| match call {
        0 => reply(200, "longer than four"),
        _ => Reply::Endless,
    })
    .await;
    let client = client(&server).await;
    for _ in 0..2 {
        let error = client.download_file(&file(), None, 4).await.unwrap_err();
        assert!(
            matches!(error, Error::TooLarge { limit_bytes: 4, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_file_is_put_with_its_length() {
    let server = server(|_, _| reply(201, "")).await;
    let client = client(&server).await;
    client.upload_file(&file(), b"new nvram").await.unwrap();
    let seen = server.seen().pop().unwrap();
    assert!(
        seen.head.starts_with(&format!("PUT {URL} HTTP/1.1")),
        "{}",
        seen.head
    );
    assert_eq!(seen.header("Content-Length"), Some("9"));
    assert_eq!(seen.header("Transfer-Encoding"), None);
    assert_eq!(seen.body, "new nvram");
}

#[tokio::test]
async fn each_refusal_is_told_and_a_lost_session_renewed_once() {
    let first_login = server(|_, seen| match seen.header("Cookie") {
        Some(cookie) if cookie.contains("cookie-1") => reply(200, "x"),
        _ => reply(401, ""),
    })
    .await;
    let client = client(&first_login).await;
    client.download_file(&file(), None, 10).await.unwrap();
    assert_eq!(first_login.count("Login"), 2);
    for status in [401_u16, 403, 404, 500] {
        let server = server(move |_, _| reply(status, "secret page")).await;
        let client = self::client(&server).await;
        let error = client.download_file(&file(), None, 100).await.unwrap_err();
        let is_right = match status {
            401 | 403 => matches!(error, Error::FileRefused { .. }),
            404 => matches!(error, Error::FileMissing { .. }),
            _ => matches!(error, Error::FileBusy { .. }),
        };
        assert!(is_right, "{status}: {error}");
        let put = client.upload_file(&file(), b"x").await.unwrap_err();
        assert_eq!(put.to_string(), error.to_string());
    }
}

#[tokio::test]
async fn a_cookie_set_with_a_file_is_the_one_to_use_from_then_on() {
    let server = server(|call, _| match call {
        0 => reply(200, "x").with_cookie("anew-1"),
        1 => reply(201, "").with_cookie("anew-2"),
        2 => reply(404, "").with_cookie("anew-3"),
        _ => reply(200, "x"),
    })
    .await;
    let client = client(&server).await;
    client.download_file(&file(), None, 10).await.unwrap();
    client.upload_file(&file(), b"x").await.unwrap();
    client.download_file(&file(), None, 10).await.unwrap_err();
    client.download_file(&file(), None, 10).await.unwrap();
    client.current_time().await.unwrap();
    let seen = server.seen();
    let cookies: Vec<&str> = seen[3..]
        .iter()
        .map(|seen| seen.header("Cookie").unwrap())
        .collect();
    let cookie = |name: &str| format!("vmware_soap_session=\"{name}\"");
    let names = ["cookie-0", "anew-1", "anew-2", "anew-3", "anew-3"];
    assert_eq!(cookies, names.map(cookie));
}

#[tokio::test]
async fn a_cookie_that_comes_with_who_are_you_is_nobodys() {
    let server = server(|_, _| reply(401, "").with_cookie("nobody")).await;
    let client = client(&server).await;
    client.download_file(&file(), None, 10).await.unwrap_err();
    client.current_time().await.unwrap();
    let seen = server.seen().pop().unwrap();
    assert_eq!(
        seen.header("Cookie"),
        Some("vmware_soap_session=\"cookie-1\"")
    );
}

#[tokio::test]
async fn a_file_is_put_at_a_host_with_a_ticket_for_that() {
    let server = TestServer::start(|seen| match seen.method() {
        "AcquireGenericServiceTicket" => Reply::answer(
            "AcquireGenericServiceTicket",
            "<returnval><id>ticket-77</id></returnval>",
        ),
        "CurrentTime" => usual(seen, 0),
        _ if seen.head.starts_with("PUT /folder/") => {
            assert_eq!(seen.header("Cookie"), Some("vmware_cgi_ticket=ticket-77"));
            reply(201, "").with_cookie("of-the-host")
        }
        _ => usual(seen, 0),
    })
    .await;
    let client = client(&server).await;
    let ticket = client
        .file_ticket(TicketMethod::Put, &server.address(), &file().path)
        .await
        .unwrap();
    let asked = server.seen().pop().unwrap();
    assert!(asked.operation().contains("<method>httpPut</method>"));
    let trust = Trust::Thumbprint(server.thumbprints().sha256);
    client
        .upload_with_ticket(ticket, &trust, &Proxy::None, b"new nvram")
        .await
        .unwrap();
    assert_eq!(server.seen().pop().unwrap().body, "new nvram");
    // The host's cookie is not the session's.
    client.current_time().await.unwrap();
    let seen = server.seen().pop().unwrap();
    assert_eq!(
        seen.header("Cookie"),
        Some("vmware_soap_session=\"cookie-0\"")
    );
}

#[tokio::test]
async fn the_url_of_a_ticket_is_the_one_that_is_fetched() {
    let server = TestServer::start(|seen| match seen.method() {
        "AcquireGenericServiceTicket" => Reply::answer(
            "AcquireGenericServiceTicket",
            "<returnval><id>ticket-77</id></returnval>",
        ),
        _ => usual(seen, 0),
    })
    .await;
    let client = client(&server).await;
    for (host, shown) in [
        ("esx07.example.test", "esx07.example.test"),
        ("esx07.example.test:443", "esx07.example.test"),
        ("esx07.example.test:8443", "esx07.example.test:8443"),
        ("2001:db8::7", "[2001:db8::7]"),
    ] {
        let path = file().path;
        let ticket = client.file_ticket(TicketMethod::Get, host, &path).await;
        ticket.unwrap();
        let asked = server.seen().pop().unwrap();
        let url =
            format!("<url>https://{shown}/folder/app%2001/app%2001.nvram?dsName=my%20store</url>");
        assert!(asked.operation().contains(&url), "{}", asked.operation());
    }
}

#[tokio::test]
async fn a_ticket_is_good_for_one_file_of_the_host_and_is_not_shown() {
    let server = TestServer::start(|seen| match seen.method() {
        "AcquireGenericServiceTicket" => Reply::answer(
            "AcquireGenericServiceTicket",
            "<returnval><id>ticket-77</id></returnval>",
        ),
        path if path.starts_with("/folder") => {
            assert_eq!(seen.header("Cookie"), Some("vmware_cgi_ticket=ticket-77"));
            reply(200, "from the host")
        }
        _ => usual(seen, 0),
    })
    .await;
    let client = client(&server).await;
    let path = file().path;
    let ticket = client
        .file_ticket(TicketMethod::Get, &server.address(), &path)
        .await
        .unwrap();
    assert!(!format!("{ticket:?}").contains("ticket-77"));
    let asked = server.seen().pop().unwrap();
    assert!(
        !asked.operation().contains("dcPath"),
        "{}",
        asked.operation()
    );
    let trust = Trust::Thumbprint(server.thumbprints().sha256);
    let got = client
        .download_with_ticket(ticket, &trust, &Proxy::None, 100)
        .await;
    assert_eq!(got.unwrap(), b"from the host");
}
