//! Any bytes as the `config` of a repository: read or refused, never a panic.

#![no_main]

use cbt_backup::repo::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::config(data));
