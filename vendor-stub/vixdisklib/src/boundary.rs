//! What every exported function does besides its work: faults, journal, log, no unwinding.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value, json};
use vddk_sys::{VIX_E_FAIL, VixError};

use crate::disk;
use crate::error::Failure;
use crate::fault::Ordered;
use crate::journal;
use crate::library;
use crate::log;
use crate::va_list::Arg;

/// One call: what the journal will say about it, and what a fault orders for it.
#[derive(Debug)]
pub(crate) struct Call {
    name: &'static str,
    args: Map<String, Value>,
    journalled: bool,
    ordered: Ordered,
    /// The orders were not carried out yet.
    armed: bool,
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

    /// What a fault of the lab orders for this call.
    pub(crate) fn ordered(&self) -> &Ordered {
        &self.ordered
    }

    /// Takes the orders for this call again: when it began, its lab was not known yet.
    pub(crate) fn take_orders(&mut self) {
        self.ordered = Ordered::next(self.name);
        self.armed = true;
    }

    /// Carries a fault out, once the arguments are noted and before the work.
    ///
    /// # Errors
    ///
    /// The failure that is ordered; one with code 0 stands for a success without work.
    pub(crate) fn go(&mut self) -> Result<(), Failure> {
        self.strike();
        self.fail()
    }

    /// As [`Call::go`], for a write. True: half of it is to be written before it fails for want
    /// of space.
    pub(crate) fn go_writing(&mut self) -> Result<bool, Failure> {
        if self.ordered.disk_full() {
            self.strike();
            self.armed = false;
            return Ok(true);
        }
        self.go().map(|()| false)
    }

    /// Delay, hanging, the end of the process.
    fn strike(&mut self) {
        if let Some(crash) = self.ordered.crash_name()
            && !self.ordered.crashes_after()
        {
            let args = Value::from(self.args.clone());
            journal::record(self.name, args, json!({ "crash": crash }));
        }
        self.ordered.strike();
    }

    /// Fails if that is ordered; once a call.
    fn fail(&mut self) -> Result<(), Failure> {
        if !std::mem::take(&mut self.armed) {
            return Ok(());
        }
        let Some(failure) = self.ordered.failure() else {
            return Ok(());
        };
        if self.ordered.loses_link()
            && let Some(handle) = self.args.get("handle").and_then(Value::as_u64)
        {
            disk::lose_link(handle as usize, failure.code);
        }
        Err(failure)
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

/// Runs a function that returns an error code. `Ok` carries the code of success, 0 or 25000. A
/// fault comes before anything else, so that the journal knows no arguments of such a call.
pub(crate) fn code(
    name: &'static str,
    body: impl FnOnce(&mut Call) -> Result<u32, Failure>,
) -> VixError {
    noted(name, |call| {
        if call.ordered.fails_after() {
            call.strike();
        } else {
            call.go()?;
        }
        body(call)
    })
}

/// As [`code`], but `body` notes its arguments and then calls [`Call::go`]. If it does not, the
/// call does its work and fails afterwards.
pub(crate) fn noted(
    name: &'static str,
    body: impl FnOnce(&mut Call) -> Result<u32, Failure>,
) -> VixError {
    run(name, |call| {
        let done = body(call)?;
        call.fail()?;
        Ok(done)
    })
}

/// Runs a function that ends something: the work is done even when a fault is to be returned.
pub(crate) fn ending(
    name: &'static str,
    body: impl FnOnce(&mut Call) -> Result<u32, Failure>,
) -> VixError {
    run(name, |call| {
        call.strike();
        let done = body(call)?;
        call.fail()?;
        Ok(done)
    })
}

/// Runs a function that returns no error code; `fallback` if it fails. Of a fault it knows
/// delays, crashes and the texts that the function looks up by itself.
pub(crate) fn value<T>(
    name: &'static str,
    fallback: T,
    body: impl FnOnce(&mut Call) -> Result<T, Failure>,
) -> T {
    let mut result = None;
    run(name, |call| {
        call.strike();
        result = Some(body(call)?);
        Ok(0)
    });
    result.unwrap_or(fallback)
}

fn run(name: &'static str, body: impl FnOnce(&mut Call) -> Result<u32, Failure>) -> VixError {
    // `Exit` has no lab afterwards, `InitEx` none before.
    let lab_before = library::lab();
    let mut call = Call {
        name,
        args: Map::new(),
        journalled: true,
        ordered: Ordered::default(),
        armed: true,
    };
    // Nothing of ours is half changed when a body unwinds: tables are changed in one step, and
    // poisoned locks are taken all the same.
    let done = catch_unwind(AssertUnwindSafe(|| {
        call.ordered = Ordered::next(name);
        body(&mut call)
    }));
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
    if call.ordered.crashes_after() {
        call.ordered.crash();
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
