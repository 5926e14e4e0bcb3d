//! Owns the tables of a mutable tail: per substring, a roaring bitmap of the ids under each value, which takes inserts and
//! deletes in place while others read. Substrings are short enough that a bucket holds some dozens of ids, where roaring
//! pays.
//!
//! What must hold: a reader asks only for ids below an end that was published after they were inserted in every table,
//! and an id is deleted only once every reader left knows it as removed. Then a search gives the same whenever it reads.

use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use phash_code::{Code, Codes, Kernel};
use roaring::RoaringBitmap;

use crate::SearchStats;
use crate::ball::{for_each_mask, shell_size};
use crate::cut::Substring;

/// What a search takes, in nanoseconds, measured on tails of 4,096 to 262,144 codes: to get at a table, to look a bucket up,
/// to list, fetch and compare a candidate.
const TABLE_NS: f64 = 60.0;
const PROBE_NS: f64 = 100.0;
const CANDIDATE_NS: f64 = 28.0;

/// The tables of the ids from `first_id` on.
#[derive(Debug)]
pub(super) struct Tail {
    first_id: u32,
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    substring: Substring,
    /// The ids under each value, relative to the tail's first. Held for one look-up or one block of inserts.
    buckets: RwLock<Vec<RoaringBitmap>>,
}

/// What a search of a tail did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    tables: u64,
    probes: u64,
    candidates: u64,
    /// Whether it went to the end; else nothing was compared and nothing reported.
    pub(super) whole: bool,
}

impl Looked {
    /// Adds the work to that of the search. Tails keep no sketches: what is compared is fetched.
    pub(super) fn add_to(self, stats: &mut SearchStats) {
        stats.tables += self.tables;
        stats.probes += self.probes;
        stats.candidates += self.candidates;
        if self.whole {
            stats.compared += self.candidates;
            stats.verified += self.candidates;
        }
    }
}

impl Tail {
    /// Empty tables for codes of `bits` bits, as suit `codes` of them.
    pub(super) fn new(bits: u32, first_id: u32, codes: u32) -> Self {
        // About 64 ids a bucket.
        let len_bits = codes.max(1).ilog2().saturating_sub(6).clamp(4, 16);
        let count = bits.div_ceil(len_bits).max(1);
        let (len_bits, longer) = (bits / count, bits % count);
        let substring = |j: u32| Substring {
            first_bit: j * len_bits + j.min(longer),
            len_bits: len_bits + u32::from(j < longer),
        };
        let tables = (0..count).map(substring).map(|substring| Table {
            substring,
            buckets: RwLock::new(vec![RoaringBitmap::new(); substring.values() as usize]),
        });
        Self { first_id, tables: tables.collect() }
    }

    pub(super) fn first_id(&self) -> u32 {
        self.first_id
    }

    /// Lists the codes `ids` but those that `skip` says. They must lie behind all that were listed before.
    pub(super) fn insert<const W: usize, C: Codes<W>>(
        &self,
        codes: &C,
        ids: Range<u32>,
        skip: impl Fn(u32) -> bool,
    ) {
        let codes: Vec<(u32, Code<W>)> = ids
            .filter(|&id| !skip(id))
            .filter_map(|id| Some((id - self.first_id, *codes.get(id)?)))
            .collect();
        for table in &self.tables {
            let mut buckets = table.buckets.write().unwrap_or_else(PoisonError::into_inner);
            for (local, code) in &codes {
                buckets[table.value(code) as usize].insert(*local);
            }
        }
    }

    /// Takes the code `id` out of every table.
    pub(super) fn remove<const W: usize>(&self, id: u32, code: &Code<W>) {
        let Some(local) = id.checked_sub(self.first_id) else { return };
        for table in &self.tables {
            let mut buckets = table.buckets.write().unwrap_or_else(PoisonError::into_inner);
            buckets[table.value(code) as usize].remove(local);
        }
    }

    /// Calls `hit(id, distance)` for the listed codes `ids` within the radius, each once, in no order. Gives up, and calls
    /// nothing, if that seems to take longer than `budget_ns`. `ids` must have been inserted.
    pub(super) fn within<const W: usize, C: Codes<W>>(
        &self,
        codes: &C,
        ids: Range<u32>,
        query: &Code<W>,
        radius_bits: u32,
        budget_ns: f64,
        mut hit: impl FnMut(u32, u32),
    ) -> Looked {
        let count = u32::try_from(self.tables.len()).unwrap_or(u32::MAX);
        // Table j is looked up at distances below shells_of(j); they add up to radius + 1, so that a code farther in every
        // table is farther than the radius (docs/search.md).
        let steps = radius_bits.saturating_add(1);
        let shells_of = |table: u32| steps / count + u32::from(table < steps % count);
        let (mut looked, mut probes, mut likely) = (Looked::default(), 0u64, 0.0);
        for (number, table) in (0u32..).zip(&self.tables) {
            let len_bits = table.substring.len_bits;
            let of_table: u64 =
                (0..shells_of(number)).map(|shell| u64::from(shell_size(len_bits, shell))).sum();
            probes += of_table;
            likely += of_table as f64 * f64::from(ids.end - ids.start) / f64::from(table.substring.values());
        }
        let looking_ns = TABLE_NS * f64::from(count.min(steps)) + PROBE_NS * probes as f64;
        let most = (budget_ns - looking_ns) / CANDIDATE_NS;
        if most < likely {
            return Looked::default();
        }
        let local = ids.start - self.first_id..ids.end - self.first_id;
        let mut candidates: Vec<u32> = Vec::new();
        let mut ends = Vec::with_capacity(self.tables.len());
        for (number, table) in (0u32..).zip(&self.tables) {
            let (value, len_bits) = (table.value(query), table.substring.len_bits);
            if shells_of(number) > 0 {
                let buckets = table.buckets.read().unwrap_or_else(PoisonError::into_inner);
                looked.tables += 1;
                for shell in 0..shells_of(number) {
                    looked.probes += u64::from(shell_size(len_bits, shell));
                    for_each_mask(len_bits, shell, |mask| {
                        let bucket = &buckets[(value ^ mask) as usize];
                        candidates.extend(bucket.iter().filter(|id| local.contains(id)));
                    });
                }
            }
            looked.candidates = candidates.len() as u64;
            // Fuller buckets than the average.
            if candidates.len() as f64 > most {
                return looked;
            }
            ends.push(candidates.len());
        }
        let kernel = Kernel::detect();
        let mut start = 0;
        for (number, end) in ends.into_iter().enumerate() {
            let found = candidates[start..end].iter().filter_map(|local| {
                let id = self.first_id + local;
                Some((id, codes.get(id)?))
            });
            kernel.within_each(query, found, radius_bits, |id, distance_bits| {
                let Some(code) = codes.get(id) else { return };
                // Only the first table able to find it reports it.
                let met = |(number, table): (u32, &Table)| {
                    (table.value(query) ^ table.value(code)).count_ones() < shells_of(number)
                };
                if !(0u32..).zip(&self.tables[..number]).any(met) {
                    hit(id, distance_bits);
                }
            });
            start = end;
        }
        Looked { whole: true, ..looked }
    }

    /// How many ids the first table lists: all that the others do.
    #[cfg(test)]
    fn listed(&self) -> u64 {
        self.tables[0].buckets.read().unwrap().iter().map(RoaringBitmap::len).sum()
    }
}

impl Table {
    #[expect(clippy::cast_possible_truncation, reason = "a substring has at most 16 bits and a few")]
    fn value<const W: usize>(&self, code: &Code<W>) -> u32 {
        code.bits(self.substring.first_bit, self.substring.len_bits) as u32
    }
}

#[cfg(test)]
mod tests {
    use phash_code::{Code64, Code256};
    use proptest::prelude::*;

    use super::*;

    fn found<const W: usize>(
        tail: &Tail,
        codes: &[Code<W>],
        ids: Range<u32>,
        query: &Code<W>,
        radius_bits: u32,
        budget_ns: f64,
    ) -> Option<Vec<(u32, u32)>> {
        let mut found = Vec::new();
        let hit = |id, distance| found.push((id, distance));
        let looked = tail.within(&codes.to_vec(), ids.clone(), query, radius_bits, budget_ns, hit);
        found.sort_unstable();
        if looked.whole {
            assert_eq!(looked, expected_work(tail, codes, ids, query, radius_bits));
        }
        looked.whole.then_some(found)
    }

    /// The work by going over all codes, bit by bit, and all values.
    fn expected_work<const W: usize>(
        tail: &Tail,
        codes: &[Code<W>],
        ids: Range<u32>,
        query: &Code<W>,
        radius_bits: u32,
    ) -> Looked {
        let (count, steps) = (tail.tables.len(), radius_bits as usize + 1);
        let mut looked = Looked { whole: true, ..Looked::default() };
        for (number, Table { substring, buckets }) in tail.tables.iter().enumerate() {
            let shells = u32::try_from(steps / count + usize::from(number < steps % count)).unwrap();
            let bits = substring.first_bit..substring.first_bit + substring.len_bits;
            let distance = |id: u32| -> u32 {
                bits.clone().map(|bit| u32::from(codes[id as usize].bit(bit) != query.bit(bit))).sum()
            };
            let listed: RoaringBitmap =
                buckets.read().unwrap().iter().flatten().map(|local| tail.first_id + local).collect();
            looked.tables += u64::from(shells > 0);
            looked.probes +=
                (0..substring.values()).filter(|value| value.count_ones() < shells).count() as u64;
            looked.candidates +=
                ids.clone().filter(|&id| listed.contains(id) && distance(id) < shells).count() as u64;
        }
        looked
    }

    fn expected<const W: usize>(
        codes: &[Code<W>],
        ids: Range<u32>,
        query: &Code<W>,
        radius_bits: u32,
    ) -> Vec<(u32, u32)> {
        ids.map(|id| (id, query.distance(&codes[id as usize])))
            .filter(|found| found.1 <= radius_bits)
            .collect()
    }

    proptest! {
        #[test]
        fn tables_give_what_a_scan_gives_for_ids_published(
            words in prop::collection::vec(any::<u64>(), 3000), flips in any::<u64>(), radius_bits in 0u32..12,
            start in 100u32..300, end in 2000u32..3000,
        ) {
            let mut codes: Vec<Code64> = words.iter().map(|&word| Code64::from_le_words([word])).collect();
            let query = codes[1500];
            for i in 0..10 {
                codes[200 * i] = query ^ Code64::from_le_words([flips >> (6 * i) & 0x0011_0010_0100_0101]);
            }
            let tail = Tail::new(64, 100, 4096);
            tail.insert(&codes, 100..1800, |_| false);
            tail.insert(&codes, 1800..3000, |_| false);
            let found = found(&tail, &codes, start..end, &query, radius_bits, f64::INFINITY);
            prop_assert_eq!(found, Some(expected(&codes, start..end, &query, radius_bits)));
        }
    }

    #[test]
    fn wide_codes_are_found_by_few_probes_and_what_takes_too_long_is_left_to_the_scan() {
        let mut state = 1u64;
        let mut word = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ (state >> 31)
        };
        let mut codes: Vec<Code256> =
            (0..40_000).map(|_| Code::from_le_words(std::array::from_fn(|_| word()))).collect();
        let query = codes[17];
        for (place, bits) in [(99, 31), (39_999, 12), (50, 32)] {
            codes[place] = query;
            (0..bits).for_each(|bit| codes[place].set_bit(bit * 7 % 256, !query.bit(bit * 7 % 256)));
        }
        let tail = Tail::new(256, 0, 40_000);
        tail.insert(&codes, 0..40_000, |id| id == 50);
        assert_eq!(tail.listed(), 39_999);
        assert_eq!(found(&tail, &codes, 0..40_000, &query, 12, 1e5), Some(vec![(17, 0), (39_999, 12)]));
        assert_eq!(found(&tail, &codes, 0..40_000, &query, 100, 1e5), None);
        assert_eq!(found(&tail, &codes, 0..40_000, &query, 12, 100.0), None);
        tail.remove(39_999, &codes[39_999]);
        assert_eq!(tail.listed(), 39_998);
        assert_eq!(found(&tail, &codes, 0..40_000, &query, 12, 1e5), Some(vec![(17, 0)]));
    }

    #[test]
    fn what_was_looked_up_before_giving_up_counts_and_nothing_as_compared() {
        // All in one bucket of every table, of 4,096 codes that were to be spread over the values.
        let codes = vec![Code64::ZERO; 4096];
        let tail = Tail::new(64, 0, 4096);
        tail.insert(&codes, 0..4096, |_| false);
        let mut hits = 0;
        let looked = tail.within(&codes, 0..4096, &Code64::ZERO, 0, 3e4, |_, _| hits += 1);
        assert_eq!((looked, hits), (Looked { tables: 1, probes: 1, candidates: 4096, whole: false }, 0));
        let mut stats = SearchStats::default();
        looked.add_to(&mut stats);
        assert_eq!((stats.candidates, stats.compared, stats.verified), (4096, 0, 0));
        let looked = tail.within(&codes, 0..4096, &Code64::ZERO, 0, 1e6, |_, _| hits += 1);
        assert!(looked.whole && hits == 4096);
        looked.add_to(&mut stats);
        assert_eq!((stats.candidates, stats.compared, stats.verified), (8192, 4096, 4096));
    }
}
