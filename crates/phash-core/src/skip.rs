//! Owns [`SkipReason`]: why a tensor takes no part in the codes.

use std::fmt;

/// Why a tensor takes no part in the codes (it always takes part in the content digest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SkipReason {
    /// The element type is not a floating type (integers, booleans, packed quantised formats).
    NotFloating,
    /// Fewer than two axes are longer than one (biases, norms).
    NotAMatrix,
    /// Fewer than 1,024 elements.
    TooFewElements,
    /// A value that is looked at is NaN or infinite.
    NotFinite,
    /// All values are zero.
    AllZero,
}

impl SkipReason {
    /// The reason in words, as printed and stored.
    pub const fn name(self) -> &'static str {
        match self {
            SkipReason::NotFloating => "not floating",
            SkipReason::NotAMatrix => "not a matrix",
            SkipReason::TooFewElements => "under 1024 elements",
            SkipReason::NotFinite => "not finite",
            SkipReason::AllZero => "all zero",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
