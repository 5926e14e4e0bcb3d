//! Owns [`ExplainedSearch`]: what the planner chose for a search and why, beside what the search then took.

use std::time::Instant;

use phash_code::{Code, Codes};
use phash_index::{Explanation, SearchStats};

use crate::raw::CodeMode;
use crate::search::Search;

/// A search that was planned, then done. Times are of one thread.
#[derive(Clone, Debug)]
pub struct ExplainedSearch {
    /// The view searched; `raw` for raw codes.
    pub view: String,
    /// What was wanted.
    pub mode: CodeMode,
    /// The plan for the radius, with what it is expected to take. Where the nearest were wanted, the plan for the distance
    /// of the farthest of them: what the search would have been had that been known.
    pub plan: Explanation,
    /// What the search did.
    pub stats: SearchStats,
    /// How many codes it found.
    pub matches: usize,
    /// What it took the first time, when some of the index may have had to be read from the medium.
    pub first_seconds: f64,
    /// What it took the second time.
    pub seconds: f64,
}

impl<const W: usize, C: Codes<W>> Search<W, C> {
    /// Plans a search, does it twice, and tells of it.
    pub(crate) fn explain(&self, query: &Code<W>, mode: CodeMode) -> Option<ExplainedSearch> {
        let index = self.index()?;
        let ask = || {
            let started = Instant::now();
            let found = match mode {
                CodeMode::Radius(radius_bits) => index.within(query, radius_bits),
                CodeMode::Nearest(k) => index.nearest(query, k),
            };
            (found, started.elapsed().as_secs_f64())
        };
        let (_, first_seconds) = ask();
        let (found, seconds) = ask();
        let radius_bits = match mode {
            CodeMode::Radius(radius_bits) => radius_bits,
            CodeMode::Nearest(_) => found.matches.last().map_or(0, |last| last.distance_bits),
        };
        Some(ExplainedSearch {
            view: self.view().to_owned(),
            mode,
            plan: index.explain_within(query, radius_bits),
            stats: found.stats,
            matches: found.matches.len(),
            first_seconds,
            seconds,
        })
    }
}
