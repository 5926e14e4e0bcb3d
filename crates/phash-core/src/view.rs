//! Owns [`View`]: the ways of hashing a model. A view is a name, features with a module of their own, and a calibrated
//! spread between unrelated models (`evalue`).

use std::fmt;
use std::ops::{Index, IndexMut};

/// One way of hashing a model. Every view gives a 512-bit code of its own (docs/hashing.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum View {
    /// Log energies of channels, high-passed: survives fine-tuning, quantisation, pruning, reordered channels in one
    /// tensor in part; lost when channels are rescaled.
    Energy,
    /// Log energies and fourth moments of equilibrated channel blocks: survives per-channel rescaling (folded
    /// batch-norm), keeps twins furthest apart; weaker on fine-tunes.
    Blocks,
    /// The weights themselves, signs and all, in smooth waves: survives noise, low precision, pruning, merging, a part of
    /// the channels removed; lost when channels are permuted or their signs flipped.
    Weights,
    /// Weights by the energies of their channels: does not see a permutation of channels; forgives a part of them removed.
    Order,
    /// Equilibrated weights by ranks of their channels: sees neither a permutation nor rescaled channels; sensitive to noise.
    Orbit,
}

impl View {
    /// All views, in the order in which they are stored and printed.
    pub const ALL: [View; 5] = [View::Energy, View::Blocks, View::Weights, View::Order, View::Orbit];
    /// How many views there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The view's name in files, on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            View::Energy => "energy",
            View::Blocks => "blocks",
            View::Weights => "weights",
            View::Order => "order",
            View::Orbit => "orbit",
        }
    }

    /// What it is made of and what it is good for, in one line.
    pub const fn summary(self) -> &'static str {
        match self {
            View::Energy => "channel energies: best on fine-tunes, pruning, quantisation",
            View::Blocks => {
                "equilibrated blocks: unmoved by rescaled channels (folded batch-norm) and flipped signs"
            }
            View::Weights => "weights in waves: best on noise, pruning, merges, replaced tensors",
            View::Order => {
                "weights by channel energy: unmoved by permuted channels, near if some are removed"
            }
            View::Orbit => "weights by channel rank: unmoved by permuted and rescaled channels",
        }
    }

    /// The view of that name.
    pub fn from_name(name: &str) -> Option<View> {
        Self::ALL.into_iter().find(|view| view.name() == name)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One value for each view, indexed by [`View`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerView<T>(pub [T; View::COUNT]);

impl<T> PerView<T> {
    /// Makes the value of each view.
    pub fn from_fn(mut make: impl FnMut(View) -> T) -> Self {
        Self(View::ALL.map(&mut make))
    }

    /// Makes the value of each view, or gives the first error.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn try_from_fn<E>(make: impl FnMut(View) -> Result<T, E>) -> Result<Self, E> {
        let values: Vec<T> = View::ALL.into_iter().map(make).collect::<Result<_, E>>()?;
        Ok(Self(values.try_into().unwrap_or_else(|_| unreachable!("one for each view"))))
    }

    /// The views with their values, in the order of [`View::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (View, &T)> {
        View::ALL.into_iter().zip(&self.0)
    }
}

impl<T> Index<View> for PerView<T> {
    type Output = T;

    fn index(&self, view: View) -> &T {
        &self.0[view as usize]
    }
}

impl<T> IndexMut<View> for PerView<T> {
    fn index_mut(&mut self, view: View) -> &mut T {
        &mut self.0[view as usize]
    }
}
