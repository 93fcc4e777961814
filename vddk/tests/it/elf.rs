//! Hides a function in a copy of a shared library.

/// Bytes of one entry of a symbol table.
const SYMBOL_BYTES: usize = 24;

/// The type number of the section with the dynamic symbols.
const DYNAMIC_SYMBOLS: usize = 11;

/// `STV_HIDDEN`: the loader finds no such symbol by name, and references from inside the library
/// are bound to it all the same. (A changed name would leave those unbound, and then the library
/// is not loaded: one built with a sanitizer has such references.)
const HIDDEN: u8 = 2;

/// Makes `function` invisible in the bytes of a 64-bit ELF file. Panics where there is none.
pub(crate) fn hide(file: &mut [u8], function: &str) {
    let (sections, each, count) = (
        number(file, 0x28, 8),
        number(file, 0x3A, 2),
        number(file, 0x3C, 2),
    );
    let header = |index: usize| sections + index * each;
    let table = (0..count)
        .map(header)
        .find(|at| number(file, at + 4, 4) == DYNAMIC_SYMBOLS)
        .expect("a shared library has dynamic symbols");
    let names = number(file, header(number(file, table + 0x28, 4)) + 0x18, 8);
    let (start, bytes) = (number(file, table + 0x18, 8), number(file, table + 0x20, 8));
    let wanted = format!("{function}\0").into_bytes();
    let symbol = (start..start + bytes)
        .step_by(SYMBOL_BYTES)
        .find(|symbol| file[names + number(file, *symbol, 4)..].starts_with(&wanted))
        .unwrap_or_else(|| panic!("the library has no {function}"));
    file[symbol + 5] = HIDDEN;
}

/// The little-endian number of `bytes` bytes at a place.
fn number(file: &[u8], at: usize, bytes: usize) -> usize {
    let mut word = [0; 8];
    word[..bytes].copy_from_slice(&file[at..at + bytes]);
    u64::from_le_bytes(word) as usize
}
