//! Owns the way from one tensor's elements to its tallies in every view. Runs the same code at the widest SIMD the machine
//! has or none: the arithmetic is fixed, so the bits are the same.

use pulp::Simd;

use crate::cut::{Cut, Cuts, Whole};
use crate::equilibrate::{Scales, equilibrate};
use crate::hash::ViewHash;
use crate::planes::{Fields, Moments, Planes, Values};
use crate::pool::Pool;
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
    /// How many rows and columns the tensor has.
    pub(crate) lens: (usize, usize),
}

impl TensorTallies {
    /// The tensor's own codes.
    pub(crate) fn views(&self) -> PerView<ViewHash> {
        let mut energy = Tally::default();
        self.axes.iter().for_each(|(_, axis)| energy.add(axis));
        PerView::from_fn(|view| if view == View::Energy { energy.hash() } else { self.views[view].hash() })
    }
}

/// The elements of a tensor's cuts.
pub(crate) struct Gathered {
    pub(crate) sample: Values,
    pub(crate) whole: Option<Values>,
}

/// [`tallies`], compiled for each SIMD width. A type and not a closure, because only a method is sure to be inlined into
/// the function that has the target's features; nothing under it may use registers (`simd`) from within a closure.
pub(crate) struct Sketching<'a> {
    pub(crate) cuts: &'a Cuts,
    pub(crate) gathered: Gathered,
    pub(crate) pool: &'a mut Pool,
}

impl pulp::WithSimd for Sketching<'_> {
    type Output = Result<TensorTallies, SkipReason>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        tallies(simd, self.cuts, self.gathered, self.pool)
    }
}

#[inline(always)]
fn tallies<S: Simd>(
    simd: S,
    cuts: &Cuts,
    gathered: Gathered,
    pool: &mut Pool,
) -> Result<TensorTallies, SkipReason> {
    let cut = &cuts.sample;
    let sample = Matrix::new(simd, cut, gathered.sample, pool)?;
    let mut views = PerView::<Tally>::default();
    let axes = energy::axes(cut, &sample.moments)
        .into_iter()
        .map(|(len, features)| (len, Tally::of(std::slice::from_ref(&features))))
        .collect();
    views[View::Blocks] = Tally::of(&blocks::features(simd, cut, &sample.moments, &sample.scales));
    let fields = sample.planes.fields(&cut.orbits, pool);
    views[View::Weights] = Tally::of(&places::features(simd, cut, &fields, pool));
    if let Whole::Sample = cuts.whole {
        [views[View::Order], views[View::Orbit]] = permutation_proof(simd, cut, &sample, &fields, pool);
    }
    fields.give(pool);
    sample.give(pool);
    if let (Whole::Own(cut), Some(gathered)) = (&cuts.whole, gathered.whole) {
        let whole = Matrix::new(simd, cut, gathered, pool)?;
        let fields = whole.planes.fields(&cut.orbits, pool);
        [views[View::Order], views[View::Orbit]] = permutation_proof(simd, cut, &whole, &fields, pool);
        fields.give(pool);
        whole.give(pool);
    }
    let lens = (cuts.sample.row_len, cuts.sample.column_len);
    Ok(TensorTallies { axes, views, lens })
}

/// The elements of a cut with what every view needs of them.
struct Matrix {
    /// Normalised.
    planes: Planes,
    /// Of the planes before.
    moments: Moments,
    scales: Scales,
}

impl Matrix {
    #[inline(always)]
    fn new<S: Simd>(simd: S, cut: &Cut, gathered: Values, pool: &mut Pool) -> Result<Self, SkipReason> {
        let mut planes = Planes::new(cut, gathered)?;
        let moments = planes.moments(simd, pool);
        let scales = equilibrate(simd, &moments.squares, cut.columns);
        planes.normalise(simd);
        Ok(Self { planes, moments, scales })
    }

    /// Gives the memory back.
    fn give(self, pool: &mut Pool) {
        self.moments.give(pool);
        pool.give(self.planes.values);
    }
}

/// Views `order` and `orbit` of a matrix with every channel; `fields` are those of its planes.
#[inline(always)]
fn permutation_proof<S: Simd>(
    simd: S,
    cut: &Cut,
    matrix: &Matrix,
    fields: &Fields<'_>,
    pool: &mut Pool,
) -> [Tally; 2] {
    let Matrix { planes, moments, scales } = matrix;
    let equilibrated = order::Equilibrated::new(simd, planes, scales, pool);
    let order = Tally::of(&order::order(simd, cut, fields, moments, &equilibrated, pool));
    let orbit = Tally::of(&[order::orbit(simd, cut, moments, scales, &equilibrated, pool)]);
    equilibrated.give(pool);
    [order, orbit]
}
