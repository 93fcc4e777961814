//! The settings that are numbers, and the names of all that we know.

/// `tmpDirectory`.
pub(super) const TMP_DIRECTORY: &str = "tmpDirectory";
/// The SAN lists: deny and allow, by their names from 8.0 on and by those before.
pub(super) const SAN_DENY: [&str; 2] = [
    "vixDiskLib.transport.san.denyList",
    "vixDiskLib.transport.san.blacklist",
];
pub(super) const SAN_ALLOW: [&str; 2] = [
    "vixDiskLib.transport.san.allowList",
    "vixDiskLib.transport.san.whitelist",
];

/// A setting that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NumberKey {
    TransportLogLevel,
    NfcLogLevel,
    AcceptTimeOutMs,
    RequestTimeOutMs,
    ReadTimeOutMs,
    WriteTimeOutMs,
    FileServerTimeOutMs,
    FileServerWriteTimeOutMs,
    AioBuffer64Kib,
    AioBufferCount,
}

impl NumberKey {
    pub(super) const ALL: [Self; 10] = [
        Self::TransportLogLevel,
        Self::NfcLogLevel,
        Self::AcceptTimeOutMs,
        Self::RequestTimeOutMs,
        Self::ReadTimeOutMs,
        Self::WriteTimeOutMs,
        Self::FileServerTimeOutMs,
        Self::FileServerWriteTimeOutMs,
        Self::AioBuffer64Kib,
        Self::AioBufferCount,
    ];

    /// VDDK's name of it (VDDK API reference, section 5).
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TransportLogLevel => "vixDiskLib.transport.LogLevel",
            Self::NfcLogLevel => "vixDiskLib.nfc.LogLevel",
            Self::AcceptTimeOutMs => "vixDiskLib.nfc.AcceptTimeoutMs",
            Self::RequestTimeOutMs => "vixDiskLib.nfc.RequestTimeoutMs",
            Self::ReadTimeOutMs => "vixDiskLib.nfc.ReadTimeoutMs",
            Self::WriteTimeOutMs => "vixDiskLib.nfc.WriteTimeoutMs",
            Self::FileServerTimeOutMs => "vixDiskLib.nfcFssrvr.TimeoutMs",
            Self::FileServerWriteTimeOutMs => "vixDiskLib.nfcFssrvrWrite.TimeoutMs",
            Self::AioBuffer64Kib => "vixDiskLib.nfcAio.Session.BufSizeIn64KB",
            Self::AioBufferCount => "vixDiskLib.nfcAio.Session.BufCount",
        }
    }

    /// The smallest and the largest value. Time-outs end where a signed 32-bit number does.
    pub(super) fn range(self) -> (u32, u32) {
        match self {
            Self::TransportLogLevel => (0, 6),
            Self::NfcLogLevel => (0, 4),
            Self::AioBuffer64Kib | Self::AioBufferCount => (1, 256),
            _ => (0, i32::MAX.unsigned_abs()),
        }
    }

    pub(super) fn is_time_out(self) -> bool {
        matches!(
            self,
            Self::AcceptTimeOutMs
                | Self::RequestTimeOutMs
                | Self::ReadTimeOutMs
                | Self::WriteTimeOutMs
                | Self::FileServerTimeOutMs
                | Self::FileServerWriteTimeOutMs
        )
    }

    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|key| key.name().eq_ignore_ascii_case(name))
    }

    /// What is wrong with a value, if anything is.
    pub(super) fn refuses(self, value: u32) -> Option<String> {
        let (smallest, largest) = self.range();
        (!(smallest..=largest).contains(&value))
            .then(|| format!("{value} is not between {smallest} and {largest}"))
    }
}

/// Whether the name is one of those that have a field of their own.
pub(super) fn is_known(name: &str) -> bool {
    let texts = [TMP_DIRECTORY].into_iter().chain(SAN_DENY).chain(SAN_ALLOW);
    NumberKey::by_name(name).is_some()
        || texts.into_iter().any(|own| own.eq_ignore_ascii_case(name))
}
