//! Any text: parsed or refused, never a panic. What was parsed can be written and parsed again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vmdk::Descriptor;

fuzz_target!(|text: &str| {
    let Ok(descriptor) = Descriptor::parse(text) else {
        return;
    };
    let written = descriptor.to_text();
    let again = Descriptor::parse(&written).expect("what we write can be read");
    assert_eq!(again.to_text(), written);
});
