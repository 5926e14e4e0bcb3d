//! Owns [`View`]: the ways of hashing a model. A view is a name, a statistic with its own module, and a calibrated
//! number of effective bits. A third view is one more variant here and one more module beside `energy` and `blocks`.

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
}

impl View {
    /// All views, in the order in which they are stored and printed.
    pub const ALL: [View; 2] = [View::Energy, View::Blocks];
    /// How many views there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The view's name in files, on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            View::Energy => "energy",
            View::Blocks => "blocks",
        }
    }

    /// What it is made of and what it is good for, in one line.
    pub const fn summary(self) -> &'static str {
        match self {
            View::Energy => "channel energies: best on fine-tunes, pruning, quantisation",
            View::Blocks => "equilibrated blocks: unmoved by rescaled channels (folded batch-norm)",
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
