//! What can go wrong when tracking is switched.

use super::TrackingCause;
use crate::vsphere::error::Error;

/// Why tracking was not switched, or not to the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackingError {
    /// It must not be tried.
    #[error("change tracking is left as it is: {}", join(causes))]
    Refused {
        /// Why not.
        causes: Vec<TrackingCause>,
    },
    /// The snapshot of a stun cycle is left.
    #[error("the snapshot {description:?} of a stun cycle is left")]
    CycleLeft {
        /// Its description, which no other snapshot has.
        description: String,
        /// Why it could not be removed.
        #[source]
        source: Box<Error>,
    },
    /// A reset failed after tracking was switched off, and it could not be switched on again.
    #[error("change tracking is left switched off")]
    LeftOff {
        /// What kept it from being switched on.
        #[source]
        source: Box<TrackingError>,
    },
    /// The program was told to stop. What it had made is removed.
    #[error("interrupted before change tracking was {wanted}")]
    Interrupted {
        /// What was to be done, such as `switched on`.
        wanted: &'static str,
    },
    /// A call failed.
    #[error(transparent)]
    Client(Box<Error>),
}

impl From<Error> for TrackingError {
    fn from(error: Error) -> Self {
        Self::Client(Box::new(error))
    }
}

fn join(causes: &[TrackingCause]) -> String {
    let causes: Vec<String> = causes.iter().map(ToString::to_string).collect();
    causes.join("; ")
}
