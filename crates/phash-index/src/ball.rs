//! Owns the walk over a Hamming ball of substrings: which values lie at which distance from a given one, and how many.

use std::sync::OnceLock;

use crate::cut::MAX_LEN_BITS;

/// `BINOMIALS[n][k]`: how many masks of `n` bits have `k` ones.
const BINOMIALS: [[u32; SIZE]; SIZE] = binomials();
const SIZE: usize = MAX_LEN_BITS as usize + 1;

/// Masks with at most so many ones are kept once they were needed; lists of 26 bits take 60 KiB at most.
const LISTED_ONES: usize = 4;
type Lists = [[OnceLock<Box<[u32]>>; LISTED_ONES + 1]; SIZE];
static LISTS: Lists = [const { [const { OnceLock::new() }; LISTED_ONES + 1] }; SIZE];

const fn binomials() -> [[u32; SIZE]; SIZE] {
    let mut table = [[0; SIZE]; SIZE];
    let mut n = 0;
    while n < SIZE {
        table[n][0] = 1;
        let mut k = 1;
        while k <= n {
            table[n][k] = table[n - 1][k - 1] + table[n - 1][k];
            k += 1;
        }
        n += 1;
    }
    table
}

/// How many values of `len_bits` bits lie at distance exactly `distance_bits` from a given one.
pub(crate) fn shell_size(len_bits: u32, distance_bits: u32) -> u32 {
    let row = BINOMIALS.get(len_bits as usize);
    row.and_then(|row| row.get(distance_bits as usize)).copied().unwrap_or(0)
}

/// Calls `visit` with each mask of `len_bits` bits that has exactly `ones` ones, in increasing order. Near masks, which
/// are wanted again and again, come from a list.
#[inline]
pub(crate) fn for_each_mask(len_bits: u32, ones: u32, mut visit: impl FnMut(u32)) {
    let list = LISTS.get(len_bits as usize).and_then(|lists| lists.get(ones as usize));
    match list {
        Some(list) => {
            let masks = list.get_or_init(|| {
                let mut masks = Vec::with_capacity(shell_size(len_bits, ones) as usize);
                generate(len_bits, ones, |mask| masks.push(mask));
                masks.into()
            });
            masks.iter().for_each(|&mask| visit(mask));
        }
        None => generate(len_bits, ones, visit),
    }
}

fn generate(len_bits: u32, ones: u32, mut visit: impl FnMut(u32)) {
    if ones == 0 {
        return visit(0);
    }
    if ones > len_bits {
        return;
    }
    let end = 1u64 << len_bits;
    let mut mask = (1u64 << ones) - 1;
    while mask < end {
        #[expect(clippy::cast_possible_truncation, reason = "below 2^MAX_LEN_BITS")]
        visit(mask as u32);
        // Gosper's hack: the next larger number with as many ones (HAKMEM, item 175).
        let lowest = mask & mask.wrapping_neg();
        let ripple = mask + lowest;
        mask = ((ripple ^ mask) >> (lowest.trailing_zeros() + 2)) | ripple;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_all_numbers_with_that_many_ones_in_order() {
        for len_bits in 1..=12 {
            for ones in 0..=len_bits + 1 {
                let mut got = Vec::new();
                for_each_mask(len_bits, ones, |mask| got.push(mask));
                let expected: Vec<u32> = (0..1u32 << len_bits).filter(|m| m.count_ones() == ones).collect();
                assert_eq!(got, expected);
                assert_eq!(shell_size(len_bits, ones) as usize, expected.len());
            }
        }
        assert_eq!(shell_size(26, 13), 10_400_600);
    }
}
