//! Packs: immutable objects full of sealed blobs. Format: repository-format.md section 6.

mod footer;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod header;
mod reader;
mod writer;

pub(crate) use footer::{BlobKind, NO_DISK};
pub(crate) use header::HEADER_BYTES;
pub(crate) use reader::{
    CheckedBlob, PlainLength, blob_bytes, check_pack, open_blob, open_blob_into, open_both,
    open_payload, table_of,
};
pub(crate) use writer::{FinishedPack, NewBlob, PackWriter};

/// Most blobs one pack may have.
pub(crate) const MAX_BLOBS: usize = 65_536;
