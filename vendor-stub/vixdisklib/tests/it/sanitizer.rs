//! A fault on purpose: `cargo xtask sanitize` runs it alone and wants it found.

use std::hint::black_box;

use vixDiskLib::*;

use crate::harness::*;

#[test]
#[ignore = "a fault on purpose, for `cargo xtask sanitize`"]
fn a_buffer_is_too_short_on_purpose() {
    let site = Site::new();
    site.init("");
    let (connection, handle) = site.open_frozen();
    let mut buffer = black_box(vec![0_u8; 512]);
    // SAFETY: none. The library writes two sectors into the room of one, and the sanitizer has to
    // find that.
    unsafe { VixDiskLib_Read(handle, 256, 2, buffer.as_mut_ptr()) };
    close(handle);
    disconnect(connection);
}
