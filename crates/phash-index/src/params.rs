//! Owns [`BuildParams`]: what a caller may choose when an index segment is built, and what is chosen if he does not.

use crate::{Error, threads};

/// What a segment keeps beside the ids of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// Ids only, in buckets of about one: small. 12 to 15 bytes a code at 64 bits, about 90 at 256, for 10 million codes.
    #[default]
    Compact,
    /// Ids and a sketch of each code, in buckets of 15 to 30: fast. 48 bytes a code at 64 bits, about 340 at 256.
    Fast,
}

/// The order in which the bits of a code are cut in substrings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Learned from a sample of the codes if that pays; else as they are.
    #[default]
    Auto,
    /// As they are.
    AsIs,
}

/// How to build an index segment. The default suits every collection; answers never depend on it, only speed and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildParams {
    /// Size against speed.
    pub layout: Layout,
    /// How many substrings (bucket tables) to cut the code in: at least `bits / 26` rounded up, at most one a bit.
    /// By default as many as make substrings of about log2(number of codes) bits, 8 to 24, or, in [`Layout::Fast`], of 5
    /// bits less, 8 to 22.
    pub substrings: Option<u32>,
    /// How many planes of 32 bits a sketch has in [`Layout::Fast`], 1 to twice the words of a code. By default 2 at 64
    /// bits and 4 at 128 (all other bits, so that no code need be fetched), 5 at 256, then 8.
    pub planes: Option<u32>,
    /// The order of the bits.
    pub order: Order,
    /// How many threads build; by default as many as the machine runs at once. The bytes do not depend on it.
    pub threads: Option<usize>,
}

impl BuildParams {
    /// Size against speed.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Cut the code in `substrings` parts.
    #[must_use]
    pub fn with_substrings(mut self, substrings: u32) -> Self {
        self.substrings = Some(substrings);
        self
    }

    /// Keep sketches of `planes` times 32 bits ([`Layout::Fast`]).
    #[must_use]
    pub fn with_planes(mut self, planes: u32) -> Self {
        self.planes = Some(planes);
        self
    }

    /// Take the bits in this order.
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Build with `threads` threads (at least one).
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The planes of a segment of codes of `words` words: 0 without sketches.
    pub(crate) fn planes_of(&self, words: usize) -> Result<u32, Error> {
        let max = max_planes(words);
        match (self.layout, self.planes) {
            (Layout::Compact, _) => Ok(0),
            (Layout::Fast, None) => Ok(match words {
                0 | 1 => 2,
                2 => 4,
                3 | 4 => 5,
                _ => 8,
            }),
            (Layout::Fast, Some(planes)) if (1..=max).contains(&planes) => Ok(planes),
            (Layout::Fast, Some(got)) => Err(Error::Planes { got, max }),
        }
    }

    /// How many threads to build with.
    pub(crate) fn thread_count(&self) -> usize {
        self.threads.map_or_else(|| threads::thread_count(0), |threads| threads.max(1))
    }
}

/// The most planes a sketch can have: as many as the code has bits.
pub(crate) fn max_planes(words: usize) -> u32 {
    u32::try_from(words).unwrap_or(u32::MAX).saturating_mul(2)
}
