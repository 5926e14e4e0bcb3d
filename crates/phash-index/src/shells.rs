//! Owns the shell estimates of a table: for each value of a substring about how many ids lie at distance 0, 1, 2 and 3
//! from it, a byte each. Only the planner reads them, so that they change speed and never an answer.
//!
//! Substrings longer than [`COARSE_BITS`] are counted by their top bits. The counts are exact (a recurrence over the
//! shells), the bytes logarithmic and the same on every machine: all arithmetic is in integers.

use zerocopy::little_endian::U32;

use crate::cut::Substring;

/// Estimates are kept for the values of this many bits at most: 4 MiB a table.
pub(crate) const COARSE_BITS: u32 = 20;
/// How many distances have an estimate: 0, 1, 2, 3.
pub(crate) const SHELLS: usize = 4;
/// An even bucket may hold so many ids more than four times the mean.
const FEW: u128 = 32;
/// Steps of the logarithmic scale in a factor of two.
const STEPS: u32 = 8;
/// Numbers below this are looked up with all their bits, larger ones by their top bits.
const LOOKED_UP_BITS: u32 = 12;

impl Substring {
    /// How many values the coarse substring can take, each with its estimates.
    pub(crate) fn coarse_values(self) -> u32 {
        1 << self.len_bits.min(COARSE_BITS)
    }

    /// By how many bits a value is shifted to become coarse.
    pub(crate) fn coarse_shift(self) -> u32 {
        self.len_bits.saturating_sub(COARSE_BITS)
    }
}

/// `2^(i / 8)`.
const EIGHTHS: [f32; STEPS as usize] = [
    1.0,
    1.090_507_7,
    1.189_207_1,
    1.296_839_6,
    std::f32::consts::SQRT_2,
    1.542_210_8,
    1.681_792_8,
    1.834_008_1,
];

/// About how many ids an estimate stands for.
#[inline]
pub(crate) fn estimate(byte: u8) -> f32 {
    match byte.checked_sub(1) {
        None => 0.0,
        Some(log) => EIGHTHS[usize::from(log % 8)] * (1u64 << (log / 8)) as f32,
    }
}

/// The bytes of counts, by looking them up.
pub(crate) struct Scale {
    bytes: Vec<u8>,
}

impl Scale {
    pub(crate) fn new() -> Self {
        Self { bytes: (0..1 << LOOKED_UP_BITS).map(exact_byte).collect() }
    }

    /// The byte of a count: 0 for none, else the nearest on the scale.
    #[inline]
    fn byte(&self, count: u64) -> u8 {
        let beyond = (u64::BITS - count.leading_zeros()).saturating_sub(LOOKED_UP_BITS);
        #[expect(clippy::cast_possible_truncation, reason = "the top LOOKED_UP_BITS bits")]
        let low = self.bytes[(count >> beyond) as usize & ((1 << LOOKED_UP_BITS) - 1)];
        u8::try_from(u32::from(low) + beyond * STEPS).unwrap_or(u8::MAX)
    }
}

/// 1 plus the integer nearest to `8 log2(count)`, found without floating point.
fn exact_byte(count: u32) -> u8 {
    if count == 0 {
        return 0;
    }
    // log2 of the 8th power, which lies beyond its floor by more than a half if the top bits do by more than sqrt(2).
    let power = u128::from(count).pow(STEPS);
    let floor = power.ilog2();
    let top = power << (u128::BITS - 1 - floor) >> 64;
    let up = u32::from(top * top >= 1 << (u128::BITS - 1));
    u8::try_from(1 + floor + up).unwrap_or(u8::MAX)
}

/// How many ids each bucket holds.
pub(crate) fn bucket_lens(offsets: &[U32]) -> impl ExactSizeIterator<Item = u32> + Clone {
    offsets.windows(2).map(|bounds| bounds[1].get().wrapping_sub(bounds[0].get()))
}

/// Whether buckets of these numbers of ids are about as full as if each id had come into one of them by chance: no bucket
/// holds more than four times the mean and [`FEW`], and the bucket of an id taken at random at most a tenth more ids than
/// chance would give it. Exact, in integers. Buckets of a table that is even need no estimates.
pub(crate) fn is_even(lens: impl ExactSizeIterator<Item = u32>) -> bool {
    let buckets = lens.len() as u128;
    let (mut ids, mut squares, mut longest) = (0u128, 0u128, 0u128);
    for len in lens.map(u128::from) {
        ids += len;
        squares += len * len;
        longest = longest.max(len);
    }
    longest * buckets <= 4 * ids + FEW * buckets && squares * buckets * 10 <= ids * (ids + buckets) * 11
}

/// The estimates of one table, from how many ids have each coarse value; four bytes a value, by distance.
pub(crate) struct Shells {
    scale: Scale,
    before: Vec<u64>,
    here: Vec<u64>,
    next: Vec<u64>,
}

impl Shells {
    pub(crate) fn new() -> Self {
        Self { scale: Scale::new(), before: Vec::new(), here: Vec::new(), next: Vec::new() }
    }

    /// Fills `bytes` from the number of ids under each coarse value, `counts.len()` being a power of two.
    ///
    /// With `S_d(v)` ids at distance `d` from `v` and `e_i` the i-th of `b` bits:
    /// `sum_i S_d(v ^ e_i) = (b - d + 1) S_{d-1}(v) + (d + 1) S_{d+1}(v)`. Time `O(b 2^b)`.
    pub(crate) fn fill(&mut self, counts: impl ExactSizeIterator<Item = u32>, bytes: &mut Vec<[u8; SHELLS]>) {
        self.here.clear();
        self.here.extend(counts.map(u64::from));
        let values = self.here.len();
        let bits = values.ilog2();
        self.before.clear();
        self.before.resize(values, 0);
        self.next.resize(values, 0);
        bytes.clear();
        bytes.resize(values, [0; SHELLS]);
        for distance in 0..SHELLS {
            for (byte, &count) in bytes.iter_mut().zip(&self.here) {
                byte[distance] = self.scale.byte(count);
            }
            let d = distance as u64;
            if distance + 1 == SHELLS || u64::from(bits) <= d {
                break;
            }
            let again = u64::from(bits) + 1 - d;
            self.next.fill(0);
            for i in 0..bits {
                add_flipped(&mut self.next, &self.here, 1 << i);
            }
            for (next, &before) in self.next.iter_mut().zip(&self.before) {
                *next = (*next - again * before) / (d + 1);
            }
            std::mem::swap(&mut self.before, &mut self.here);
            std::mem::swap(&mut self.here, &mut self.next);
        }
    }
}

/// Adds to each value's sum the count of the value that differs from it in bit `bit`.
fn add_flipped(sums: &mut [u64], counts: &[u64], bit: usize) {
    for (sums, counts) in sums.chunks_exact_mut(2 * bit).zip(counts.chunks_exact(2 * bit)) {
        let ((low_sums, high_sums), (low, high)) = (sums.split_at_mut(bit), counts.split_at(bit));
        low_sums.iter_mut().zip(high).for_each(|(sum, &count)| *sum += count);
        high_sums.iter_mut().zip(low).for_each(|(sum, &count)| *sum += count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn the_scale_is_the_rounded_logarithm() {
        let scale = Scale::new();
        assert_eq!(scale.byte(0), 0);
        for count in (1..5000).chain((13..63).flat_map(|i| [(1 << i) - 1, 1 << i, (1 << i) + (1 << i) / 3])) {
            let exact = 1.0 + 8.0 * (count as f64).log2();
            let byte = f64::from(scale.byte(count));
            // Half a step, and for large numbers what the bits beyond the twelfth add.
            let off = if count < 4096 { 0.5 } else { 0.504 };
            assert!((byte - exact.min(255.0)).abs() <= off, "{count}: {byte}, not {exact}");
            if exact < 255.0 {
                assert!((f64::from(estimate(scale.byte(count))) / count as f64).log2().abs() <= off / 8.0);
            }
        }
        assert_eq!((estimate(0), estimate(1), estimate(9)), (0.0, 1.0, 2.0));
    }

    proptest! {
        #[test]
        fn shells_are_counted_as_by_going_through_all_pairs(bits in 0u32..8, seed in any::<u64>(), large in any::<bool>()) {
            let count = |v: u32| {
                let x = seed.wrapping_mul(u64::from(2 * v + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                if large { u32::try_from(x >> 32).unwrap() } else { u32::try_from((x >> 58).saturating_sub(40)).unwrap() }
            };
            let mut shells = Shells::new();
            let mut bytes = vec![[7; SHELLS]; 3];
            // Twice, because the buffers are used again.
            for _ in 0..2 {
                shells.fill((0..1usize << bits).map(|v| count(u32::try_from(v).unwrap())), &mut bytes);
            }
            assert_eq!(bytes.len(), 1 << bits);
            for (v, got) in (0u32..).zip(bytes) {
                for (distance, byte) in (0u32..).zip(got) {
                    let sum = (0..1 << bits).filter(|u: &u32| (u ^ v).count_ones() == distance).map(|u| u64::from(count(u))).sum();
                    assert_eq!(byte, Scale::new().byte(sum), "value {v}, distance {distance}");
                }
            }
        }
    }
}
