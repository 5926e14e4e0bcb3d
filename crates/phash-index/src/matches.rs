//! Owns what a search gives back: [`Match`], [`Matches`], and the counts of the work it took.

use std::cmp::Ordering;

/// A code found: its id and its distance from the query. Ordered by distance, then id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Match {
    /// Hamming distance from the query, in bits.
    pub distance_bits: u32,
    /// The code id.
    pub id: u32,
}

impl Match {
    /// A number that is ordered as the match is; comparing it is faster.
    pub(crate) fn key(&self) -> u64 {
        u64::from(self.distance_bits) << 32 | u64::from(self.id)
    }
}

impl Ord for Match {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Match {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The answer to a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matches {
    /// The codes found, in order of distance, then id; each once.
    pub matches: Vec<Match>,
    /// Whether these are all; false only if a [`crate::Limit`] ended the search. What was found is right all the same.
    pub complete: bool,
    /// The work it took.
    pub stats: SearchStats,
}

impl Default for Matches {
    /// Nothing found, and that is all.
    fn default() -> Self {
        Self { matches: Vec::new(), complete: true, stats: SearchStats::default() }
    }
}

/// The answer to a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// How many codes lie within the radius.
    pub count: u64,
    /// Whether all were counted; false only if a [`crate::Limit`] ended the search.
    pub complete: bool,
    /// The work it took.
    pub stats: SearchStats,
}

/// How the codes of a search were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// Every code was compared with the query.
    #[default]
    Scan,
    /// Only candidates from bucket tables were.
    Index,
    /// Some code ids were scanned (the unindexed ones, or a segment where that was cheaper), others probed.
    Mixed,
}

/// The work a search took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchStats {
    /// How the codes were looked at.
    pub plan: Plan,
    /// Tables of which buckets were looked up, over all segments and the tails of a live index.
    pub tables: u64,
    /// Buckets looked up.
    pub probes: u64,
    /// Code ids found in them; an id counts once for each bucket it was found in.
    pub candidates: u64,
    /// Candidates that were compared, by their sketch or their code. Fewer than `candidates` if there were so many that
    /// the scan was cheaper, or if a limit ended the search.
    pub compared: u64,
    /// Of those that were compared, the ones whose code was fetched from the collection: all where there are no sketches (in
    /// compact segments and the tails of a live index), else those whose sketches were near enough; none where a sketch is
    /// the whole code.
    pub verified: u64,
    /// Codes compared by scanning.
    pub scanned: u64,
    /// Index segments found damaged during the search and scanned instead: the answer is complete, but they should
    /// be verified and built again.
    pub damaged_segments: u32,
}

impl SearchStats {
    /// Says how the codes were looked at, once the search is over.
    pub(crate) fn planned(mut self, probed: bool) -> Self {
        self.plan = match (probed, self.scanned) {
            (false, _) => Plan::Scan,
            (true, 0) => Plan::Index,
            (true, _) => Plan::Mixed,
        };
        self
    }
}
