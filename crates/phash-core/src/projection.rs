//! Owns the fixed pseudo-random +-1 matrices, the integer sums they project features into, and the sign that makes a
//! code. What must hold: a matrix depends on the statistic and the size alone, so equal sizes share it and a model is a
//! bag of tensors.

use crate::{CODE_BITS, ModelCode};

/// What is projected: keeps the matrices of different statistics apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Statistic {
    /// High-passed log energies of channels; sizes: (axis length, 0).
    ChannelEnergy = 1,
    /// Log block means of equilibrated squares; sizes: grid rows and columns.
    BlockSquares = 2,
    /// Log block means of equilibrated fourth powers; sizes: grid rows and columns.
    BlockFourths = 3,
}

/// The sums behind a code, one for each bit, and how many features went in.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    pub(crate) bits: [i64; CODE_BITS as usize],
    pub(crate) features: u32,
}

impl Default for Sums {
    fn default() -> Self {
        Self { bits: [0; CODE_BITS as usize], features: 0 }
    }
}

impl Sums {
    /// Adds another sum to this one.
    pub(crate) fn add(&mut self, other: &Sums) {
        self.bits.iter_mut().zip(&other.bits).for_each(|(sum, other)| *sum += other);
        self.features = self.features.saturating_add(other.features);
    }

    /// Projects `features` by the matrix of (`statistic`, `sizes`) and adds them.
    #[inline(always)]
    pub(crate) fn project(&mut self, statistic: Statistic, sizes: [u64; 2], features: &[i16]) {
        // The sum of +-x is twice the sum over the pluses less the sum over all; a feature is at most 768 in size, so
        // 32 bits hold the sums of two million features.
        let mut signs = Signs::new(statistic, sizes);
        for block in features.chunks(1 << 20) {
            let mut pluses = [0i32; CODE_BITS as usize];
            let mut all = 0i32;
            for &feature in block {
                let feature = i32::from(feature);
                all += feature;
                for word in pluses.as_chunks_mut::<64>().0 {
                    let signs = signs.next_word();
                    let (low, high) = word.split_at_mut(32);
                    add_where(low, feature, (signs & 0xffff_ffff) as u32);
                    add_where(high, feature, (signs >> 32) as u32);
                }
            }
            self.bits.iter_mut().zip(&pluses).for_each(|(sum, plus)| *sum += i64::from(2 * plus - all));
        }
    }

    /// The code: bit `i` is 1 if sum `i` is positive. `None` if there are no features.
    pub(crate) fn code(&self) -> Option<ModelCode> {
        if self.features == 0 {
            return None;
        }
        Some(ModelCode::from_bits(|i| self.bits[i as usize] > 0))
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
/// are the output of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) from a state that the statistic and sizes decide.
struct Signs {
    state: u64,
}

impl Signs {
    fn new(statistic: Statistic, [rows, columns]: [u64; 2]) -> Self {
        let mut state = mix(statistic as u64);
        state = mix(state ^ rows);
        state = mix(state ^ columns);
        Self { state }
    }

    #[inline(always)]
    fn next_word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
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
