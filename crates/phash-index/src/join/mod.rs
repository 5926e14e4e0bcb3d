//! Owns the self-join: all pairs of codes within a radius, each once, streamed in one order whatever the number of
//! threads. What must hold: memory does not grow with the number of pairs; nothing is lost when the visitor is slow.

mod neighbours;
mod stream;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use phash_code::{Code, Codes};

pub(crate) use self::neighbours::Neighbours;
use crate::{Error, Index, SearchStats};

/// Two codes within the radius of each other; `a < b`. Ordered as [`join`] gives them: by `a`, distance, `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// The smaller code id.
    pub a: u32,
    /// Hamming distance between the two, in bits.
    pub distance_bits: u32,
    /// The larger code id.
    pub b: u32,
}

/// Why a join came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// All codes were joined.
    #[default]
    Complete,
    /// The visitor wanted no more pairs.
    Stopped,
    /// The cancel flag was raised; what was found until then is right but not all.
    Cancelled,
}

/// The work a join took, and whether it is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinStats {
    /// Why it ended. Only after [`Ended::Complete`] were all pairs seen.
    pub ended: Ended,
    /// Pairs the visitor was given.
    pub pairs: u64,
    /// The work of all searches together; its plan says nothing. With several threads, of a join that was ended early,
    /// includes searches whose pairs were never asked for.
    pub search: SearchStats,
}

/// Calls `visit` for every pair of codes within `radius_bits` (inclusive) of each other, each pair once, in order of
/// `a`, then distance, then `b`. Ids that the index may not report take no part, neither as `a` nor as `b`.
///
/// The order is the same for every number of threads. `visit` runs on the calling thread and may stop the join by
/// [`ControlFlow::Break`]; a limit of the index, which is for one search, does not hold. `cancel` may be raised by anyone,
/// and is looked at several times a millisecond.
///
/// Exact. Time about that of a search for each code, or of comparing all pairs in blocks where the planner expects that to
/// be faster: the work, and [`JoinStats`], are the same on every run. Memory: some ten MiB a thread for pairs on their way,
/// and for each thread the matches of one code.
///
/// # Errors
/// [`Error::MissingCode`] if the collection has fewer codes than it says.
pub fn join<const W: usize, C, B>(
    index: &Index<'_, W, C, B>,
    radius_bits: u32,
    threads: NonZeroUsize,
    cancel: &AtomicBool,
    visit: impl FnMut(Pair) -> ControlFlow<()>,
) -> Result<JoinStats, Error>
where
    C: Codes<W> + Sync + ?Sized,
    B: AsRef<[u8]> + Sync,
{
    let radius_bits = radius_bits.min(Code::<W>::BITS);
    if threads.get() == 1 {
        stream::on_this_thread(index, radius_bits, cancel, visit)
    } else {
        stream::on_threads(index, radius_bits, threads.get(), cancel, visit)
    }
}

/// Adds the work of one search to that of others.
pub(crate) fn add_work(sum: &mut SearchStats, one: &SearchStats) {
    sum.tables += one.tables;
    sum.probes += one.probes;
    sum.candidates += one.candidates;
    sum.compared += one.compared;
    sum.verified += one.verified;
    sum.scanned += one.scanned;
    sum.damaged_segments += one.damaged_segments;
}
