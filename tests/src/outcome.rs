//! What a run of the program left: exit code, output, and the JSON in it.

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use serde_json::{Deserializer, Value};

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// One disk of a backup's result.
#[derive(Clone, Debug)]
pub struct DiskLine(Value);

impl Outcome {
    /// What `output` says.
    pub fn new(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test unless the exit code is this one.
    ///
    /// # Panics
    ///
    /// On any other code.
    #[track_caller]
    #[must_use = "look at what it did, or say `let _`"]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "another exit code is expected: {self:#?}"
        );
        self
    }

    /// Fails the test unless standard error has this text.
    ///
    /// # Panics
    ///
    /// When it has not.
    #[track_caller]
    #[must_use = "look at what it did, or say `let _`"]
    pub fn expect_said(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "{text:?} was not said: {self:#?}"
        );
        self
    }

    /// The JSON values of standard output: the lines of long work, or the one document of a query.
    ///
    /// # Panics
    ///
    /// When there is anything else on standard output.
    #[track_caller]
    pub fn values(&self) -> Vec<Value> {
        let mut values = Vec::new();
        for value in Deserializer::from_str(&self.stdout).into_iter() {
            match value {
                Ok(value) => values.push(value),
                Err(error) => panic!("no JSON on standard output ({error}): {self:#?}"),
            }
        }
        values
    }

    /// The last JSON value, which is the result.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn result(&self) -> Value {
        match self.values().pop() {
            Some(value) => value,
            None => panic!("nothing on standard output: {self:#?}"),
        }
    }

    /// The point that a backup made.
    ///
    /// # Panics
    ///
    /// When the result names none.
    #[track_caller]
    pub fn point(&self) -> String {
        match self.point_if_any() {
            Some(point) => point,
            None => panic!("no point was made: {self:#?}"),
        }
    }

    /// The point that a backup made, if it made one.
    pub(crate) fn point_if_any(&self) -> Option<String> {
        let last = self.stdout.lines().last()?;
        let value: Value = serde_json::from_str(last).ok()?;
        (value["type"] == "result").then(|| value["point"].as_str().map(str::to_owned))?
    }

    /// The result's line about a disk.
    ///
    /// # Panics
    ///
    /// When the result has no such disk.
    #[track_caller]
    pub fn disk(&self, device_key: i32) -> DiskLine {
        let result = self.result();
        let found = result["disks"].as_array().into_iter().flatten();
        match found
            .into_iter()
            .find(|disk| disk["device_key"] == device_key)
        {
            Some(disk) => DiskLine(disk.clone()),
            None => panic!("no disk {device_key} in {self:#?}"),
        }
    }

    /// The kinds of the result's events, in order.
    ///
    /// # Panics
    ///
    /// When there is no result.
    #[track_caller]
    pub fn events(&self) -> Vec<String> {
        let result = self.result();
        let events = result["events"].as_array().into_iter().flatten();
        events
            .filter_map(|event| event["kind"].as_str().map(str::to_owned))
            .collect()
    }
}

impl DiskLine {
    /// A number of bytes by its name.
    ///
    /// # Panics
    ///
    /// When it is no number.
    #[track_caller]
    pub fn bytes(&self, name: &str) -> u64 {
        match self.0[name].as_u64() {
            Some(bytes) => bytes,
            None => panic!("{name} is no number in {}", self.0),
        }
    }

    /// A text by its name; empty when it is null.
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }
}
