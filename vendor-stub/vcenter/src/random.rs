//! Random identifiers.

use std::fmt::Write as _;

use ring::rand::{SecureRandom, SystemRandom};

use crate::soap::Fault;

/// `bytes` random bytes in lower-case hex.
pub(crate) fn hex(bytes: usize) -> Result<String, Fault> {
    let mut buffer = vec![0; bytes];
    SystemRandom::new()
        .fill(&mut buffer)
        .map_err(|_| Fault::system_error("no random numbers"))?;
    let mut text = String::with_capacity(bytes * 2);
    for byte in buffer {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// A random identifier in the form of a UUID, beginning with `52` as those of sessions do.
pub(crate) fn uuid() -> Result<String, Fault> {
    let hex = hex(15)?;
    Ok(format!(
        "52{}-{}-{}-{}-{}",
        &hex[..6],
        &hex[6..10],
        &hex[10..14],
        &hex[14..18],
        &hex[18..30]
    ))
}
