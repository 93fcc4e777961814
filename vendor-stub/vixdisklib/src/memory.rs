//! Objects the library gives out and takes back: each is known, so a wrong free does no harm.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// What an object is. Each kind has its own free function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of `AllocateConnectParams`.
    ConnectParams,
    /// Of `GetConnectParams`.
    CopiedParams,
    /// Of `GetInfo`.
    Info,
    /// Of `QueryAllocatedBlocks`.
    BlockList,
    /// Of `GetErrorText`.
    ErrorText,
}

/// Address of each object given out, with its kind and its length in 8-byte words.
static OBJECTS: Mutex<BTreeMap<usize, (Kind, usize)>> = Mutex::new(BTreeMap::new());

/// Gives out zeroed memory of at least `size_bytes`, aligned to 8; null if there is none.
pub(crate) fn allocate(kind: Kind, size_bytes: usize) -> *mut c_void {
    let words = size_bytes.div_ceil(8).max(1);
    let mut memory: Vec<u64> = Vec::new();
    if memory.try_reserve_exact(words).is_err() {
        return ptr::null_mut();
    }
    memory.resize(words, 0);
    let object = Box::into_raw(memory.into_boxed_slice()).cast::<u64>();
    lock().insert(object.addr(), (kind, words));
    object.cast()
}

/// As [`allocate`], with copies of texts behind the first `size_bytes`: the object, and where each
/// text stands in it. `None` if there is no memory.
pub(crate) fn with_texts<const N: usize>(
    kind: Kind,
    size_bytes: usize,
    texts: [Option<&CStr>; N],
) -> Option<(*mut c_void, [*mut c_char; N])> {
    let lengths = texts.iter().flatten();
    let text_bytes: usize = lengths.map(|text| text.to_bytes_with_nul().len()).sum();
    let object = allocate(kind, size_bytes.checked_add(text_bytes)?);
    if object.is_null() {
        return None;
    }
    let mut offset_bytes = size_bytes;
    let places = texts.map(|text| {
        let Some(text) = text else {
            return ptr::null_mut();
        };
        let bytes = text.to_bytes_with_nul();
        // SAFETY: the memory has room for all texts behind the first `size_bytes`.
        let place = unsafe { object.cast::<u8>().add(offset_bytes) };
        // SAFETY: source and place have this length, and the memory is new.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        offset_bytes += bytes.len();
        place.cast::<c_char>()
    });
    Some((object, places))
}

/// Takes an object back. False, and nothing done, if none of that kind is out at that address.
pub(crate) fn release(kind: Kind, object: *mut c_void) -> bool {
    let mut objects = lock();
    match objects.get(&object.addr()) {
        Some((found, words)) if *found == kind => {
            let memory = ptr::slice_from_raw_parts_mut(object.cast::<u64>(), *words);
            objects.remove(&object.addr());
            // SAFETY: the table says that this address came out of `Box::into_raw` with this
            // length and was not taken back yet; the entry is gone now, so it happens once.
            drop(unsafe { Box::from_raw(memory) });
            true
        }
        _ => false,
    }
}

/// How many objects of a kind are out.
pub(crate) fn count(kind: Kind) -> usize {
    let objects = lock();
    objects.values().filter(|(found, _)| *found == kind).count()
}

fn lock() -> std::sync::MutexGuard<'static, BTreeMap<usize, (Kind, usize)>> {
    OBJECTS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_freed_once_and_only_as_its_kind() {
        let object = allocate(Kind::Info, 65);
        assert!(!object.is_null());
        assert_eq!(object.addr() % 8, 0);
        assert!(!release(Kind::BlockList, object), "another kind");
        assert!(release(Kind::Info, object));
        assert!(!release(Kind::Info, object), "twice");
        assert!(!release(Kind::Info, ptr::null_mut()), "null");
        assert!(allocate(Kind::Info, usize::MAX).is_null(), "too large");
    }
}
