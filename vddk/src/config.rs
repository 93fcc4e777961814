//! VDDK's own configuration file, typed.

mod error;
mod file;
mod key;
mod source;
mod text;

use std::{collections::BTreeMap, fmt, path::Path, str::FromStr, time::Duration};

pub use error::ConfigError;
use key::NumberKey;
pub use source::ConfigSource;
pub(crate) use source::Prepared;

/// `Open` fails when the buffers of asynchronous NFC exceed this (VDDK API reference, section 5).
const MAX_AIO_BYTES: u64 = 16 * 1024 * 1024;
/// The unit of the buffer size.
const AIO_UNIT_BYTES: u64 = 64 * 1024;
/// What the library takes where the file does not say it.
const DEFAULT_AIO_BUFFER_64_KIB: u32 = 1;
const DEFAULT_AIO_COUNT: u32 = 4;

/// Settings of VDDK's configuration file (VDDK API reference, section 5).
///
/// A setting that is not set is not written, and the library's own default holds. Its defaults are
/// poor: no NFC time-out at all, so that a client that was killed may keep a disk locked. So
/// [`Config::builder`] begins with what is advised ([`Config::recommended`]), and
/// [`Config::empty`] with nothing.
///
/// An existing file is read by [`str::parse`]; its comments are not kept. Printing gives a file
/// with both the new and the old names of the SAN lists; the file that a [`Library`](crate::Library)
/// writes has the names that its release knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    tmp_directory: Option<String>,
    numbers: BTreeMap<NumberKey, u32>,
    san_deny: Vec<String>,
    san_allow: Vec<String>,
    other: Vec<(String, String)>,
}

impl Config {
    /// The advised settings: NFC time-outs of 3 min (accept), 3 min (request), 1 min (read) and
    /// 10 min (write), none for the file-server part, and 4 buffers of 1 MiB for asynchronous NFC.
    pub fn recommended() -> Self {
        let numbers = [
            (NumberKey::AcceptTimeOutMs, 180_000),
            (NumberKey::RequestTimeOutMs, 180_000),
            (NumberKey::ReadTimeOutMs, 60_000),
            (NumberKey::WriteTimeOutMs, 600_000),
            (NumberKey::FileServerTimeOutMs, 0),
            (NumberKey::FileServerWriteTimeOutMs, 0),
            (NumberKey::AioBuffer64Kib, 16),
            (NumberKey::AioBufferCount, 4),
        ];
        Self {
            numbers: numbers.into(),
            ..Self::default()
        }
    }

    /// Begins with the advised settings.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder(Self::recommended())
    }

    /// Begins with no setting at all.
    pub fn empty() -> ConfigBuilder {
        ConfigBuilder(Self::default())
    }

    /// Reads an existing file, of at most 1 MiB.
    ///
    /// # Errors
    /// [`ConfigError::Read`] and [`ConfigError::TooLarge`], or what [`str::parse`] says of a line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        file::read(path)?.parse()
    }

    /// The folder for logs, locks and HotAdd state, where it is set.
    pub fn tmp_directory(&self) -> Option<&str> {
        self.tmp_directory.as_deref()
    }

    /// Milliseconds to wait for NFC to accept a connection; 0 waits for ever.
    pub fn nfc_accept_time_out_ms(&self) -> Option<u32> {
        self.number(NumberKey::AcceptTimeOutMs)
    }

    /// Milliseconds for an NFC request; 0 waits for ever.
    pub fn nfc_request_time_out_ms(&self) -> Option<u32> {
        self.number(NumberKey::RequestTimeOutMs)
    }

    /// Milliseconds for an NFC read; 0 waits for ever.
    pub fn nfc_read_time_out_ms(&self) -> Option<u32> {
        self.number(NumberKey::ReadTimeOutMs)
    }

    /// Milliseconds for an NFC write; 0 waits for ever.
    pub fn nfc_write_time_out_ms(&self) -> Option<u32> {
        self.number(NumberKey::WriteTimeOutMs)
    }

    /// Size in bytes, and number, of the buffers for asynchronous NFC, where one of them is set.
    pub fn nfc_aio_buffers(&self) -> Option<(u64, u32)> {
        let size = self.number(NumberKey::AioBuffer64Kib);
        let count = self.number(NumberKey::AioBufferCount);
        size.or(count)?;
        let size = u64::from(size.unwrap_or(DEFAULT_AIO_BUFFER_64_KIB));
        Some((size * AIO_UNIT_BYTES, count.unwrap_or(DEFAULT_AIO_COUNT)))
    }

    /// Devices that SAN must not look at, and those that it may.
    pub fn san_devices(&self) -> (&[String], &[String]) {
        (&self.san_deny, &self.san_allow)
    }

    /// Settings that this crate does not know: name and value.
    pub fn other(&self) -> &[(String, String)] {
        &self.other
    }

    /// The shortest of the NFC time-outs, where one is set; 0 in the file is none.
    pub fn shortest_nfc_time_out(&self) -> Option<Duration> {
        let time_outs = self
            .numbers
            .iter()
            .filter(|(key, ms)| key.is_time_out() && **ms > 0);
        let shortest_ms = time_outs.map(|(_, ms)| *ms).min()?;
        Some(Duration::from_millis(u64::from(shortest_ms)))
    }

    /// How often an idle disk is to be read so that no time-out closes its link: a third of the
    /// shortest one. `None` where no time-out is set.
    pub fn keep_alive_interval(&self) -> Option<Duration> {
        self.shortest_nfc_time_out().map(|shortest| shortest / 3)
    }

    fn number(&self, key: NumberKey) -> Option<u32> {
        self.numbers.get(&key).copied()
    }

    /// Checks what concerns more than one setting.
    fn checked(self) -> Result<Self, ConfigError> {
        if let Some((buffer_bytes, count)) = self.nfc_aio_buffers()
            && buffer_bytes.saturating_mul(u64::from(count)) > MAX_AIO_BYTES
        {
            return Err(ConfigError::AioBuffers {
                buffer_bytes,
                count,
            });
        }
        Ok(self)
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::write(self, None))
    }
}

impl FromStr for Config {
    type Err = ConfigError;

    /// Reads the lines of a file. Names are compared without regard to case; unknown ones pass
    /// through; a comment begins with `#`.
    ///
    /// # Errors
    /// [`ConfigError::Line`] for a line that is no setting or a value that does not fit,
    /// [`ConfigError::Twice`], [`ConfigError::AioBuffers`].
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        text::parse(text)
    }
}

/// Collects the settings of a [`Config`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigBuilder(Config);

impl ConfigBuilder {
    /// Where the library keeps logs, locks and HotAdd state; `/tmp/vmware-<user>` unless set.
    #[must_use]
    pub fn tmp_directory(mut self, folder: impl Into<String>) -> Self {
        self.0.tmp_directory = Some(folder.into());
        self
    }

    /// How much the transports log: 0 (panic) to 6 (trivia); the library's default is 3.
    ///
    /// From 4 on, cookies and tickets may show in the log (VDDK API reference, 6.6).
    #[must_use]
    pub fn transport_log_level(self, level: u32) -> Self {
        self.set(NumberKey::TransportLogLevel, level)
    }

    /// How much NFC logs: 0 (quiet) to 4 (debug); the library's default is 1.
    #[must_use]
    pub fn nfc_log_level(self, level: u32) -> Self {
        self.set(NumberKey::NfcLogLevel, level)
    }

    /// Milliseconds to wait for NFC to accept a connection; 0 waits for ever.
    #[must_use]
    pub fn nfc_accept_time_out_ms(self, ms: u32) -> Self {
        self.set(NumberKey::AcceptTimeOutMs, ms)
    }

    /// Milliseconds for an NFC request; 0 waits for ever.
    #[must_use]
    pub fn nfc_request_time_out_ms(self, ms: u32) -> Self {
        self.set(NumberKey::RequestTimeOutMs, ms)
    }

    /// Milliseconds for an NFC read; 0 waits for ever.
    #[must_use]
    pub fn nfc_read_time_out_ms(self, ms: u32) -> Self {
        self.set(NumberKey::ReadTimeOutMs, ms)
    }

    /// Milliseconds for an NFC write; 0 waits for ever.
    #[must_use]
    pub fn nfc_write_time_out_ms(self, ms: u32) -> Self {
        self.set(NumberKey::WriteTimeOutMs, ms)
    }

    /// Milliseconds that NFC's file-server part may be idle; 0 is no limit.
    #[must_use]
    pub fn nfc_file_server_time_out_ms(self, ms: u32) -> Self {
        self.set(NumberKey::FileServerTimeOutMs, ms)
    }

    /// The same for its writes.
    #[must_use]
    pub fn nfc_file_server_write_time_out_ms(self, ms: u32) -> Self {
        self.set(NumberKey::FileServerWriteTimeOutMs, ms)
    }

    /// Buffers of asynchronous NFC: the size of one in units of 64 KiB, and how many (from VDDK
    /// 7.0.3 on). Together at most 16 MiB.
    #[must_use]
    pub fn nfc_aio_buffers(self, size_64_kib: u32, count: u32) -> Self {
        self.set(NumberKey::AioBuffer64Kib, size_64_kib)
            .set(NumberKey::AioBufferCount, count)
    }

    /// A device node that SAN must not look at, or `all`; wildcards `* ? [ ]` from VDDK 8.0.1 on.
    #[must_use]
    pub fn san_deny(mut self, device: impl Into<String>) -> Self {
        self.0.san_deny.push(device.into());
        self
    }

    /// A device node that SAN may look at, or `all`; wildcards `* ? [ ]` from VDDK 8.0.1 on.
    #[must_use]
    pub fn san_allow(mut self, device: impl Into<String>) -> Self {
        self.0.san_allow.push(device.into());
        self
    }

    /// A setting that this crate does not know. It is passed through as it is.
    #[must_use]
    pub fn other(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.other.push((name.into(), value.into()));
        self
    }

    /// Checks all values.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for one that does not fit or would break the form of the file,
    /// [`ConfigError::Name`] and [`ConfigError::Twice`] for names passed through,
    /// [`ConfigError::AioBuffers`] when the buffers are too large.
    pub fn build(self) -> Result<Config, ConfigError> {
        text::check(&self.0)?;
        self.0.checked()
    }

    fn set(mut self, key: NumberKey, value: u32) -> Self {
        self.0.numbers.insert(key, value);
        self
    }
}

#[cfg(test)]
mod tests;
