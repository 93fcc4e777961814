//! What every exported function does besides its work: faults, journal, log, no unwinding.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};
use vddk_sys::{VIX_E_FAIL, VixError};

use crate::error::Failure;
use crate::journal;
use crate::library;
use crate::log;
use crate::va_list::Arg;

/// One call: what the journal will say about it.
#[derive(Debug)]
pub(crate) struct Call {
    name: &'static str,
    args: Map<String, Value>,
    journalled: bool,
}

impl Call {
    /// Notes an argument or a result for the journal. Never a password.
    pub(crate) fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.args.insert(name.into(), value.into());
    }

    /// What was noted so far.
    pub(crate) fn noted(&self) -> &Map<String, Value> {
        &self.args
    }

    /// The name of the function.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Writes the line of this call now, while its lab is still known.
    pub(crate) fn record(&self, code: u32) {
        let args = Value::from(self.args.clone());
        journal::record(self.name, args, json!({ "code": code }));
    }

    /// Leaves this call out of the journal, if it goes well: it is summed up elsewhere.
    pub(crate) fn leave_out(&mut self) {
        self.journalled = false;
    }
}

/// Runs a function that returns an error code. `Ok` carries the code of success, 0 or 25000.
pub(crate) fn code(
    name: &'static str,
    body: impl FnOnce(&mut Call) -> Result<u32, Failure>,
) -> VixError {
    run(name, |call| match inject(name) {
        Some(failure) => Err(failure),
        None => body(call),
    })
}

/// Runs a function that ends something: the work is done even when a fault is to be returned.
pub(crate) fn ending(
    name: &'static str,
    body: impl FnOnce(&mut Call) -> Result<u32, Failure>,
) -> VixError {
    run(name, |call| {
        let fault = inject(name);
        let done = body(call)?;
        fault.map_or(Ok(done), Err)
    })
}

/// Runs a function that returns no error code; `fallback` if it fails.
pub(crate) fn value<T>(
    name: &'static str,
    fallback: T,
    body: impl FnOnce(&mut Call) -> Result<T, Failure>,
) -> T {
    let mut result = None;
    run(name, |call| {
        result = Some(body(call)?);
        Ok(0)
    });
    result.unwrap_or(fallback)
}

/// The failure that a fault of the lab asks for, after the delay it asks for.
pub(crate) fn inject(name: &str) -> Option<Failure> {
    let ordered = ordered(name);
    thread::sleep(ordered.delay);
    ordered.failure
}

/// What a fault of the lab asks for.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    /// To wait before anything else.
    pub(crate) delay: Duration,
    /// To fail with.
    pub(crate) failure: Option<Failure>,
}

/// Counts a call, and tells what a fault of the lab asks for.
pub(crate) fn ordered(name: &str) -> Ordered {
    let Some(fault) = next_fault(name) else {
        return Ordered::default();
    };
    let delay = Duration::from_millis(fault.delay_ms.unwrap_or(0));
    let failure = fault.code.map(|code| {
        let message = fault.message.unwrap_or_else(|| "fault of the lab".into());
        Failure::new(u32::try_from(code).unwrap_or(VIX_E_FAIL), message)
    });
    Ordered { delay, failure }
}

fn next_fault(name: &str) -> Option<lab::Fault> {
    let lab = library::lab()?;
    match lab.faults().next(name) {
        Ok(fault) => fault,
        Err(error) => {
            let error = log::c_text(&error.to_string());
            log::warn(c"VixDiskLib: faults not read: %s\n", &[Arg::Text(&error)]);
            None
        }
    }
}

fn run(name: &'static str, body: impl FnOnce(&mut Call) -> Result<u32, Failure>) -> VixError {
    // `Exit` has no lab afterwards, `InitEx` none before.
    let lab_before = library::lab();
    let mut call = Call {
        name,
        args: Map::new(),
        journalled: true,
    };
    // Nothing of ours is half changed when a body unwinds: tables are changed in one step, and
    // poisoned locks are taken all the same.
    let done = catch_unwind(AssertUnwindSafe(|| body(&mut call)));
    let (code, failure) = match done {
        Ok(Ok(code)) => (code, None),
        Ok(Err(failure)) => (failure.code, Some(failure)),
        Err(_) => {
            let failure = Failure::new(VIX_E_FAIL, "the stand-in panicked");
            (failure.code, Some(failure))
        }
    };
    if let Some(failure) = &failure {
        explain(call.name, failure);
    }
    if (call.journalled || failure.is_some())
        && let Some(lab) = library::lab().or(lab_before)
    {
        let args = Value::from(call.args);
        journal::record_in(&lab, call.name, args, json!({ "code": code }));
    }
    VixError::from(code)
}

/// Says in the log why a call failed.
pub(crate) fn explain(name: &str, failure: &Failure) {
    if failure.message.is_empty() {
        return;
    }
    let name = log::c_text(name);
    let message = log::c_text(&failure.message);
    log::warn(
        c"VixDiskLib: %s: %s (error %u)\n",
        &[
            Arg::Text(&name),
            Arg::Text(&message),
            Arg::Number(u64::from(failure.code)),
        ],
    );
}
