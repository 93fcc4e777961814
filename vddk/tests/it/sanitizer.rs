//! Faults on purpose: `cargo xtask sanitize` runs each alone and wants it found.
//!
//! Without them a sanitizer that is off, or blind in some place, would look like clean code.

use std::hint::black_box;

use vddk::SectorBuf;

#[test]
#[ignore = "a fault on purpose, for `cargo xtask sanitize`"]
fn leaks_on_purpose() {
    // In a thread, whose stack is gone when leaks are looked for.
    let leak = || {
        black_box(Box::leak(Box::new([7_u8; 1000])));
    };
    std::thread::spawn(leak).join().unwrap();
}

#[test]
#[ignore = "a fault on purpose, for `cargo xtask sanitize`"]
fn reads_freed_memory_on_purpose() {
    let pointer = black_box(SectorBuf::new(1).unwrap().as_ptr());
    // SAFETY: none. The buffer is gone, which is what the sanitizer has to find.
    black_box(unsafe { pointer.read_volatile() });
}
