//! Is the server the one the caller expects?

use vddk_sys as sys;

use crate::connection::Target;
use crate::error::Failure;
use crate::log;
use crate::va_list::Arg;

/// Compares the thumbprint of the connection with that of the lab's certificate. Nobody trusts
/// that certificate, so none given is as bad as a wrong one.
pub(super) fn check(target: &Target) -> Result<(), Failure> {
    let actual = target.lab.thumbprint_sha1()?;
    let expected = target.thumbprint.as_deref().unwrap_or_default();
    if actual.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    if !is_thumbprint(expected) {
        log::warn(c"VixDiskLibVim: Wrong X.509 certificate format\n", &[]);
    }
    let (actual, expected) = (log::c_text(&actual), log::c_text(expected));
    log::info(
        c"VixDiskLibVim: the server's certificate is not the one expected: actual thumbprint=%s expected=%s\n",
        &[Arg::Text(&actual), Arg::Text(&expected)],
    );
    Err(Failure::new(
        sys::VIX_E_FAIL,
        "failed to open the disk by NFC",
    ))
}

/// True for 20 pairs of hexadecimal digits with colons between.
fn is_thumbprint(text: &str) -> bool {
    let pairs: Vec<&str> = text.split(':').collect();
    let is_pair =
        |pair: &&str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    pairs.len() == 20 && pairs.iter().all(is_pair)
}

#[cfg(test)]
mod tests {
    use super::is_thumbprint;

    #[test]
    fn a_thumbprint_is_twenty_pairs() {
        let good = vec!["aB"; 20].join(":");
        assert!(is_thumbprint(&good));
        assert!(!is_thumbprint(&good[1..]));
        assert!(!is_thumbprint(&vec!["AB"; 32].join(":")));
        assert!(!is_thumbprint(&good.replace('B', "G")));
        assert!(!is_thumbprint(""));
    }
}
