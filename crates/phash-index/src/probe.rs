//! Owns the search of one index segment: look buckets up, sift their entries by their sketches, fetch the codes that are
//! left, and report each hit once. The loops are apart so that the memory accesses within each do not wait for one another.
//!
//! What must hold: nothing read from the segment is used as an index before it is checked, and a hit is reported only
//! in the first table able to find it (the canonical-table rule), so that no set of seen ids is needed.

use std::cell::Cell;
use std::ops::Range;

use phash_code::{Bucket, Code, Codes, Kernel};
use zerocopy::little_endian::U32;

use crate::allocation::Shell;
use crate::arrays::{Arrays, Table};
use crate::ball::{for_each_mask, shell_size};
use crate::cut::Substring;
use crate::limit::Account;
use crate::pages::Damaged;
use crate::shells::SHELLS;
use crate::sketch::{Window, ordered_bits, sketch};
use crate::{SearchStats, Segment};

/// How many dense buckets can be gone through in the time one is searched for.
const DENSE_SEARCH: u64 = 8;
/// How many buckets and lines of memory are asked for ahead: enough for memory to answer, no more than it can be asked.
const BUCKETS_AHEAD: usize = 16;
const LINES_AHEAD: usize = 32;
/// Candidates whose codes are fetched between two looks at whether to go on.
const CHUNK: usize = 4096;
/// To find out how many entries pass, of each shell one bucket of so many is sifted at least, and about so many entries in all.
const SAMPLED: usize = 8;
const SAMPLED_ENTRIES: u64 = 8192;

/// A shell of one table that was looked up.
#[derive(Clone, Debug)]
struct Task {
    shell: Shell,
    /// Its part of `buckets`, of `dense`, and of `candidates`.
    buckets: Range<usize>,
    dense: Range<usize>,
    candidates: Range<usize>,
}

/// The buffers of a probe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers {
    /// The query's substrings.
    values: Vec<u32>,
    /// The query's sketch in the table at hand.
    sketch: Vec<u32>,
    /// How many shells of each table have been reported: distances below this have been met.
    done: Vec<u32>,
    /// How many have been looked up.
    taken: Vec<u32>,
    tasks: Vec<Task>,
    /// Buckets found: places in the ids of their table, checked.
    buckets: Vec<(u32, u32)>,
    /// Numbers of the dense buckets found, within those of their table.
    dense: Vec<u32>,
    /// Ids relative to the segment's first, checked.
    candidates: Vec<u32>,
    /// Buckets of a sample.
    sampled: Vec<(u32, u32)>,
}

/// One query on one segment.
pub(crate) struct Probe<'s, 'b, const W: usize> {
    query: Code<W>,
    /// The query's bits in the segment's order.
    ordered: Code<W>,
    ids: Range<u32>,
    arrays: Arrays<'s, W>,
    substrings: &'s [Substring],
    windows: &'s [Window],
    complete: bool,
    /// Planes of a bucket that are asked for ahead.
    first_planes: usize,
    buffers: &'b mut Buffers,
}

/// What looking a shell up found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) probes: u64,
    /// Buckets that are not empty.
    pub(crate) buckets: u64,
    pub(crate) candidates: u64,
}

impl<'s, 'b, const W: usize> Probe<'s, 'b, W> {
    /// `radius_bits` is about how far it will look.
    pub(crate) fn new<B: AsRef<[u8]>>(
        segment: &'s Segment<W, B>,
        query: &Code<W>,
        radius_bits: u32,
        buffers: &'b mut Buffers,
    ) -> Result<Self, Damaged> {
        let arrays = segment.reader()?;
        let ordered = segment.order().apply(query);
        let substrings = segment.tables();
        let words = ordered.to_le_words();
        buffers.values.clear();
        buffers.values.extend(segment.windows().iter().map(|window| window.of(&words)));
        if segment.even().is_none() {
            // Which buckets are looked up is not known yet; those of the query's own values are likely.
            for (table, &value) in buffers.values.iter().enumerate() {
                arrays.prefetch_shells(table, value);
                arrays.prefetch_offsets(table, value);
            }
        }
        for shells in [&mut buffers.done, &mut buffers.taken] {
            shells.clear();
            shells.resize(substrings.len(), 0);
        }
        buffers.tasks.clear();
        buffers.buckets.clear();
        buffers.dense.clear();
        let complete = segment.is_complete();
        Ok(Self {
            query: *query,
            ordered,
            ids: segment.ids(),
            arrays,
            substrings,
            windows: segment.windows(),
            complete,
            first_planes: Kernel::detect().planes_ahead(radius_bits),
            buffers,
        })
    }

    pub(crate) fn code_count(&self) -> u32 {
        self.ids.end - self.ids.start
    }

    /// Hints that the bucket of the query's own value in a table will be looked up.
    pub(crate) fn prefetch_own_bucket(&self, table: usize) {
        self.arrays.prefetch_offsets(table, self.buffers.values[table]);
    }

    /// For each table the length of its substring and the estimates at the query's value, if it has any.
    pub(crate) fn estimates(&self) -> impl Iterator<Item = Result<(u32, Option<[u8; SHELLS]>), Damaged>> {
        let tables = self.substrings.iter().zip(&self.buffers.values).enumerate();
        tables.map(|(table, (substring, &value))| Ok((substring.len_bits, self.arrays.shells(table, value)?)))
    }

    /// Looks the buckets of a shell up, beside those looked up since the last report. Shells of a table must come in order.
    pub(crate) fn look_up(&mut self, shell: Shell) -> Result<Found, Damaged> {
        let table = self.arrays.table(shell.table)?;
        let value = self.buffers.values[shell.table];
        let len_bits = self.substrings[shell.table].len_bits;
        let (first_bucket, first_dense) = (self.buffers.buckets.len(), self.buffers.dense.len());
        let probes = shell_size(len_bits, shell.distance_bits);
        let mut candidates = 0;
        // Every bucket is written down and the empty ones are written over: a branch on offsets that have yet to
        // arrive from memory would be guessed wrong once in a few buckets, and each time stop the reads behind it.
        self.buffers.buckets.resize(first_bucket + probes as usize, (0, 0));
        let mut next = first_bucket;
        let buckets = &mut self.buffers.buckets[..];
        let mut damage = None;
        for_each_mask(len_bits, shell.distance_bits, |mask| match table.bucket(value ^ mask) {
            Ok((start, end)) => {
                buckets[next] = (start, end);
                next += usize::from(start < end);
                candidates += u64::from(end - start);
            }
            Err(damaged) => damage = Some(damaged),
        });
        self.buffers.buckets.truncate(next);
        if let Some(damaged) = damage {
            return Err(damaged);
        }
        // What is sifted first is asked for already now: many shells have one bucket.
        for &(start, end) in self.buffers.buckets[first_bucket..].iter().take(2) {
            table.prefetch_bucket(start, end, self.first_planes);
        }
        let (dense, dense_values) = self.arrays.dense(shell.table);
        let mut meet = |number: usize| {
            candidates += dense[number].ids.len();
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a table has at most 2^MAX_LEN_BITS buckets"
            )]
            self.buffers.dense.push(number as u32);
        };
        // They ascend by value: a few values are found by halving, many by going through all.
        if u64::from(probes) * DENSE_SEARCH < dense.len() as u64 {
            for_each_mask(len_bits, shell.distance_bits, |mask| {
                let found = dense_values.binary_search(&(value ^ mask));
                found.into_iter().for_each(&mut meet);
            });
        } else {
            let in_shell = |other: &u32| (other ^ value).count_ones() == shell.distance_bits;
            let numbers = dense_values.iter().enumerate().filter(|(_, other)| in_shell(other));
            numbers.for_each(|(number, _)| meet(number));
        }
        let buckets = first_bucket..self.buffers.buckets.len();
        let dense = first_dense..self.buffers.dense.len();
        let found = (buckets.len() + dense.len()) as u64;
        self.buffers.taken[shell.table] = shell.distance_bits + 1;
        self.buffers.tasks.push(Task { shell, candidates: 0..0, buckets, dense });
        Ok(Found { probes: u64::from(probes), buckets: found, candidates })
    }

    /// Forgets what was looked up last so that at most `most` candidates of the shells since the last report are left;
    /// returns how many are.
    fn truncate(&mut self, most: u64) -> u64 {
        let Buffers { tasks, buckets, dense, .. } = &mut *self.buffers;
        let mut kept = 0;
        let mut fits = |candidates: u64| {
            let fits = kept + candidates <= most;
            // Once one does not fit, none behind it is taken.
            kept = if fits { kept + candidates } else { most };
            fits && kept <= most
        };
        for task in tasks {
            let (all_dense, _) = self.arrays.dense(task.shell.table);
            let listed = buckets[task.buckets.clone()].iter();
            task.buckets.end =
                task.buckets.start + listed.take_while(|(start, end)| fits(u64::from(end - start))).count();
            let bitmaps = dense[task.dense.clone()].iter();
            task.dense.end = task.dense.start
                + bitmaps.take_while(|&&number| fits(all_dense[number as usize].ids.len())).count();
        }
        kept
    }

    /// About how many of the entries looked up since the last report have sketches within the radius, of their `candidates`:
    /// of each shell the first bucket and some of the others are looked at. Ends when it is clear that they are more than
    /// `most`. 0 where there are no sketches.
    pub(crate) fn passing(&mut self, radius_bits: u32, candidates: u64, most: f64) -> Result<f64, Damaged> {
        let Buffers { sketch: own, tasks, buckets, sampled, .. } = &mut *self.buffers;
        let planes = self.arrays.plane_count();
        if planes == 0 {
            return Ok(0.0);
        }
        let step = SAMPLED.max(usize::try_from(candidates / SAMPLED_ENTRIES).unwrap_or(usize::MAX));
        let kernel = Kernel::detect();
        let entry_count =
            |buckets: &[(u32, u32)]| buckets.iter().map(|(start, end)| f64::from(end - start)).sum();
        let (mut passing, mut damage) = (0.0, None);
        for task in tasks {
            let Some(left_bits) = radius_bits.checked_sub(task.shell.distance_bits) else { continue };
            let buckets = &buckets[task.buckets.clone()];
            sampled.clear();
            sampled.extend(buckets.iter().step_by(step));
            let (all, looked_at): (f64, f64) = (entry_count(buckets), entry_count(sampled));
            let table = self.arrays.table(task.shell.table)?;
            own.resize(planes, 0);
            sketch(&self.ordered, self.substrings[task.shell.table], own);
            let passed = Cell::new(0u32);
            let enough = (most - passing) * looked_at / all;
            let near = entries(&table, sampled, left_bits, &mut damage);
            let near = near.take_while(|_| f64::from(passed.get()) <= enough);
            kernel.within_buckets(own, near, |_, _, _| passed.set(passed.get() + 1));
            if looked_at > 0.0 {
                passing += f64::from(passed.get()) * all / looked_at;
            }
            if passing > most {
                break;
            }
        }
        damage.map_or(Ok(passing), Err)
    }

    /// [`Self::report`] of as many of the `candidates` looked up since the last report as the account grants. Returns how many
    /// entries passed, by their sketches.
    pub(crate) fn verify<C: Codes<W> + ?Sized>(
        &mut self,
        codes: &C,
        radius_bits: u32,
        candidates: u64,
        account: &Account<'_>,
        stats: &mut SearchStats,
        hit: impl FnMut(u32, u32),
    ) -> Result<u64, Damaged> {
        let granted = account.grant(candidates);
        stats.compared += if granted < candidates { self.truncate(granted) } else { granted };
        let passed = self.report(codes, radius_bits, account, hit)?;
        stats.verified += if self.complete { 0 } else { passed };
        Ok(passed)
    }

    /// Verifies the candidates of the shells looked up since the last report and calls `hit(id, distance_bits)` for each
    /// code that is within `radius_bits` and was not met before. There must be fewer than 2^32. Returns how many entries
    /// passed, by their sketches: their codes were fetched, unless the sketches tell all.
    fn report<C: Codes<W> + ?Sized>(
        &mut self,
        codes: &C,
        radius_bits: u32,
        account: &Account<'_>,
        mut hit: impl FnMut(u32, u32),
    ) -> Result<u64, Damaged> {
        let passed = if self.complete {
            self.sift_complete(radius_bits, account, &mut hit)?
        } else {
            self.sift(radius_bits, account)?;
            self.fetch(codes, radius_bits, account, &mut hit)?
        };
        let buffers = &mut *self.buffers;
        buffers.done.copy_from_slice(&buffers.taken);
        buffers.tasks.clear();
        buffers.buckets.clear();
        buffers.dense.clear();
        Ok(passed)
    }

    /// Reports the entries whose substring and sketch, which together are the code, lie within the radius. Returns how many do.
    fn sift_complete(
        &mut self,
        radius_bits: u32,
        account: &Account<'_>,
        hit: &mut impl FnMut(u32, u32),
    ) -> Result<u64, Damaged> {
        let Buffers { sketch: own, tasks, buckets, done, taken, .. } = &mut *self.buffers;
        let (substrings, windows) = (self.substrings, self.windows);
        let (first_id, planes) = (self.ids.start, self.arrays.plane_count());
        // Whether something was reported before.
        let again = done.iter().any(|&shells| shells > 0);
        let kernel = Kernel::detect();
        let (mut passed, mut damage) = (0, None);
        for task in tasks {
            if !account.goes_on() {
                break;
            }
            let (number, shell_bits) = (task.shell.table, task.shell.distance_bits);
            let Some(left_bits) = radius_bits.checked_sub(shell_bits) else { continue };
            let table = self.arrays.table(number)?;
            own.resize(planes, 0);
            sketch(&self.ordered, substrings[number], own);
            let near = entries(&table, &buckets[task.buckets.clone()], left_bits, &mut damage);
            let mut wrong_id = None;
            kernel.within_buckets(own, near, |&(start, len, words), place, rest_bits| {
                passed += 1;
                // The differing bits outside of the substring, each in its place.
                let differing =
                    own.iter().enumerate().map(|(plane, own)| words[plane * len + place].get() ^ own);
                let differing = ordered_bits::<W>(substrings[number], differing);
                let distance_in = |table: usize| windows[table].of(&differing).count_ones();
                // Met in an earlier table, or in an earlier report; in its own table a value is looked up once.
                if (0..number).any(|other| distance_in(other) < taken[other])
                    || (again && (number + 1..windows.len()).any(|other| distance_in(other) < done[other]))
                {
                    return;
                }
                match table.id(start + place) {
                    Ok(local) => hit(first_id + local, shell_bits + rest_bits),
                    Err(damaged) => wrong_id = Some(damaged),
                }
            });
            damage = damage.or(wrong_id);
        }
        damage.map_or(Ok(passed), Err)
    }

    /// Lists as candidates the ids whose sketches lie within the radius; all ids where there are no sketches.
    fn sift(&mut self, radius_bits: u32, account: &Account<'_>) -> Result<(), Damaged> {
        let Buffers { sketch: own, tasks, buckets, dense, candidates, .. } = &mut *self.buffers;
        let planes = self.arrays.plane_count();
        let kernel = Kernel::detect();
        candidates.clear();
        let mut damage = None;
        for task in tasks {
            if !account.goes_on() {
                break;
            }
            let first = candidates.len();
            let number = task.shell.table;
            let table = self.arrays.table(number)?;
            let buckets = &buckets[task.buckets.clone()];
            if planes == 0 {
                for &(start, end) in buckets {
                    candidates.extend(table.ids(start, end)?.iter().map(|id| id.get()));
                }
            } else if let Some(left_bits) = radius_bits.checked_sub(task.shell.distance_bits) {
                own.resize(planes, 0);
                sketch(&self.ordered, self.substrings[number], own);
                let near = entries(&table, buckets, left_bits, &mut damage);
                let mut wrong_id = None;
                kernel.within_buckets(own, near, |&(start, ..), place, _| match table.id(start + place) {
                    Ok(id) => candidates.push(id),
                    Err(damaged) => wrong_id = Some(damaged),
                });
                damage = damage.or(wrong_id);
            }
            let (all_dense, _) = self.arrays.dense(number);
            for &bucket in &dense[task.dense.clone()] {
                candidates.extend(&all_dense[bucket as usize].ids);
            }
            task.candidates = first..candidates.len();
        }
        let all_ids = self.ids.end - self.ids.start;
        if candidates.iter().any(|&local| local >= all_ids) {
            damage = Some(Damaged::at(0));
        }
        damage.map_or(Ok(()), Err)
    }

    /// Computes the full distance of the candidates. Returns how many.
    fn fetch<C: Codes<W> + ?Sized>(
        &self,
        codes: &C,
        radius_bits: u32,
        account: &Account<'_>,
        hit: &mut impl FnMut(u32, u32),
    ) -> Result<u64, Damaged> {
        let Buffers { tasks, candidates, done, taken, .. } = &*self.buffers;
        let (windows, first_id) = (self.windows, self.ids.start);
        // Most collections hold the segment's codes side by side; the others are asked for each code.
        let side_by_side = codes.run(first_id);
        let code_of = |local: u32| match side_by_side.get(local as usize) {
            Some(code) => Some(code),
            None => codes.get(first_id + local),
        };
        let kernel = Kernel::detect();
        let (mut current, mut sane) = (0, true);
        let mut fetched = 0;
        for chunk in candidates.chunks(CHUNK) {
            if !account.goes_on() {
                break;
            }
            let places =
                (0..=u32::MAX).zip(chunk).filter_map(|(place, &local)| Some((place, code_of(local)?)));
            kernel.within_each(&self.query, places, radius_bits, |place, distance_bits| {
                let local = chunk[place as usize];
                let at = fetched + place as usize;
                while tasks.get(current).is_some_and(|task| task.candidates.end <= at) {
                    current += 1;
                }
                let (Some(task), Some(code)) = (tasks.get(current), code_of(local)) else { return };
                let differing = (self.arrays.order().apply(code) ^ self.ordered).to_le_words();
                let distance_in = |table: usize| windows[table].of(&differing).count_ones();
                // A code in the wrong bucket: the table was built from other codes, or damaged.
                sane &= distance_in(task.shell.table) == task.shell.distance_bits;
                // Met in an earlier report, or, of the shells looked up together, in an earlier table.
                let met = |table: usize| {
                    let most = if table < task.shell.table { taken[table] } else { done[table] };
                    most > 0 && distance_in(table) < most
                };
                if !(0..windows.len()).any(met) {
                    hit(first_id + local, distance_bits);
                }
            });
            fetched += chunk.len();
        }
        if sane { Ok(fetched as u64) } else { Err(Damaged::at(0)) }
    }
}

/// The entries of a table's buckets, for the kernel: their key is the first one's place, their number and their planes. Ends early at
/// damage, which it tells. The first bytes of later buckets are on their way.
#[inline(always)]
fn entries<'s>(
    table: &Table<'s>,
    buckets: &[(u32, u32)],
    radius_bits: u32,
    damage: &mut Option<Damaged>,
) -> impl Iterator<Item = Bucket<'s, (usize, usize, &'s [U32])>> {
    // Buckets before `asked` have been asked for; those of them that are still to come have `lines` lines.
    let (mut asked, mut lines) = (0, 0);
    let first_planes = Kernel::detect().planes_ahead(radius_bits);
    buckets.iter().enumerate().map_while(move |(number, &(start, end))| {
        while lines < LINES_AHEAD
            && asked < number + BUCKETS_AHEAD
            && let Some(&(start, end)) = buckets.get(asked)
        {
            lines += table.prefetch_bucket(start, end, first_planes);
            asked += 1;
        }
        lines -= table.bucket_lines(start, end, first_planes).min(lines);
        match table.planes(start, end) {
            Ok(planes) => {
                let (start, len) = (start as usize, (end - start) as usize);
                Some(Bucket { key: (start, len, planes), planes, len, radius_bits })
            }
            Err(damaged) => {
                *damage = Some(damaged);
                None
            }
        }
    })
}
