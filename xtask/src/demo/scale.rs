//! Sizes.

/// Bytes in one sector.
pub(super) const SECTOR_BYTES: u64 = 512;
/// Bytes in one grain of change tracking.
pub(super) const GRAIN_BYTES: u64 = 64 * KIB;
/// Bytes in one block of the repository.
pub(super) const BLOCK_BYTES: u64 = 256 * KIB;
/// 1024 bytes.
pub(super) const KIB: u64 = 1 << 10;
/// 1024 KiB.
pub(super) const MIB: u64 = 1 << 20;
