//! Telling a caller how far a call has come.

use std::ffi::c_void;

use vddk_sys::VixDiskLibProgressFunc;

/// The caller's function with its data. It is called on the calling thread, percentages repeat, and
/// what it returns is ignored ("VDDK API reference", 1.1).
pub(super) struct Report {
    function: VixDiskLibProgressFunc,
    data: *mut c_void,
}

impl Report {
    /// Takes a caller's function, or null.
    ///
    /// # Safety
    ///
    /// The function must be callable with the data as long as the report lives.
    pub(super) unsafe fn new(function: VixDiskLibProgressFunc, data: *mut c_void) -> Self {
        Self { function, data }
    }

    /// Says how much is done.
    pub(super) fn say(&self, done: u64, all: u64) {
        let Some(function) = self.function else {
            return;
        };
        let percent = u128::from(done.min(all)) * 100 / u128::from(all.max(1));
        // SAFETY: whoever made the report promised it. At most 100, so it fits.
        unsafe { function(self.data, percent as i32) };
    }
}
