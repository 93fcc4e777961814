//! Any bytes as the answer of a server, whole: read or refused, never a panic. The first byte, a
//! digit in the corpus, says as the answer to what.

#![no_main]

use cbt_backup::vsphere::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((kind, body)) = data.split_first() {
        fuzzing::answer(kind.wrapping_sub(b'0'), body);
    }
});
