//! Owns [`Code`]: `W` words that hold the bytes of a code in order. The words are raw memory: their numeric
//! value depends on the host's byte order and is never shown; bytes, bits and distances do not depend on it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A binary code of `W` 64-bit words, that is `64 * W` bits.
///
/// Bit `i` is bit `i % 8` of byte `i / 8`. In memory (and in a file) a code is its `8 * W` bytes in order, so a
/// slice of codes can be viewed over mapped bytes without copying (alignment 8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Code<const W: usize>([u64; W]);

/// A 64-bit code.
pub type Code64 = Code<1>;
/// A 128-bit code.
pub type Code128 = Code<2>;
/// A 256-bit code.
pub type Code256 = Code<4>;
/// A 512-bit code.
pub type Code512 = Code<8>;

impl<const W: usize> Code<W> {
    /// The code's width in bits.
    pub const BITS: u32 = 64 * W as u32;
    /// The code's width in bytes.
    pub const BYTES: usize = 8 * W;
    /// The code with every bit zero.
    pub const ZERO: Self = Self([0; W]);

    /// The code's bytes in order, [`Self::BYTES`] of them.
    pub fn as_bytes(&self) -> &[u8] {
        IntoBytes::as_bytes(&self.0)
    }

    /// The number of bits in which the two codes differ, `0..=BITS`.
    pub fn distance(&self, other: &Self) -> u32 {
        self.0.iter().zip(&other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}
