//! How a guest is brought to rest for a snapshot.

use crate::vsphere::operation::Operation;

/// The shortest time limit that servers take.
const MIN_QUIESCE_MINUTES: u32 = 5;
/// The longest time limit that servers take.
const MAX_QUIESCE_MINUTES: u32 = 240;

/// How a guest is brought to rest for a snapshot. All but [`Quiesce::None`] want running VMware
/// Tools; a VM that is off needs none, and the server then ignores it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quiesce {
    /// Not at all: the disks are as after a power failure.
    #[default]
    None,
    /// As VMware Tools see fit.
    Tools,
    /// As VMware Tools see fit, within a time limit.
    Limited {
        /// The limit; it is brought into the range that servers take, 5 to 240.
        timeout_minutes: u32,
    },
    /// With the Volume Shadow Copy Service of Windows.
    Windows(WindowsQuiesce),
}

/// What the Volume Shadow Copy Service is told ("vSphere API reference, 2.6").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowsQuiesce {
    /// The limit; it is brought into the range that servers take, 5 to 240.
    pub timeout_minutes: u32,
    /// What kind of backup the writers are told of.
    pub backup_type: VssBackupType,
    /// The writers of the system's own state take part.
    pub bootable_system_state: bool,
    /// Writers may be told of parts of files.
    pub partial_file_support: bool,
    /// Which writers take part.
    pub context: VssContext,
}

impl Default for WindowsQuiesce {
    /// A copy: it leaves the logs of applications alone, which we do not manage.
    fn default() -> Self {
        Self {
            timeout_minutes: 15,
            backup_type: VssBackupType::Copy,
            bootable_system_state: true,
            partial_file_support: false,
            context: VssContext::Auto,
        }
    }
}

/// `VSS_BACKUP_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VssBackupType {
    /// Applications may cut their logs.
    Full,
    /// What changed since the last one of any kind.
    Incremental,
    /// What changed since the last full one.
    Differential,
    /// Logs only.
    Log,
    /// Nothing in the applications' history changes.
    Copy,
}

impl VssBackupType {
    fn number(self) -> i64 {
        match self {
            Self::Full => 1,
            Self::Incremental => 2,
            Self::Differential => 3,
            Self::Log => 4,
            Self::Copy => 5,
        }
    }
}

/// Which writers take part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VssContext {
    /// VMware Tools decide.
    #[default]
    Auto,
    /// Applications are brought to rest.
    Backup,
    /// File systems only.
    FileShareBackup,
}

impl VssContext {
    fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "ctx_auto",
            Self::Backup => "ctx_backup",
            Self::FileShareBackup => "ctx_file_share_backup",
        }
    }
}

impl Quiesce {
    /// True if the older call says it all; it has no time limit.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::None | Self::Tools)
    }

    /// Writes `quiesceSpec`, where there is one.
    pub(super) fn write(&self, operation: Operation) -> Operation {
        let minutes =
            |minutes: u32| i64::from(minutes.clamp(MIN_QUIESCE_MINUTES, MAX_QUIESCE_MINUTES));
        match self {
            Self::None => operation,
            Self::Tools => operation
                .open_typed("quiesceSpec", "VirtualMachineGuestQuiesceSpec")
                .close("quiesceSpec"),
            Self::Limited { timeout_minutes } => operation
                .open_typed("quiesceSpec", "VirtualMachineGuestQuiesceSpec")
                .number("timeout", minutes(*timeout_minutes))
                .close("quiesceSpec"),
            Self::Windows(windows) => operation
                .open_typed("quiesceSpec", "VirtualMachineWindowsQuiesceSpec")
                .number("timeout", minutes(windows.timeout_minutes))
                .number("vssBackupType", windows.backup_type.number())
                .boolean("vssBootableSystemState", windows.bootable_system_state)
                .boolean("vssPartialFileSupport", windows.partial_file_support)
                .text("vssBackupContext", windows.context.as_str())
                .close("quiesceSpec"),
        }
    }
}
