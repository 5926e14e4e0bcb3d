//! Sections 6 and 7: lists of equal keys added up, the +-1 matrices, the sums, their signs, and independent features.

use std::collections::BTreeMap;

use super::ViewHash;
use super::lists::{Key, List};
use super::real::real;

const BITS: usize = 512;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What counts in a view: for each key the sum of its lists, and whether they are of square matrices.
#[derive(Default)]
pub(crate) struct Tally {
    keys: BTreeMap<Key, (Vec<i64>, bool)>,
}

impl Tally {
    pub(crate) fn add(&mut self, list: &List) {
        let integers = list.integers();
        let square = list.transposed.is_some();
        let (sum, squares) = self.keys.entry(list.key).or_insert_with(|| (vec![0; integers.len()], square));
        assert_eq!(sum.len(), integers.len(), "{:?}", list.key);
        *squares &= square;
        for (sum, integer) in sum.iter_mut().zip(integers) {
            *sum += integer;
        }
    }

    /// Code and independent features.
    pub(crate) fn hash(&self) -> ViewHash {
        match self.features() {
            Some(features) => ViewHash { code: Some(self.code()), features },
            None => ViewHash::default(),
        }
    }

    fn code(&self) -> [u8; BITS / 8] {
        let mut sums = [0_i64; BITS];
        for (key, (list, _)) in &self.keys {
            let [size_1, size_2, size_3] = key.sizes;
            let mut state = mix(mix(mix(mix(key.statistic) ^ size_1) ^ size_2) ^ size_3);
            for integer in list {
                let mut words = [0; 8];
                for word in &mut words {
                    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    *word = mix(state);
                }
                for (i, sum) in sums.iter_mut().enumerate() {
                    let bit = words[i / 64] >> (i % 64) & 1;
                    *sum += if bit == 1 { *integer } else { -*integer };
                }
            }
        }
        let mut code = [0_u8; BITS / 8];
        for (i, &sum) in sums.iter().enumerate() {
            if sum > 0 {
                code[i / 8] |= 1 << (i % 8);
            }
        }
        code
    }

    /// `floor(T^2 / sum(n_k^2 / d_k))`, or none if T is 0.
    fn features(&self) -> Option<u32> {
        let (mut total, mut below) = (0.0, 0.0);
        for (list, square) in self.keys.values() {
            let mut n = 0.0;
            for &integer in list {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let x = integer as f64;
                n += x * x;
            }
            let d = if *square { list.len().div_ceil(2) } else { list.len() };
            total += n;
            below += (n * n) / real(d);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the lists' length"
        )]
        let features = ((total * total) / below).floor() as u32;
        (total > 0.0).then(|| features.max(1))
    }
}
