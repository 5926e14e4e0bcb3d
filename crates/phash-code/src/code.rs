//! Owns [`Code`]: `W` words that hold the bytes of a code in order. The words are raw memory: their numeric
//! value depends on the host's byte order and is never shown; bytes, bits and distances do not depend on it.

use std::cmp::Ordering;
use std::ops::BitXor;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Error;

/// A binary code of `W` 64-bit words, that is `64 * W` bits.
///
/// Bit `i` is bit `i % 8` of byte `i / 8`. In memory (and in a file) a code is its `8 * W` bytes in order, so a
/// slice of codes can be viewed over mapped bytes without copying (alignment 8).
///
/// Codes are ordered by their bytes, which is also the order of their hexadecimal forms.
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
    #[expect(clippy::cast_possible_truncation, reason = "a code of 2^26 words is no code")]
    pub const BITS: u32 = 64 * W as u32;
    /// The code's width in bytes.
    pub const BYTES: usize = 8 * W;
    /// The code with every bit zero.
    pub const ZERO: Self = Self([0; W]);

    /// The code with these bytes, in order.
    ///
    /// # Errors
    /// [`Error::ByteLength`] unless there are exactly [`Self::BYTES`] of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::read_from_bytes(bytes)
            .map_err(|_| Error::ByteLength { expected_bytes: Self::BYTES, got_bytes: bytes.len() })
    }

    /// The code whose bit `i` is bit `i % 64` (counted from the least significant) of `words[i / 64]`.
    #[must_use]
    pub fn from_le_words(words: [u64; W]) -> Self {
        Self(words.map(u64::to_le))
    }

    /// The code whose bit `i` is `bit(i)`; calls it once for each bit, in order.
    #[must_use]
    pub fn from_bits(mut bit: impl FnMut(u32) -> bool) -> Self {
        let mut code = Self::ZERO;
        for i in 0..Self::BITS {
            code.set_bit(i, bit(i));
        }
        code
    }

    /// The words of [`Self::from_le_words`].
    #[must_use]
    pub fn to_le_words(&self) -> [u64; W] {
        self.0.map(u64::from_le)
    }

    /// The code's bytes in order, [`Self::BYTES`] of them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        IntoBytes::as_bytes(&self.0)
    }

    /// Bit `i`.
    ///
    /// # Panics
    /// If `i >= BITS`.
    #[must_use]
    pub fn bit(&self, i: u32) -> bool {
        u64::from_le(self.0[(i / 64) as usize]) >> (i % 64) & 1 == 1
    }

    /// Sets bit `i` to `value`.
    ///
    /// # Panics
    /// If `i >= BITS`.
    pub fn set_bit(&mut self, i: u32, value: bool) {
        let word = &mut self.0[(i / 64) as usize];
        let mask = 1u64 << (i % 64);
        let old = u64::from_le(*word);
        *word = (if value { old | mask } else { old & !mask }).to_le();
    }

    /// The `len` bits from `start` on as a number: bit `start + j` of the code is bit `j` of the result.
    ///
    /// # Panics
    /// If `len > 64` or `start + len > BITS`.
    #[inline]
    #[must_use]
    pub fn bits(&self, start: u32, len: u32) -> u64 {
        assert!(
            len <= 64 && start <= Self::BITS && len <= Self::BITS - start,
            "bits {start}+{len} lie outside"
        );
        if len == 0 {
            return 0;
        }
        let (word, shift) = ((start / 64) as usize, start % 64);
        let mut value = u64::from_le(self.0[word]) >> shift;
        if shift + len > 64 {
            value |= u64::from_le(self.0[word + 1]) << (64 - shift);
        }
        value & (u64::MAX >> (64 - len))
    }

    /// The number of bits in which the two codes differ, `0..=BITS`.
    #[inline(always)]
    #[must_use]
    pub fn distance(&self, other: &Self) -> u32 {
        self.0.iter().zip(&other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// Views bytes as codes without copying.
    ///
    /// # Errors
    /// [`Error::SliceLength`] unless the length is a multiple of [`Self::BYTES`], [`Error::Misaligned`] unless the
    /// address is a multiple of 8.
    pub fn slice_from_bytes(bytes: &[u8]) -> Result<&[Self], Error> {
        let off_by_bytes = bytes.as_ptr().addr() % align_of::<Self>();
        if !bytes.is_empty() && off_by_bytes != 0 {
            return Err(Error::Misaligned { off_by_bytes });
        }
        if bytes.is_empty() {
            return Ok(&[]);
        }
        <[Self]>::ref_from_bytes(bytes)
            .map_err(|_| Error::SliceLength { code_bytes: Self::BYTES, got_bytes: bytes.len() })
    }

    /// The bytes of all codes in order; [`Self::slice_from_bytes`] turns them back.
    #[must_use]
    pub fn as_bytes_slice(codes: &[Self]) -> &[u8] {
        codes.as_bytes()
    }

    /// The raw words, for the kernels: only bitwise operations on them mean anything.
    pub(crate) fn raw_words(&self) -> &[u64; W] {
        &self.0
    }

    /// The raw words of all codes, one after the other, for the kernels.
    #[allow(dead_code, reason = "only kernels of vectors want them side by side")]
    pub(crate) fn raw_words_slice(codes: &[Self]) -> &[u64] {
        // Bytes of codes are always a whole number of aligned words, so the view cannot fail.
        <[u64]>::ref_from_bytes(codes.as_bytes()).unwrap_or(&[])
    }
}

impl<const W: usize> Default for Code<W> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<const W: usize> Ord for Code<W> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.map(u64::from_be).cmp(&other.0.map(u64::from_be))
    }
}

impl<const W: usize> PartialOrd for Code<W> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Bit by bit. Distances do not change when all codes are combined with one mask.
impl<const W: usize> BitXor for Code<W> {
    type Output = Self;

    fn bitxor(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }
}

impl<const W: usize> TryFrom<&[u8]> for Code<W> {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bit_i_is_bit_i_mod_8_of_byte_i_div_8() {
        for i in 0..Code256::BITS {
            let mut code = Code256::ZERO;
            code.set_bit(i, true);
            let mut bytes = [0u8; 32];
            bytes[(i / 8) as usize] = 1 << (i % 8);
            assert_eq!(code.as_bytes(), bytes);
            assert!((0..Code256::BITS).all(|j| code.bit(j) == (i == j)));
            code.set_bit(i, false);
            assert_eq!(code, Code256::ZERO);
        }
    }

    #[test]
    fn wrong_lengths_and_addresses_are_refused() {
        assert_eq!(Code64::from_bytes(&[0; 9]), Err(Error::ByteLength { expected_bytes: 8, got_bytes: 9 }));
        let buffer = [0u64; 4];
        let bytes = IntoBytes::as_bytes(&buffer);
        assert_eq!(Code128::slice_from_bytes(bytes).map(<[_]>::len), Ok(2));
        assert_eq!(
            Code128::slice_from_bytes(&bytes[..24]),
            Err(Error::SliceLength { code_bytes: 16, got_bytes: 24 })
        );
        assert_eq!(Code128::slice_from_bytes(&bytes[3..19]), Err(Error::Misaligned { off_by_bytes: 3 }));
        assert_eq!(Code128::slice_from_bytes(&bytes[3..3]), Ok(&[][..]));
    }

    proptest! {
        #[test]
        fn substrings_bytes_order_and_xor_follow_from_the_bits(
            a in any::<[u64; 4]>(), b in any::<[u64; 4]>(), start in 0u32..=256, len in 0u32..=64,
        ) {
            let (a, b) = (Code256::from_le_words(a), Code256::from_le_words(b));
            let len = len.min(256 - start);
            let naive = (0..len).fold(0u64, |v, j| v | u64::from(a.bit(start + j)) << j);
            prop_assert_eq!(a.bits(start, len), naive);
            prop_assert_eq!(a.cmp(&b), a.as_bytes().cmp(b.as_bytes()));
            prop_assert_eq!(Code256::from_bytes(a.as_bytes()), Ok(a));
            prop_assert_eq!(Code256::from_le_words(a.to_le_words()), a);
            prop_assert_eq!(Code256::from_bits(|i| a.bit(i)), a);
            prop_assert_eq!(a ^ b, Code256::from_bits(|i| a.bit(i) != b.bit(i)));
            let differing = (0..256).filter(|&i| a.bit(i) != b.bit(i)).count();
            prop_assert_eq!(a.distance(&b) as usize, differing);
            let codes = [a, b];
            prop_assert_eq!(Code256::slice_from_bytes(Code256::as_bytes_slice(&codes)), Ok(&codes[..]));
        }
    }
}
