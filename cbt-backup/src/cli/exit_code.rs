//! Exit codes: a promise to scripts.

use std::fmt;

use crate::{
    engine,
    repo::{self, SlotKind},
    vsphere,
};

/// What the program's exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything was done.
    Done = 0,
    /// Something unforeseen.
    Unexpected = 1,
    /// The command line is wrong (clap's own code).
    Usage = 2,
    /// The point is incomplete: some disks failed.
    Incomplete = 3,
    /// Verify found damage.
    Damage = 4,
    /// Done, but something is left in vSphere.
    LeftBehind = 5,
    /// An audit found that what vSphere says is not so.
    Mismatch = 6,
    /// There is no repository.
    NoRepository = 10,
    /// Another run works on this VM.
    Busy = 11,
    /// Password, thumbprint or key was refused.
    Refused = 12,
    /// vSphere reported a fault.
    Vsphere = 13,
    /// VDDK is missing or unusable.
    Vddk = 14,
    /// A disk could not be read or written.
    DiskIo = 15,
    /// The repository cannot be written.
    NotWritable = 16,
    /// The target exists.
    TargetExists = 17,
    /// The VM or point was not found, or is ambiguous.
    NotFound = 18,
    /// Interrupted by a signal.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// A command that failed: the code, the error with its causes, and the next step to take.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: ExitCode,
    /// What happened.
    pub error: anyhow::Error,
    /// What to do, where we know.
    pub hint: Option<String>,
    /// The VM that it is about, where it is about one.
    pub vm: Option<FailedVm>,
}

/// A VM that something failed for.
#[derive(Clone, Debug)]
pub struct FailedVm {
    /// Its name.
    pub name: String,
    /// Its inventory path.
    pub path: String,
}

impl Failure {
    /// A failure with a code of its own.
    pub fn new(code: ExitCode, error: impl Into<anyhow::Error>) -> Self {
        Self {
            code,
            error: error.into(),
            hint: None,
            vm: None,
        }
    }

    /// Adds the next step to take.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The alternate form joins the causes with colons.
        write!(f, "{:#}", self.error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(ExitCode::Unexpected, error)
    }
}

/// What helps when the object `config` is lost or damaged.
const REPAIR_CONFIG: &str = "`cbt-backup key repair` writes it again from your key slot";

impl From<vsphere::Error> for Failure {
    fn from(error: vsphere::Error) -> Self {
        use vsphere::Error as E;
        let (code, hint) = match &error {
            E::BadAddress { .. } | E::BadProxyAddress { .. } | E::BadThumbprint { .. } | E::CaFile { .. } | E::BadCookie => (ExitCode::Usage, None),
            E::ThumbprintMismatch { observed_sha256, .. } => (
                ExitCode::Refused,
                Some(format!(
                    "if the certificate was renewed on purpose, compare it at the server and use --thumbprint {observed_sha256}"
                )),
            ),
            E::CertificateRefused { observed, .. } => (
                ExitCode::Refused,
                Some(format!(
                    "compare the SHA-256 thumbprint at the server and pin it: --thumbprint {}; or name its authorities with --ca-file",
                    observed.sha256
                )),
            ),
            E::CertificateVersion1 { .. } => (ExitCode::Refused, None),
            E::SessionGone { .. } => (
                ExitCode::Refused,
                Some("open a new session, or log in with --user and a password".to_owned()),
            ),
            E::InvalidLogin { .. } => {
                (ExitCode::Refused, Some("check --user and the password; it is not tried again, so that the account is not locked".to_owned()))
            }
            E::VmNotFound { .. } => (ExitCode::NotFound, Some("`cbt-backup vms` lists what this account can see".to_owned())),
            E::BadSelector { .. } => (ExitCode::Usage, Some("`cbt-backup vms --help` shows how VMs are selected".to_owned())),
            E::NothingSelected { .. } | E::PlaceNotFound { .. } | E::NoSuchAttribute { .. } => {
                (ExitCode::NotFound, Some("`cbt-backup vms --by folder|pool|host|datastore` shows what there is".to_owned()))
            }
            E::PlaceAmbiguous { .. } | E::VmAmbiguous { .. } => (ExitCode::NotFound, Some("name it by its path or its id".to_owned())),
            E::Cancelled { .. } => (ExitCode::Interrupted, None),
            E::Transport { .. } => (
                ExitCode::Vsphere,
                Some("is the server up, and does this machine reach its HTTPS port?".to_owned()),
            ),
            _ => (ExitCode::Vsphere, None),
        };
        Self {
            code,
            error: error.into(),
            hint,
            vm: None,
        }
    }
}

impl From<vddk::Error> for Failure {
    fn from(error: vddk::Error) -> Self {
        let code = match &error {
            vddk::Error::Load(_)
            | vddk::Error::MissingFunction { .. }
            | vddk::Error::TooOld { .. }
            | vddk::Error::Config(_)
            | vddk::Error::OtherSettings
            | vddk::Error::Exited
            | vddk::Error::Stuck { .. }
            | vddk::Error::ThreadEnded => ExitCode::Vddk,
            _ if error.kind() == Some(vddk::Kind::Authentication)
                || error.thumbprint_mismatch().is_some() =>
            {
                ExitCode::Refused
            }
            vddk::Error::Call(call) if call.operation() == "VixDiskLib_InitEx" => ExitCode::Vddk,
            _ => ExitCode::DiskIo,
        };
        let hint = match &error {
            vddk::Error::Load(_) => Some(
                "unpack VMware's VDDK and name its folder: --vddk DIR or VDDK_LIBDIR=DIR"
                    .to_owned(),
            ),
            other => other.explain(),
        };
        Self {
            code,
            error: error.into(),
            hint,
            vm: None,
        }
    }
}

impl From<repo::Error> for Failure {
    fn from(error: repo::Error) -> Self {
        use repo::Error as E;
        let (code, hint) = match &error {
            E::ConfigLost { .. } => (ExitCode::Damage, Some(REPAIR_CONFIG)),
            E::Damaged { object, .. } | E::BadMedium { object, .. } if object == "config" => {
                (ExitCode::Damage, Some(REPAIR_CONFIG))
            }
            E::NoConfigCopy => (
                ExitCode::Damage,
                Some(
                    "bring config back from a copy of the repository; after that `key replace` makes a slot that holds one",
                ),
            ),
            E::NoCopyOpened { .. } => (
                ExitCode::Refused,
                Some(
                    "check the key; if it opens one of the others, bring config back from a copy of the repository",
                ),
            ),
            E::NoRepository { .. } => (
                ExitCode::NoRepository,
                Some(
                    "is its folder mounted, and the address right? `cbt-backup init` makes a new one",
                ),
            ),
            E::BlocksMissing { .. } => (
                ExitCode::Damage,
                Some(
                    "packs of an earlier point were lost while the run was on; run it again: it reads what they held, and keeps what it has",
                ),
            ),
            E::WrongKey { damaged, .. } if !damaged.is_empty() => (
                ExitCode::Refused,
                Some(
                    "check the key; if its slot is the damaged one, put that object back from a copy, or open the repository with another key, remove the slot with `cbt-backup key remove` and make a new one with `key add`",
                ),
            ),
            E::Damaged { object, .. } | E::BadMedium { object, .. }
                if object.starts_with("key/") =>
            {
                (
                    ExitCode::Damage,
                    Some("no other slot is there: put this object back from a copy"),
                )
            }
            E::WrongKey {
                what: SlotKind::KeyFile,
                ..
            } => (
                ExitCode::Refused,
                Some("is it the key file of this repository? A passphrase opens it too"),
            ),
            E::WrongKey { .. } => (ExitCode::Refused, Some("check the passphrase")),
            E::KeySlotInUse { .. } => (
                ExitCode::Refused,
                Some(
                    "open the repository with another key to remove this one, or use `cbt-backup key replace`",
                ),
            ),
            E::KeySlotNotFound { .. } => (
                ExitCode::NotFound,
                Some("`cbt-backup key list` shows the slots"),
            ),
            E::KeySlotKept { .. } => (
                ExitCode::NotWritable,
                Some(
                    "use the new key from now on, and remove the old slot later with `cbt-backup key remove`",
                ),
            ),
            E::TooManyKeySlots { .. } => (
                ExitCode::Refused,
                Some("remove one that nobody needs with `cbt-backup key remove`"),
            ),
            E::DiskPartial { .. } => (
                ExitCode::NotFound,
                Some(
                    "the run of this point was cut short: restore an earlier point, or make a backup, which goes on from there",
                ),
            ),
            E::BadKeyFile { .. } | E::BadLabel => (ExitCode::Usage, None),
            E::SameRepository { .. } => (
                ExitCode::Usage,
                Some("name another repository with --to; `cbt-backup init` makes one"),
            ),
            full if full.is_not_writable() => (
                ExitCode::NotWritable,
                Some(
                    "make room or give rights; earlier points are untouched, and the run can be repeated",
                ),
            ),
            E::AccessDenied { .. } => (
                ExitCode::Refused,
                Some("check the credentials of the store and their rights"),
            ),
            E::NoBucket { .. } => (
                ExitCode::NoRepository,
                Some("make the bucket or container first, by the tools of its store"),
            ),
            E::UnfitStore { .. } => (
                ExitCode::Refused,
                Some("doc/operations.md says what stores must do and which do not"),
            ),
            E::Stopped => (ExitCode::Interrupted, None),
            E::AlreadyRepository { .. } | E::NotEmpty { .. } => (ExitCode::TargetExists, None),
            E::UnsupportedAddress { .. } | E::BadAddress { .. } => (ExitCode::Usage, None),
            E::PointNotFound { .. } | E::PointAmbiguous { .. } => (
                ExitCode::NotFound,
                Some("`cbt-backup list` shows the points"),
            ),
            E::TooMuchGarbage { .. } => (
                ExitCode::Unexpected,
                Some(
                    "look at `list` and `list --deleted`; if it is right, allow more with --max-percent",
                ),
            ),
            E::Unsweepable { .. } => (
                ExitCode::Damage,
                Some(
                    "`verify` says what is hit; drop the point by its id with `forget`, then prune. One that is dropped already is in the way until its days in the bin are over",
                ),
            ),
            E::NotWhole { .. } => (
                ExitCode::Damage,
                Some("a prune has taken some of its data, or is about to"),
            ),
            E::Damaged { object, .. } | E::BadMedium { object, .. }
                if object.starts_with("sweep/q-") =>
            {
                (
                    ExitCode::Damage,
                    Some(
                        "`cbt-backup verify --level full` reads all packs and lifts this quarantine",
                    ),
                )
            }
            E::Damaged { object, .. }
            | E::BadMedium { object, .. }
            | E::TooLarge { object, .. }
                if object.starts_with("sweep/") =>
            {
                (
                    ExitCode::Damage,
                    Some(
                        "it says what a prune may delete at any moment; when no prune runs on this repository, here or elsewhere, `cbt-backup prune --remove-unreadable-lists` removes it",
                    ),
                )
            }
            E::OtherSweep { .. } => (
                ExitCode::Busy,
                Some("wait until it is over, here and elsewhere, and repeat this one"),
            ),
            E::Unreadable { .. } if error.is_damage() => (
                ExitCode::Damage,
                Some(
                    "`cbt-backup verify` tells what is affected; `restore --allow-unreadable` restores the rest, with zeros in place of what is lost",
                ),
            ),
            damage if damage.is_damage() => (
                ExitCode::Damage,
                Some("`cbt-backup verify` tells what is affected"),
            ),
            _ => (ExitCode::Unexpected, None),
        };
        Self {
            code,
            error: error.into(),
            hint: hint.map(str::to_owned),
            vm: None,
        }
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        use engine::Error as E;
        match error {
            E::Vsphere(error) => error.into(),
            E::Vddk(error) => error.into(),
            E::Repository(error) => error.into(),
            E::Interrupted => Self::new(ExitCode::Interrupted, E::Interrupted),
            E::Busy { .. } => {
                Self::new(ExitCode::Busy, error).with_hint("wait for the other run to end")
            }
            E::TargetExists { .. } => Self::new(ExitCode::TargetExists, error)
                .with_hint("choose another folder, or replace it with --force"),
            E::Target { .. } | E::AllDisksFailed { .. } | E::InDoubt { .. } => {
                Self::new(ExitCode::DiskIo, error)
            }
            E::NotFound { .. } => Self::new(ExitCode::NotFound, error),
            E::Unfit { .. }
            | E::NotKept { .. }
            | E::Hook { .. }
            | E::NoDisk { .. }
            | E::BadMap { .. } => Self::new(ExitCode::Vsphere, error),
            E::Panicked { .. } => Self::new(ExitCode::Unexpected, error)
                .with_hint("this is a fault of the program: please report it"),
            E::Carried { .. } => Self::new(ExitCode::Incomplete, error)
                .with_hint("--allow-carried restores the older state of that disk"),
            E::State { .. } => Self::new(ExitCode::Unexpected, error)
                .with_hint("is the state folder writable? --state-dir names another"),
        }
    }
}
