//! Any bytes as the end of a pack: read or refused, never a panic. The first byte, a digit in the
//! corpus, says how deep it goes.

#![no_main]

use cbt_backup::repo::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((kind, bytes)) = data.split_first() {
        fuzzing::footer(kind.wrapping_sub(b'0'), bytes);
    }
});
