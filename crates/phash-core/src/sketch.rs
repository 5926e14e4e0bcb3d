//! Owns the way from one tensor's elements to its tallies in every view. Runs the same code at the widest SIMD the machine
//! has or none: the arithmetic is fixed, so the bits are the same.

use crate::cut::{Cut, Cuts};
use crate::equilibrate::equilibrate;
use crate::planes::Planes;
use crate::skip::SkipReason;
use crate::tally::Tally;
use crate::view::{PerView, View};
use crate::{blocks, energy, order, places};

/// What one tensor gives.
#[derive(Clone, Debug)]
pub(crate) struct TensorTallies {
    /// View `energy`: each channel axis with its length.
    pub(crate) axes: Vec<(usize, Tally)>,
    /// The other views; that of `energy` is empty.
    pub(crate) views: PerView<Tally>,
}

/// The elements of a tensor's cuts.
pub(crate) struct Gathered {
    pub(crate) sample: Vec<f64>,
    pub(crate) whole: Option<Vec<f64>>,
}

/// [`tallies`], compiled for each SIMD width. A type and not a closure, because only a method is sure to be inlined into
/// the function that has the target's features.
pub(crate) struct Sketching<'a> {
    pub(crate) cuts: &'a Cuts,
    pub(crate) gathered: &'a Gathered,
}

impl pulp::WithSimd for Sketching<'_> {
    type Output = Result<TensorTallies, SkipReason>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> Self::Output {
        tallies(self.cuts, self.gathered)
    }
}

#[inline(always)]
fn tallies(cuts: &Cuts, gathered: &Gathered) -> Result<TensorTallies, SkipReason> {
    let cut = &cuts.sample;
    let mut planes = Planes::new(cut, &gathered.sample)?;
    let moments = planes.moments();
    let mut views = PerView::<Tally>::default();
    let axes = energy::axes(cut, &moments)
        .into_iter()
        .map(|(len, features)| (len, Tally::of(std::slice::from_ref(&features))))
        .collect();
    let scales = equilibrate(&moments.squares, cut.columns);
    views[View::Blocks] = Tally::of(&blocks::features(cut, &moments, &scales));
    planes.normalise();
    views[View::Weights] = Tally::of(&places::features(cut, &planes));
    if cuts.sample_is_whole {
        let equilibrated = order::Equilibrated::new(&planes, &scales);
        views[View::Order] = Tally::of(&order::order(cut, &planes, &moments, &equilibrated));
        views[View::Orbit] = Tally::of(&[order::orbit(cut, &moments, &scales, &equilibrated)]);
    } else if let (Some(cut), Some(gathered)) = (&cuts.whole, &gathered.whole) {
        [views[View::Order], views[View::Orbit]] = permutation_proof(cut, gathered)?;
    }
    Ok(TensorTallies { axes, views })
}

/// Views `order` and `orbit` of a tensor whose sample does not have every channel.
#[inline(always)]
fn permutation_proof(cut: &Cut, gathered: &[f64]) -> Result<[Tally; 2], SkipReason> {
    let mut planes = Planes::new(cut, gathered)?;
    let moments = planes.moments();
    let scales = equilibrate(&moments.squares, cut.columns);
    planes.normalise();
    let equilibrated = order::Equilibrated::new(&planes, &scales);
    let order_features = order::order(cut, &planes, &moments, &equilibrated);
    Ok([Tally::of(&order_features), Tally::of(&[order::orbit(cut, &moments, &scales, &equilibrated)])])
}
