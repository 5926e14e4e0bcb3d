//! Owns [`Tally`]: the features of a view added up by key, and how many independent numbers they amount to. What must hold:
//! integers, added in any order, give the same.

use std::collections::BTreeMap;

use crate::features::{Features, Key};
use crate::hash::ViewHash;
use crate::projection::Sums;

/// Features added up by key, with their projection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    sums: Sums,
    by_key: BTreeMap<Key, (Vec<i64>, usize)>,
}

impl Tally {
    /// The tally of one tensor's features, projected.
    #[inline(always)]
    pub(crate) fn of(features: &[Features]) -> Self {
        let mut tally = Self::default();
        for features in features.iter().filter(|features| !features.values.is_empty()) {
            tally.sums.project(features);
            let values: Vec<i64> = features.values.iter().map(|&value| i64::from(value)).collect();
            tally.add_list(features.key, &values, features.free);
        }
        tally
    }

    /// Whether nothing was tallied.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Adds another tally to this one.
    pub(crate) fn add(&mut self, other: &Tally) {
        self.sums.add(&other.sums);
        for (key, (values, free)) in &other.by_key {
            self.add_list(*key, values, *free);
        }
    }

    /// Adds a list to its key's. Square and other matrices may share a key: the freest of its lists counts.
    fn add_list(&mut self, key: Key, values: &[i64], free: usize) {
        match self.by_key.get_mut(&key) {
            Some((sums, most)) => {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                *most = free.max(*most);
            }
            None => {
                self.by_key.insert(key, (values.to_vec(), free));
            }
        }
    }

    /// The code and how many independent features stand behind it: `T^2 / sum of n^2 / d` over the keys, rounded down, at
    /// least 1, where n is a key's sum of squares, d its number of free values, and T the sum of n. Void if T is 0.
    ///
    /// The cosine of two models with random features has the variance 1 over this number.
    pub(crate) fn hash(&self) -> ViewHash {
        let (mut total, mut weighted) = (0.0, 0.0);
        for (values, free) in self.by_key.values() {
            #[expect(clippy::cast_precision_loss, reason = "sums of features under 2^11")]
            let squares = values.iter().fold(0.0, |sum, &value| sum + value as f64 * value as f64);
            total += squares;
            weighted += squares * squares / (*free).max(1) as f64;
        }
        if total <= 0.0 {
            return ViewHash::default();
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
        let features = ((total * total / weighted) as u32).max(1);
        ViewHash { code: Some(self.sums.code()), features }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Statistic;

    fn features(size: u64, values: &[f64]) -> Features {
        Features::new(Statistic::ChannelEnergy, [size, 0, 0], values, None)
    }

    #[test]
    fn independent_features_count_keys_by_their_weight() {
        let equal = Tally::of(&[features(4, &[1.0; 4]), features(9, &[1.0; 4])]);
        assert_eq!(equal.hash().features, 8);
        // The same key twice is the same numbers twice.
        let twice = Tally::of(&[features(4, &[1.0; 4]), features(4, &[1.0; 4])]);
        assert_eq!(twice.hash().features, 4);
        // A heavy key counts more: n = 36 and 4 units, 40^2 / (36^2 / 4 + 4^2 / 4).
        let heavy = Tally::of(&[features(4, &[3.0; 4]), features(9, &[1.0; 4])]);
        assert_eq!(heavy.hash().features, 4);
        assert_eq!(Tally::default().hash(), ViewHash::default());
        assert_eq!(Tally::of(&[features(4, &[0.0; 4])]).hash().code, None);
    }

    #[test]
    fn adding_tallies_is_tallying_all() {
        let (a, b) = (features(4, &[1.0, -2.0, 0.5, 0.1]), features(4, &[0.3, 1.0, 2.0, -1.0]));
        let mut sum = Tally::of(std::slice::from_ref(&a));
        sum.add(&Tally::of(std::slice::from_ref(&b)));
        assert_eq!(sum.hash(), Tally::of(&[a, b]).hash());
    }
}
