//! Work that several threads share.

use std::thread;

use super::error::Error;

/// Does `work` in so many threads, this one among them, and waits for all. Each takes what is left to do.
///
/// # Errors
/// That of one of them; a panic is one, too.
pub(super) fn in_threads(
    threads: usize,
    work: impl Fn() -> Result<(), Error> + Copy + Send,
) -> Result<(), Error> {
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut outcome = work();
        for other in others {
            let joined = other
                .join()
                .unwrap_or_else(|_| Err(Error::machine("a thread", "it panicked")));
            outcome = outcome.and(joined);
        }
        outcome
    })
}
