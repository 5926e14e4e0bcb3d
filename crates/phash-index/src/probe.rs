//! Owns the search of one index segment: look buckets up, list their candidates, compute full distances, and report
//! each hit once. The three loops are apart so that the memory accesses within each do not wait for one another.
//!
//! What must hold: nothing read from the segment is used as an index before it is checked, and a hit is reported only
//! by the first shell able to find it (the canonical-table rule), so that no set of seen ids is needed.

use std::ops::Range;

use phash_code::{Code, Codes, Kernel};

use crate::Segment;
use crate::ball::{for_each_mask, shell_size, step};
use crate::cut::Substring;
use crate::dense::DenseBucket;
use crate::segment::TableView;

/// The segment contradicts itself; it must not be used.
#[derive(Debug)]
pub(crate) struct Damaged;

/// How many dense buckets can be gone through in the time one is searched for.
const DENSE_SEARCH: u64 = 8;

/// A shell of one table: the distance at which its substring is probed.
struct Task {
    table: usize,
    shell: u32,
    /// Its part of `buckets`, of `dense`, and of `candidates`.
    buckets: Range<usize>,
    dense: Range<usize>,
    candidates: Range<usize>,
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
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            probes: self.probes + other.probes,
            buckets: self.buckets + other.buckets,
            candidates: self.candidates + other.candidates,
        }
    }
}

impl<'s, const W: usize> Probe<'s, W> {
    pub(crate) fn new<B: AsRef<[u8]>>(segment: &'s Segment<W, B>, query: &Code<W>) -> Result<Self, Damaged> {
        let tables = segment.table_views().collect::<Option<Vec<_>>>().ok_or(Damaged)?;
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

    /// Looks up the buckets of step `radius_bits`, beside those looked up since the last report. Steps must come in order.
    pub(crate) fn look_up_step(&mut self, radius_bits: u32) -> Result<Found, Damaged> {
        let (table, distance_bits) = step(radius_bits, self.table_count());
        self.look_up(table as usize, distance_bits)
    }

    pub(crate) fn table_count(&self) -> u32 {
        u32::try_from(self.tables.len()).unwrap_or(u32::MAX)
    }

    /// The table that step `radius_bits` probes and at which distance.
    pub(crate) fn shell_of(&self, radius_bits: u32) -> Option<(Substring, u32)> {
        let (table, distance_bits) = step(radius_bits, self.table_count());
        self.tables.get(table as usize).map(|table| (table.substring, distance_bits))
    }

    fn look_up(&mut self, number: usize, shell: u32) -> Result<Found, Damaged> {
        let table = self.tables.get(number).ok_or(Damaged)?;
        let value = self.values[number];
        let len_bits = table.substring.len_bits;
        let (first_bucket, first_dense) = (self.buckets.len(), self.dense.len());
        let probes = shell_size(len_bits, shell);
        let mut candidates = 0;
        // Every bucket is written down and the empty ones are written over: a branch on offsets that have yet to
        // arrive from memory would be guessed wrong once in a few buckets, and each time stop the reads behind it.
        let most = first_bucket + probes as usize;
        self.buckets.resize(most, (0, 0));
        let mut next = first_bucket;
        let (mut backwards, mut last) = (false, 0);
        let buckets = &mut self.buckets[..];
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
        self.buckets.truncate(next);
        if backwards || last as usize > table.ids.len() {
            return Err(Damaged);
        }
        let mut meet = |bucket: &'s DenseBucket| {
            candidates += bucket.ids.len();
            self.dense.push(bucket);
        };
        // They ascend by value: a few values are found by halving, many by going through all.
        if u64::from(probes) * DENSE_SEARCH < table.dense.len() as u64 {
            for_each_mask(len_bits, shell, |mask| {
                let found = table.dense_values.binary_search(&(value ^ mask));
                found.into_iter().for_each(|at| meet(&table.dense[at]));
            });
        } else {
            let in_shell = |(other, _): &(&u32, &DenseBucket)| (**other ^ value).count_ones() == shell;
            table.dense_values.iter().zip(table.dense).filter(in_shell).for_each(|(_, bucket)| meet(bucket));
        }
        self.tasks.push(Task {
            table: number,
            shell,
            candidates: 0..0,
            buckets: first_bucket..self.buckets.len(),
            dense: first_dense..self.dense.len(),
        });
        let buckets = (self.buckets.len() - first_bucket + self.dense.len() - first_dense) as u64;
        Ok(Found { probes: u64::from(probes), buckets, candidates })
    }

    /// Verifies the candidates of the buckets looked up last and calls `hit(id, distance_bits)` for each code that is
    /// within `radius_bits` and was not met before. There must be fewer than 2^32. Returns how many distances were computed.
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
        self.candidates.clear();
        let mut sane = true;
        for task in &mut self.tasks {
            let table = &self.tables[task.table];
            let start = self.candidates.len();
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
            task.candidates = start..self.candidates.len();
        }
        if !sane {
            return Err(Damaged);
        }
        let (tasks, tables, candidates, done) = (&self.tasks, &self.tables, &self.candidates, &mut self.done);
        let mut reported = 0;
        // All tasks in one loop; which task a candidate is of matters for hits only.
        let places =
            (0..=u32::MAX).zip(candidates).filter_map(|(place, &local)| Some((place, code_of(local)?)));
        kernel.within_each(&self.query, places, radius_bits, |place, distance_bits| {
            while let Some(task) = tasks.get(reported)
                && task.candidates.end <= place as usize
            {
                done[task.table] = task.shell + 1;
                reported += 1;
            }
            let local = candidates[place as usize];
            let (Some(task), Some(code)) = (tasks.get(reported), code_of(local)) else { return };
            let differing = self.query ^ *code;
            let distance_in = |table: &TableView<'_>| {
                differing.bits(table.substring.first_bit, table.substring.len_bits).count_ones()
            };
            // A code in the wrong bucket: the table was built from other codes, or damaged.
            sane &= distance_in(&tables[task.table]) == task.shell;
            if !tables.iter().zip(&*done).any(|(table, &done)| distance_in(table) < done) {
                hit(self.ids.start + local, distance_bits);
            }
        });
        if !sane {
            return Err(Damaged);
        }
        for task in &tasks[reported..] {
            done[task.table] = task.shell + 1;
        }
        self.tasks.clear();
        self.buckets.clear();
        self.dense.clear();
        Ok(self.candidates.len() as u64)
    }
}
