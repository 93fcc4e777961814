//! What a store's "no" means to us.

use std::error::Error as StdError;
use std::io;

use object_store::Error as StoreError;

use crate::repo::error::{self, Error};

/// What stores write into the body of an answer when there is no room.
const NO_ROOM: [&str; 5] = [
    "QuotaExceeded",
    "InsufficientStorage",
    "507 ",
    "StorageFull",
    "AccountQuota",
];

/// What stores answer for a bucket that is not there. For one object it is simply not found.
const NO_BUCKET: [&str; 4] = [
    "NoSuchBucket",
    "ContainerNotFound",
    "notFound",
    "The specified bucket does not exist",
];

/// What Linux says of a file on a bad medium: EIO, EBADMSG (a checksum of the file system's), EUCLEAN (its
/// structure is damaged).
const ROTTEN: [i32; 3] = [5, 74, 117];

/// The error of a listing, which a store refuses only for a bucket that is not there.
pub(super) fn of_list(prefix: &str, source: StoreError) -> Error {
    let text = source.to_string();
    if text.contains("status code: 404") && NO_BUCKET.iter().any(|word| text.contains(word)) {
        return Error::NoBucket {
            location: prefix.to_owned(),
            source: source.into(),
        };
    }
    of_read("list", prefix, source)
}

/// The error of a read.
pub(super) fn of_read(operation: &'static str, name: &str, source: StoreError) -> Error {
    let object = name.to_owned();
    match &source {
        StoreError::NotFound { .. } => Error::Missing { object },
        other if denied(other) => Error::AccessDenied {
            operation,
            object,
            source: source.into(),
        },
        // Of a folder that the medium does not list nobody knows what is in it.
        other if operation == "read" && is_rotten(other) => {
            let text: Vec<String> = chain(&source).map(ToString::to_string).collect();
            let what = text.join(": ");
            Error::BadMedium { object, what }
        }
        _ => Error::Store {
            operation,
            object,
            source: source.into(),
        },
    }
}

/// True when the medium under a folder can't give the bytes of a file, such as one with a bad sector.
fn is_rotten(error: &StoreError) -> bool {
    let numbers = chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    let mut numbers = numbers.filter_map(io::Error::raw_os_error);
    numbers.any(|number| ROTTEN.contains(&number))
}

/// The error of a write.
pub(super) fn of_write(name: &str, source: StoreError) -> Error {
    let object = name.to_owned();
    match &source {
        StoreError::NotFound { .. } => Error::Missing { object },
        StoreError::Unauthenticated { .. } => of_read("write", name, source),
        other if refuses_data(other) => Error::NotWritable {
            object,
            source: source.into(),
        },
        _ => Error::Store {
            operation: "write",
            object,
            source: source.into(),
        },
    }
}

/// The error of a delete: a store that keeps an object for a time says no to it until then.
pub(super) fn of_delete(name: &str, source: StoreError) -> Error {
    match &source {
        StoreError::Unauthenticated { .. } | StoreError::NotFound { .. } => {
            of_read("delete", name, source)
        }
        // Azure answers 409 for a blob under an immutability policy.
        other if denied(other) || matches!(other, StoreError::AlreadyExists { .. }) => {
            Error::DeleteRefused {
                object: name.to_owned(),
                source: source.into(),
            }
        }
        _ => of_read("delete", name, source),
    }
}

/// True when asking again later may help: the way to the store or the store itself was out of order.
pub(in crate::repo) fn is_passing(error: &StoreError) -> bool {
    if let StoreError::Generic { .. } = error {
        let text = error.to_string();
        if ["status code: 5", "status code: 429", "status code: 408"]
            .iter()
            .any(|status| text.contains(status))
        {
            return true;
        }
    }
    #[cfg(feature = "cloud")]
    if chain(error).any(<dyn StdError>::is::<object_store::client::HttpError>) {
        return true;
    }
    io_kinds(error).any(|kind| {
        matches!(
            kind,
            io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::NotConnected
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::StaleNetworkFileHandle
                | io::ErrorKind::ResourceBusy
        )
    })
}

/// True when rights or credentials are wanting.
fn denied(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }
    ) || io_kinds(error).any(|kind| {
        matches!(
            kind,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        )
    })
}

/// True when there is no room.
pub(in crate::repo) fn is_full(error: &StoreError) -> bool {
    let text = error.to_string();
    let full = |kind| {
        matches!(
            kind,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    };
    NO_ROOM.iter().any(|word| text.contains(word)) || io_kinds(error).any(full)
}

/// True when the store says that it takes no data, whatever the data is.
fn refuses_data(error: &StoreError) -> bool {
    if let StoreError::PermissionDenied { .. } = error {
        return true;
    }
    let text = error.to_string();
    NO_ROOM.iter().any(|word| text.contains(word)) || io_kinds(error).any(error::refuses_data)
}

fn io_kinds(error: &StoreError) -> impl Iterator<Item = io::ErrorKind> + '_ {
    chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>().map(io::Error::kind))
}

/// All that stands behind `error`.
fn chain(error: &StoreError) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl Into<Box<dyn StdError + Send + Sync>>) -> StoreError {
        StoreError::Generic {
            store: "test",
            source: source.into(),
        }
    }

    fn denied_by_store() -> StoreError {
        StoreError::PermissionDenied {
            path: "x".to_owned(),
            source: "403".into(),
        }
    }

    #[test]
    fn a_store_without_room_takes_no_data() {
        let full = io::Error::new(io::ErrorKind::StorageFull, "disk full");
        let quota = "Server returned non-2xx status code: 403: <Code>QuotaExceeded</Code>";
        let status = "Server returned non-2xx status code: 507 Insufficient Storage";
        for error in [
            generic(full),
            generic(quota),
            generic(status),
            denied_by_store(),
        ] {
            let text = error.to_string();
            assert!(of_write("x", error).is_not_writable(), "{text}");
        }
        assert!(!of_write("x", generic("odd")).is_not_writable());
        let full = io::Error::new(io::ErrorKind::StorageFull, "disk full");
        assert!(of_write("x", generic(full)).is_full());
        assert!(!of_write("x", denied_by_store()).is_full());
    }

    #[test]
    fn a_store_that_keeps_an_object_is_asked_later() {
        let locked = StoreError::AlreadyExists {
            path: "x".to_owned(),
            source: "409 BlobImmutableDueToPolicy".into(),
        };
        let immutable = generic(io::Error::from(io::ErrorKind::PermissionDenied));
        for error in [locked, immutable, denied_by_store()] {
            let error = of_delete("x", error);
            assert!(matches!(error, Error::DeleteRefused { .. }), "{error:?}");
        }
        let stranger = StoreError::Unauthenticated {
            path: "x".to_owned(),
            source: "401".into(),
        };
        let error = of_delete("x", stranger);
        assert!(matches!(error, Error::AccessDenied { .. }), "{error:?}");
    }

    #[test]
    fn a_bucket_that_is_not_there_is_told_from_an_empty_one() {
        let answer = "non-2xx status code: 404 Not Found: <Error><Code>NoSuchBucket</Code>";
        assert!(matches!(
            of_list("x", generic(answer)),
            Error::NoBucket { .. }
        ));
        assert!(matches!(of_list("x", generic("odd")), Error::Store { .. }));
    }

    #[test]
    fn what_is_on_a_bad_sector_is_damaged_and_a_listing_there_is_not_taken_for_less_than_it_is() {
        for number in ROTTEN {
            let rotten = || generic(io::Error::from_raw_os_error(number));
            let error = of_read("read", "pack/x/1d", rotten());
            assert!(error.is_damage() && !error.is_passing(), "{error:?}");
            assert!(error.is_bad_medium());
            assert!(!of_list("open", rotten()).is_damage());
            assert!(!of_delete("open/x", rotten()).is_damage());
        }
        let other = generic(io::Error::from_raw_os_error(24));
        assert!(!of_read("read", "pack/x/1d", other).is_damage());
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        for passing in [
            generic("Server returned non-2xx status code: 503 Service Unavailable: "),
            generic(io::Error::from(io::ErrorKind::TimedOut)),
        ] {
            assert!(of_read("read", "x", passing).is_passing());
        }
        assert!(!of_read("read", "x", generic("odd")).is_passing());
        assert!(!of_read("read", "x", denied_by_store()).is_passing());
    }
}
