//! Owns the random numbers of the benchmarks: splitmix64, and normal numbers by the inverse of their distribution at
//! 65,536 equally likely points. The same sequence for a seed on every machine.

/// 2^64 over the golden ratio: what the state grows by.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// splitmix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence from `draws` calls of [`Self::bits`] further on.
    #[must_use]
    pub fn skipped(&self, draws: u64) -> Self {
        Self(self.0.wrapping_add(GOLDEN.wrapping_mul(draws)))
    }

    /// The next 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..end`; biased by less than `end / 2^32`.
    #[inline]
    pub fn below(&mut self, end: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(end)) >> 32) as u32
    }

    /// A place in a collection of `len` things.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "below a usize")]
    pub fn place(&mut self, len: usize) -> usize {
        ((u128::from(self.bits()) * len as u128) >> 64) as usize
    }

    /// `count` different numbers in `0..end`, in random order.
    pub fn choose(&mut self, count: usize, end: u32) -> Vec<u32> {
        let mut all: Vec<u32> = (0..end).collect();
        let count = count.min(all.len());
        for i in 0..count {
            let j = i + self.place(all.len() - i);
            all.swap(i, j);
        }
        all.truncate(count);
        all
    }
}

/// The standard normal distribution.
#[derive(Clone, Debug)]
pub struct Normal(Vec<f32>);

impl Normal {
    /// Computes the table.
    #[must_use]
    pub fn new() -> Self {
        // The upper half; the lower one mirrors it.
        let mut upper = Vec::with_capacity(1 << 15);
        let mut x = 0.0f64;
        for i in 0..1 << 15 {
            let p = (f64::from(i) + 0.5) / f64::from(1 << 16);
            for _ in 0..6 {
                let (area, density) = area_and_density(x);
                x -= (area - p) / density;
            }
            #[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is meant")]
            upper.push(x as f32);
        }
        let lower = upper.iter().rev().map(|x| -x).collect::<Vec<_>>();
        Self([lower, upper].concat())
    }

    /// Four normal numbers.
    #[inline]
    pub fn four(&self, random: &mut SplitMix) -> [f32; 4] {
        let [a, b, c, d, e, f, g, h] = random.bits().to_le_bytes();
        [[a, b], [c, d], [e, f], [g, h]].map(|two| self.0[usize::from(u16::from_le_bytes(two))])
    }
}

impl Default for Normal {
    fn default() -> Self {
        Self::new()
    }
}

/// The normal density at `x` and the area under it between 0 and `x`, by the series of the area over the density.
fn area_and_density(x: f64) -> (f64, f64) {
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let (mut term, mut sum, mut k) = (x, x, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        k += 2.0;
        term *= x * x / k;
        sum += term;
    }
    (density * sum, density)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let normal = Normal::new();
        let n = normal.0.len() as f64;
        let mean = normal.0.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = normal.0.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-3, "{mean} {variance}");
        assert!((normal.0[1 << 15..][27_571] - 1.4098).abs() < 1e-3, "area 0.4207 lies below 1.41");
    }
}
