//! What can go wrong, with everything that helps to mend it.

use std::{fmt, time::Duration};

use crate::{
    Cleanup, Code, ConfigError, Dropped, Kind, Retry, TransportMode, TransportModes,
    transport::write_dropped,
};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library could not be loaded.
    #[error(transparent)]
    Load(#[from] vddk_sys::LoadError),
    /// VDDK's settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A call of VixDiskLib failed.
    #[error("{0}")]
    Call(Box<CallError>),
    /// `VixDiskLib_Cleanup` failed, and told how far it came.
    #[error(
        "{call}; {} VMs were cleaned up, {} are left",
        .report.cleaned_up,
        .report.remaining
    )]
    Cleanup {
        /// The failure.
        call: Box<CallError>,
        /// The counters, which matter most now (VDDK API reference, 1.5).
        report: Cleanup,
    },
    /// The loaded library does not have a function.
    #[error("this VixDiskLib has no {function}, which came with VDDK {since}")]
    MissingFunction {
        /// Its name.
        function: &'static str,
        /// The release that brought it.
        since: &'static str,
    },
    /// The loaded library is older than something that was asked of it; it was not called.
    #[error("this VixDiskLib cannot {what}: that came with VDDK {since}")]
    TooOld {
        /// What was asked for.
        what: &'static str,
        /// The release that brought it.
        since: &'static str,
    },
    /// None of the wanted transports can be used; the library was not asked.
    #[error("no wanted transport can be used: {wanted}{}", Reasons(.dropped))]
    NoTransport {
        /// What was wanted.
        wanted: TransportModes,
        /// Why each cannot be used.
        dropped: Vec<Dropped>,
    },
    /// The library chose a transport that is not acceptable; the disk was closed again.
    #[error("{object} came by {got}, but only {allowed} is acceptable")]
    OtherTransport {
        /// The disk.
        object: String,
        /// What is acceptable.
        allowed: TransportModes,
        /// What the library chose.
        got: TransportMode,
    },
    /// An argument was refused before the library saw it.
    #[error("not allowed: {what}")]
    Argument {
        /// What is wrong.
        what: String,
    },
    /// The library's answer cannot be used: it contradicts itself or leaves the bounds.
    #[error("{function} gave an answer that cannot be used: {what}")]
    UnusableAnswer {
        /// The C function.
        function: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The function works on disks of this machine only, and the connection is a remote one.
    #[error("{function} works on local disks only, not on those of {server}")]
    LocalOnly {
        /// The C function, which was not called.
        function: &'static str,
        /// The server of the connection.
        server: String,
    },
    /// The library is in use in this process with other settings.
    #[error("VixDiskLib is loaded in this process with other settings")]
    OtherSettings,
    /// The library was ended; VMware documents no second start in one process.
    #[error("VixDiskLib was ended in this process and cannot be started again")]
    Exited,
    /// A read or write, or its completion, did not come in time. The disk is of no more use, and is
    /// not closed.
    #[error("a read or write of {object} was not done within {} s", .after.as_secs())]
    TimedOut {
        /// The disk.
        object: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The library neither accepted nor refused an asynchronous request. The disk is given up.
    #[error("an asynchronous call for {object} was neither accepted nor refused by the library")]
    NotAccepted {
        /// The disk.
        object: String,
    },
    /// The disk was given up after a request that may still be running, or the connection of such a
    /// disk is to be closed: both stay open until the process ends.
    #[error("{object} was given up after a request that never completed")]
    Poisoned {
        /// The disk, or the server of the connection.
        object: String,
    },
    /// A call did not return within the limit. As long as it does not, no other call that opens,
    /// closes or connects can be made; each says so with this error. What would open, connect or ask
    /// is not made. What closes, disconnects or ends is made as soon as the library answers, in the
    /// order in which it was asked for.
    #[error("{function} does not return")]
    Stuck {
        /// The function that hangs.
        function: &'static str,
    },
    /// A thread of this crate is gone.
    #[error("the thread that talks to VixDiskLib has ended")]
    ThreadEnded,
}

impl From<vddk_sys::MissingFunction> for Error {
    fn from(missing: vddk_sys::MissingFunction) -> Self {
        Self::MissingFunction {
            function: missing.function.name,
            since: missing.function.since,
        }
    }
}

impl Error {
    /// The code, when a call failed.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Call(call) | Self::Cleanup { call, .. } => Some(call.code()),
            _ => None,
        }
    }

    /// What sort of trouble it is, when a call failed.
    pub fn kind(&self) -> Option<Kind> {
        self.code().map(Code::kind)
    }

    /// What may help, where a call failed; [`Retry::No`] for every other error.
    pub fn retry(&self) -> Retry {
        self.code().map_or(Retry::No, Code::retry)
    }

    /// True where trying again may help.
    pub fn is_retryable(&self) -> bool {
        self.code().is_some_and(Code::is_retryable)
    }

    /// Usual causes and remedies, where they are known.
    pub fn explain(&self) -> Option<String> {
        match self {
            Self::Call(call) | Self::Cleanup { call, .. } => Some(call.explain()),
            Self::NoTransport { wanted, .. } => Some(conditions(wanted)),
            Self::OtherTransport { allowed, .. } => Some(conditions(allowed)),
            Self::TimedOut { .. } | Self::Poisoned { .. } => Some(LATE.to_owned()),
            Self::Stuck { .. } => Some(STUCK.to_owned()),
            Self::NotAccepted { .. } => Some(NOT_ACCEPTED.to_owned()),
            _ => None,
        }
    }

    /// Both thumbprints, where the library's log told that they differ.
    pub fn thumbprint_mismatch(&self) -> Option<&ThumbprintMismatch> {
        match self {
            Self::Call(call) | Self::Cleanup { call, .. } => call.thumbprints.as_ref(),
            _ => None,
        }
    }
}

const LATE: &str = "the host, its storage or the network in between does not answer. Look at port \
    902 of the ESXi host, at its load and its storage, and see that VDDK's NFC time-outs are set, so \
    that a dead link ends by itself; then open the disk anew, in a new process where this one \
    cannot connect any more";
const STUCK: &str = "the call waits for a server or for storage that does not answer. Look at ports \
    443 of the server and 902 of the ESXi host, at name resolution and at firewalls that drop \
    packets. When the call returns, the others work again, and what was closed meanwhile is closed; \
    else start the process anew";
const NOT_ACCEPTED: &str = "the library answered as no documented release does. Start the process \
    anew and read synchronously, or use another release of VDDK";

/// What each of the transports needs.
fn conditions(modes: &TransportModes) -> String {
    let needs = modes
        .modes()
        .iter()
        .map(|mode| format!("{mode} needs: {}", mode.conditions()));
    needs.collect::<Vec<_>>().join("; ")
}

/// Shows why transports were left out.
struct Reasons<'a>(&'a [Dropped]);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_dropped(f, self.0)
    }
}

/// A failed call.
#[derive(Debug)]
pub struct CallError {
    pub(crate) operation: &'static str,
    pub(crate) result: u64,
    pub(crate) text: String,
    pub(crate) object: Option<String>,
    pub(crate) thumbprints: Option<ThumbprintMismatch>,
}

impl CallError {
    /// The C function.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The code: the low 16 bits of the result.
    pub fn code(&self) -> Code {
        Code::of(self.result)
    }

    /// The whole 64-bit result.
    pub fn result(&self) -> u64 {
        self.result
    }

    /// VDDK's own text.
    #[doc(alias = "VixDiskLib_GetErrorText")]
    #[doc(alias = "VixDiskLib_FreeErrorText")]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The disk, VM or server concerned.
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    fn explain(&self) -> String {
        match &self.thumbprints {
            Some(pair) => format!(
                "the certificate's thumbprint is {}, but {} was expected",
                pair.actual, pair.expected
            ),
            None => self.code().explain().to_owned(),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(object) = &self.object {
            write!(f, " on {object}")?;
        }
        write!(f, " failed: {} ({})", self.text, self.code())
    }
}

/// The server showed another certificate than the caller expects.
///
/// VDDK's bare error 1 does not say so; its log lines do (VDDK API reference, 6.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThumbprintMismatch {
    /// SHA-1 of the certificate shown.
    pub actual: String,
    /// SHA-1 that was given.
    pub expected: String,
}

impl ThumbprintMismatch {
    /// Finds the pair in a log line.
    pub(crate) fn in_line(line: &str) -> Option<Self> {
        let value = |key: &str| {
            let rest = &line[line.find(key)? + key.len()..];
            let rest = rest.trim_start_matches(['\'', '"', ' ']);
            let end = rest
                .find(|c: char| !(c.is_ascii_hexdigit() || c == ':'))
                .unwrap_or(rest.len());
            let text = rest[..end].trim_end_matches(':');
            (text.len() >= 40).then(|| text.to_owned())
        };
        Some(Self {
            actual: value("actual thumbprint=")?,
            expected: value("expected=")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Error, ThumbprintMismatch};

    #[test]
    fn what_hangs_is_explained() {
        let object = "[ds] a.vmdk".to_owned();
        let after = Duration::from_mins(1);
        let function = "VixDiskLib_Open";
        for (error, told) in [
            (
                Error::TimedOut {
                    object: object.clone(),
                    after,
                },
                "port 902",
            ),
            (
                Error::Poisoned {
                    object: object.clone(),
                },
                "open the disk anew",
            ),
            (Error::Stuck { function }, "ports 443"),
            (Error::NotAccepted { object }, "another release"),
        ] {
            let explained = error.explain().unwrap();
            assert!(explained.contains(told), "{explained}");
        }
    }

    #[test]
    fn the_thumbprints_are_found_in_a_log_line() {
        let (a, b) = (["AA"; 20].join(":"), ["0B"; 20].join(":"));
        let line =
            format!("VixDiskLibVim: peer certificate differs: actual thumbprint={a}, expected={b}");
        let pair = ThumbprintMismatch::in_line(&line).unwrap();
        assert_eq!((pair.actual, pair.expected), (a, b));
        for other in [
            "",
            "actual thumbprint=",
            "actual thumbprint=AA expected=BB",
            "expected=ü",
        ] {
            assert_eq!(ThumbprintMismatch::in_line(other), None);
        }
    }
}
