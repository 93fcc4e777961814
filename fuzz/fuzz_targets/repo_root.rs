//! Any bytes as a root, plain or sealed: read or refused, never a panic. The first byte, a digit in the
//! corpus, says which.

#![no_main]

use cbt_backup::repo::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((kind, bytes)) = data.split_first() {
        fuzzing::root(kind.wrapping_sub(b'0'), bytes);
    }
});
