//! Owns the fixed pseudo-random +-1 matrices, the integer sums they project features into, and the sign that makes a
//! code. What must hold: a matrix depends on the key alone, so equal keys share it and a model is a bag of tensors.

use crate::features::{Features, Key};
use crate::{CODE_BITS, CODE_WORDS, ModelCode};

/// How many rows of a matrix are made at a time.
const BLOCK_ROWS: usize = 64;

/// The sums behind a code, one for each bit; none as long as all are zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    bits: Option<Box<[i64; CODE_BITS as usize]>>,
}

impl Sums {
    /// Adds another sum to this one.
    pub(crate) fn add(&mut self, other: &Sums) {
        let Some(other) = &other.bits else { return };
        match &mut self.bits {
            Some(bits) => bits.iter_mut().zip(other.iter()).for_each(|(sum, other)| *sum += other),
            None => self.bits = Some(other.clone()),
        }
    }

    /// Projects `features` by the matrix of their key and adds them.
    #[inline(always)]
    pub(crate) fn project(&mut self, features: &Features) {
        if features.values.iter().all(|&feature| feature == 0) {
            return; // As with the empty share of an octave.
        }
        let bits = self.bits.get_or_insert_with(|| Box::new([0; CODE_BITS as usize]));
        // The sum of +-x is twice the sum over the pluses less the sum over all. 64 columns at a time: their sums stay in
        // registers for all rows of a block. A feature is at most 1,536 in size: 32 bits hold far more than a block of them.
        let mut signs = Signs::new(features.key);
        let mut rows = [[0; CODE_WORDS]; BLOCK_ROWS];
        for block in features.values.chunks(BLOCK_ROWS) {
            for row in &mut rows[..block.len()] {
                *row = signs.next_row();
            }
            let all: i32 = block.iter().map(|&feature| i32::from(feature)).sum();
            for (word, sums) in bits.as_chunks_mut::<64>().0.iter_mut().enumerate() {
                let mut pluses = [0i32; 64];
                let (low, high) = pluses.split_at_mut(32);
                for (&feature, row) in block.iter().zip(&rows) {
                    add_where(low, feature.into(), (row[word] & 0xffff_ffff) as u32);
                    add_where(high, feature.into(), (row[word] >> 32) as u32);
                }
                sums.iter_mut().zip(&pluses).for_each(|(sum, plus)| *sum += i64::from(2 * plus - all));
            }
        }
    }

    /// The code: bit `i` is 1 if sum `i` is positive.
    pub(crate) fn code(&self) -> ModelCode {
        ModelCode::from_bits(|i| self.bits.as_ref().is_some_and(|bits| bits[i as usize] > 0))
    }
}

/// Adds `feature` to the sums whose bit in `signs` is 1. Without branches, 32 at a time: vectorises.
#[inline(always)]
fn add_where(sums: &mut [i32], feature: i32, signs: u32) {
    for (bit, sum) in sums.iter_mut().enumerate() {
        let mask = 0u32.wrapping_sub(signs >> bit & 1).cast_signed();
        *sum += feature & mask;
    }
}

/// The rows of a +-1 matrix, one for each feature: eight 64-bit words, bit `i % 64` of word `i / 64` is 1 for +1. The words
/// are the output of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) from a state that the key decides.
struct Signs {
    state: u64,
}

impl Signs {
    fn new(key: Key) -> Self {
        let state = key.sizes.iter().fold(mix(key.statistic as u64), |state, size| mix(state ^ size));
        Self { state }
    }

    #[inline(always)]
    fn next_row(&mut self) -> [u64; CODE_WORDS] {
        [(); CODE_WORDS].map(|()| {
            self.state = self.state.wrapping_add(GOLDEN);
            mix(self.state)
        })
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64.
#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
