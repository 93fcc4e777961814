//! A small set of small numbers.

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};

/// Numbers from 0 to 7.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Set(u8);

impl Set {
    /// Nothing.
    pub const EMPTY: Self = Self(0);

    /// One number.
    pub const fn of(number: u8) -> Self {
        Self(1 << number)
    }

    /// Whether a number is in it.
    pub fn has(self, number: u8) -> bool {
        self.0 & (1 << number) != 0
    }

    /// With a number more.
    #[must_use]
    pub fn with(self, number: u8) -> Self {
        self | Self::of(number)
    }

    /// Without a number.
    #[must_use]
    pub fn without(self, number: u8) -> Self {
        self - Self::of(number)
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of it is in the other one.
    pub fn is_in(self, other: Self) -> bool {
        (self - other).is_empty()
    }

    /// The smallest number.
    pub fn first(self) -> Option<u8> {
        (!self.is_empty()).then(|| self.0.trailing_zeros() as u8)
    }

    /// The numbers, the smallest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |number| self.has(*number))
    }
}

impl BitOr for Set {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Set {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Set {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<u8> for Set {
    fn from_iter<I: IntoIterator<Item = u8>>(numbers: I) -> Self {
        numbers.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
