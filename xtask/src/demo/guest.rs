//! What the guest does between the two backups.

use std::collections::BTreeSet;

use anyhow::Context as _;
use lab::Lab;

use super::content::Content;
use super::scale::{BLOCK_BYTES, GRAIN_BYTES, KIB, MIB, SECTOR_BYTES};
use super::shadow::Shadow;

/// Single sectors that are written far apart, so that the map of changes takes several pages.
const SCATTERED: u64 = 250;

/// One thing a guest does to a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Writes what no compressor makes smaller.
    Noise,
    /// Writes lines of text.
    Text,
    /// Writes zeros.
    Zeros,
    /// Gives the range up.
    Unmap,
    /// Writes what stands elsewhere on the disk.
    CopyOf { offset_bytes: u64 },
}

/// A deed and its place, whole sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) deed: Deed,
    pub(super) offset_bytes: u64,
    pub(super) length_bytes: u64,
}

/// The writes for a disk of that size: new data, zeros, given-up space, data that were there
/// before, block and grain borders, the first and the last sectors, and many single sectors.
pub(super) fn plan(capacity_bytes: u64) -> Vec<Write> {
    let part = |numerator: u64| capacity_bytes / 64 * numerator / SECTOR_BYTES * SECTOR_BYTES;
    let unit = part(1).clamp(4 * KIB, 2 * MIB);
    let mut writes = vec![
        (Deed::Noise, part(20), 2 * unit),
        (Deed::Text, part(27) + SECTOR_BYTES, 2 * unit),
        (Deed::Zeros, part(2), unit),
        (Deed::Unmap, part(5) + 3 * SECTOR_BYTES, unit),
        // Rewritten as it is, and written a second time elsewhere: changed, but not new.
        (
            Deed::CopyOf {
                offset_bytes: part(8),
            },
            part(8),
            unit,
        ),
        (
            Deed::CopyOf {
                offset_bytes: part(10),
            },
            part(45) / BLOCK_BYTES * BLOCK_BYTES,
            unit,
        ),
        (Deed::Noise, 0, SECTOR_BYTES),
        (Deed::Text, 3 * GRAIN_BYTES - SECTOR_BYTES, 2 * SECTOR_BYTES),
        (
            Deed::Noise,
            7 * BLOCK_BYTES - 2 * SECTOR_BYTES,
            3 * SECTOR_BYTES,
        ),
        (Deed::Noise, 9 * BLOCK_BYTES - SECTOR_BYTES, 2 * BLOCK_BYTES),
        (
            Deed::Text,
            capacity_bytes.saturating_sub(4 * SECTOR_BYTES),
            4 * SECTOR_BYTES,
        ),
    ];
    let scattered = (0..SCATTERED).map(|number| part(50) + number * 2 * GRAIN_BYTES);
    writes.extend(scattered.map(|offset| (Deed::Noise, offset, SECTOR_BYTES)));
    // What reaches over the end of a small disk is cut off there.
    let fits = |(deed, offset_bytes, length_bytes): (Deed, u64, u64)| {
        let source_bytes = match deed {
            Deed::CopyOf { offset_bytes } => offset_bytes,
            _ => 0,
        };
        let room_bytes = capacity_bytes.saturating_sub(offset_bytes.max(source_bytes));
        let length_bytes = length_bytes.min(room_bytes);
        (length_bytes > 0).then_some(Write {
            deed,
            offset_bytes,
            length_bytes,
        })
    };
    writes.into_iter().filter_map(fits).collect()
}

/// Does the writes to a disk of the lab and to its shadow.
///
/// # Errors
///
/// When either cannot be written.
pub(super) fn play(
    writes: &[Write],
    lab: &Lab,
    vm: &str,
    device_key: i32,
    shadow: &Shadow,
) -> anyhow::Result<()> {
    for (number, write) in (0..).zip(writes) {
        let Write {
            offset_bytes,
            length_bytes,
            ..
        } = *write;
        let context = || format!("failed to write to disk {device_key} at {offset_bytes}");
        let data = match write.deed {
            Deed::Noise => Content::new(1000 + number).noise(length_bytes),
            Deed::Text => Content::new(1000 + number).text(length_bytes),
            Deed::Zeros | Deed::Unmap => vec![0; length_bytes as usize],
            Deed::CopyOf { offset_bytes } => shadow
                .read(offset_bytes, length_bytes)
                .with_context(context)?,
        };
        if write.deed == Deed::Unmap {
            lab.guest_unmap(vm, device_key, offset_bytes, length_bytes)
                .with_context(context)?;
        } else {
            lab.guest_write(vm, device_key, offset_bytes, &data)
                .with_context(context)?;
        }
        shadow.write(offset_bytes, &data).with_context(context)?;
    }
    Ok(())
}

/// How many bytes of grains the writes touch: what change tracking should report.
pub(super) fn touched_bytes(writes: &[Write], capacity_bytes: u64) -> u64 {
    let grains: BTreeSet<u64> = writes
        .iter()
        .flat_map(|write| {
            let last = write.offset_bytes + write.length_bytes - 1;
            write.offset_bytes / GRAIN_BYTES..=last / GRAIN_BYTES
        })
        .collect();
    grains
        .iter()
        .map(|grain| GRAIN_BYTES.min(capacity_bytes - grain * GRAIN_BYTES))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_stay_inside_disks_of_any_size() {
        for capacity_bytes in [
            512,
            4096,
            MIB + 512,
            9 * MIB,
            256 * MIB + 2560,
            1024 * MIB,
            3 << 40,
        ] {
            let writes = plan(capacity_bytes);
            for write in &writes {
                assert!(
                    write.offset_bytes + write.length_bytes <= capacity_bytes,
                    "{write:?}"
                );
                assert!((write.offset_bytes | write.length_bytes).is_multiple_of(SECTOR_BYTES));
                if let Deed::CopyOf { offset_bytes } = write.deed {
                    assert!(
                        offset_bytes + write.length_bytes <= capacity_bytes,
                        "{write:?}"
                    );
                }
            }
            let reaches_end =
                |write: &Write| write.offset_bytes + write.length_bytes == capacity_bytes;
            assert!(writes.iter().any(reaches_end), "{capacity_bytes}");
            assert!(touched_bytes(&writes, capacity_bytes) <= capacity_bytes);
        }
    }

    #[test]
    fn touched_grains_are_counted_once_and_the_last_is_short() {
        let write = |offset_bytes, length_bytes| Write {
            deed: Deed::Zeros,
            offset_bytes,
            length_bytes,
        };
        let capacity_bytes = 2 * GRAIN_BYTES + 512;
        let one = [write(512, 512), write(1024, 512)];
        assert_eq!(touched_bytes(&one, capacity_bytes), GRAIN_BYTES);
        let two = [write(2 * GRAIN_BYTES - 512, 1024)];
        assert_eq!(touched_bytes(&two, capacity_bytes), GRAIN_BYTES + 512);
    }
}
