//! Owns the search for the later neighbours of many codes of the collection itself: by the index, or by comparing a block
//! of queries with the codes behind it, tile by tile. Which one is measured as it goes: a block reads the codes once for
//! all its queries and only half of them, so it wins earlier than the scan of one query. Answers do not depend on it.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use phash_code::{Code, Codes, Kernel};

use crate::join::add_work;
use crate::scan::for_each_run;
use crate::{Error, Index, Match, SearchStats, Strategy};

/// Queries compared with a tile of codes while it lies in the cache.
const BLOCK_QUERIES: usize = 64;
/// Bytes of a tile of codes: with its queries it fits in a core's second-level cache.
const TILE_BYTES: usize = 256 * 1024;
/// Matches kept for a block of queries; beyond, its later half is put off.
const MAX_BLOCK_MATCHES: usize = 1 << 18;
/// Bytes of codes compared a nanosecond in a block, until measured (docs/search.md).
const BLOCK_BYTES_PER_NS: f64 = 45.0;
/// Queries measured before it is decided whether the index loses.
const SAMPLES: usize = 9;
/// Weight of the latest measurement of a block.
const LATEST: f64 = 0.125;
/// Most blocks compared before the index is tried again; doubles from one while it loses.
const MAX_BLOCKS: u32 = 32;

/// Searches for neighbours with larger ids. One for each thread; allocates nothing for itself after the first block.
pub(crate) struct Neighbours<'i, 'a, const W: usize, C: ?Sized, B> {
    index: &'i Index<'a, W, C, B>,
    radius_bits: u32,
    cancel: &'i AtomicBool,
    block: Vec<Query<W>>,
    /// What the latest queries took by the index; decided on once it is full.
    index_ns: Vec<f64>,
    /// What a comparison in a block takes, as measured lately.
    compare_ns: f64,
    /// Blocks compared when the index last lost, and those left before it is tried again.
    blocks: u32,
    blocks_left: u32,
    pub(crate) work: SearchStats,
}

struct Query<const W: usize> {
    id: u32,
    code: Code<W>,
    matches: Vec<Match>,
}

impl<'i, 'a, const W: usize, C: Codes<W> + ?Sized, B: AsRef<[u8]>> Neighbours<'i, 'a, W, C, B> {
    pub(crate) fn new(index: &'i Index<'a, W, C, B>, radius_bits: u32, cancel: &'i AtomicBool) -> Self {
        Self {
            index,
            radius_bits,
            cancel,
            block: Vec::new(),
            index_ns: Vec::with_capacity(SAMPLES),
            compare_ns: Code::<W>::BYTES as f64 / BLOCK_BYTES_PER_NS,
            blocks: 0,
            blocks_left: 0,
            work: SearchStats::default(),
        }
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
        while let Some(&a) = ids.peek() {
            if self.cancel.load(Ordering::Relaxed) {
                return Ok(ControlFlow::Break(()));
            }
            if self.blocks_left == 0 {
                ids.next();
                if self.by_index(a, found)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                continue;
            }
            self.blocks_left -= 1;
            while self.block.len() < BLOCK_QUERIES
                && let Some(id) = ids.next()
            {
                let code = *index.codes().get(id).ok_or(Error::MissingCode { id })?;
                self.block.push(Query { id, code, matches: Vec::new() });
            }
            while !self.block.is_empty() {
                let done = self.by_scan();
                if self.cancel.load(Ordering::Relaxed) {
                    return Ok(ControlFlow::Break(()));
                }
                for query in self.block.drain(..done) {
                    if found(query.id, &query.matches).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Asks the index for one code, and whether blocks are to follow.
    fn by_index(
        &mut self,
        a: u32,
        found: &mut dyn FnMut(u32, &[Match]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let code = self.index.codes().get(a).ok_or(Error::MissingCode { id: a })?;
        let start = Instant::now();
        let mut answer = self.index.within(code, self.radius_bits);
        self.index_ns.push(start.elapsed().as_nanos() as f64);
        add_work(&mut self.work, &answer.stats);
        if self.index_ns.len() == SAMPLES || self.index.chosen_by() == Strategy::Scan {
            let later = f64::from(self.index.codes().len() - a);
            let loses = match self.index.chosen_by() {
                Strategy::Index => false,
                Strategy::Scan => true,
                Strategy::Auto => median(&mut self.index_ns) > later * self.compare_ns,
            };
            self.index_ns.clear();
            self.blocks = if loses { (self.blocks * 2).clamp(1, MAX_BLOCKS) } else { 0 };
            self.blocks_left = self.blocks;
        }
        answer.matches.retain(|found| found.id > a);
        Ok(found(a, &answer.matches))
    }

    /// Compares the block with the codes behind its first, tile by tile. Says how many of its first queries are done: all,
    /// unless they have too many matches to keep.
    fn by_scan(&mut self) -> usize {
        let (index, kernel, radius_bits) = (self.index, Kernel::detect(), self.radius_bits);
        let len = index.codes().len();
        let tile = u32::try_from(TILE_BYTES / Code::<W>::BYTES.max(1)).unwrap_or(1).max(1);
        let mut active = self.block.len();
        let (start, scanned) = (Instant::now(), self.work.scanned);
        let mut next = self.block.first().map_or(len, |query| query.id.saturating_add(1));
        while next < len {
            let end = len.min(next.saturating_add(tile));
            for_each_run(index.codes(), next..end, |first_id, run| {
                for query in &mut self.block[..active] {
                    // Only the codes behind the query's own.
                    let skip = query.id.saturating_add(1).saturating_sub(first_id) as usize;
                    let Some(later) = run.get(skip..) else { continue };
                    let first_id = first_id + id_of(skip);
                    self.work.scanned += later.len() as u64;
                    kernel.within(&query.code, later, radius_bits, |place, distance_bits| {
                        let id = first_id + id_of(place);
                        if index.wanted(id) {
                            query.matches.push(Match { distance_bits, id });
                        }
                    });
                }
            });
            while active > 1 && self.matches_of(active) > MAX_BLOCK_MATCHES {
                active /= 2;
                self.block[active..].iter_mut().for_each(|query| query.matches = Vec::new());
            }
            if self.cancel.load(Ordering::Relaxed) {
                break;
            }
            next = end;
        }
        let compared = (self.work.scanned - scanned) as f64;
        if compared > 0.0 {
            let now_ns = start.elapsed().as_nanos() as f64 / compared;
            self.compare_ns += LATEST * (now_ns - self.compare_ns);
        }
        self.block[..active].iter_mut().for_each(|query| query.matches.sort_unstable());
        active
    }

    fn matches_of(&self, queries: usize) -> usize {
        self.block[..queries].iter().map(|query| query.matches.len()).sum()
    }
}

/// The median of some measurements: a few may have been interrupted.
fn median(all_ns: &mut [f64]) -> f64 {
    all_ns.sort_unstable_by(f64::total_cmp);
    all_ns.get(all_ns.len() / 2).copied().unwrap_or(0.0)
}

#[expect(clippy::cast_possible_truncation, reason = "a place in a run of codes, whose ids are 32 bits wide")]
fn id_of(place: usize) -> u32 {
    place as u32
}
