//! Answers that no good server sends: each is a clear error in bounded time and memory.

use std::time::{Duration, Instant};

use super::server;
use crate::vsphere::test_server::{Reply, envelope};
use crate::vsphere::{Client, Error, Moref, TaskRef, XmlError};

/// What the client says to this answer of `CurrentTime`.
async fn refused(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Error {
    let server = server("CurrentTime", move |_, _| reply()).await;
    let mut options = server.options();
    options.retry.attempts = 1;
    options.timeouts.total = Duration::from_secs(3);
    options.max_body_bytes = 8 << 20;
    let client = Client::connect(options).await.unwrap();
    client.current_time().await.unwrap_err()
}

async fn refused_xml(body: String) -> XmlError {
    match refused(move || Reply::xml(200, &body)).await {
        Error::Xml { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

fn answer(inside: &str) -> String {
    envelope(&format!(
        "<CurrentTimeResponse xmlns=\"urn:vim25\">{inside}</CurrentTimeResponse>"
    ))
}

#[tokio::test]
async fn xml_that_is_no_answer() {
    let whole = answer("<returnval>2026-01-15T09:00:00Z</returnval>");
    let cut = whole[..whole.len() / 2].to_owned();
    assert!(matches!(refused_xml(cut).await, XmlError::Truncated { .. }));
    let deep = answer(&format!(
        "{}{}",
        "<a>".repeat(100_000),
        "</a>".repeat(100_000)
    ));
    assert!(matches!(refused_xml(deep).await, XmlError::TooDeep { .. }));
    let bomb = format!(
        "<!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;\">]>{}",
        answer("<returnval>&b;</returnval>")
            .split_once("?>")
            .unwrap()
            .1
    );
    assert_eq!(refused_xml(bomb).await, XmlError::DocType);
    let unknown = answer("<returnval>&lol;</returnval>");
    assert!(matches!(
        refused_xml(unknown).await,
        XmlError::Entity { .. }
    ));
    let many = answer(&"<a/>".repeat(1_900_000));
    // Many elements alone are no crime, a missing result is.
    assert!(matches!(refused_xml(many).await, XmlError::Missing { .. }));
    let latin = whole.replace("UTF-8", "ISO-8859-1");
    assert!(matches!(
        refused_xml(latin).await,
        XmlError::Encoding { .. }
    ));
}

#[tokio::test]
async fn bytes_that_are_no_text() {
    let error = refused(|| Reply::Full {
        status: 200,
        headers: vec!["Content-Type: text/xml".to_owned()],
        body: answer("<returnval>\u{fc}</returnval>")
            .chars()
            .map(|c| c as u8)
            .collect(),
    })
    .await;
    let Error::Xml { source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(source, XmlError::NotUtf8);
}

#[tokio::test]
async fn a_soap_1_2_envelope_and_a_strange_answer() {
    let whole = answer("<returnval>2026-01-15T09:00:00Z</returnval>");
    let newer = whole.replace(
        "http://schemas.xmlsoap.org/soap/envelope/",
        "http://www.w3.org/2003/05/soap-envelope",
    );
    let strange = whole.replace("CurrentTime", "Login");
    for body in [newer, strange, "<html/>".to_owned()] {
        let error = refused(move || Reply::xml(200, &body)).await;
        assert!(matches!(error, Error::BadAnswer { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn answers_of_foreign_namespaces_are_refused_by_name() {
    let with = |namespace: &str, inside: &str| {
        envelope(&format!(
            "<CurrentTimeResponse xmlns=\"{namespace}\">{inside}</CurrentTimeResponse>"
        ))
    };
    let time = "<returnval>2026-01-15T09:00:00Z</returnval>";
    for namespace in ["urn:pbm", "urn:vim2", "http://www.w3.org/1999/xhtml"] {
        let body = with(namespace, time);
        let error = refused(move || Reply::xml(200, &body)).await;
        assert!(
            matches!(&error, Error::BadAnswer { what, .. } if what.contains("CurrentTimeResponse of a foreign namespace")),
            "{error:?}"
        );
    }
    // The result itself, inside an answer that is one.
    let foreign = with(
        "urn:vim25",
        "<p:returnval xmlns:p=\"urn:pbm\">2026-01-15T09:00:00Z</p:returnval>",
    );
    assert!(matches!(
        refused_xml(foreign).await,
        XmlError::Missing {
            element: "returnval",
            ..
        }
    ));
    // A fault that is none of SOAP's is no fault, and none of the server's words are taken.
    let fault = envelope(
        "<Fault xmlns=\"urn:pbm\"><faultstring>trust me</faultstring><detail><InvalidLoginFault/></detail></Fault>",
    );
    let error = refused(move || Reply::xml(500, &fault)).await;
    assert!(matches!(error, Error::BadAnswer { .. }), "{error:?}");
    assert_eq!(error.fault(), None);
    // Internal methods answer in either of their two namespaces.
    let server = server("CurrentTime", move |call, _| {
        let namespace = ["urn:vim25", "urn:internalvim25"][call % 2];
        Reply::xml(200, &with(namespace, time))
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    for _ in 0..2 {
        client.current_time().await.unwrap();
    }
    client.logout().await.unwrap();
}

#[tokio::test]
async fn pages_of_proxies_and_wrong_content_types() {
    let page = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><hr></html>";
    for status in [502, 503, 504, 404, 403] {
        let error = refused(move || Reply::typed(status, "text/html", page)).await;
        assert!(matches!(error, Error::HttpStatus { status: s, .. } if s == status));
        assert_eq!(error.is_retryable(), status > 500);
    }
    for content_type in ["text/html", "application/json", "text/plain; charset=utf-8"] {
        let error = refused(move || Reply::typed(200, content_type, page)).await;
        let Error::NotXml {
            content_type: named,
            beginning,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(named, content_type);
        assert!(beginning.starts_with("<!DOCTYPE html>"));
    }
}

#[tokio::test]
async fn a_server_that_drips_runs_out_of_time() {
    let drip = |start: &str| {
        let start = start.as_bytes().to_vec();
        move || Reply::Drip {
            start: start.clone(),
            pause: Duration::from_millis(30),
        }
    };
    let body = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 1000000\r\n\r\n<a";
    for start in ["HTTP/1.1 200 OK\r\nX-Slow: ", body] {
        let begun = Instant::now();
        let error = refused(drip(start)).await;
        assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

#[tokio::test]
async fn heads_without_end_are_cut_off() {
    let error = refused(|| Reply::Full {
        status: 200,
        headers: (0..200_000).map(|n| format!("X-{n}: y")).collect(),
        body: Vec::new(),
    })
    .await;
    assert!(matches!(error, Error::Transport { .. }), "{error:?}");
}

#[tokio::test]
async fn a_gzip_bomb_is_cut_off_where_it_is_unpacked() {
    // 64 MiB of blanks in 64 kB.
    let error = refused(|| Reply::Full {
        status: 200,
        headers: vec![
            "Content-Type: text/xml".to_owned(),
            "Content-Encoding: gzip".to_owned(),
        ],
        body: include_bytes!("../testdata/answers/blanks.gz").to_vec(),
    })
    .await;
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
    let error = refused(|| Reply::Full {
        status: 200,
        headers: vec![
            "Content-Type: text/xml".to_owned(),
            "Content-Encoding: gzip".to_owned(),
        ],
        body: b"this is not gzip".to_vec(),
    })
    .await;
    assert!(matches!(error, Error::Transport { .. }), "{error:?}");
}

/// What the client says to it stays short, and is short inside too.
fn assert_bounded(error: &Error, limit_chars: usize) {
    let mut said = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        said.push_str(&cause.to_string());
        source = cause.source();
    }
    let chars = said.chars().count();
    assert!(chars < limit_chars, "{chars} characters");
}

#[tokio::test]
async fn faults_of_megabytes_are_told_in_short() {
    const LONG_BYTES: usize = 1 << 20;
    let long = "x".repeat(LONG_BYTES);
    let detail = format!(
        "<faultMessage><key>k</key><message>{long}</message></faultMessage><reason>{long}</reason>"
    );
    let fault = format!(
        "<soapenv:Fault><faultstring>{long}</faultstring><detail><SystemErrorFault xmlns=\"urn:vim25\" xsi:type=\"SystemError\">{detail}</SystemErrorFault></detail></soapenv:Fault>"
    );
    let error = refused(move || Reply::xml(500, &envelope(&fault))).await;
    assert_eq!(error.fault_type(), Some("SystemError"));
    let kept = error.fault().unwrap();
    for text in [
        &kept.message,
        &kept.details[0],
        &kept.field("reason").unwrap().to_owned(),
    ] {
        assert_eq!(text.chars().count(), 1000);
        assert!(text.ends_with("x…"));
    }
    assert_bounded(&error, 10_000);
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_told_in_short() {
    let long = "x".repeat(1 << 20);
    let value = answer(&format!("<returnval><{long}/></returnval>"));
    let open = answer(&format!("<{long}></y{long}>"));
    let entity = answer(&format!("<returnval>&{long};</returnval>"));
    for body in [value, open, entity] {
        let error = refused(move || Reply::xml(200, &body)).await;
        assert!(matches!(error, Error::Xml { .. }));
        assert_bounded(&error, 10_000);
    }
    let stranger = envelope(&format!("<{long}/>"));
    let error = refused(move || Reply::xml(200, &stranger)).await;
    assert!(matches!(error, Error::BadAnswer { .. }));
    assert_bounded(&error, 10_000);
}

#[tokio::test]
async fn a_task_with_an_endless_name_is_told_in_short() {
    let server = server("RetrievePropertiesEx", |_, _| {
        let long = "x".repeat(1 << 20);
        Reply::answer(
            "RetrievePropertiesEx",
            &format!(
                "<returnval><objects><obj type=\"Task\">task-1</obj><propSet><name>info</name><val xsi:type=\"TaskInfo\"><name>{long}</name><state>error</state><error><fault xsi:type=\"FileFault\"><file>{long}</file></fault><localizedMessage>{long}</localizedMessage></error></val></propSet></objects></returnval>"
            ),
        )
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let task = TaskRef(Moref::new("Task", "task-1"));
    let error = client
        .wait_task(&task, Duration::from_secs(20), &mut |_| {}, &|| false)
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::TaskFailed { name, .. } if name.chars().count() == 1000));
    assert_bounded(&error, 10_000);
    client.logout().await.unwrap();
}

#[tokio::test]
async fn an_endless_reference_is_refused() {
    let server = server("CreateSnapshot_Task", |_, _| {
        let long = "x".repeat(1 << 20);
        Reply::answer(
            "CreateSnapshot_Task",
            &format!("<returnval type=\"Task\">{long}</returnval>"),
        )
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let vm = super::vm();
    let made = client.create_snapshot(&vm, "n", "d", false, false).await;
    let error = made.unwrap_err();
    assert!(matches!(
        &error,
        Error::Xml {
            source: XmlError::TooMany { limit: 1000, .. },
            ..
        }
    ));
    assert_bounded(&error, 10_000);
    client.logout().await.unwrap();
}
