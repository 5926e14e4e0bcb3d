//! Owns what the benches know of two models' codes: distances, probabilities and the E-value, joint over all views. The
//! one place here that asks phash-core what a distance means.

use phash_core::{ModelHash, PerView, View, e_value, joint_p_value, p_values};

/// Two models compared.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Bits between the codes, by view; `None` if one is void.
    pub distances: PerView<Option<u32>>,
    /// The smaller number of features of the two, by view.
    pub features: PerView<u32>,
    /// Whether one of the two is weak.
    pub weak: bool,
}

impl Evidence {
    /// Compares the codes of two models.
    #[must_use]
    pub fn between(a: &ModelHash, b: &ModelHash) -> Self {
        let distance = |view: View| Some(a.views[view].code?.distance(&b.views[view].code?));
        Self {
            distances: PerView::from_fn(distance),
            features: PerView::from_fn(|view| a.views[view].features.min(b.views[view].features)),
            weak: a.is_weak() || b.is_weak(),
        }
    }

    /// The smallest distance of all views; `None` if they share none.
    #[must_use]
    pub fn best(&self) -> Option<u32> {
        self.distances.0.iter().flatten().min().copied()
    }

    /// How probable it is that two unrelated models come so close in one view; `None` if it is void.
    #[must_use]
    pub fn p_view(&self, view: View) -> Option<f64> {
        self.p_views()[view]
    }

    /// How probable it is that two unrelated models come so close, all views taken together; `None` if they share none.
    #[must_use]
    pub fn p_joint(&self) -> Option<f64> {
        self.best()?;
        Some(joint_p_value(&self.p_views()))
    }

    /// The number of unrelated models that come so close in a library of `models`, as expected; infinite if the two
    /// share no view.
    #[must_use]
    pub fn e_value(&self, models: u64) -> f64 {
        self.p_joint().map_or(f64::INFINITY, |p| e_value(p, models))
    }

    fn p_views(&self) -> PerView<Option<f64>> {
        p_values(&self.distances, &self.features)
    }
}
