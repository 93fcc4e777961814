//! Sizes and offsets on the command line.

use anyhow::{Context as _, bail};

/// Bytes in a text such as `512`, `64K`, `256M`, `1G` or `3T`; powers of 1024.
pub(super) fn parse(text: &str) -> anyhow::Result<u64> {
    let (digits, unit_bytes) = match text.char_indices().last() {
        Some((end, 'K' | 'k')) => (&text[..end], 1 << 10),
        Some((end, 'M' | 'm')) => (&text[..end], 1 << 20),
        Some((end, 'G' | 'g')) => (&text[..end], 1 << 30),
        Some((end, 'T' | 't')) => (&text[..end], 1_u64 << 40),
        _ => (text, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        bail!("{text:?} is no size: a number, then K, M, G or T");
    }
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit_bytes))
        .with_context(|| format!("{text} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse("512").unwrap(), 512);
        assert_eq!(parse("64K").unwrap(), 65536);
        assert_eq!(parse("3t").unwrap(), 3 << 40);
        for wrong in ["", "G", "-1", "1.5G", "1GB", "disk.raw", "99999999999T"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
