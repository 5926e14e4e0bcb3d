//! Owns the search for the later neighbours of many codes of the collection itself, block by block of queries: each by the
//! tables of a segment where that is expected to be cheaper than its share of comparing the whole block with the codes
//! behind it. The choice is the planner's, by its figures and never by a clock: the same work on every run.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};

use phash_code::{Code, Codes, Kernel};

use crate::costs::Costs;
use crate::limit::Account;
use crate::order::sort;
use crate::scan::for_each_run;
use crate::scratch::{Scratch, Work};
use crate::within::Within;
use crate::{Error, Index, Limit, Match, SearchStats, Segment, Strategy};

/// Queries compared together with each tile of codes.
const BLOCK_QUERIES: usize = 64;
/// Codes compared between two looks at the memory that matches take, and at the cancel flag.
const TILE_CODES: u32 = 4096;
/// Matches kept for a block of queries; beyond, its later half is put off.
const MAX_BLOCK_MATCHES: usize = 1 << 18;

/// Searches for neighbours with larger ids. One for each thread; allocates nothing for itself after the first few blocks.
pub(crate) struct Neighbours<'i, 'a, const W: usize, C: ?Sized, B> {
    index: &'i Index<'a, W, C, B>,
    radius_bits: u32,
    cancel: &'i AtomicBool,
    /// All ids, piece by piece in order.
    pieces: Vec<Piece<'a, W, B>>,
    scratch: Scratch,
    block: Block<W>,
    pub(crate) work: SearchStats,
}

/// Ids with the segment that covers them, if there is one.
struct Piece<'a, const W: usize, B> {
    ids: Range<u32>,
    segment: Option<&'a Segment<W, B>>,
    costs: Costs,
}

/// The queries at hand; what lies behind them in `queries` are buffers of earlier ones.
struct Block<const W: usize> {
    len: usize,
    queries: Vec<Query<W>>,
    /// Of the queries that have a piece left: which they are, their codes, and the distances that are too far for each.
    members: Vec<usize>,
    codes: Vec<Code<W>>,
    below_bits: Vec<u32>,
}

struct Query<const W: usize> {
    id: u32,
    code: Code<W>,
    matches: Vec<Match>,
    /// How many of the matches were found before the pieces that are left.
    first: usize,
    /// Numbers of the pieces that are left to be compared, ascending.
    left: Vec<usize>,
}

impl<'i, 'a, const W: usize, C: Codes<W> + ?Sized, B: AsRef<[u8]>> Neighbours<'i, 'a, W, C, B> {
    pub(crate) fn new(index: &'i Index<'a, W, C, B>, radius_bits: u32, cancel: &'i AtomicBool) -> Self {
        let mut pieces: Vec<Piece<'a, W, B>> = index
            .unindexed()
            .map(|ids| Piece { costs: Costs::of::<W>(ids.end - ids.start, 0, 0, false), ids, segment: None })
            .collect();
        let segments = index.segments.iter().filter(|segment| !segment.ids().is_empty());
        pieces.extend(segments.map(|segment| Piece {
            ids: segment.ids(),
            segment: Some(segment),
            costs: *segment.costs(),
        }));
        pieces.sort_unstable_by_key(|piece| piece.ids.start);
        let block = Block {
            len: 0,
            queries: Vec::new(),
            members: Vec::new(),
            codes: Vec::new(),
            below_bits: Vec::new(),
        };
        let (scratch, work) = (Scratch::new(), SearchStats::default());
        Self { index, radius_bits, cancel, pieces, scratch, block, work }
    }

    /// Calls `found(a, matches)` for each wanted `a` of the ascending `ids`, in order, with the wanted codes of ids beyond
    /// `a` within the radius, by distance, then id. Ends early if `found` says so or at the cancel flag.
    pub(crate) fn of(
        &mut self,
        ids: &mut dyn Iterator<Item = u32>,
        found: &mut dyn FnMut(u32, &[Match]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let index = self.index;
        let mut ids = ids.filter(|&id| index.wanted(id)).peekable();
        self.block.len = 0;
        while ids.peek().is_some() {
            let mut matches = 0;
            while self.block.len < BLOCK_QUERIES
                && matches <= MAX_BLOCK_MATCHES
                && let Some(id) = ids.next()
            {
                matches += self.begin(id)?;
                if self.cancelled() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            while self.block.len > 0 {
                let done = self.compare();
                if self.cancelled() {
                    return Ok(ControlFlow::Break(()));
                }
                for query in &mut self.block.queries[..done] {
                    sort(&mut query.matches, &mut self.scratch.sorting);
                    if found(query.id, &query.matches).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                self.block.pop(done);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Adds a code to the block, with what tables find for it, and the pieces that are left. How many matches there are.
    fn begin(&mut self, a: u32) -> Result<usize, Error> {
        let Self { index, pieces, scratch, block, work, .. } = self;
        let code = *index.codes().get(a).ok_or(Error::MissingCode { id: a })?;
        let query = block.push(a, code);
        let account = Account::new(Limit::default().cancel(self.cancel));
        let search = Within { query: &code, radius_bits: self.radius_bits };
        let behind = pieces.partition_point(|piece| piece.ids.end <= a.saturating_add(1));
        for (number, piece) in pieces.iter().enumerate().skip(behind) {
            let later = piece.ids.start.max(a.saturating_add(1))..piece.ids.end;
            let (budget_ns, listing) = index.join_budget(piece, later.clone());
            let before = query.matches.len();
            let matches = &mut query.matches;
            let mut hit = |id, distance_bits| {
                if id > a && index.wanted(id) {
                    matches.push(Match { distance_bits, id });
                }
            };
            if let Some(segment) = piece.segment {
                let mut work = Work { scratch: &mut *scratch, account: &account, stats: &mut *work };
                match search.run(segment, index.codes(), budget_ns, &mut work, &mut hit) {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(_) => {
                        // What it reported until then is found again.
                        query.matches.truncate(before);
                        work.stats.damaged_segments += 1;
                        query.left.push(number);
                        continue;
                    }
                }
            }
            if listing {
                index.scan(&account).within(later, &code, self.radius_bits, work, &mut hit);
            } else {
                query.left.push(number);
            }
        }
        query.first = query.matches.len();
        Ok(query.first)
    }

    /// Compares the block with what is left of it, tile by tile. Says how many of its first queries are done: all, unless
    /// they have too many matches to keep.
    fn compare(&mut self) -> usize {
        let Self { index, pieces, block, work, .. } = self;
        let kernel = Kernel::detect();
        let mut active = block.len;
        let mut kept: usize = block.queries[..active].iter().map(|query| query.matches.len()).sum();
        for (number, piece) in pieces.iter().enumerate() {
            let Some(first) = block.gather(number, active, self.radius_bits) else { continue };
            let mut next = piece.ids.start.max(first.saturating_add(1));
            while next < piece.ids.end {
                let end = piece.ids.end.min(next.saturating_add(TILE_CODES));
                let Block { queries, members, codes, below_bits, .. } = &mut *block;
                work.scanned += codes.len() as u64 * u64::from(end - next);
                for_each_run(index.codes(), next..end, |first_id, run| {
                    kernel.within_many(codes, run, below_bits, |member, place, distance_bits, _| {
                        let id = first_id + id_of(place);
                        let query = &mut queries[members[member]];
                        if id > query.id && index.wanted(id) {
                            query.matches.push(Match { distance_bits, id });
                            kept += 1;
                        }
                    });
                });
                next = end;
                while active > 1 && kept > MAX_BLOCK_MATCHES {
                    active /= 2;
                    kept = block.put_off(active);
                }
                if self.cancel.load(Ordering::Relaxed) {
                    return active;
                }
            }
        }
        active
    }
}

impl<const W: usize> Block<W> {
    /// A query more, without matches.
    fn push(&mut self, id: u32, code: Code<W>) -> &mut Query<W> {
        if self.len == self.queries.len() {
            self.queries.push(Query { id, code, matches: Vec::new(), first: 0, left: Vec::new() });
        }
        let query = &mut self.queries[self.len];
        self.len += 1;
        (query.id, query.code) = (id, code);
        query.matches.clear();
        query.left.clear();
        query
    }

    /// Drops the first queries; their buffers go behind the others.
    fn pop(&mut self, queries: usize) {
        for query in &mut self.queries[..queries] {
            if query.matches.capacity() > MAX_BLOCK_MATCHES {
                query.matches = Vec::new();
            }
        }
        self.queries[..self.len].rotate_left(queries);
        self.len -= queries;
    }

    /// Lists those of the first `active` queries that have the piece left. The first one's id, if there is any.
    fn gather(&mut self, piece: usize, active: usize, radius_bits: u32) -> Option<u32> {
        let Self { queries, members, codes, below_bits, .. } = self;
        members.clear();
        members.extend((0..active).filter(|&query| queries[query].left.binary_search(&piece).is_ok()));
        codes.clear();
        codes.extend(members.iter().map(|&query| queries[query].code));
        below_bits.clear();
        below_bits.resize(members.len(), radius_bits.saturating_add(1));
        members.first().map(|&query| queries[query].id)
    }

    /// Forgets what was found by comparing for all but the first `active` queries, and compares these no more. How many
    /// matches they have.
    fn put_off(&mut self, active: usize) -> usize {
        let Self { queries, members, codes, below_bits, len } = self;
        for query in &mut queries[active..*len] {
            query.matches.truncate(query.first);
            query.matches.shrink_to(query.first);
        }
        let members_left = members.partition_point(|&query| query < active);
        members.truncate(members_left);
        codes.truncate(members_left);
        below_bits.truncate(members_left);
        queries[..active].iter().map(|query| query.matches.len()).sum()
    }
}

impl<const W: usize, C: Codes<W> + ?Sized, B: AsRef<[u8]>> Index<'_, W, C, B> {
    /// What a search of a piece may take for one query of many whose `later` ids are wanted; and whether, without its tables,
    /// these are to be listed for that query alone, because the filter allows only a few of them.
    fn join_budget(&self, piece: &Piece<'_, W, B>, later: Range<u32>) -> (f64, bool) {
        let share = f64::from(later.end - later.start) / f64::from(piece.ids.end - piece.ids.start);
        let block_ns = share * piece.costs.batched_scan();
        let listed_ns = match self.filter.allow {
            None => f64::INFINITY,
            Some(_) => self.filter.allowed(later) as f64 * piece.costs.fetch(),
        };
        let budget_ns = match self.strategy {
            Strategy::Scan => 0.0,
            Strategy::Index => f64::INFINITY,
            Strategy::Auto => block_ns.min(listed_ns),
        };
        (budget_ns, listed_ns < block_ns)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a place in a run of codes, whose ids are 32 bits wide")]
fn id_of(place: usize) -> u32 {
    place as u32
}
