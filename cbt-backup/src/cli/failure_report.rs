//! How a failure is told: for people, and with `--json` as a line of its own.

use serde_json::{Value, json};

use super::{
    exit_code::Failure,
    output::{Output, note, printable},
};

impl Failure {
    /// Tells it on standard error, and in JSON on standard output too.
    pub fn tell(&self, output: Output) {
        note(&self.text());
        self.tell_machines(output);
    }

    /// With `--json` tells it on standard output.
    pub fn tell_machines(&self, output: Output) {
        if output.json {
            output.json_line(&self.json());
        }
    }

    /// For people: what servers say of themselves must not drive their terminal.
    fn text(&self) -> String {
        let error = printable_lines(&self.to_string());
        match &self.hint {
            Some(hint) => format!("error: {error}\nhint: {}", printable(hint)),
            None => format!("error: {error}"),
        }
    }

    fn json(&self) -> Value {
        let mut line = json!({
            "version": 1, "type": "error", "exit_code": self.code as u8,
            "message": self.to_string(), "hint": self.hint,
        });
        if let Some(vm) = &self.vm {
            line["vm"] = json!(vm.name);
            line["vm_path"] = json!(vm.path);
        }
        line
    }
}

/// Keeps the line breaks of our own lists and nothing else that could drive a terminal.
fn printable_lines(text: &str) -> String {
    text.split('\n')
        .map(printable)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use crate::cli::exit_code::{ExitCode, FailedVm, Failure};

    #[test]
    fn a_failure_is_told_with_its_vm_and_drives_no_terminal() {
        let mut failure = Failure::new(ExitCode::Vsphere, anyhow!("fault \u{1b}[2J\nsecond\r"))
            .with_hint("look \u{202e}there");
        assert_eq!(
            failure.text(),
            "error: fault \\u{1b}[2J\nsecond\\r\nhint: look \\u{202e}there"
        );
        assert_eq!(failure.json()["vm"], serde_json::Value::Null);
        failure.vm = Some(FailedVm {
            name: "app01".to_owned(),
            path: "DC0/vm/app01".to_owned(),
        });
        let line = failure.json();
        assert_eq!(
            (
                &line["type"],
                &line["exit_code"],
                &line["vm"],
                &line["vm_path"]
            ),
            (
                &"error".into(),
                &13.into(),
                &"app01".into(),
                &"DC0/vm/app01".into()
            )
        );
        assert_eq!(line["message"], "fault \u{1b}[2J\nsecond\r");
    }
}
