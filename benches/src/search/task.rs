//! Owns what is asked of a search, and how.

use std::fmt;

/// A question about one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// All codes within so many bits, inclusive.
    Within(u32),
    /// The so many nearest codes.
    Nearest(usize),
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Task::Within(radius_bits) => write!(f, "radius {radius_bits}"),
            Task::Nearest(k) => write!(f, "nearest {k}"),
        }
    }
}

/// How queries are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// One at a time, on one thread, each as if for the first time: other memory was gone through before.
    One,
    /// As `One`, but the same few queries again and again: all they touch may be in the caches.
    Again,
    /// All at once, on so many threads.
    Batch {
        /// How many.
        threads: usize,
    },
}
