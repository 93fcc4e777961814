//! Stopping a task, and tasks that end unseen.

use std::time::Duration;

use super::super::test_server::{Reply, TestServer, usual};
use super::{task, task_answer};
use crate::vsphere::{Client, Error};

/// A server whose task is `state`, and which answers CancelTask with `reply`.
async fn rig(state: &'static str, more: &'static str, reply: fn() -> Reply) -> TestServer {
    TestServer::start(move |seen| match seen.method() {
        "RetrievePropertiesEx" => task_answer(state, more),
        "CancelTask" => reply(),
        _ => usual(seen, 0),
    })
    .await
}

const CANCELABLE: &str = "<cancelable>true</cancelable>";

#[tokio::test]
async fn only_a_task_that_can_be_stopped_is_told_to() {
    let done: fn() -> Reply = || Reply::answer("CancelTask", "");
    let ended: fn() -> Reply = || Reply::fault("InvalidState");
    for (state, more, reply, stopped, calls) in [
        ("running", CANCELABLE, done, true, 1),
        ("running", CANCELABLE, ended, false, 1),
        ("running", "<cancelable>false</cancelable>", done, false, 0),
        ("running", "", done, false, 0),
        ("success", CANCELABLE, done, false, 0),
    ] {
        let server = rig(state, more, reply).await;
        let client = Client::connect(server.options()).await.unwrap();
        assert_eq!(client.cancel_task(&task()).await.unwrap(), stopped);
        assert_eq!(server.count("CancelTask"), calls, "{state} {more}");
    }
}

#[tokio::test]
async fn a_stopped_task_is_told_from_a_failed_one() {
    let fault = "<error><fault xsi:type=\"RequestCanceled\"/><localizedMessage>x</localizedMessage></error>";
    let server = rig("error", fault, || Reply::Silent).await;
    let client = Client::connect(server.options()).await.unwrap();
    let ended = client
        .wait_task(&task(), Duration::from_mins(1), &mut |_| {}, &|| false)
        .await;
    assert!(ended.unwrap_err().is_stopped_task());
}

#[tokio::test]
async fn a_task_that_the_server_forgot_has_ended_unseen() {
    let server = TestServer::start(move |seen| match seen.method() {
        "RetrievePropertiesEx" => Reply::fault("ManagedObjectNotFound"),
        _ => usual(seen, 0),
    })
    .await;
    let client = Client::connect(server.options()).await.unwrap();
    let ended = client
        .wait_task(&task(), Duration::from_mins(1), &mut |_| {}, &|| false)
        .await;
    assert!(
        matches!(ended, Err(Error::TaskVanished { .. })),
        "{ended:?}"
    );
}

#[tokio::test]
async fn slow_is_told_from_stuck() {
    let server = rig("running", "<progress>7</progress>", || Reply::Silent).await;
    let client = Client::connect(server.options()).await.unwrap();
    let limit = Duration::from_millis(30);
    let late = client
        .wait_task(&task(), limit, &mut |_| {}, &|| false)
        .await;
    let Err(Error::TaskTimedOut {
        still_ms,
        waited_ms,
        ..
    }) = late
    else {
        panic!("{late:?}");
    };
    assert!(
        waited_ms >= 30 && still_ms <= waited_ms,
        "{still_ms} {waited_ms}"
    );
}
