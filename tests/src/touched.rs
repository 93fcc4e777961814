//! What guest writes touched, by the plainest reckoning there is: a set of grains.

use std::collections::BTreeSet;

/// The grain of change tracking, in bytes ("vSphere Web Services API", section 5).
const GRAIN_BYTES: u64 = 64 << 10;
/// The block of the repository, in bytes.
const BLOCK_BYTES: u64 = 256 << 10;

/// The grains of all disks that were written since it was cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    grains: BTreeSet<(i32, u64)>,
}

impl Touched {
    /// Marks every grain that a write touches.
    pub(crate) fn mark(&mut self, device_key: i32, offset_bytes: u64, length_bytes: u64) {
        let end_bytes = offset_bytes + length_bytes;
        for grain in offset_bytes / GRAIN_BYTES..end_bytes.div_ceil(GRAIN_BYTES) {
            self.grains.insert((device_key, grain));
        }
    }

    /// Bytes in the touched grains of a disk, the last grain at its true length.
    pub fn changed_bytes(&self, device_key: i32, capacity_bytes: u64) -> u64 {
        let grains = self.of(device_key);
        grains
            .map(|grain| GRAIN_BYTES.min(capacity_bytes - grain * GRAIN_BYTES))
            .sum()
    }

    /// Bytes in the repository's blocks that hold a touched grain, each counted in full.
    pub fn block_bytes(&self, device_key: i32) -> u64 {
        let blocks: BTreeSet<u64> = self
            .of(device_key)
            .map(|grain| grain * GRAIN_BYTES / BLOCK_BYTES)
            .collect();
        blocks.len() as u64 * BLOCK_BYTES
    }

    /// Forgets everything: a run has seen it.
    pub fn clear(&mut self) {
        self.grains.clear();
    }

    fn of(&self, device_key: i32) -> impl Iterator<Item = u64> {
        self.grains
            .iter()
            .filter(move |(key, _)| *key == device_key)
            .map(|(_, grain)| *grain)
    }
}

#[cfg(test)]
mod tests {
    use super::Touched;

    #[test]
    fn borders_and_the_last_grain_count_right() {
        let mut touched = Touched::default();
        touched.mark(2000, 65_536 - 512, 1024);
        touched.mark(2000, 262_144, 512);
        touched.mark(2001, 0, 65_536);
        assert_eq!(touched.changed_bytes(2000, 1 << 20), 3 * 65_536);
        assert_eq!(
            touched.changed_bytes(2000, 262_144 + 1536),
            2 * 65_536 + 1536
        );
        assert_eq!(touched.block_bytes(2000), 2 * 262_144);
        assert_eq!(touched.changed_bytes(2001, 1 << 20), 65_536);
        touched.clear();
        assert_eq!(touched, Touched::default());
    }
}
