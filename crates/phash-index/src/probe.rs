//! Owns the search of one index segment: look buckets up, list their candidates, compute full distances, and report
//! each hit once. The three loops are apart so that the memory accesses within each do not wait for one another.
//!
//! What must hold: nothing read from the segment is used as an index before it is checked, and a hit is reported only
//! by the first shell able to find it (the canonical-table rule), so that no set of seen ids is needed.

use std::ops::Range;

use phash_code::{Code, Codes, Kernel};

use crate::Segment;
use crate::ball::{for_each_mask, shell_size, shells, step};
use crate::dense::DenseBucket;
use crate::segment::TableView;

/// The segment contradicts itself; it must not be used.
#[derive(Debug)]
pub(crate) struct Damaged;

/// Shells of one table: the distances at which its substring is probed.
struct Task {
    table: usize,
    shells: Range<u32>,
    /// Its part of `buckets` and of `dense`.
    buckets: Range<usize>,
    dense: Range<usize>,
}

/// One query on one segment.
pub(crate) struct Probe<'s, const W: usize> {
    query: Code<W>,
    ids: Range<u32>,
    tables: Vec<TableView<'s>>,
    /// The query's substrings.
    values: Vec<u32>,
    /// How many shells of each table have been reported: distances below this have been met.
    done: Vec<u32>,
    tasks: Vec<Task>,
    /// Listed buckets found: places in the ids of their table, checked.
    buckets: Vec<(u32, u32)>,
    dense: Vec<&'s DenseBucket>,
    /// Ids relative to the segment's first, checked.
    candidates: Vec<u32>,
}

/// What looking the buckets up found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) probes: u64,
    /// Buckets that are not empty.
    pub(crate) buckets: u64,
    pub(crate) candidates: u64,
}

impl Found {
    fn and(self, other: Self) -> Self {
        Self {
            probes: self.probes + other.probes,
            buckets: self.buckets + other.buckets,
            candidates: self.candidates + other.candidates,
        }
    }
}

impl<'s, const W: usize> Probe<'s, W> {
    pub(crate) fn new<B: AsRef<[u8]>>(segment: &'s Segment<W, B>, query: &Code<W>) -> Result<Self, Damaged> {
        let tables = segment.tables().collect::<Option<Vec<_>>>().ok_or(Damaged)?;
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_LEN_BITS bits")]
        let value =
            |table: &TableView<'_>| query.bits(table.substring.first_bit, table.substring.len_bits) as u32;
        Ok(Self {
            query: *query,
            ids: segment.ids(),
            values: tables.iter().map(value).collect(),
            done: vec![0; tables.len()],
            tables,
            tasks: Vec::new(),
            buckets: Vec::new(),
            dense: Vec::new(),
            candidates: Vec::new(),
        })
    }

    /// Looks up every bucket that steps `0..=radius_bits` probe.
    pub(crate) fn look_up_ball(&mut self, radius_bits: u32) -> Result<Found, Damaged> {
        self.forget_tasks();
        let tables = self.table_count();
        let mut found = Found::default();
        for table in 0..tables {
            found = found.and(self.look_up(table as usize, 0..shells(radius_bits, table, tables))?);
        }
        Ok(found)
    }

    /// Looks up the buckets of step `radius_bits`. The steps before it must have been reported.
    pub(crate) fn look_up_step(&mut self, radius_bits: u32) -> Result<Found, Damaged> {
        self.forget_tasks();
        let (table, distance_bits) = step(radius_bits, self.table_count());
        self.look_up(table as usize, distance_bits..distance_bits + 1)
    }

    fn table_count(&self) -> u32 {
        u32::try_from(self.tables.len()).unwrap_or(u32::MAX)
    }

    fn forget_tasks(&mut self) {
        self.tasks.clear();
        self.buckets.clear();
        self.dense.clear();
    }

    fn look_up(&mut self, number: usize, shells: Range<u32>) -> Result<Found, Damaged> {
        let table = self.tables.get(number).ok_or(Damaged)?;
        let value = self.values[number];
        let len_bits = table.substring.len_bits;
        let shells = shells.start..shells.end.min(len_bits + 1);
        let (first_bucket, first_dense) = (self.buckets.len(), self.dense.len());
        let probes: u64 = shells.clone().map(|shell| u64::from(shell_size(len_bits, shell))).sum();
        let mut candidates = 0;
        // Every bucket is written down and the empty ones are written over: a branch on offsets that have yet to
        // arrive from memory would be guessed wrong once in a few buckets, and each time stop the reads behind it.
        let most = first_bucket + usize::try_from(probes).map_err(|_| Damaged)?;
        self.buckets.resize(most, (0, 0));
        let mut next = first_bucket;
        let (mut backwards, mut last) = (false, 0);
        let buckets = &mut self.buckets[..];
        for shell in shells.clone() {
            for_each_mask(len_bits, shell, |mask| {
                let at = (value ^ mask) as usize;
                let Some([start, end]) = table.offsets.get(at..at + 2) else { return };
                let (start, end) = (start.get(), end.get());
                buckets[next] = (start, end);
                next += usize::from(start < end);
                candidates += u64::from(end.saturating_sub(start));
                backwards |= start > end;
                last = last.max(end);
            });
        }
        self.buckets.truncate(next);
        if backwards || last as usize > table.ids.len() {
            return Err(Damaged);
        }
        for bucket in table.dense {
            if shells.contains(&(bucket.value ^ value).count_ones()) {
                candidates += bucket.ids.len();
                self.dense.push(bucket);
            }
        }
        self.tasks.push(Task {
            table: number,
            shells,
            buckets: first_bucket..self.buckets.len(),
            dense: first_dense..self.dense.len(),
        });
        let buckets = (self.buckets.len() - first_bucket + self.dense.len() - first_dense) as u64;
        Ok(Found { probes, buckets, candidates })
    }

    /// Verifies the candidates of the buckets looked up last and calls `hit(id, distance_bits)` for each code that is
    /// within `radius_bits` and was not met before. Returns how many distances were computed.
    pub(crate) fn report<C: Codes<W> + ?Sized>(
        &mut self,
        codes: &C,
        radius_bits: u32,
        mut hit: impl FnMut(u32, u32),
    ) -> Result<u64, Damaged> {
        let kernel = Kernel::detect();
        let all_ids = self.ids.end - self.ids.start;
        // Most collections hold the segment's codes side by side; the others are asked for each code.
        let side_by_side = codes.run(self.ids.start);
        let code_of = |local: u32| match side_by_side.get(local as usize) {
            Some(code) => Some(code),
            None => codes.get(self.ids.start + local),
        };
        let mut verified = 0;
        for task in &self.tasks {
            let table = &self.tables[task.table];
            self.candidates.clear();
            let mut sane = true;
            for &(start, end) in &self.buckets[task.buckets.clone()] {
                let listed = table.ids.get(start as usize..end as usize).ok_or(Damaged)?;
                self.candidates.extend(listed.iter().map(|id| {
                    sane &= id.get() < all_ids;
                    id.get()
                }));
            }
            for bucket in &self.dense[task.dense.clone()] {
                self.candidates.extend(&bucket.ids);
            }
            if !sane {
                return Err(Damaged);
            }
            verified += self.candidates.len() as u64;
            let candidates = self.candidates.iter().filter_map(|&local| Some((local, code_of(local)?)));
            kernel.within_each(&self.query, candidates, radius_bits, |local, distance_bits| {
                let Some(code) = code_of(local) else { return };
                let differing = self.query ^ *code;
                let distance_in = |number: usize| {
                    let substring = self.tables[number].substring;
                    differing.bits(substring.first_bit, substring.len_bits).count_ones()
                };
                // A code in the wrong bucket: the table was built from other codes, or damaged.
                sane &= task.shells.contains(&distance_in(task.table));
                let met_before = (0..self.tables.len())
                    .any(|other| other != task.table && distance_in(other) < self.done[other]);
                if !met_before {
                    hit(self.ids.start + local, distance_bits);
                }
            });
            if !sane {
                return Err(Damaged);
            }
            self.done[task.table] = task.shells.end;
        }
        Ok(verified)
    }
}
