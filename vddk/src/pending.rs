//! The caller's end of a read or write.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    Error, SectorBuf,
    answer::{Taker, Waited},
    request::{Answer, Failure},
    shared::Shared,
};

/// A read or write that was begun.
///
/// Wait for it by [`Pending::wait`], or as a future on any runtime: this crate has none, and its
/// time-out runs either way. Both give the buffer back. Dropping it is sound: the buffer lives
/// until VDDK is done with it. A write that fails after that is told by the next flush.
#[derive(Debug)]
#[must_use = "the data, or the failure, is in what it ends with"]
pub struct Pending {
    pub(crate) answer: Taker<Answer>,
    pub(crate) shared: Arc<Shared>,
}

impl Pending {
    /// Waits for the end.
    ///
    /// # Errors
    /// [`Error::Call`] with the library's code; [`Error::TimedOut`] when it was not done in time:
    /// the buffer is then leaked, and the disk serves no more; [`Error::Poisoned`] when the disk
    /// was given up meanwhile.
    pub fn wait(self) -> Result<SectorBuf, Error> {
        match self.answer.wait(None) {
            Waited::Given(answer) => answer.map_err(|failure| self.shared.error(failure)),
            Waited::TooLate | Waited::Gone => Err(Error::ThreadEnded),
        }
    }
}

impl Future for Pending {
    type Output = Result<SectorBuf, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer.poll(context).map(|answer| match answer {
            Some(answer) => answer.map_err(|failure| self.shared.error(failure)),
            None => Err(Error::ThreadEnded),
        })
    }
}

impl Shared {
    /// Puts a failure into words. Any thread may ask for the library's text.
    pub(crate) fn error(&self, failure: Failure) -> Error {
        let object = self.path.clone();
        match failure {
            Failure::Call { function, result } => {
                match crate::control::check(
                    self.symbols(),
                    function,
                    Some(&self.path),
                    None,
                    result,
                ) {
                    Err(error) => error,
                    Ok(()) => Error::ThreadEnded,
                }
            }
            Failure::NotAccepted => Error::NotAccepted { object },
            Failure::TimedOut => Error::TimedOut {
                object,
                after: self.time_out,
            },
            Failure::Poisoned => Error::Poisoned { object },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pending;
    static_assertions::assert_impl_all!(Pending: Send, Unpin, Future);
}
