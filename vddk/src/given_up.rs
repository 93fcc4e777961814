//! What was given up: kept for ever, in one place.
//!
//! VDDK may still use the memory of a disk that was given up, so it is never freed. It stands in a
//! list rather than nowhere, so that a leak checker can tell it from memory that was forgotten.

use std::{
    any::Any,
    sync::{Mutex, PoisonError},
};

/// Nothing is ever taken out.
static KEPT: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());

/// Keeps `thing`, and what it owns or points to, until the process ends.
pub(crate) fn keep(thing: impl Any + Send) {
    KEPT.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Box::new(thing));
}

#[cfg(test)]
mod tests {
    use super::keep;
    use std::sync::Arc;

    #[test]
    fn what_is_kept_is_not_dropped() {
        let thing = Arc::new(7);
        keep(Arc::clone(&thing));
        assert_eq!(Arc::strong_count(&thing), 2);
    }
}
