//! What can go wrong with a disk.

use std::io;
use std::path::PathBuf;

use crate::DescriptorError;

/// A failed operation on a disk. Each variant names the file it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is neither a descriptor nor an extent with one inside.
    #[error("{} is not a VMDK", path.display())]
    NotVmdk {
        /// The file.
        path: PathBuf,
    },
    /// The text of a descriptor cannot be understood.
    #[error("the descriptor in {} is not valid", path.display())]
    Descriptor {
        /// The file with the descriptor.
        path: PathBuf,
        /// What is wrong with it.
        source: DescriptorError,
    },
    /// A kind of disk or extent, or a feature of one, that this crate does not handle.
    #[error("{} uses {kind}, which is not supported", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The kind, as the format names it.
        kind: String,
    },
    /// A header or a table contradicts itself or the file.
    #[error("{} is damaged: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A file ends before the data it should hold.
    #[error("{} is cut short: byte {needed_bytes} is past its end", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The length the file would need to have.
        needed_bytes: u64,
    },
    /// The sectors asked for are not all inside the disk.
    #[error(
        "sectors {start_sector} and {sectors} on are outside the disk of {capacity_sectors} sectors"
    )]
    OutOfRange {
        /// First sector asked for.
        start_sector: u64,
        /// How many sectors were asked for.
        sectors: u64,
        /// Size of the disk.
        capacity_sectors: u64,
    },
    /// A buffer is no whole number of sectors.
    #[error("a buffer of {length_bytes} bytes is no whole number of sectors")]
    Unaligned {
        /// Length of the buffer.
        length_bytes: usize,
    },
    /// The disk was opened for reading, or the extent cannot be written.
    #[error("{} cannot be written", path.display())]
    ReadOnly {
        /// The descriptor or extent.
        path: PathBuf,
    },
    /// The descriptor forbids access to an extent.
    #[error("{} has an extent that may not be read", path.display())]
    NoAccess {
        /// The descriptor.
        path: PathBuf,
    },
    /// The name of an extent leads out of the folder of its descriptor.
    #[error("the extent name {name:?} in {} leaves its folder", path.display())]
    ExtentName {
        /// The descriptor.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// A link names a parent that is not there, or none although it has one.
    #[error("the parent {hint:?} of {} was not found", path.display())]
    ParentNotFound {
        /// The child.
        path: PathBuf,
        /// The name the child gives; empty if it gives none.
        hint: String,
    },
    /// The parent was written after the child was made.
    #[error(
        "{} was changed after {} was made: content id {found_cid:08x} instead of {expected_cid:08x}",
        parent.display(), child.display()
    )]
    ParentChanged {
        /// The child.
        child: PathBuf,
        /// The parent.
        parent: PathBuf,
        /// The content id the child was made over.
        expected_cid: u32,
        /// The content id the parent has.
        found_cid: u32,
    },
    /// Part of a grain was written to a child opened without its parent.
    #[error("{} needs its parent to fill the rest of a grain", path.display())]
    ParentNeeded {
        /// The child.
        path: PathBuf,
    },
    /// A link is its own ancestor.
    #[error("{} is its own ancestor", path.display())]
    Loop {
        /// The link seen twice.
        path: PathBuf,
    },
    /// The chain has more links than any real one.
    #[error("the chain under {} has more than {limit_links} links", path.display())]
    ChainTooLong {
        /// The last link.
        path: PathBuf,
        /// The limit.
        limit_links: usize,
    },
    /// The size asked for a new disk is zero or too large.
    #[error("a disk of {capacity_sectors} sectors cannot be made")]
    Capacity {
        /// The size asked for.
        capacity_sectors: u64,
    },
    /// A text that cannot stand in a descriptor: it has a quote, a control character, or is not UTF-8.
    #[error("{value:?} cannot stand in a descriptor")]
    Text {
        /// The text, with what is not UTF-8 replaced.
        value: String,
    },
    /// A sparse extent has no room left for a grain (its tables reach 2 TiB) or for its descriptor.
    #[error("{} cannot grow any further", path.display())]
    Full {
        /// The extent.
        path: PathBuf,
    },
    /// A grain of a stream was written again after others had followed it.
    #[error("{} is filled front to back: sector {sector} cannot be written again", path.display())]
    WrittenOnce {
        /// The extent.
        path: PathBuf,
        /// The sector, counted in the extent.
        sector: u64,
    },
    /// The disk would become smaller.
    #[error("{} has {capacity_sectors} sectors and cannot have {wanted_sectors}", path.display())]
    Smaller {
        /// The descriptor.
        path: PathBuf,
        /// Its size.
        capacity_sectors: u64,
        /// The size asked for.
        wanted_sectors: u64,
    },
    /// The operation is not for this kind of disk.
    #[error("{} is a {kind} disk and cannot be {action}", path.display())]
    WrongKind {
        /// The descriptor.
        path: PathBuf,
        /// Its kind, as the format names it.
        kind: String,
        /// What was tried, as a participle.
        action: &'static str,
    },
    /// A link without a parent cannot be put at the end of a chain.
    #[error("{} has no parent", path.display())]
    RootLink {
        /// The link.
        path: PathBuf,
    },
    /// A link that is open with its parent has its place in a chain.
    #[error("{} is open with its parent", path.display())]
    ParentOpen {
        /// The link.
        path: PathBuf,
    },
    /// A link and the one it shall be put over have different sizes.
    #[error("{} has {capacity_sectors} sectors, its parent {parent_sectors}", path.display())]
    CapacityDiffers {
        /// The link.
        path: PathBuf,
        /// Its size.
        capacity_sectors: u64,
        /// The size of the other.
        parent_sectors: u64,
    },
}
