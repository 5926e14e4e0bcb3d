//! Owns the walk over a Hamming ball of substrings, and the pigeonhole that says how far each table must walk.
//!
//! Step `r` probes table `r mod m` at distance exactly `floor(r / m)`. After steps `0..=r` every code within `r` has
//! been met: table `j` was probed up to `t_j` with the sum of all `t_j + 1` equal to `r + 1`, and a code farther than
//! `t_j` in every substring is farther than `r` in all (docs/search.md).

use crate::cut::MAX_LEN_BITS;

/// `BINOMIALS[n][k]`: how many masks of `n` bits have `k` ones.
const BINOMIALS: [[u32; SIZE]; SIZE] = binomials();
const SIZE: usize = MAX_LEN_BITS as usize + 1;

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

/// The step at which the table of a radius step probes: (table, distance in its substring).
pub(crate) fn step(radius_bits: u32, tables: u32) -> (u32, u32) {
    (radius_bits % tables, radius_bits / tables)
}

/// How many shells (distances 0, 1, ...) of table `table` the steps `0..=radius_bits` probe.
pub(crate) fn shells(radius_bits: u32, table: u32, tables: u32) -> u32 {
    let (last, full) = step(radius_bits, tables);
    full + u32::from(table <= last)
}

/// Calls `visit` with each mask of `len_bits` bits that has exactly `ones` ones, in increasing order.
pub(crate) fn for_each_mask(len_bits: u32, ones: u32, mut visit: impl FnMut(u32)) {
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

    #[test]
    fn steps_sum_to_the_tight_pigeonhole_bound() {
        for tables in 1..40 {
            let mut probed = vec![0u32; tables as usize];
            for radius_bits in 0..300 {
                let (table, distance_bits) = step(radius_bits, tables);
                assert_eq!(probed[table as usize], distance_bits, "shells come in order");
                probed[table as usize] += 1;
                assert_eq!(probed.iter().sum::<u32>(), radius_bits + 1);
                for table in 0..tables {
                    assert_eq!(shells(radius_bits, table, tables), probed[table as usize]);
                }
                // Norouzi et al.: with r = m a + c, the first c + 1 substrings within a, the others within a - 1.
                let (a, c) = (radius_bits / tables, radius_bits % tables);
                assert!((0..tables).all(|j| probed[j as usize] == if j <= c { a + 1 } else { a }));
            }
        }
    }
}
