//! Any text inside an answer that is whole around it, so that the parsers behind the envelope are
//! met. The first byte, a digit in the corpus, says inside which.

#![no_main]

use cbt_backup::vsphere::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, inside)) = data.split_first() else {
        return;
    };
    if let Ok(inside) = std::str::from_utf8(inside) {
        fuzzing::fragment(kind.wrapping_sub(b'0'), inside);
    }
});
