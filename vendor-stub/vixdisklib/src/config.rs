//! VDDK's configuration file, the last argument of `InitEx` ("VDDK API reference, 5").
//!
//! What the stand-in understands of it is in [`Config`]; other keys are named in the log and have
//! no effect. A file that cannot be read is no error: the defaults hold then, as they do without
//! a file. The files of the machine that the real library would look for are left alone.

mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use vddk_sys as sys;

use crate::error::Failure;
use crate::log;
use crate::va_list::Arg;

/// Longer files are no settings.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Size of the unit in which AIO buffers are given.
const AIO_UNIT_BYTES: u64 = 64 * 1024;

/// `Open` fails when all AIO buffers of a session together are larger ("VDDK API reference, 5").
const MAX_AIO_BYTES: u64 = 16 * 1024 * 1024;

/// The settings of a configuration file, or the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where logs, locks and the state of HotAdd go; `None` = the library's own place.
    pub(crate) tmp_directory: Option<PathBuf>,
    /// How long NFC waits.
    pub(crate) nfc: NfcTimeOuts,
    /// The buffers of asynchronous NFC.
    pub(crate) aio: AioBuffers,
    /// Which devices SAN may look at.
    pub(crate) san: DeviceLists,
    /// How much is logged.
    pub(crate) log: LogLevels,
}

/// How long NFC waits for the other side; `None` = for ever, which is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NfcTimeOuts {
    /// For a link to be accepted.
    pub(crate) accept: Option<Duration>,
    /// For the answer to a request.
    pub(crate) request: Option<Duration>,
    /// For data to read.
    pub(crate) read: Option<Duration>,
    /// For written data to be taken.
    pub(crate) write: Option<Duration>,
    /// For the next request of an idle link.
    pub(crate) file_server: Option<Duration>,
    /// As `file_server`, for a link that writes.
    pub(crate) file_server_write: Option<Duration>,
}

impl NfcTimeOuts {
    /// The shortest that is set: after it the host gives up a client it hears nothing from.
    pub(crate) fn shortest(&self) -> Option<Duration> {
        let all = [
            self.accept,
            self.request,
            self.read,
            self.write,
            self.file_server,
            self.file_server_write,
        ];
        all.into_iter().flatten().min()
    }
}

/// The buffers of asynchronous NFC, for each open disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AioBuffers {
    /// Size of one.
    pub(crate) size_bytes: u64,
    /// How many.
    pub(crate) count: u64,
}

impl Default for AioBuffers {
    fn default() -> Self {
        Self {
            size_bytes: AIO_UNIT_BYTES,
            count: 4,
        }
    }
}

impl AioBuffers {
    /// Size of all of them.
    pub(crate) fn total_bytes(self) -> u64 {
        self.size_bytes.saturating_mul(self.count)
    }

    /// What `Open` checks for NBD and NBDSSL.
    ///
    /// # Errors
    ///
    /// `VIX_E_FAIL` when the buffers are larger than 16 MiB together.
    pub(crate) fn check(self) -> Result<(), Failure> {
        if self.total_bytes() <= MAX_AIO_BYTES {
            return Ok(());
        }
        let Self { size_bytes, count } = self;
        let message = format!("{count} NFC AIO buffers of {size_bytes} bytes exceed 16 MB");
        Err(Failure::new(sys::VIX_E_FAIL, message))
    }
}

/// Which devices SAN may look at: paths of device nodes, or `all`. What is allowed by name is
/// allowed though `all` are denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceLists {
    /// `allowList`, once `whitelist`.
    pub(crate) allow: Vec<String>,
    /// `denyList`, once `blacklist`.
    pub(crate) deny: Vec<String>,
}

impl DeviceLists {
    /// May SAN look at a device node?
    pub(crate) fn permit(&self, device: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|pattern| text::matches(pattern, device));
        let all = |list: &[String]| list.iter().any(|word| word.eq_ignore_ascii_case("all"));
        if named(&self.allow) {
            return true;
        }
        if named(&self.deny) {
            return false;
        }
        all(&self.allow) || !all(&self.deny)
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogLevels {
    /// Of the transports: 0 panic, 1 error, 2 warning, 3 audit, 4 info, 5 verbose, 6 trivia.
    pub(crate) transport: u8,
    /// Of NFC: 0 quiet, 1 error, 2 warning, 3 info, 4 debug.
    pub(crate) nfc: u8,
}

impl Default for LogLevels {
    fn default() -> Self {
        Self {
            transport: 3,
            nfc: 1,
        }
    }
}

impl Config {
    /// Reads a file. What was odd about it is said in the log.
    pub(crate) fn read(path: &Path) -> Self {
        let content = std::fs::metadata(path)
            .and_then(|about| match about.len() {
                0..=MAX_FILE_BYTES => std::fs::read(path),
                _ => Err(std::io::ErrorKind::FileTooLarge.into()),
            })
            .map(|content| String::from_utf8_lossy(&content).into_owned());
        let (config, remarks) = match content {
            Ok(content) => Self::parse(&content),
            Err(error) => (Self::default(), vec![format!("not read: {error}")]),
        };
        let shown = log::c_text(&path.display().to_string());
        for remark in remarks {
            let remark = log::c_text(&remark);
            log::info(
                c"VixDiskLib: configuration %s: %s\n",
                &[Arg::Text(&shown), Arg::Text(&remark)],
            );
        }
        config
    }

    /// The folder for locks and the state of HotAdd, as the lab notes it.
    pub(crate) fn state_folder(&self) -> Option<String> {
        let folder = self.tmp_directory.as_deref()?;
        Some(folder.display().to_string())
    }

    /// Says in the log what holds.
    pub(crate) fn say(&self) {
        let milliseconds = |time_out: Option<Duration>| {
            let milliseconds = time_out.map_or(0, |time_out| time_out.as_millis());
            Arg::Number(u64::try_from(milliseconds).unwrap_or(u64::MAX))
        };
        log::info(
            c"VixDiskLib: NFC time-outs in ms: accept %lu, request %lu, read %lu, write %lu; AIO buffers %lu of %lu bytes\n",
            &[
                milliseconds(self.nfc.accept),
                milliseconds(self.nfc.request),
                milliseconds(self.nfc.read),
                milliseconds(self.nfc.write),
                Arg::Number(self.aio.count),
                Arg::Number(self.aio.size_bytes),
            ],
        );
        let folder = self.tmp_directory.as_deref().unwrap_or(Path::new("-"));
        let folder = log::c_text(&folder.display().to_string());
        log::info(
            c"VixDiskLib: idle NFC links end after %lu ms; log levels %u and %u; temporary folder %s\n",
            &[
                milliseconds(self.nfc.shortest()),
                Arg::Number(u64::from(self.log.transport)),
                Arg::Number(u64::from(self.log.nfc)),
                Arg::Text(&folder),
            ],
        );
    }

    /// The settings in a text, and a remark on each line that has no effect. Of two lines with
    /// one key the later holds.
    pub(crate) fn parse(content: &str) -> (Self, Vec<String>) {
        let mut config = Self::default();
        let mut remarks = Vec::new();
        for (number, line) in (1..).zip(content.lines()) {
            let outcome = match text::setting(line) {
                Ok(None) => Ok(()),
                Ok(Some((key, value))) => config.set(key, value),
                Err(reason) => Err(reason.to_owned()),
            };
            if let Err(reason) = outcome {
                remarks.push(format!("line {number}: {reason}"));
            }
        }
        (config, remarks)
    }

    /// Takes one setting over.
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let odd = |reason: &str| format!("{key}: {reason}");
        let time_out = |field: &mut Option<Duration>| {
            let milliseconds: u64 = value.parse().map_err(|_| odd("no number"))?;
            *field = (milliseconds > 0).then(|| Duration::from_millis(milliseconds));
            Ok(())
        };
        let level = |field: &mut u8, highest: u8| {
            let level = value.parse().ok().filter(|level| *level <= highest);
            *field = level.ok_or_else(|| odd("no log level"))?;
            Ok(())
        };
        let count = |field: &mut u64, unit: u64| {
            let count = value.parse().ok().filter(|count: &u64| *count > 0);
            let count = count.ok_or_else(|| odd("no positive number"))?;
            *field = count.saturating_mul(unit);
            Ok(())
        };
        match key.to_ascii_lowercase().as_str() {
            "tmpdirectory" => {
                self.tmp_directory = Some(value.into()).filter(|_| !value.is_empty());
                Ok(())
            }
            "vixdisklib.transport.loglevel" => level(&mut self.log.transport, 6),
            "vixdisklib.nfc.loglevel" => level(&mut self.log.nfc, 4),
            "vixdisklib.transport.san.blacklist" | "vixdisklib.transport.san.denylist" => {
                self.san.deny = text::list(value);
                Ok(())
            }
            "vixdisklib.transport.san.whitelist" | "vixdisklib.transport.san.allowlist" => {
                self.san.allow = text::list(value);
                Ok(())
            }
            "vixdisklib.nfc.accepttimeoutms" => time_out(&mut self.nfc.accept),
            "vixdisklib.nfc.requesttimeoutms" => time_out(&mut self.nfc.request),
            "vixdisklib.nfc.readtimeoutms" => time_out(&mut self.nfc.read),
            "vixdisklib.nfc.writetimeoutms" => time_out(&mut self.nfc.write),
            "vixdisklib.nfcfssrvr.timeoutms" => time_out(&mut self.nfc.file_server),
            "vixdisklib.nfcfssrvrwrite.timeoutms" => time_out(&mut self.nfc.file_server_write),
            "vixdisklib.nfcaio.session.bufsizein64kb" => {
                count(&mut self.aio.size_bytes, AIO_UNIT_BYTES)
            }
            "vixdisklib.nfcaio.session.bufcount" => count(&mut self.aio.count, 1),
            _ => Err(odd("unknown, ignored")),
        }
    }
}

#[cfg(test)]
mod tests;
