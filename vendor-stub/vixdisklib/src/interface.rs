//! Which release the library poses as: it reads its own SONAME.

use std::sync::OnceLock;

use crate::script;

/// The release it is built as.
const BUILT_AS: u32 = 8;

/// The interface number of the SONAME of the file this code was loaded from, 6 to 9. A program
/// that has the code linked in gets the one it is built as.
pub(crate) fn major() -> u32 {
    static MAJOR: OnceLock<u32> = OnceLock::new();
    *MAJOR.get_or_init(|| {
        let file = script::own_file();
        let number = file.and_then(|file| lab::library_major(&file).ok().flatten());
        number.unwrap_or(BUILT_AS)
    })
}
