//! Owns how a query's radius is shared among the tables: which shell of which table is probed next.
//!
//! A *shell* of a table is its values at one distance from the query's. After `r + 1` shells, taken in any order but each
//! table's from distance 0 up, every code within `r` has been met: a code that was not differs in at least as many bits of
//! each substring as shells of its table were taken, so in more than `r` altogether. Which shells is free, and is chosen for
//! each query by what they are expected to cost (Qin et al., GPH, ICDE 2018): cheapest first, which is best possible as
//! long as a table's shells cost more and more.

use crate::ball::shell_size;
use crate::costs::Costs;
use crate::pages::Damaged;
use crate::probe::Probe;
use crate::shells::{COARSE_BITS, SHELLS, estimate};

/// A shell that was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shell {
    pub(crate) table: usize,
    /// The distance of its values from the query's.
    pub(crate) distance_bits: u32,
}

/// Where one table stands.
#[derive(Clone, Debug)]
struct Rung {
    len_bits: u32,
    /// Shells taken.
    taken: u32,
    /// The estimates; `None` if the buckets of the table are about equally full.
    bytes: Option<[u8; SHELLS]>,
    /// Ids for each value of the shell that comes next, and on average over the table.
    density: f32,
    even: f32,
    /// What the next shell costs, and the ids it holds; infinity if there is none.
    ns: f64,
    ids: f32,
}

/// The shells a query takes in one segment, and what they are expected to cost.
#[derive(Debug, Default)]
pub(crate) struct Allocation {
    rungs: Vec<Rung>,
    candidate_ns: f64,
}

/// A copy over an older one takes no memory.
impl Clone for Allocation {
    fn clone(&self) -> Self {
        Self { rungs: self.rungs.clone(), candidate_ns: self.candidate_ns }
    }

    fn clone_from(&mut self, other: &Self) {
        self.rungs.clone_from(&other.rungs);
        self.candidate_ns = other.candidate_ns;
    }
}

impl Allocation {
    /// Starts anew for a query, with the estimates of its segment at its values. `candidate_ns` is what a candidate takes.
    pub(crate) fn start<const W: usize>(
        &mut self,
        probe: &Probe<'_, '_, W>,
        costs: &Costs,
        candidate_ns: f64,
    ) -> Result<(), Damaged> {
        let codes = probe.code_count();
        self.restart(candidate_ns);
        for estimates in probe.estimates() {
            let (len_bits, bytes) = estimates?;
            self.add(codes, len_bits, bytes, costs);
        }
        Ok(())
    }

    /// Starts anew, without tables.
    pub(crate) fn restart(&mut self, candidate_ns: f64) {
        self.candidate_ns = candidate_ns;
        self.rungs.clear();
    }

    /// Adds a table over `codes` codes with substrings of `len_bits` and the estimates at the query's value.
    pub(crate) fn add(&mut self, codes: u32, len_bits: u32, bytes: Option<[u8; SHELLS]>, costs: &Costs) {
        let even = codes as f32 / (1u64 << len_bits) as f32;
        let mut rung = Rung { len_bits, taken: 0, bytes, density: even, even, ns: 0.0, ids: 0.0 };
        rung.expect(costs, self.candidate_ns);
        self.rungs.push(rung);
    }

    /// The table whose next shell is cheapest, and what it costs; `None` once every value of every table is taken.
    pub(crate) fn next(&self) -> Option<(usize, f64)> {
        let mut cheapest = (0, f64::INFINITY);
        for (table, rung) in self.rungs.iter().enumerate() {
            if rung.ns < cheapest.1 {
                cheapest = (table, rung.ns);
            }
        }
        (cheapest.1 < f64::INFINITY).then_some(cheapest)
    }

    /// Takes a table's next shell.
    pub(crate) fn take(&mut self, table: usize, costs: &Costs) -> Shell {
        let rung = &mut self.rungs[table];
        let shell = Shell { table, distance_bits: rung.taken };
        rung.taken += 1;
        rung.expect(costs, self.candidate_ns);
        shell
    }

    /// The ids expected in a table's next shell.
    pub(crate) fn next_ids(&self, table: usize) -> f64 {
        f64::from(self.rungs[table].ids)
    }

    /// How many shells of each table are taken.
    #[cfg(test)]
    fn taken(&self) -> impl ExactSizeIterator<Item = u32> {
        self.rungs.iter().map(|rung| rung.taken)
    }
}

impl Rung {
    /// Works out what the shell at distance `taken` holds and costs.
    fn expect(&mut self, costs: &Costs, candidate_ns: f64) {
        let probes = shell_size(self.len_bits, self.taken);
        if probes == 0 {
            self.ns = f64::INFINITY;
            self.ids = 0.0;
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "estimates")]
        let values = probes as f32;
        let density = match self.kept() {
            Some(ids) => ids / values,
            // Farther out buckets are taken to be as full as in the last shell that is known.
            None => self.density.max(self.even),
        };
        self.density = density;
        self.ids = density * values;
        self.ns = costs.shell(f64::from(probes), f64::from(self.ids), candidate_ns);
    }

    /// What the segment's estimates say of the shell at distance `taken`. The bits that they leave out are taken to be
    /// fair and independent.
    fn kept(&self) -> Option<f32> {
        let distance_bits = self.taken as usize;
        let near = self.bytes.as_ref()?.get(..=distance_bits)?;
        let fine_bits = self.len_bits.saturating_sub(COARSE_BITS);
        if fine_bits == 0 {
            return Some(estimate(near[distance_bits]));
        }
        let parts = (0u32..).zip(near.iter().rev());
        let sum: f32 = parts.map(|(fine, &byte)| estimate(byte) * shell_size(fine_bits, fine) as f32).sum();
        Some(sum / (1u64 << fine_bits) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start(tables: &[(u32, [u8; SHELLS])]) -> (Allocation, Costs) {
        let costs = Costs::of::<4>(1 << 20, 1 << 28, 3, false);
        let mut allocation = Allocation::default();
        allocation.restart(costs.candidate(12));
        tables.iter().for_each(|&(len_bits, bytes)| allocation.add(1 << 20, len_bits, Some(bytes), &costs));
        (allocation, costs)
    }

    proptest! {
        #[test]
        fn shells_of_a_table_come_in_order_until_all_values_are_taken(
            tables in prop::collection::vec((1u32..12, any::<[u8; SHELLS]>()), 1..20),
        ) {
            let (mut allocation, costs) = start(&tables);
            let mut taken = vec![0; tables.len()];
            while let Some((table, ns)) = allocation.next() {
                prop_assert!(ns > 0.0);
                let shell = allocation.take(table, &costs);
                prop_assert_eq!((shell.table, shell.distance_bits), (table, taken[table]));
                taken[table] += 1;
                prop_assert_eq!(allocation.taken().collect::<Vec<_>>(), taken.clone());
            }
            prop_assert!(taken.iter().zip(&tables).all(|(&taken, table)| taken == table.0 + 1));
        }
    }

    #[test]
    fn crowded_tables_are_left_alone() {
        // 5e5, 8e5, 9e5 and 1e6 ids; 32, 480, 3360 and 14,560.
        let crowded = [152, 158, 159, 160];
        let (mut allocation, costs) = start(&[(15, crowded), (15, [41, 72, 95, 112])]);
        let ids = allocation.next_ids(0);
        assert!((ids / 5e5 - 1.0).abs() < 0.05, "{ids}");
        for distance_bits in 0..4 {
            let (table, _) = allocation.next().unwrap();
            assert_eq!((table, allocation.take(table, &costs).distance_bits), (1, distance_bits));
        }
    }

    #[test]
    fn even_tables_share_evenly() {
        let (mut allocation, costs) = start(&[(15, [41, 72, 95, 112]); 7]);
        for _ in 0..18 {
            let (table, _) = allocation.next().unwrap();
            allocation.take(table, &costs);
        }
        let taken: Vec<u32> = allocation.taken().collect();
        assert_eq!((taken.iter().min(), taken.iter().max()), (Some(&2), Some(&3)));
    }

    #[test]
    fn bits_without_estimates_count_as_fair() {
        // 64 ids a coarse value, of four values each.
        let (allocation, _) = start(&[(COARSE_BITS + 2, [49, 49, 49, 49])]);
        assert!((allocation.next_ids(0) - 16.0).abs() < 0.1, "{}", allocation.next_ids(0));
    }
}
