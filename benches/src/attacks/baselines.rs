//! Other ways to know a model again, for comparison. The outline taken literally is a code; the other two are pairwise and
//! need both models: per-layer skewness and kurtosis compared by rank correlation, and the cosine of sampled weights. All
//! align tensors by the order of their names.

use phash_code::Code256;

use super::{Tensor, outline};

/// The names of the scores, in their order.
pub const NAMES: [&str; 3] = ["outline", "profile", "cosine"];

/// How many values of a tensor are sampled.
const SAMPLES: usize = 256;

/// What the baselines keep of a model.
pub struct Baselines {
    outline: Option<Code256>,
    skewness: Vec<f64>,
    kurtosis: Vec<f64>,
    samples: Vec<Vec<f32>>,
}

impl Baselines {
    /// Of a model's tensors. O(elements).
    #[must_use]
    pub fn of(tensors: &[Tensor]) -> Self {
        let mut weights: Vec<&Tensor> = tensors.iter().filter(|tensor| tensor.is_weights()).collect();
        weights.sort_by(|a, b| a.name.cmp(&b.name));
        let moments: Vec<[f64; 2]> = weights.iter().map(|tensor| moments(&tensor.values)).collect();
        let sample = |tensor: &&Tensor| {
            let (len, count) = (tensor.values.len(), tensor.values.len().min(SAMPLES));
            (0..count).map(|i| tensor.values[i * len / count]).collect()
        };
        Self {
            outline: outline::code(tensors),
            skewness: moments.iter().map(|[skewness, _]| *skewness).collect(),
            kurtosis: moments.iter().map(|[_, kurtosis]| *kurtosis).collect(),
            samples: weights.iter().map(sample).collect(),
        }
    }

    /// How far two models are apart, smaller is nearer: bits, 1 - rank correlation (the mean of both moments), 1 - cosine.
    /// `None` where a model is too small. Models of different numbers of tensors are compared as far as both go.
    #[must_use]
    pub fn distances(&self, other: &Self) -> [Option<f64>; 3] {
        let bits = self.outline.zip(other.outline).map(|(a, b)| f64::from(a.distance(&b)));
        let skewness = rank_correlation(&self.skewness, &other.skewness);
        let kurtosis = rank_correlation(&self.kurtosis, &other.kurtosis);
        let profile = skewness.zip(kurtosis).map(|(a, b)| 1.0 - (a + b) / 2.0);
        [bits, profile, self.cosine(other).map(|cosine| 1.0 - cosine)]
    }

    /// Over the tensors of which both have equally many samples.
    fn cosine(&self, other: &Self) -> Option<f64> {
        let (mut dot, mut a_squares, mut b_squares) = (0.0, 0.0, 0.0);
        for (a, b) in self.samples.iter().zip(&other.samples).filter(|(a, b)| a.len() == b.len()) {
            for (&a, &b) in a.iter().zip(b) {
                let (a, b) = (f64::from(a), f64::from(b));
                dot += a * b;
                a_squares += a * a;
                b_squares += b * b;
            }
        }
        let cosine = dot / (a_squares * b_squares).sqrt();
        cosine.is_finite().then_some(cosine)
    }
}

/// Skewness and kurtosis.
fn moments(values: &[f32]) -> [f64; 2] {
    let n = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let mut sums = [0.0; 3];
    for &value in values {
        let d = f64::from(value) - mean;
        let square = d * d;
        sums[0] += square;
        sums[1] += square * d;
        sums[2] += square * square;
    }
    let [second, third, fourth] = sums.map(|sum| sum / n);
    [third / second.powf(1.5), fourth / (second * second)]
}

/// Spearman's, of the first values of both; `None` under 4 of them or if one side is constant.
fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let len = a.len().min(b.len());
    if len < 4 {
        return None;
    }
    let (a, b) = (ranks(&a[..len]), ranks(&b[..len]));
    let mean = (len as f64 - 1.0) / 2.0;
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let correlation = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
    correlation.is_finite().then_some(correlation)
}

/// The place of each value among all; equal values share the middle of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = |value: &f64| {
        let below = sorted.partition_point(|x| x.total_cmp(value).is_lt());
        let not_above = sorted.partition_point(|x| x.total_cmp(value).is_le());
        (below + not_above - 1) as f64 / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_correlate_as_in_the_textbook() {
        assert_eq!(ranks(&[10.0, 30.0, 10.0, 20.0]), [0.5, 3.0, 0.5, 2.0]);
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 1.0, 4.0, 3.0, 5.0]);
        let textbook = 1.0 - 6.0 * 4.0 / (5.0 * 24.0);
        assert!(rank_correlation(&a, &b).is_some_and(|found| (found - textbook).abs() < 1e-12));
        assert_eq!(rank_correlation(&a, &[1.0; 5]), None);
    }

    #[test]
    fn moments_of_a_two_point_distribution() {
        // Three zeros and a one: p = 1/4, skewness (1 - 2p) / sqrt(pq), kurtosis 1 / (pq) - 3.
        let [skewness, kurtosis] = moments(&[0.0, 1.0, 0.0, 0.0]);
        let pq: f64 = 3.0 / 16.0;
        assert!((skewness - 0.5 / pq.sqrt()).abs() < 1e-12 && (kurtosis - (1.0 / pq - 3.0)).abs() < 1e-12);
    }
}
