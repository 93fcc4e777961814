//! Which transport a disk gets.

use std::ffi::CStr;

use vddk_sys as sys;

use crate::error::Failure;
use crate::log;
use crate::va_list::Arg;

/// What the library offers, and its order of preference when the caller names none.
pub(crate) const DEFAULT_LIST: &CStr = c"file:san:hotadd:nbdssl:nbd";

/// The transport of local files.
pub(crate) const FILE: &CStr = c"file";

/// The words of a colon list, lower case; the default list for null and for an empty text.
pub(crate) fn parse(list: Option<&str>) -> Vec<String> {
    let default = DEFAULT_LIST.to_str().unwrap_or_default();
    let list = list.filter(|list| !list.is_empty()).unwrap_or(default);
    let words = list.split(':').filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

/// The transport for a disk of the lab: the first word that is possible. The lab has no shared
/// storage and is no VM, so SAN and HotAdd find no device ("VDDK reference" 4.3).
///
/// # Errors
///
/// `VIX_E_DISK_NODEVICE` if only SAN or HotAdd were allowed, `VIX_E_NOT_SUPPORTED` if no word
/// fits a managed disk.
pub(crate) fn choose(words: &[String]) -> Result<&'static CStr, Failure> {
    let mut failure = Failure::new(
        sys::VIX_E_NOT_SUPPORTED,
        format!("no transport for a managed disk in {:?}", words.join(":")),
    );
    for word in words {
        match word.as_str() {
            "nbdssl" => return Ok(c"nbdssl"),
            "nbd" => return Ok(c"nbd"),
            "san" | "hotadd" => {
                let word = log::c_text(word);
                let args = [Arg::Text(&word)];
                log::info(c"VixDiskLib: transport %s: no device found\n", &args);
                let message = "no device for the disk by the transports allowed";
                failure = Failure::new(sys::VIX_E_DISK_NODEVICE, message);
            }
            _ => {}
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(list: Option<&str>) -> Result<&'static str, u32> {
        let mode = choose(&parse(list)).map_err(|failure| failure.code)?;
        Ok(mode.to_str().unwrap())
    }

    #[test]
    fn the_first_possible_word_wins() {
        assert_eq!(chosen(None), Ok("nbdssl"));
        assert_eq!(chosen(Some("")), Ok("nbdssl"));
        assert_eq!(chosen(Some("nbd:nbdssl")), Ok("nbd"));
        assert_eq!(chosen(Some("SAN:hotadd:NBDSSL")), Ok("nbdssl"));
        assert_eq!(chosen(Some("san")), Err(sys::VIX_E_DISK_NODEVICE));
        assert_eq!(chosen(Some("hotadd")), Err(sys::VIX_E_DISK_NODEVICE));
        assert_eq!(chosen(Some("file")), Err(sys::VIX_E_NOT_SUPPORTED));
        assert_eq!(chosen(Some("bogus")), Err(sys::VIX_E_NOT_SUPPORTED));
    }
}
