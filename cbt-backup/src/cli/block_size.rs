//! Sizes of blocks that can be chosen.

use clap::ValueEnum;

/// Size of the blocks of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BlockSize {
    /// 65,536 bytes
    #[value(name = "64KiB")]
    Kib64,
    /// 131,072 bytes
    #[value(name = "128KiB")]
    Kib128,
    /// 262,144 bytes
    #[default]
    #[value(name = "256KiB")]
    Kib256,
    /// 524,288 bytes
    #[value(name = "512KiB")]
    Kib512,
    /// 1,048,576 bytes
    #[value(name = "1MiB")]
    Mib1,
    /// 2,097,152 bytes
    #[value(name = "2MiB")]
    Mib2,
    /// 4,194,304 bytes
    #[value(name = "4MiB")]
    Mib4,
}

impl BlockSize {
    /// The size as a power of two.
    pub fn shift(self) -> u8 {
        match self {
            Self::Kib64 => 16,
            Self::Kib128 => 17,
            Self::Kib256 => 18,
            Self::Kib512 => 19,
            Self::Mib1 => 20,
            Self::Mib2 => 21,
            Self::Mib4 => 22,
        }
    }
}
