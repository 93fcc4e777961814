//! Code of the user's that runs on our threads: what it panics with ends here.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs what may call the user: a line for a `tracing` subscriber, a waker. A panic in it has been
/// shown by the panic hook and goes no further, so that no thread of this crate ends by it.
pub(crate) fn contained(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}

#[cfg(test)]
mod tests {
    use super::contained;

    #[test]
    fn a_panic_ends_here() {
        let mut begun = false;
        contained(|| {
            begun = true;
            panic!("in the user's code");
        });
        assert!(begun);
    }
}
