//! Owns which bits of a code share a substring: learned from a sample of the codes, or left as they are.
//!
//! Correlated bits in one substring crowd the codes into few buckets, so that they are spread over the substrings: pairs
//! of bits are swapped while that lowers the sum of the squared correlations inside substrings. What is learned on one
//! half of the sample must prove itself on the other. Integers only: the same sample gives the same order everywhere.

use phash_code::Code;

use crate::cut::Substring;

/// A sample smaller than this is not learned from. The square of a chance correlation of `n` codes has mean `1/n` and
/// variance `2/n^2`; in sums over substrings of at most 26 bits, judged on half of this many codes, [`LEAST_GAIN`] then
/// lies more than seven standard deviations above what chance gives.
const MIN_SAMPLE: usize = 2048;
/// Codes beyond these are not looked at, which bounds the time and keeps every sum below within 63 bits.
const MAX_SAMPLE: usize = 1 << 16;
/// Squared correlations are counted in units of 2^-20.
const UNIT: u64 = 1 << 20;
/// The share of its squared imbalances (each a mean of +1 and -1, squared) by which a pair of bits is better together.
/// Substrings of unbalanced bits are bad ones, but a query may avoid them, and the others become better.
const GATHER: i64 = 16;
/// An order must lower the crowding (1 a substring for independent bits, and their squared correlations) by one part in
/// this many at least: below that queries were found to gain next to nothing, and they pay for ordering their bits.
const LEAST_GAIN: u64 = 8;
/// Rounds of swaps; a handful is enough to find none that helps.
const MAX_ROUNDS: usize = 40;

/// The order of bits in which codes should be cut in `substrings` (which cover a code once, in order): ordered bit `p`
/// is bit `order[p]` of the code. `None` if the order they have is about as good, as on independent bits.
///
/// The sample should be drawn evenly from the codes, without copies of a code that dominate it; ten thousands of codes
/// are enough. Time `O(bits^2 * sample / 64)`: tens of milliseconds for 20,000 codes of 512 bits.
pub(crate) fn learn<const W: usize>(sample: &[Code<W>], substrings: &[Substring]) -> Option<Vec<u16>> {
    if substrings.len() < 2 || sample.len() < MIN_SAMPLE {
        return None;
    }
    let sample = &sample[..sample.len().min(MAX_SAMPLE)];
    let learning = Moments::of(sample.iter().step_by(2));
    let judging = Moments::of(sample.iter().skip(1).step_by(2));

    let bits = Code::<W>::BITS as usize;
    let mut arrangement = Arrangement::identity(bits, substrings);
    let before = judging.crowding(&arrangement);
    arrangement.improve(&learning);
    let gain = before - judging.crowding(&arrangement);

    let even = substrings.len() as u64 * UNIT;
    let least = (even + before.max(0).unsigned_abs()) / LEAST_GAIN;
    (gain > 0 && gain.unsigned_abs() >= least).then_some(arrangement.order)
}

/// How a sample's bits are distributed: of each, and of each two together.
struct Moments {
    bits: usize,
    /// Squared correlation of bits `i` and `j` at `i * bits + j`, in units, less what chance gives on average; 0 for a
    /// bit and itself, and for bits that never change. May be slightly negative.
    correlation: Vec<i64>,
    /// How unbalanced each bit is: the square of its mean as +1 and -1, in units.
    imbalance: Vec<i64>,
}

impl Moments {
    fn of<'a, const W: usize>(sample: impl ExactSizeIterator<Item = &'a Code<W>>) -> Self {
        let bits = Code::<W>::BITS as usize;
        let codes = sample.len();
        let words = codes.div_ceil(64);
        // The sample transposed: a row of words for each bit.
        let mut rows = vec![0u64; bits * words];
        for (n, code) in sample.enumerate() {
            for (w, word) in code.to_le_words().into_iter().enumerate() {
                let mut rest = word;
                while rest != 0 {
                    let bit = 64 * w + rest.trailing_zeros() as usize;
                    rows[bit * words + n / 64] |= 1 << (n % 64);
                    rest &= rest - 1;
                }
            }
        }
        let row = |bit: usize| &rows[bit * words..][..words];
        let codes = codes as i64;
        // Sums over the codes of a bit as +1 and -1, and of the product of two of them.
        let sum = |differing: u32| codes - 2 * i64::from(differing);
        let sums: Vec<i64> =
            (0..bits).map(|i| sum(row(i).iter().map(|word| word.count_ones()).sum())).collect();
        let variance = |i: usize| (codes * codes - sums[i] * sums[i]).unsigned_abs();
        let mut correlation = vec![0i64; bits * bits];
        for i in 0..bits {
            for j in i + 1..bits {
                let product = sum(row(i).iter().zip(row(j)).map(|(a, b)| (a ^ b).count_ones()).sum());
                let covariance = u128::from((codes * product - sums[i] * sums[j]).unsigned_abs());
                let both = u128::from(variance(i)) * u128::from(variance(j));
                if let Some(squared) = (covariance * covariance * u128::from(UNIT)).checked_div(both) {
                    let squared = i64::try_from(squared).unwrap_or(i64::MAX) - UNIT as i64 / codes;
                    correlation[i * bits + j] = squared;
                    correlation[j * bits + i] = squared;
                }
            }
        }
        let imbalance = sums.iter().map(|sum| sum * sum * (UNIT as i64) / (codes * codes)).collect();
        Self { bits, correlation, imbalance }
    }

    /// The sum of the squared correlations of all pairs of bits in the same substring, in units. For codes and queries
    /// drawn alike, a bucket that a query meets holds more ids than the average one by about this factor, summed over
    /// the substrings (to second order, beside what the imbalance of bits adds, whatever their order).
    fn crowding(&self, arrangement: &Arrangement) -> i64 {
        let mut total = 0;
        for p in 0..self.bits {
            for q in p + 1..self.bits {
                if arrangement.substring_of[p] == arrangement.substring_of[q] {
                    total += self.correlation
                        [usize::from(arrangement.order[p]) * self.bits + usize::from(arrangement.order[q])];
                }
            }
        }
        total
    }

    /// What it costs to have two bits in one substring.
    fn together(&self, i: usize, j: usize) -> i64 {
        if i == j {
            return 0;
        }
        self.correlation[i * self.bits + j] - self.imbalance[i] * self.imbalance[j] / (GATHER * UNIT as i64)
    }
}

/// An order of bits, cut in substrings.
struct Arrangement {
    order: Vec<u16>,
    /// The substring that a place in the order belongs to.
    substring_of: Vec<usize>,
    substrings: usize,
}

impl Arrangement {
    fn identity(bits: usize, substrings: &[Substring]) -> Self {
        let substring_of = (0..substrings.len())
            .flat_map(|j| std::iter::repeat_n(j, substrings[j].len_bits as usize))
            .collect::<Vec<_>>();
        debug_assert_eq!(substring_of.len(), bits, "the substrings cover a code once");
        Self { order: (0..).take(bits).collect(), substring_of, substrings: substrings.len() }
    }

    /// Swaps bits of different substrings while that lowers the cost of the pairs within them. Each swap lowers a sum of
    /// integers, so this ends even without a bound.
    fn improve(&mut self, moments: &Moments) {
        let bits = moments.bits;
        let mut costs = vec![0i64; bits * bits];
        for i in 0..bits {
            for j in 0..bits {
                costs[i * bits + j] = moments.together(i, j);
            }
        }
        // For each bit and substring, the cost of the bit with all bits there.
        let m = self.substrings;
        let mut with = vec![0i64; bits * m];
        for i in 0..bits {
            for (&bit, &substring) in self.order.iter().zip(&self.substring_of) {
                with[i * m + substring] += costs[i * bits + usize::from(bit)];
            }
        }
        for _ in 0..MAX_ROUNDS {
            let mut swapped = false;
            for p in 0..bits {
                for q in p + 1..bits {
                    let (a, b) = (self.substring_of[p], self.substring_of[q]);
                    let (x, y) = (usize::from(self.order[p]), usize::from(self.order[q]));
                    let change = with[x * m + b] - with[x * m + a] + with[y * m + a]
                        - with[y * m + b]
                        - 2 * costs[x * bits + y];
                    if a == b || change >= 0 {
                        continue;
                    }
                    for i in 0..bits {
                        let moved = costs[i * bits + y] - costs[i * bits + x];
                        with[i * m + a] += moved;
                        with[i * m + b] -= moved;
                    }
                    self.order.swap(p, q);
                    swapped = true;
                }
            }
            if !swapped {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use crate::cut::cut;
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    fn parts<const W: usize>(m: u32) -> Vec<Substring> {
        cut(Code::<W>::BITS, Layout::Fast, Some(m), 1).unwrap()
    }

    /// Codes from SplitMix64, each `make` from a source of words.
    fn codes<const W: usize>(
        seed: u64,
        count: usize,
        mut make: impl FnMut(&mut dyn FnMut() -> u64) -> [u64; W],
    ) -> Vec<Code<W>> {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        (0..count).map(|_| Code::from_le_words(make(&mut next))).collect()
    }

    fn uniform<const W: usize>(seed: u64, count: usize) -> Vec<Code<W>> {
        codes(seed, count, |next| std::array::from_fn(|_| next()))
    }

    /// Each bit equals the first of its group of four neighbours, but for one case in four.
    fn grouped<const W: usize>(seed: u64, count: usize) -> Vec<Code<W>> {
        codes(seed, count, |next| {
            std::array::from_fn(|_| {
                let (firsts, noise) = (next() & 0x1111_1111_1111_1111, next() & next());
                (firsts * 0b1111) ^ (noise & 0xeeee_eeee_eeee_eeee)
            })
        })
    }

    fn is_permutation(order: &[u16], bits: u32) -> bool {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        sorted.into_iter().map(u32::from).eq(0..bits)
    }

    /// How many pairs of different codes agree in a substring, over all substrings: counted, not estimated.
    fn meetings<const W: usize>(codes: &[Code<W>], order: Option<&[u16]>, substrings: &[Substring]) -> usize {
        let ordered = |code: &Code<W>| {
            order.map_or(*code, |order| Code::from_bits(|p| code.bit(u32::from(order[p as usize]))))
        };
        let codes: Vec<Code<W>> = codes.iter().map(ordered).collect();
        substrings
            .iter()
            .map(|part| {
                let mut values: Vec<u64> =
                    codes.iter().map(|code| code.bits(part.first_bit, part.len_bits)).collect();
                values.sort_unstable();
                values.chunk_by(|a, b| a == b).map(|same| same.len() * (same.len() - 1) / 2).sum::<usize>()
            })
            .sum()
    }

    #[test]
    fn independent_bits_stay_as_they_are_balanced_or_not() {
        for seed in 0..40u32 {
            assert_eq!(learn(&uniform::<1>(seed.into(), MIN_SAMPLE), &parts::<1>(3 + seed % 8)), None);
        }
        for seed in 0..12u32 {
            let count = MIN_SAMPLE + 700 * seed as usize;
            assert_eq!(learn(&uniform::<2>(seed.into(), count), &parts::<2>(6 + seed)), None);
            assert_eq!(learn(&uniform::<4>(seed.into(), count), &parts::<4>(10 + 2 * seed)), None);
        }
        assert_eq!(learn(&uniform::<8>(1, MIN_SAMPLE), &parts::<8>(32)), None);
        assert_eq!(learn(&uniform::<8>(1, 20_000), &parts::<8>(26)), None);
        // Half of the bits are 1 in one code of eight.
        let unbalanced = codes::<2>(7, 10_000, |next| [next() & next() & next(), next()]);
        assert_eq!(learn(&unbalanced, &parts::<2>(8)), None);
    }

    #[test]
    fn weak_correlation_is_left_alone_and_so_is_what_only_one_half_has() {
        // The bits of a group equal the first but for 7 or 15 cases of 16 or 32: crowding 1.19 or 1.05.
        let sample = |weaker: bool| {
            codes::<1>(1, 20_000, |next| {
                let (firsts, noise) = (next() & 0x1111_1111_1111_1111, next() & (next() | next() | next()));
                let more = if weaker { next() & next() & next() & next() & !noise } else { 0 };
                [(firsts * 0b1111) ^ ((noise | more) & 0xeeee_eeee_eeee_eeee)]
            })
        };
        assert!(learn(&sample(false), &parts::<1>(4)).is_some());
        assert_eq!(learn(&sample(true), &parts::<1>(4)), None);

        let (one, other) = (grouped::<1>(1, 4000), uniform::<1>(2, 4000));
        let mixed = |a: &[Code<1>], b: &[Code<1>]| -> Vec<_> {
            a.iter().zip(b).flat_map(|(a, b)| [*a, *b]).collect()
        };
        assert!(learn(&mixed(&one, &grouped::<1>(3, 4000)), &parts::<1>(4)).is_some());
        assert_eq!(learn(&mixed(&one, &other), &parts::<1>(4)), None);
    }

    #[test]
    fn unbalanced_bits_gather() {
        let sample = codes::<1>(1, 20_000, |next| [next() & (next() & next() | 0x5555_5555_5555_5555)]);
        let mut arrangement = Arrangement::identity(64, &parts::<1>(4));
        arrangement.improve(&Moments::of(sample.iter()));
        let mut unbalanced: Vec<usize> = arrangement
            .order
            .chunks(16)
            .map(|bits| bits.iter().filter(|&bit| bit % 2 == 1).count())
            .collect();
        unbalanced.sort_unstable();
        assert_eq!(unbalanced, [0, 0, 16, 16]);
    }

    #[test]
    fn correlated_bits_are_spread_so_that_fewer_codes_meet() {
        fn check<const W: usize>(m: u32) {
            let (sample, others) = (grouped::<W>(1, 8000), grouped::<W>(2, 4000));
            let substrings = parts::<W>(m);
            let order = learn(&sample, &substrings).unwrap();
            assert!(is_permutation(&order, Code::<W>::BITS));
            // No group has two bits in a substring (there are at least four substrings).
            for part in &substrings {
                let bits = &order[part.first_bit as usize..][..part.len_bits as usize];
                let mut groups: Vec<u16> = bits.iter().map(|bit| bit / 4).collect();
                groups.sort_unstable();
                assert!(groups.windows(2).all(|two| two[0] != two[1]), "{W} {m}: {bits:?}");
            }
            let (before, after) =
                (meetings(&others, None, &substrings), meetings(&others, Some(&order), &substrings));
            assert!(after * 3 < before, "{W} {m}: {after} of {before}");
        }
        check::<1>(4);
        check::<2>(8);
        check::<4>(13);
        check::<8>(40);
    }

    #[test]
    fn what_is_learned_is_the_same_on_every_machine() {
        let order = learn(&grouped::<1>(3, 5000), &parts::<1>(4)).unwrap();
        // From a separate implementation in integers of any size that adds each swap's cost up anew.
        let golden = [
            58, 60, 53, 50, 41, 1, 44, 17, 26, 31, 39, 11, 23, 35, 4, 13, 57, 62, 55, 49, 18, 3, 9, 33, 15,
            38, 46, 24, 7, 20, 40, 29, 10, 27, 2, 61, 28, 21, 19, 56, 52, 5, 12, 42, 37, 48, 34, 47, 0, 16,
            8, 25, 36, 30, 22, 32, 43, 45, 6, 54, 51, 59, 14, 63,
        ];
        assert_eq!(order, golden);
    }

    #[test]
    fn samples_too_small_or_without_variety_teach_nothing() {
        let substrings = parts::<1>(4);
        assert_eq!(learn::<1>(&[], &substrings), None);
        assert_eq!(learn(&grouped::<1>(1, MIN_SAMPLE - 1), &substrings), None);
        assert_eq!(learn(&vec![Code::<1>::ZERO; 5000], &substrings), None);
        // Two opposite codes: every pair of bits is as correlated as every other.
        let opposite = codes::<1>(1, 5000, |next| [if next() & 1 == 0 { 0 } else { u64::MAX }]);
        assert_eq!(learn(&opposite, &substrings), None);
        assert_eq!(learn(&grouped::<1>(1, 5000), &parts::<1>(64)), None);
        // More codes than are looked at.
        let many = grouped::<1>(1, MAX_SAMPLE + 3);
        assert_eq!(learn(&many, &substrings), learn(&many[..MAX_SAMPLE], &substrings));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn moments_are_those_of_the_textbook(seed in any::<u64>(), count in 1usize..300, rare in any::<u64>()) {
            let sample = codes::<1>(seed, count, |next| [next() & (next() | rare) & !(rare >> 7)]);
            let moments = Moments::of(sample.iter());
            let n = count as f64;
            let mean = |f: &dyn Fn(&Code<1>) -> f64| sample.iter().map(f).sum::<f64>() / n;
            let sign = |code: &Code<1>, i: u32| if code.bit(i) { -1.0 } else { 1.0 };
            for i in 0..64 {
                let mean_i = mean(&|code| sign(code, i));
                prop_assert!((moments.imbalance[i as usize] as f64 / UNIT as f64 - mean_i * mean_i).abs() < 2e-6);
                for j in 0..64 {
                    let mean_j = mean(&|code| sign(code, j));
                    let covariance = mean(&|code| (sign(code, i) - mean_i) * (sign(code, j) - mean_j));
                    let both = (1.0 - mean_i * mean_i) * (1.0 - mean_j * mean_j);
                    let expected = if i == j || both < 1e-9 { 0.0 } else { covariance * covariance / both - 1.0 / n };
                    let got = moments.correlation[(i * 64 + j) as usize] as f64 / UNIT as f64;
                    prop_assert!((got - expected).abs() < 3e-6, "{i} {j}: {got}, not {expected}");
                }
            }
        }

        #[test]
        fn neither_a_mask_nor_the_order_of_the_learned_half_matters(
            seed in any::<u64>(), mask in any::<[u64; 2]>(), m in 5u32..20,
        ) {
            let sample = grouped::<2>(seed, 4096);
            let order = learn(&sample, &parts::<2>(m));
            prop_assert!(order.is_some());
            let masked: Vec<_> = sample.iter().map(|code| *code ^ Code::from_le_words(mask)).collect();
            prop_assert_eq!(&learn(&masked, &parts::<2>(m)), &order);
            let mut rotated = sample;
            rotated.rotate_left(2);
            prop_assert_eq!(&learn(&rotated, &parts::<2>(m)), &order);
        }

        #[test]
        fn each_swap_helps_and_the_sums_kept_are_true(seed in any::<u64>(), m in 3u32..12) {
            let sample = codes::<1>(seed, 2000, |next| [(next() & (next() | 0xff00_ff00)) ^ ((next() & 1) * 0xf0f0_f0f0)]);
            let moments = Moments::of(sample.iter());
            let mut arrangement = Arrangement::identity(64, &parts::<1>(m));
            let cost = |arrangement: &Arrangement| -> i64 {
                let places = 0..64usize;
                places.clone().flat_map(|p| places.clone().map(move |q| (p, q)))
                    .filter(|&(p, q)| arrangement.substring_of[p] == arrangement.substring_of[q])
                    .map(|(p, q)| moments.together(arrangement.order[p].into(), arrangement.order[q].into()))
                    .sum()
            };
            let before = cost(&arrangement);
            arrangement.improve(&moments);
            let after = cost(&arrangement);
            prop_assert!(after <= before && is_permutation(&arrangement.order, 64));
            // No swap is left that lowers the cost, found by trying each.
            for (p, q) in (0..64).flat_map(|p| (0..p).map(move |q| (p, q))) {
                arrangement.order.swap(p, q);
                prop_assert!(cost(&arrangement) >= after);
                arrangement.order.swap(p, q);
            }
        }
    }
}
