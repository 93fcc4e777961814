//! Calls that act: bounds of what is sent, and what their answers say.

use super::authorization::read_entity_privileges;
use super::datastore_file::read_ticket;
use super::envelope::read_answer;
use super::lifecycle::answer_operation;
use super::moref::Moref;
use super::operation::Operation;
use super::snapshot::{Quiesce, create_ex_operation};

#[track_caller]
fn sends(operation: &Operation, wanted: &str) {
    let envelope = operation.envelope("id").unwrap();
    let sent = std::str::from_utf8(&envelope).unwrap();
    assert!(sent.contains(wanted), "{sent}");
}

#[test]
fn a_time_limit_is_brought_into_the_range_that_servers_take() {
    for (minutes, sent) in [(0, 5), (5, 5), (240, 240), (10_000, 240)] {
        let quiesce = Quiesce::Limited {
            timeout_minutes: minutes,
        };
        let vm = Moref::vm("vm-1");
        let operation = create_ex_operation(&vm, "n", "", false, &quiesce);
        sends(&operation, &format!("<timeout>{sent}</timeout>"));
    }
}

#[test]
fn a_question_is_answered_by_its_id_and_the_key_of_a_choice() {
    sends(
        &answer_operation(&Moref::vm("vm-1021"), "q-1", "2"),
        "<questionId>q-1</questionId><answerChoice>2</answerChoice>",
    );
}

#[test]
fn privileges_are_read_and_the_missing_ones_named() {
    let body = include_bytes!("testdata/answers/c40-has-privilege-on-entities.xml");
    let answers = read_answer("HasPrivilegeOnEntities", body, read_entity_privileges).unwrap();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].entity, Moref::vm("vm-1021"));
    assert_eq!(answers[0].privileges.len(), 2);
    let missing: Vec<&str> = answers[0].missing().collect();
    assert_eq!(missing, ["VirtualMachine.Provisioning.DiskRandomRead"]);
}

#[test]
fn a_ticket_is_read() {
    let body = include_bytes!("testdata/answers/c39-acquire-generic-service-ticket.xml");
    let (id, host, thumbprint) =
        read_answer("AcquireGenericServiceTicket", body, read_ticket).unwrap();
    assert!(id.expose().starts_with("52e4a1c3"));
    assert_eq!(host.as_deref(), Some("esx07.example.test"));
    assert!(thumbprint.unwrap().starts_with("2F:9A"));
}
