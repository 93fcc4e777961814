//! Any bytes as the file of a disk's changed areas: read or refused, never a panic. The first eight say how
//! large the disk is.

#![no_main]

use cbt_backup::repo::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((capacity_bytes, bytes)) = data.split_first_chunk() {
        fuzzing::changed_areas(u64::from_le_bytes(*capacity_bytes), bytes);
    }
});
