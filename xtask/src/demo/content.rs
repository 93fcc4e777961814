//! Made-up content: the same in every run, partly compressible, partly not.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::scale::{MIB, SECTOR_BYTES};

const WORDS: [&str; 16] = [
    "server", "backup", "request", "error", "started", "index", "commit", "worker", "queue",
    "disk", "reader", "block", "snapshot", "finished", "user", "cache",
];

/// A source of bytes. Equal seeds give equal bytes.
#[derive(Debug)]
pub(crate) struct Content(u64);

impl Content {
    pub(crate) fn new(seed: u64) -> Self {
        // The state must not be zero, and near seeds must lead far apart.
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Steps of xorshift64*.
    pub(super) fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Bytes that no compressor makes smaller.
    pub(crate) fn noise(&mut self, length_bytes: u64) -> Vec<u8> {
        let length = length_bytes as usize;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.number().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// Lines as in a log file.
    pub(super) fn text(&mut self, length_bytes: u64) -> Vec<u8> {
        let length = length_bytes as usize;
        let mut bytes = Vec::with_capacity(length + 64);
        while bytes.len() < length {
            let number = self.number();
            bytes.extend_from_slice(format!("{:08x}", number >> 32).as_bytes());
            for shift in [0, 4, 8, 12] {
                let word = WORDS[(number >> shift) as usize % WORDS.len()];
                bytes.push(b' ');
                bytes.extend_from_slice(word.as_bytes());
            }
            bytes.push(b'\n');
        }
        bytes.truncate(length);
        bytes
    }
}

/// Makes an image of text, noise, holes and repeated stretches, whose last sectors are not zero.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn write_image(path: &Path, capacity_bytes: u64) -> std::io::Result<()> {
    let file = File::create_new(path)?;
    file.set_len(capacity_bytes)?;
    let repeated = Content::new(0).text(MIB);
    for (number, start) in (0..).zip((0..capacity_bytes).step_by(MIB as usize)) {
        let length = MIB.min(capacity_bytes - start);
        let mut content = Content::new(number);
        match number % 8 {
            0 | 1 => file.write_all_at(&content.text(length), start)?,
            2 => file.write_all_at(&content.noise(length), start)?,
            5 => file.write_all_at(&repeated[..length as usize], start)?,
            _ => {}
        }
    }
    let tail = SECTOR_BYTES.min(capacity_bytes);
    file.write_all_at(&Content::new(7).noise(tail), capacity_bytes - tail)
}

/// The most that [`write_image`] writes to an image of that size.
pub(super) fn written_bytes(capacity_bytes: u64) -> u64 {
    (capacity_bytes / (8 * MIB) + 1) * 4 * MIB + SECTOR_BYTES
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn content_repeats_itself_by_seed_only() {
        assert_eq!(Content::new(3).noise(1000), Content::new(3).noise(1000));
        assert_ne!(Content::new(3).noise(1000), Content::new(4).noise(1000));
        assert_eq!(Content::new(3).text(999).len(), 999);
        assert!(Content::new(3).text(999).is_ascii());
    }

    #[test]
    fn an_image_has_holes_and_a_last_sector() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let capacity_bytes = 9 * MIB + 3 * SECTOR_BYTES;
        write_image(&path, capacity_bytes).unwrap();
        let image = std::fs::read(&path).unwrap();
        assert_eq!(image.len() as u64, capacity_bytes);
        assert!(image[image.len() - 512..].iter().any(|byte| *byte != 0));
        assert!(image[3 << 20..4 << 20].iter().all(|byte| *byte == 0));
        let used_bytes = std::fs::metadata(&path).unwrap().blocks() * 512;
        assert!(used_bytes <= written_bytes(capacity_bytes) + MIB);
    }
}
