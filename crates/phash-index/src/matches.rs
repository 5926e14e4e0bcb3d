//! Owns what a search gives back: [`Match`], [`Matches`], and the counts of the work it took.

/// A code found: its id and its distance from the query. Ordered by distance, then id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Match {
    /// Hamming distance from the query, in bits.
    pub distance_bits: u32,
    /// The code id.
    pub id: u32,
}

/// The answer to a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// The codes found, in order of distance, then id; each once.
    pub matches: Vec<Match>,
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
    /// Buckets looked up.
    pub probes: u64,
    /// Code ids found in them; an id counts once for each bucket it was found in.
    pub candidates: u64,
    /// Candidates whose full distance was computed. Fewer than `candidates` if there were so many that the scan
    /// was cheaper.
    pub verified: u64,
    /// Codes compared by scanning.
    pub scanned: u64,
    /// Index segments found damaged during the search and scanned instead: the answer is complete, but they should
    /// be verified and built again.
    pub damaged_segments: u32,
}
