//! How far a long call is.

use std::{
    cell::Cell,
    ffi::{c_int, c_void},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, TryLockError},
};

use vddk_sys::{Symbols, VixDiskLibProgressFunc};

use crate::{Error, callback, control::Control};

/// Hundredths that are done, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u8);

impl Percent {
    /// The number, 0 to 100.
    pub fn get(self) -> u8 {
        self.0
    }

    /// What the library says, brought into its bounds.
    fn of(reported: c_int) -> Self {
        u8::try_from(reported.clamp(0, 100)).map_or(Self(100), Self)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// What is told how far a long call is; or nothing.
///
/// It is called on this crate's control thread, inside the library, so it should be quick: until it
/// returns nothing goes on. What it does with this crate's connections and disks, other than reading
/// and writing, is refused with [`Error::Stuck`]. The same percentage may come more than once. A
/// panic in it is logged and ends the reports, not the call, and there is no way to stop the call
/// (VDDK API reference, 1.1).
#[derive(Default)]
pub struct Progress(Option<Reporter>);

type Told = Box<dyn FnMut(Percent) + Send>;

impl Progress {
    /// Nobody is told.
    pub fn none() -> Self {
        Self::default()
    }

    /// `told` is told.
    pub fn new(told: impl FnMut(Percent) + Send + 'static) -> Self {
        Self(Some(Reporter {
            told: Mutex::new(Some(Box::new(told))),
            function: "",
        }))
    }

    /// Runs `call` on the control thread, without a limit of time, with what the library wants to
    /// report to. `function` is what it calls.
    pub(crate) fn run<R: Send + 'static>(
        self,
        control: &Control,
        function: &'static str,
        call: impl FnOnce(&'static Symbols, Report) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let (made, progress) = control.run_long(function, move |symbols| {
            let mut progress = self;
            let report = progress.report(function);
            let made = call(symbols, report);
            // Dropped by the caller: what it holds may close disks, which is a call of its own.
            (made, progress)
        })?;
        drop(progress);
        made
    }

    /// What the library is given. It is good as long as `self` stays where it is.
    fn report(&mut self, function: &'static str) -> Report {
        match &mut self.0 {
            None => Report {
                function: None,
                data: std::ptr::null_mut(),
            },
            Some(reporter) => {
                reporter.function = function;
                Report {
                    function: Some(callback::progress),
                    data: (&raw mut *reporter).cast(),
                }
            }
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "Progress(told)",
            None => "Progress(none)",
        })
    }
}

/// A progress function for the library and the data it wants with it; both NULL where nobody is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) function: VixDiskLibProgressFunc,
    pub(crate) data: *mut c_void,
}

/// What the library's progress data points to.
pub(crate) struct Reporter {
    /// Gone after a panic.
    told: Mutex<Option<Told>>,
    /// What reports.
    function: &'static str,
}

thread_local! {
    /// The function whose progress is being told on this thread.
    static RUNNING: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The function whose progress is being told on this thread: the library must not be called then.
pub(crate) fn running() -> Option<&'static str> {
    RUNNING.get()
}

impl Reporter {
    /// Tells; a panic ends here.
    pub(crate) fn report(&self, reported: c_int) {
        let mut slot = match self.told.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            // A second thread, or a report inside a report: neither is documented.
            Err(TryLockError::WouldBlock) => return,
        };
        let Some(mut told) = slot.take() else {
            return;
        };
        let percent = Percent::of(reported);
        RUNNING.set(Some(self.function));
        let panicked = catch_unwind(AssertUnwindSafe(|| told(percent))).is_err();
        if panicked {
            // What it holds is dropped here, and may panic once more.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(told)));
        } else {
            *slot = Some(told);
        }
        RUNNING.set(None);
        drop(slot);
        if panicked {
            tracing::error!(
                function = self.function,
                "the progress function panicked and is called no more"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::c_int,
        sync::{Arc, Mutex},
    };

    use super::{Percent, Progress, Report, running};

    static_assertions::assert_impl_all!(Progress: Send, Sync);
    static_assertions::assert_impl_all!(Percent: Send, Sync, Copy);

    /// Reports as the library does.
    fn say(report: Report, percent: c_int) {
        let function = report.function.unwrap();
        // SAFETY: the data came with the function, and the progress they came from is still there.
        let answer = unsafe { function(report.data, percent) };
        assert_eq!(answer, 1);
    }

    #[test]
    fn percentages_are_kept_within_bounds_and_told_in_order() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let told_there = Arc::clone(&told);
        let mut progress = Progress::new(move |percent| {
            assert_eq!(running(), Some("VixDiskLib_Clone"));
            told_there.lock().unwrap().push(percent.get());
        });
        let report = progress.report("VixDiskLib_Clone");
        for percent in [0, 0, 7, 100, -1, 101, c_int::MIN, c_int::MAX] {
            say(report, percent);
        }
        assert_eq!(running(), None);
        assert_eq!(*told.lock().unwrap(), [0, 0, 7, 100, 0, 100, 0, 100]);
    }

    #[test]
    fn a_panic_stays_here_and_ends_the_reports() {
        let told = Arc::new(());
        let held = Arc::clone(&told);
        let mut progress = Progress::new(move |percent| {
            assert!(percent.get() < 50, "half way with {held:?}");
        });
        let report = progress.report("VixDiskLib_Clone");
        for percent in [49, 50, 51] {
            say(report, percent);
            assert_eq!(running(), None);
        }
        assert_eq!(Arc::strong_count(&told), 1, "what panicked is gone");
    }

    #[test]
    fn nobody_to_tell_is_null() {
        let report = Progress::none().report("VixDiskLib_Clone");
        assert!(report.function.is_none() && report.data.is_null());
        assert_eq!(format!("{:?}", Progress::none()), "Progress(none)");
    }
}
