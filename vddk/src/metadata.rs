//! The disk database: keys and values that a disk carries beside its sectors.

use std::ffi::c_char;

use vddk_sys::{MissingFunction, Symbols, VIX_E_BUFFER_TOOSMALL, VIX_E_DISK_KEY_NOTFOUND, VIX_OK};

use crate::{Code, Disk, Error, WritableDisk, control::check, disk_path, idle::Idle};

const KEYS: &str = "VixDiskLib_GetMetadataKeys";
const READ: &str = "VixDiskLib_ReadMetadata";
const WRITE: &str = "VixDiskLib_WriteMetadata";

/// No disk database is longer. A length above is no length.
const MAX_BYTES: usize = 1024 * 1024;

/// How often a text that has grown since it was measured is asked for again.
const ATTEMPTS: usize = 4;

impl Disk {
    /// The keys of the disk database, for instance `adapterType` or `geometry.sectors`
    /// (`VixDiskLib_GetMetadataKeys`).
    ///
    /// Everything in flight ends first. Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// [`Error::MissingFunction`], [`Error::Call`], [`Error::UnusableAnswer`].
    #[doc(alias = "VixDiskLib_GetMetadataKeys")]
    pub fn metadata_keys(&self) -> Result<Vec<String>, Error> {
        keys(&self.idle()?)
    }

    /// The value of a key of the disk database, `None` where there is no such key
    /// (`VixDiskLib_ReadMetadata`).
    ///
    /// Everything in flight ends first. Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// [`Error::Argument`] for a key with a NUL byte, else as [`Disk::metadata_keys`].
    #[doc(alias = "VixDiskLib_ReadMetadata")]
    pub fn metadata(&self, key: &str) -> Result<Option<String>, Error> {
        value(&self.idle()?, key)
    }
}

impl WritableDisk {
    /// Sets a key of the disk database (`VixDiskLib_WriteMetadata`). Servers may refuse it for their
    /// disks.
    ///
    /// Everything in flight ends first.
    ///
    /// # Errors
    /// [`Error::Argument`] for a NUL byte, [`Error::MissingFunction`], [`Error::Call`].
    #[doc(alias = "VixDiskLib_WriteMetadata")]
    pub fn set_metadata(&self, key: &str, value: &str) -> Result<(), Error> {
        let key = disk_path::text(key, "a metadata key")?;
        let value = disk_path::text(value, "a metadata value")?;
        self.idle()?.run(WRITE, move |symbols, handle, path| {
            // SAFETY: the handle is open and at rest; both texts live through the call.
            let result = unsafe {
                symbols.VixDiskLib_WriteMetadata(handle.0, key.as_ptr(), value.as_ptr())
            }?;
            check(symbols, WRITE, Some(path), None, result)
        })?
    }
}

fn keys(disk: &Idle<'_>) -> Result<Vec<String>, Error> {
    let bytes = disk.run(KEYS, |symbols, handle, path| {
        // SAFETY: the handle is open and idle; buffer and length belong together, as `measured`
        // promises, and the last pointer is one to a number.
        let measured = measured(|buffer, length, required| unsafe {
            symbols.VixDiskLib_GetMetadataKeys(handle.0, buffer, length, required)
        });
        measured.map_err(|refusal| refusal.told(symbols, KEYS, path))
    })??;
    Ok(listed(&bytes))
}

fn value(disk: &Idle<'_>, key: &str) -> Result<Option<String>, Error> {
    let c_key = disk_path::text(key, "a metadata key")?;
    let bytes = disk.run(READ, move |symbols, handle, path| {
        // SAFETY: the handle is open and idle, the key lives through the call; buffer and length
        // belong together, as `measured` promises, and the last pointer is one to a number.
        let measured = measured(|buffer, length, required| unsafe {
            symbols.VixDiskLib_ReadMetadata(handle.0, c_key.as_ptr(), buffer, length, required)
        });
        match measured {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Refusal::Call(result)) if is(result, VIX_E_DISK_KEY_NOTFOUND) => Ok(None),
            Err(refusal) => Err(refusal.told(symbols, READ, path)),
        }
    })??;
    Ok(bytes.map(|bytes| first_text(&bytes).0))
}

/// Why a text was not had.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// The library's result.
    Call(u64),
    /// There is no such function.
    Missing(MissingFunction),
    /// A length that cannot be one.
    Length(usize),
    /// The text was longer than just said, every time.
    Growing,
}

impl From<MissingFunction> for Refusal {
    fn from(missing: MissingFunction) -> Self {
        Self::Missing(missing)
    }
}

impl Refusal {
    fn told(self, symbols: &Symbols, function: &'static str, path: &str) -> Error {
        let what = match self {
            Self::Call(result) => match check(symbols, function, Some(path), None, result) {
                Err(error) => return error,
                Ok(()) => "no result".to_owned(),
            },
            Self::Missing(missing) => return missing.into(),
            Self::Length(bytes) => format!("{bytes} bytes of metadata of {path}"),
            Self::Growing => format!("metadata of {path} that is never as long as just said"),
        };
        Error::UnusableAnswer { function, what }
    }
}

fn is(result: u64, code: u32) -> bool {
    u32::from(Code::of(result).0) == code
}

/// Asks for the length with no buffer, then for the text with one of that length (VDDK API
/// reference, 1.8). `ask` is given a buffer of so many bytes, or NULL and 0, and where to put the
/// length needed.
fn measured(
    mut ask: impl FnMut(*mut c_char, usize, *mut usize) -> Result<u64, MissingFunction>,
) -> Result<Vec<u8>, Refusal> {
    let mut required = 0;
    let mut result = ask(std::ptr::null_mut(), 0, &raw mut required)?;
    // Some libraries call the question for the length a success.
    let empty = is(result, VIX_OK) && required == 0;
    if empty {
        return Ok(Vec::new());
    }
    for _ in 0..ATTEMPTS {
        if !is(result, VIX_OK) && !is(result, VIX_E_BUFFER_TOOSMALL) {
            return Err(Refusal::Call(result));
        }
        if !(1..=MAX_BYTES).contains(&required) {
            return Err(Refusal::Length(required));
        }
        let mut buffer = vec![0_u8; required];
        result = ask(buffer.as_mut_ptr().cast(), buffer.len(), &raw mut required)?;
        if is(result, VIX_OK) {
            return Ok(buffer);
        }
    }
    if is(result, VIX_E_BUFFER_TOOSMALL) {
        return Err(Refusal::Growing);
    }
    Err(Refusal::Call(result))
}

/// The text before the first NUL, or all of it, and what follows.
fn first_text(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0);
    let (text, rest) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    (String::from_utf8_lossy(text).into_owned(), rest)
}

/// Texts one after another, each with its NUL, up to an empty one or the end of the bytes.
fn listed(mut bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (text, rest) = first_text(bytes);
        if text.is_empty() {
            break;
        }
        all.push(text);
        bytes = rest;
    }
    all
}

#[cfg(test)]
mod tests {
    use std::ffi::c_char;

    use super::{ATTEMPTS, MAX_BYTES, Refusal, listed, measured};

    type Answer = Result<u64, vddk_sys::MissingFunction>;

    /// A library with one text, which grows by a byte at every question as long as `growth` lasts.
    fn library(
        text: &str,
        mut growth: usize,
    ) -> impl FnMut(*mut c_char, usize, *mut usize) -> Answer {
        let mut text = text.as_bytes().to_vec();
        text.push(0);
        move |buffer, length, required| {
            // SAFETY: `measured` gives a pointer to a number.
            unsafe { required.write(text.len()) };
            if length < text.len() {
                if growth > 0 {
                    growth -= 1;
                    text.insert(0, b'x');
                }
                return Ok(24);
            }
            // SAFETY: the buffer is `length` bytes long, and the text is no longer.
            unsafe { std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, text.len()) };
            Ok(0)
        }
    }

    #[test]
    fn a_text_is_measured_and_had() {
        assert_eq!(measured(library("lsilogic", 0)).unwrap(), b"lsilogic\0");
        assert_eq!(measured(library("", 0)).unwrap(), b"\0");
    }

    #[test]
    fn a_text_that_grows_is_asked_for_again_but_not_for_ever() {
        assert_eq!(measured(library("a", 2)).unwrap(), b"xxa\0");
        assert_eq!(measured(library("a", 100)), Err(Refusal::Growing));
        let mut asked = 0;
        let never = measured(|_, length, required| {
            asked += 1;
            // SAFETY: `measured` gives a pointer to a number.
            unsafe { required.write(length + 1) };
            Ok(24)
        });
        assert_eq!((never, asked), (Err(Refusal::Growing), ATTEMPTS + 1));
    }

    #[test]
    fn a_length_that_lies_takes_no_memory() {
        for lie in [0, MAX_BYTES + 1, 1 << 60, usize::MAX] {
            let refused = measured(|buffer, _, required| {
                assert!(buffer.is_null(), "a buffer was made for {lie} bytes");
                // SAFETY: `measured` gives a pointer to a number.
                unsafe { required.write(lie) };
                Ok(24)
            });
            assert_eq!(refused, Err(Refusal::Length(lie)));
        }
    }

    #[test]
    fn success_without_a_length_is_an_empty_text_and_errors_stay() {
        assert_eq!(measured(|_, _, _| Ok(0)), Ok(Vec::new()));
        assert_eq!(measured(|_, _, _| Ok(16_052)), Err(Refusal::Call(16_052)));
        let late = measured(|buffer, _, required| {
            // SAFETY: `measured` gives a pointer to a number.
            unsafe { required.write(4) };
            Ok(if buffer.is_null() { 24 } else { 7 })
        });
        assert_eq!(late, Err(Refusal::Call(7)));
    }

    #[test]
    fn a_list_of_keys_needs_no_honest_end() {
        let cases: [(&[u8], &[&str]); 6] = [
            (b"a\0bc\0\0", &["a", "bc"]),
            (b"a\0bc\0", &["a", "bc"]),
            (b"a\0bc", &["a", "bc"]),
            (b"\0a\0\0", &[]),
            (b"", &[]),
            (b"\xff\0\0", &["\u{fffd}"]),
        ];
        for (bytes, keys) in cases {
            assert_eq!(listed(bytes), keys, "{bytes:?}");
        }
    }
}
