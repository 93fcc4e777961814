//! Any text as an address, a path, a selector or a thumbprint, and any bytes as a certificate: read
//! or refused, never a panic; and what was read is said in a form that reads the same.

#![no_main]

use cbt_backup::vsphere::fuzzing::text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(given) = std::str::from_utf8(data) {
        text::text(given);
    }
    text::certificate(data);
});
