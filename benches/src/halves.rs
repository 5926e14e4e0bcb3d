//! Owns the split of model families into a half to tune on and a half to report on, fixed before any tuning: families by
//! their number of models, greatest first, equal ones by name; the first, third, fifth ... are the tune half. A family
//! whose models name a half themselves is in that one. A labelled pair belongs to the half of its first model.

use std::collections::{BTreeMap, HashMap};

/// One of the two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Half {
    /// What parameters may be chosen on.
    Tune,
    /// What is reported.
    Test,
}

impl Half {
    /// The half of that name, `tune` or `test`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "tune" => Some(Self::Tune),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

/// What is known of a model file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The family.
    pub family: String,
    /// The half, if the label says it.
    pub half: Option<Half>,
}

/// The half of each family, by the labels of all models.
#[must_use]
pub fn halves<'l>(labels: impl IntoIterator<Item = &'l Label>) -> HashMap<String, Half> {
    let mut families: BTreeMap<&str, (usize, Option<Half>)> = BTreeMap::new();
    for label in labels {
        let (models, half) = families.entry(&label.family).or_default();
        *models += 1;
        *half = half.or(label.half);
    }
    let mut ordered: Vec<_> = families.into_iter().collect();
    ordered.sort_by(|(a, (a_models, _)), (b, (b_models, _))| b_models.cmp(a_models).then(a.cmp(b)));
    let by_place = |place: usize| if place.is_multiple_of(2) { Half::Tune } else { Half::Test };
    let half = |(place, (family, (_, half))): (usize, (&str, (usize, Option<Half>)))| {
        (family.to_owned(), half.unwrap_or(by_place(place)))
    };
    ordered.into_iter().enumerate().map(half).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_from_the_largest_and_equal_ones_by_name() {
        let label = |family: &str, half| Label { family: family.to_owned(), half };
        let labels = ["b", "a", "large", "large", "c", "large", "a", "b"].map(|family| label(family, None));
        let found = halves(&labels);
        let of = |family: &str| found[family];
        assert_eq!(["large", "a", "b", "c"].map(of), [Half::Tune, Half::Test, Half::Tune, Half::Test]);
        let named = halves(&[label("x", None), label("x", Some(Half::Test)), label("y", Some(Half::Tune))]);
        assert_eq!((named["x"], named["y"]), (Half::Test, Half::Tune));
    }
}
