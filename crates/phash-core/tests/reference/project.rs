//! Sections 6 and 7: the +-1 matrices, the integer sums and their signs.

use super::ViewHash;

const BITS: usize = 512;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 512 sums, and how many features are in them.
#[derive(Clone)]
pub(crate) struct Sums {
    sums: [i64; BITS],
    pub(crate) features: u32,
}

impl Sums {
    pub(crate) fn zero() -> Self {
        Self { sums: [0; BITS], features: 0 }
    }

    /// Adds the projection of features; does not count them.
    pub(crate) fn project(&mut self, features: &[i64], statistic: u64, size_1: usize, size_2: usize) {
        let sizes = [size_1, size_2].map(|size| u64::try_from(size).unwrap());
        let mut state = mix(mix(mix(statistic) ^ sizes[0]) ^ sizes[1]);
        for feature in features {
            let mut words = [0; 8];
            for word in &mut words {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                *word = mix(state);
            }
            for (i, sum) in self.sums.iter_mut().enumerate() {
                let bit = words[i / 64] >> (i % 64) & 1;
                *sum += if bit == 1 { *feature } else { -*feature };
            }
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, other) in self.sums.iter_mut().zip(other.sums) {
            *sum += other;
        }
        self.features += other.features;
    }

    /// Bit i is one if sum i is positive.
    pub(crate) fn signs(&self) -> ViewHash {
        let mut code = [0_u8; BITS / 8];
        for (i, &sum) in self.sums.iter().enumerate() {
            if sum > 0 {
                code[i / 8] |= 1 << (i % 8);
            }
        }
        ViewHash { code: (self.features > 0).then_some(code), features: self.features }
    }
}
