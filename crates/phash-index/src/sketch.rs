//! Owns [`Window`]: up to 32 consecutive bits of a code as a number, and which windows a table takes: its substring and
//! the planes of its sketch, the bits that follow the substring, round the end of the code, each bit at most once.

use phash_code::Code;

use crate::cut::Substring;

/// The bits of one plane.
pub(crate) const PLANE_BITS: u32 = 32;

/// Up to 32 consecutive bits of an ordered code, its first bit following its last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    word: usize,
    next: usize,
    shift: u32,
    mask: u32,
}

impl Window {
    fn new(first_bit: u32, len_bits: u32, words: usize) -> Self {
        let word = (first_bit / 64) as usize % words;
        let mask = u32::MAX.checked_shr(PLANE_BITS - len_bits).unwrap_or(0);
        Self { word, next: (word + 1) % words, shift: first_bit % 64, mask }
    }

    /// The window of a substring: its value.
    pub(crate) fn of_substring<const W: usize>(substring: Substring) -> Self {
        Self::new(substring.first_bit, substring.len_bits, W)
    }

    /// The window of plane `plane` of the substring's sketch; without bits if the planes before have them all.
    pub(crate) fn of_plane<const W: usize>(substring: Substring, plane: u32) -> Self {
        let others = Code::<W>::BITS - substring.len_bits;
        let before = plane.saturating_mul(PLANE_BITS).min(others);
        let len_bits = (others - before).min(PLANE_BITS);
        Self::new(substring.first_bit + substring.len_bits + before, len_bits, W)
    }

    /// The bits, the first one least significant.
    #[inline(always)]
    pub(crate) fn of<const W: usize>(self, words: &[u64; W]) -> u32 {
        let both = words[self.word] >> self.shift | words[self.next] << 1 << (63 - self.shift);
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
        let low = both as u32;
        low & self.mask
    }
}

/// The sketch of an ordered code in the table of `substring`, one plane an entry of `planes`.
pub(crate) fn sketch<const W: usize>(ordered: &Code<W>, substring: Substring, planes: &mut [u32]) {
    let words = ordered.to_le_words();
    for (number, plane) in (0u32..).zip(planes) {
        *plane = Window::of_plane::<W>(substring, number).of(&words);
    }
}

/// The ordered bits of a sketch's planes, each in its place of the code; the others, the substring's among them, are 0.
#[inline]
pub(crate) fn ordered_bits<const W: usize>(
    substring: Substring,
    planes: impl Iterator<Item = u32>,
) -> [u64; W] {
    let mut words = [0; W];
    let mut first_bit = substring.first_bit + substring.len_bits;
    for plane in planes {
        let (word, shift) = ((first_bit / 64) as usize % W, first_bit % 64);
        words[word] |= u64::from(plane) << shift;
        words[(word + 1) % W] |= u64::from(plane) >> 1 >> (63 - shift);
        first_bit += PLANE_BITS;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    /// Bit by bit, as the format says.
    fn by_bits<const W: usize>(code: &Code<W>, substring: Substring, planes: u32) -> Vec<u32> {
        let bits = Code::<W>::BITS;
        let mut expected = vec![0; planes as usize];
        for i in 0..(planes * 32).min(bits - substring.len_bits) {
            let bit = code.bit((substring.first_bit + substring.len_bits + i) % bits);
            expected[(i / 32) as usize] |= u32::from(bit) << (i % 32);
        }
        expected
    }

    fn check<const W: usize>(words: [u64; 8], first_bit: u32, len_bits: u32) {
        let first_bit = first_bit % (Code::<W>::BITS - len_bits + 1);
        let code = Code::<W>::from_le_words(std::array::from_fn(|i| words[i]));
        let substring = Substring { first_bit, len_bits };
        let value = Window::of_substring::<W>(substring).of(&code.to_le_words());
        assert_eq!(u64::from(value), code.bits(first_bit, len_bits));
        for planes in [0, 1, 2, 3, 2 * u32::try_from(W).unwrap(), 20] {
            let mut got = vec![9; planes as usize];
            sketch(&code, substring, &mut got);
            assert_eq!(got, by_bits(&code, substring, planes), "{substring:?}");
            let placed = Code::<W>::from_le_words(ordered_bits(substring, got.into_iter()));
            let end = substring.first_bit + len_bits;
            let kept = |i: u32| {
                let place = (i + Code::<W>::BITS - end) % Code::<W>::BITS;
                place < (planes * 32).min(Code::<W>::BITS - len_bits)
            };
            assert_eq!(placed, Code::from_bits(|i| kept(i) && code.bit(i)));
        }
    }

    proptest! {
        #[test]
        fn windows_hold_the_bits_that_follow_the_substring(
            words in any::<[u64; 8]>(), first_bit in 0u32..512, len_bits in 1u32..=26,
        ) {
            check::<1>(words, first_bit, len_bits);
            check::<2>(words, first_bit, len_bits);
            check::<4>(words, first_bit, len_bits);
            check::<8>(words, first_bit, len_bits);
        }
    }
}
