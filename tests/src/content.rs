//! What stands on the disks: text that compresses, noise that does not, and zeros.

/// A stream of bytes that no compressor shortens, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Noise {
    state: u64,
}

impl Noise {
    /// The stream of that seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
    /// generators", 2014).
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end.max(1)
    }

    /// The next `length_bytes` bytes.
    pub fn bytes(&mut self, length_bytes: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length_bytes + 8);
        while bytes.len() < length_bytes {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(length_bytes);
        bytes
    }
}

/// Lengths of the stretches of one kind, in sectors: no multiple of a grain or a block.
const STRETCHES_SECTORS: [u64; 5] = [1, 127, 700, 1029, 2500];

/// A disk image of `length_bytes` bytes: stretches of text, noise and zeros in turn.
pub fn mixed(seed: u64, length_bytes: usize) -> Vec<u8> {
    let mut noise = Noise::new(seed);
    let mut image = Vec::with_capacity(length_bytes);
    let mut line = 0_u64;
    while image.len() < length_bytes {
        let pick = noise.below(STRETCHES_SECTORS.len() as u64) as usize;
        let end = (image.len() + 512 * STRETCHES_SECTORS[pick] as usize).min(length_bytes);
        match noise.below(3) {
            0 => image.resize(end, 0),
            1 => image.extend(noise.bytes(end - image.len())),
            _ => {
                while image.len() < end {
                    line += 1;
                    image.extend_from_slice(
                        format!("line {line} of a log that goes on\n").as_bytes(),
                    );
                }
                image.truncate(end);
            }
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::mixed;

    #[test]
    fn an_image_is_repeatable_and_holds_all_three_kinds() {
        let image = mixed(1, 4 << 20);
        assert_eq!(image.len(), 4 << 20);
        assert_eq!(image, mixed(1, 4 << 20));
        assert_ne!(image, mixed(2, 4 << 20));
        let zero_sectors = image
            .chunks(512)
            .filter(|sector| sector.iter().all(|byte| *byte == 0));
        assert!((100..8000).contains(&zero_sectors.count()));
        assert!(image.windows(10).any(|window| window == b"of a log t"));
    }
}
