//! Owns the groups of a self-join: its connected components. What must hold: equal codes are brought together by sorting,
//! never by pairs, so that ten thousand copies of one code cost ten thousand steps and not fifty million.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use phash_code::{Code, Codes};
use roaring::RoaringBitmap;

use crate::join::{Neighbours, add_work};
use crate::scan::for_each_run;
use crate::{BuildParams, Ended, Error, Index, Layout, SearchStats, Segment, Sets, UnionFind};

/// Codes searched for between two looks at what is left.
const CHUNK_CODES: u32 = 256;
/// Fewer distinct codes are not worth an index of their own.
const LEAST_INDEXED: u32 = 16_384;

/// Groups of codes that are linked by pairs within the radius, directly or over other codes of the group.
///
/// Only groups of two or more; each ascending, in the order of their first members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    sets: Sets,
    ended: Ended,
    search: SearchStats,
}

impl Groups {
    /// How many groups there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether no two codes are within the radius of each other.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The ids of a group, ascending.
    #[must_use]
    pub fn get(&self, group: usize) -> Option<&[u32]> {
        self.sets.get(group)
    }

    /// All groups, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.sets.iter()
    }

    /// How many codes are in a group.
    #[must_use]
    pub fn codes(&self) -> usize {
        self.sets.members().len()
    }

    /// [`Ended::Complete`], or [`Ended::Cancelled`]: then what is grouped belongs together, but groups may lack members
    /// and links.
    #[must_use]
    pub fn ended(&self) -> Ended {
        self.ended
    }

    /// The work of all searches together; its plan says nothing.
    #[must_use]
    pub fn search(&self) -> &SearchStats {
        &self.search
    }
}

/// The groups of codes within `radius_bits` (inclusive): the connected components of the pairs that [`crate::join`] finds.
/// Ids that the index may not report are in no group; a limit of the index, which is for one search, does not hold.
///
/// The same for every number of threads. Exact. Time about that of a search for each *distinct* code, and `O(n log n)` to
/// find those; memory 16 bytes a code for the sorting, 4 bytes a code and thread for the sets, and, if more than half of
/// the codes are copies, the distinct codes with an index of their own.
///
/// # Errors
/// [`Error::MissingCode`] if the collection has fewer codes than it says.
pub fn groups<const W: usize, C, B>(
    index: &Index<'_, W, C, B>,
    radius_bits: u32,
    threads: NonZeroUsize,
    cancel: &AtomicBool,
) -> Result<Groups, Error>
where
    C: Codes<W> + Sync + ?Sized,
    B: AsRef<[u8]> + Sync,
{
    groups_with_progress(index, radius_bits, threads, cancel, &|_| {})
}

/// [`groups`] that tells how far it is: `done` is called with numbers of codes that need no further search, on any thread.
/// Unless it fails or is cancelled they add up to the number of codes.
///
/// # Errors
/// As [`groups`].
pub fn groups_with_progress<const W: usize, C, B>(
    index: &Index<'_, W, C, B>,
    radius_bits: u32,
    threads: NonZeroUsize,
    cancel: &AtomicBool,
    done: &(dyn Fn(u64) + Sync),
) -> Result<Groups, Error>
where
    C: Codes<W> + Sync + ?Sized,
    B: AsRef<[u8]> + Sync,
{
    let radius_bits = radius_bits.min(Code::<W>::BITS);
    let mut sets = UnionFind::new(index.codes().len());
    let distinct = unite_equal(index, &mut sets)?;
    let mut searched = Searched { ended: Ended::Complete, work: SearchStats::default() };
    let to_search = if radius_bits > 0 { distinct.firsts.len() as u64 } else { 0 };
    done(u64::from(index.codes().len()) - to_search);
    if radius_bits > 0 {
        if distinct.firsts.len() as u64 >= distinct.copies.len() {
            // Few copies: search where they lie, without reporting them.
            let index = index.clone().deny(&distinct.denied);
            let edge = |sets: &mut UnionFind, a, b| sets.unite(a, b);
            let ids = &distinct.firsts;
            searched = unite_near(&index, ids, radius_bits, threads, cancel, done, &mut sets, edge)?;
        } else {
            let codes = distinct.codes(index.codes())?;
            let len = Codes::len(&codes);
            let mut segments = Vec::new();
            if len >= LEAST_INDEXED {
                let params = BuildParams::default().with_layout(Layout::Fast).with_threads(threads.get());
                segments.push(Segment::build(&codes, 0..len, &params)?);
            }
            let own = Index::new(&codes, &segments)?;
            let places: Vec<u32> = (0..len).collect();
            let firsts = &distinct.firsts;
            let edge =
                |sets: &mut UnionFind, a: u32, b: u32| sets.unite(firsts[a as usize], firsts[b as usize]);
            searched = unite_near(&own, &places, radius_bits, threads, cancel, done, &mut sets, edge)?;
        }
    }
    Ok(Groups { sets: sets.into_sets(2), ended: searched.ended, search: searched.work })
}

/// The wanted codes, each once.
struct Distinct {
    /// The smallest id of each code, ascending.
    firsts: Vec<u32>,
    /// The other ids of the codes.
    copies: RoaringBitmap,
    /// Those, and the ids that are not wanted.
    denied: RoaringBitmap,
}

impl Distinct {
    fn codes<const W: usize, C: Codes<W> + ?Sized>(&self, codes: &C) -> Result<Vec<Code<W>>, Error> {
        self.firsts.iter().map(|&id| codes.get(id).copied().ok_or(Error::MissingCode { id })).collect()
    }
}

/// Makes equal codes one set.
fn unite_equal<const W: usize, C: Codes<W> + ?Sized, B: AsRef<[u8]>>(
    index: &Index<'_, W, C, B>,
    sets: &mut UnionFind,
) -> Result<Distinct, Error> {
    let codes = index.codes();
    let mut keyed: Vec<(u64, u32)> = Vec::with_capacity(codes.len() as usize);
    let mut met = 0u32;
    for_each_run(codes, 0..codes.len(), |first_id, run| {
        let with_ids = (first_id..).zip(run).filter(|&(id, _)| index.wanted(id));
        keyed.extend(with_ids.map(|(id, code)| (key(code), id)));
        met = first_id + u32::try_from(run.len()).unwrap_or(u32::MAX);
    });
    if met < codes.len() {
        return Err(Error::MissingCode { id: met });
    }
    keyed.sort_unstable();
    let mut firsts = Vec::with_capacity(keyed.len());
    let mut copies = Vec::new();
    for same_key in keyed.chunk_by_mut(|one, other| one.0 == other.0) {
        if let [(_, id)] = same_key {
            firsts.push(*id);
            continue;
        }
        // Different codes may share a key. The sort is stable, so ids ascend within equal codes.
        same_key.sort_by(|(_, a), (_, b)| codes.get(*a).cmp(&codes.get(*b)));
        for equal in same_key.chunk_by(|(_, a), (_, b)| codes.get(*a) == codes.get(*b)) {
            firsts.push(equal[0].1);
            for &(_, id) in &equal[1..] {
                sets.unite(equal[0].1, id);
                copies.push(id);
            }
        }
    }
    firsts.sort_unstable();
    copies.sort_unstable();
    let copies: RoaringBitmap = copies.into_iter().collect();
    let mut denied = copies.clone();
    denied.extend((0..codes.len()).filter(|&id| !index.wanted(id)));
    Ok(Distinct { firsts, copies, denied })
}

/// Equal for equal codes, seldom equal for others: the words, each mixed in by a multiplication.
fn key<const W: usize>(code: &Code<W>) -> u64 {
    code.to_le_words().iter().fold(0, |key: u64, word| {
        let mixed = (key ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    })
}

struct Searched {
    ended: Ended,
    work: SearchStats,
}

/// Passes every pair of the ascending `ids` within the radius to `edge`, on several threads with sets of their own, and
/// unites these.
#[expect(clippy::too_many_arguments, reason = "what is searched, how, and who is told")]
fn unite_near<const W: usize, C: Codes<W> + Sync + ?Sized, B: AsRef<[u8]> + Sync>(
    index: &Index<'_, W, C, B>,
    ids: &[u32],
    radius_bits: u32,
    threads: NonZeroUsize,
    cancel: &AtomicBool,
    done: &(dyn Fn(u64) + Sync),
    sets: &mut UnionFind,
    edge: impl Fn(&mut UnionFind, u32, u32) + Sync,
) -> Result<Searched, Error> {
    let next = AtomicU32::new(0);
    let chunks = u32::try_from(ids.len()).unwrap_or(u32::MAX).div_ceil(CHUNK_CODES);
    let search = |sets: &mut UnionFind| -> Result<Searched, Error> {
        let mut neighbours = Neighbours::new(index, radius_bits, cancel);
        let mut ended = Ended::Complete;
        while ended == Ended::Complete {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                break;
            }
            let start = (chunk * CHUNK_CODES) as usize;
            let chunk = &ids[start..ids.len().min(start + CHUNK_CODES as usize)];
            let flow = neighbours.of(&mut chunk.iter().copied(), &mut |a, matches| {
                matches.iter().for_each(|found| edge(sets, a, found.id));
                ControlFlow::Continue(())
            })?;
            if flow.is_break() {
                ended = Ended::Cancelled;
            } else {
                done(chunk.len() as u64);
            }
        }
        Ok(Searched { ended, work: neighbours.work })
    };
    let others = threads.get().min(chunks as usize).saturating_sub(1);
    let len = sets.len();
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..others)
            .map(|_| {
                scope.spawn(|| {
                    let mut own = UnionFind::new(len);
                    search(&mut own).map(|searched| (own, searched))
                })
            })
            .collect();
        let mut all = search(sets)?;
        for handle in handles {
            let (own, searched) = handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            sets.unite_all(&own);
            add_work(&mut all.work, &searched.work);
            if searched.ended != Ended::Complete {
                all.ended = searched.ended;
            }
        }
        Ok(all)
    })
}
