//! What can go wrong between us and vSphere.

use std::path::PathBuf;

use super::fault::Fault;
use super::moref::Moref;
use super::selector::PlaceKind;
use super::thumbprint::{Thumbprint, Thumbprints};
use super::xml::XmlError;

/// How much of a page that is not XML is quoted.
const QUOTE_CHARS: usize = 80;

/// Any failure of the vSphere client. No variant holds a password or a session cookie.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text that is no server address.
    #[error("{given:?} is not a server address: {why}")]
    BadAddress {
        /// The text.
        given: String,
        /// The reason.
        why: &'static str,
    },
    /// Text that is no address of a proxy.
    #[error("{given:?} is not the address of a proxy: {why}")]
    BadProxyAddress {
        /// The text, without what may be a password.
        given: String,
        /// The reason.
        why: &'static str,
    },
    /// Text that is no thumbprint.
    #[error("{given:?} is not a thumbprint: 20 (SHA-1) or 32 (SHA-256) hex pairs are expected")]
    BadThumbprint {
        /// The text.
        given: String,
    },
    /// A file of authorities that can't be used.
    #[error("failed to read certificates from {path:?}: {why}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The server's certificate is not the pinned one.
    #[error(
        "the server's certificate has the thumbprint {observed_sha1} (SHA-256 {observed_sha256}), not the pinned {expected}"
    )]
    ThumbprintMismatch {
        /// The pin.
        expected: Thumbprint,
        /// SHA-1 of what the server showed.
        observed_sha1: Thumbprint,
        /// SHA-256 of what the server showed.
        observed_sha256: Thumbprint,
    },
    /// The server's certificate is an X.509 v1 one, which the TLS library does not take, not
    /// even pinned.
    #[error(
        "the server's certificate (SHA-1 {}) is of X.509 version 1, which can't be used: replace it on the server",
        observed.sha1
    )]
    CertificateVersion1 {
        /// Its thumbprints.
        observed: Thumbprints,
    },
    /// The authorities do not vouch for the server's certificate.
    #[error(
        "the server's certificate ({subject}; SHA-1 {}, SHA-256 {}) is not trusted: {reason}",
        observed.sha1,
        observed.sha256
    )]
    CertificateRefused {
        /// Why not.
        reason: String,
        /// Whom it says to be: unproved.
        subject: String,
        /// Its thumbprints.
        observed: Box<Thumbprints>,
    },
    /// TLS failed for another reason.
    #[error("TLS failed: {reason}")]
    Tls {
        /// What the TLS library said.
        reason: String,
    },
    /// The HTTP client could not be made.
    #[error("failed to set up the HTTP client")]
    Setup {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The connection failed, or broke before the answer was complete.
    #[error("failed to exchange {method} with the server")]
    Transport {
        /// The method.
        method: &'static str,
        /// How.
        #[source]
        source: reqwest::Error,
    },
    /// No complete answer within the time limit.
    #[error("no answer to {method} within {limit_ms} ms")]
    TimedOut {
        /// The method.
        method: &'static str,
        /// The limit.
        limit_ms: u64,
    },
    /// A status that carries neither result nor fault.
    #[error("the server answered {method} with HTTP status {status}")]
    HttpStatus {
        /// The method.
        method: &'static str,
        /// The status.
        status: u16,
    },
    /// An answer beyond the bound.
    #[error("the answer to {method} is longer than {limit_bytes} bytes")]
    TooLarge {
        /// The method.
        method: &'static str,
        /// The bound.
        limit_bytes: usize,
    },
    /// Something else than XML, such as a web page of a proxy.
    #[error("the answer to {method} is not XML but {content_type}: {beginning:?}")]
    NotXml {
        /// The method.
        method: &'static str,
        /// What the server called it.
        content_type: String,
        /// How it starts.
        beginning: String,
    },
    /// XML that can't be read as the answer.
    #[error("failed to read the answer to {method}")]
    Xml {
        /// The method.
        method: &'static str,
        /// Why.
        #[source]
        source: XmlError,
    },
    /// A well-formed answer that makes no sense.
    #[error("the answer to {method} makes no sense: {what}")]
    BadAnswer {
        /// The method.
        method: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A server older than this client can use.
    #[error("the server speaks API versions up to {newest}, {required} or later is required")]
    ServerTooOld {
        /// The newest version of the server.
        newest: String,
        /// The oldest version we take.
        required: &'static str,
    },
    /// A parameter that XML can't carry. Its value is not shown.
    #[error("parameter {parameter} of {method} has a character that can't be sent")]
    Unsendable {
        /// The method.
        method: &'static str,
        /// The parameter.
        parameter: &'static str,
    },
    /// The server refused.
    #[error("{method} was refused: {fault}")]
    Fault {
        /// The method.
        method: &'static str,
        /// How.
        fault: Box<Fault>,
    },
    /// User name or password is wrong. Never tried again, as accounts get locked.
    #[error("{server} refused user name or password of {user}")]
    InvalidLogin {
        /// The server.
        server: String,
        /// The user.
        user: String,
    },
    /// The session that was handed over is not (or no longer) logged in, and there is no
    /// password to log in again.
    #[error("the session handed over is not logged in to {server}")]
    SessionGone {
        /// The server.
        server: String,
    },
    /// What was handed over as a session is not the value of a cookie. It is not shown.
    #[error("what was handed over is not the cookie of a session")]
    BadCookie,
    /// A server that lacks an object the calls begin at. The schema has most of them optional.
    #[error("the server has no {what}")]
    NotOffered {
        /// The object, such as `session manager`.
        what: &'static str,
    },
    /// A call after [`Client::logout`](super::Client::logout).
    #[error("the client has logged out")]
    LoggedOut,
    /// No such VM.
    #[error("no VM {wanted:?}{}", did_you_mean(near))]
    VmNotFound {
        /// The selector.
        wanted: String,
        /// Names much like it, nearest first.
        near: Vec<String>,
    },
    /// Several VMs answer to the selector.
    #[error("{wanted:?} is more than one VM: {}", candidates.join(", "))]
    VmAmbiguous {
        /// The selector.
        wanted: String,
        /// Path and id of each.
        candidates: Vec<String>,
    },
    /// Text that is no selector of VMs.
    #[error("{given:?} does not say which VMs are meant: {why}")]
    BadSelector {
        /// The text.
        given: String,
        /// The reason.
        why: String,
    },
    /// A selector of a group means no VM.
    #[error("no VM is meant by {wanted:?}")]
    NothingSelected {
        /// The selector.
        wanted: String,
    },
    /// No such place.
    #[error("no {kind} {wanted:?}{}", did_you_mean(near))]
    PlaceNotFound {
        /// What was looked for.
        kind: PlaceKind,
        /// Its name, as given.
        wanted: String,
        /// Names much like it, nearest first.
        near: Vec<String>,
    },
    /// Several places have this name.
    #[error("{wanted:?} is more than one {kind}: {}", candidates.join(", "))]
    PlaceAmbiguous {
        /// What was looked for.
        kind: PlaceKind,
        /// Its name, as given.
        wanted: String,
        /// Path and id of each.
        candidates: Vec<String>,
    },
    /// No such custom attribute.
    #[error("VMs have no custom attribute {wanted:?} here{}", did_you_mean(near))]
    NoSuchAttribute {
        /// Its name, as given.
        wanted: String,
        /// Names much like it, nearest first.
        near: Vec<String>,
    },
    /// A task ended with a fault.
    #[error("task {name} ({task}) failed: {fault}")]
    TaskFailed {
        /// The task.
        task: Moref,
        /// What it did.
        name: String,
        /// Why it failed.
        fault: Box<Fault>,
    },
    /// A task did not end in time. It goes on at the server.
    #[error(
        "task {name} ({task}) has not ended after {waited_ms} ms, its progress is {progress}% and has stood still for {still_ms} ms"
    )]
    TaskTimedOut {
        /// The task.
        task: Moref,
        /// What it does.
        name: String,
        /// How long it was waited for.
        waited_ms: u64,
        /// How far it has come.
        progress: u8,
        /// For how long its progress has not changed: little means slow, much means stuck.
        still_ms: u64,
    },
    /// The server has forgotten a task before we saw its end. It has ended; what it did shows on
    /// the object it worked on.
    #[error("task {name} ({task}) ended unseen: the server has forgotten it")]
    TaskVanished {
        /// The task.
        task: Moref,
        /// What it did, if it was seen before.
        name: String,
    },
    /// Text that names no file on a datastore.
    #[error("{given:?} is no file on a datastore: {why}")]
    BadDatastorePath {
        /// The text.
        given: String,
        /// The reason.
        why: &'static str,
    },
    /// A saved configuration that no VM can be made from.
    #[error("no VM can be made from the saved configuration: {what}")]
    BadConfig {
        /// What is wrong.
        what: String,
    },
    /// No such file, or no such datastore or datacenter.
    #[error("{file} is not there, or its datastore or datacenter is another")]
    FileMissing {
        /// The file.
        file: String,
    },
    /// The account may not.
    #[error(
        "the server refused access to {file}: Datastore.Browse and Datastore.FileManagement are wanted there"
    )]
    FileRefused {
        /// The file.
        file: String,
        /// The server knows nobody, so the session is gone.
        is_session_gone: bool,
    },
    /// Somebody has the file open, as a running VM its disks, or its host is in trouble.
    #[error("{file} can't be had now: it is open elsewhere, or its host is in trouble")]
    FileBusy {
        /// The file.
        file: String,
    },
    /// The caller gave up waiting. The task goes on at the server.
    #[error("cancelled while waiting for task {task}")]
    Cancelled {
        /// The task.
        task: Moref,
    },
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() {
        return String::new();
    }
    format!(", did you mean {}?", near.join(", "))
}

impl Error {
    /// The type of the fault behind this error, such as `FileFault`.
    pub fn fault_type(&self) -> Option<&str> {
        self.fault().map(|fault| fault.type_name.as_str())
    }

    /// The fault behind this error.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault { fault, .. } | Self::TaskFailed { fault, .. } => Some(fault),
            _ => None,
        }
    }

    /// True when the same call may succeed later: trouble of connection or host, or another
    /// task in the way. For a write, first look whether it took effect ("vsphere-api.md" 1.14).
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Fault { fault, .. } | Self::TaskFailed { fault, .. } => fault.is_retryable(),
            other => other.is_transient(),
        }
    }

    /// True when the server does not know or offer the method in the version spoken, so that
    /// another way has to be gone.
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self.fault_type(),
            Some("MethodNotFound" | "NotSupported" | "NotImplemented")
        )
    }

    /// True for a task that somebody stopped.
    pub fn is_stopped_task(&self) -> bool {
        matches!(self, Self::TaskFailed { .. }) && self.fault_type() == Some("RequestCanceled")
    }

    /// True when a server or a proxy before it says that it can't answer yet, as while it starts.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::HttpStatus { status, .. } if matches!(status, 502..=504))
    }

    /// True for what a second attempt after a moment often mends.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Xml { source, .. } => matches!(source, XmlError::Truncated { .. }),
            other => other.is_busy(),
        }
    }

    /// True when the session is gone.
    pub(super) fn is_not_authenticated(&self) -> bool {
        let is_file = matches!(
            self,
            Self::FileRefused {
                is_session_gone: true,
                ..
            }
        );
        let is_fault = matches!(self, Self::Fault { .. });
        is_file || is_fault && self.fault_type() == Some("NotAuthenticated")
    }

    /// A page that is something else, quoted by its start.
    pub(super) fn not_xml(method: &'static str, content_type: Option<&str>, body: &[u8]) -> Self {
        let start = String::from_utf8_lossy(body.get(..4 * QUOTE_CHARS).unwrap_or(body));
        let quote = |c: char| if c.is_control() { ' ' } else { c };
        Self::NotXml {
            method,
            content_type: content_type
                .unwrap_or("text")
                .chars()
                .take(QUOTE_CHARS)
                .collect(),
            beginning: start.chars().take(QUOTE_CHARS).map(quote).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;
    use crate::vsphere::fault::Fault;
    use crate::vsphere::xml::XmlError;

    fn fault(type_name: &str) -> Error {
        Error::Fault {
            method: "M",
            fault: Box::new(Fault {
                type_name: type_name.to_owned(),
                message: String::new(),
                fields: Vec::new(),
                details: Vec::new(),
                cause: None,
                operation_id: None,
            }),
        }
    }

    #[test]
    fn the_table_of_what_may_succeed_later() {
        let status = |status| Error::HttpStatus {
            method: "M",
            status,
        };
        let xml = |source| Error::Xml {
            method: "M",
            source,
        };
        for (error, retryable, transient) in [
            (status(502), true, true),
            (status(503), true, true),
            (status(404), false, false),
            (status(500), false, false),
            (xml(XmlError::Truncated { length_bytes: 1 }), true, true),
            (xml(XmlError::DocType), false, false),
            (
                Error::TimedOut {
                    method: "M",
                    limit_ms: 1,
                },
                true,
                false,
            ),
            (fault("TaskInProgress"), true, false),
            (fault("ConcurrentAccess"), true, false),
            (fault("HostCommunication"), true, false),
            (fault("NoPermission"), false, false),
            (fault("NotAuthenticated"), false, false),
            (fault("InvalidArgument"), false, false),
            (Error::LoggedOut, false, false),
        ] {
            assert_eq!(error.is_retryable(), retryable, "{error}");
            assert_eq!(error.is_transient(), transient, "{error}");
        }
    }

    #[test]
    fn a_missing_vm_is_reported_with_what_is_near() {
        let error = |near: &[&str]| Error::VmNotFound {
            wanted: "ap1".to_owned(),
            near: near.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(error(&[]).to_string(), "no VM \"ap1\"");
        assert_eq!(
            error(&["app1", "app2"]).to_string(),
            "no VM \"ap1\", did you mean app1, app2?"
        );
    }

    #[test]
    fn a_page_is_quoted_short_and_without_control_characters() {
        let page = format!("<html>\u{1b}[31m\n{}", "é".repeat(500));
        let Error::NotXml { beginning, .. } = Error::not_xml("M", None, page.as_bytes()) else {
            panic!("another variant");
        };
        assert_eq!(beginning.chars().count(), 80);
        assert!(!beginning.contains(char::is_control));
    }
}
