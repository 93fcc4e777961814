//! The program.

use std::process::Output;

use super::simulator::Simulator;

#[track_caller]
fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn vms_lists_them() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let text = stdout(&simulator.program(&["vms"]).await);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 1 + 4, "{text}");
    assert!(
        rows[1..]
            .iter()
            .any(|row| row[1] == "DC0_H0_VM0" && row[2] == "DC0/vm/DC0_H0_VM0"),
        "{text}"
    );

    let text = stdout(&simulator.program(&["vms", "--json"]).await);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vms = document["vms"].as_array().unwrap();
    assert_eq!(vms.len(), 4);
    assert_eq!(vms[0]["power_state"], "on");
}
