//! Owns the shells that queries of an even segment take: where the buckets of all tables are about equally full, every
//! query shares its radius in the same way, which is worked out once, and needs no estimates.

use crate::allocation::{Allocation, Shell};
use crate::costs::Costs;
use crate::cut::Substring;

/// The shells in the order in which they are taken, whatever the query.
#[derive(Clone, Debug)]
pub(crate) struct Even {
    shells: Vec<Shell>,
    /// What the first 1, 2, ... shells take beside their candidates, in nanoseconds, and how many candidates they have.
    sums: Vec<(f64, f64)>,
}

impl Even {
    /// For codes of `code_bits` bits: the shells of all radii.
    pub(crate) fn new(codes: u32, substrings: &[Substring], code_bits: u32, costs: &Costs) -> Self {
        let mut allocation = Allocation::default();
        // Unrelated sketches are as good as always too far; what the few others take is added for each radius.
        let candidate_ns = costs.candidate(0);
        allocation.restart(candidate_ns);
        substrings.iter().for_each(|substring| allocation.add(codes, substring.len_bits, None, costs));
        let (mut shells, mut sums, mut sum) = (Vec::new(), Vec::new(), (0.0, 0.0));
        for _ in 0..=code_bits {
            let Some((table, ns)) = allocation.next() else { break };
            let ids = allocation.next_ids(table);
            sum = (sum.0 + ns - ids * candidate_ns, sum.1 + ids);
            sums.push(sum);
            shells.push(allocation.take(table, costs));
        }
        Self { shells, sums }
    }

    /// The first `count` shells (all, if there are fewer).
    pub(crate) fn first(&self, count: usize) -> &[Shell] {
        self.shells.get(..count).unwrap_or(&self.shells)
    }

    /// What the first `count` shells take beside their candidates, in nanoseconds, and how many candidates they have.
    pub(crate) fn expected(&self, count: usize) -> (f64, f64) {
        let last = count.min(self.sums.len()).checked_sub(1);
        last.and_then(|last| self.sums.get(last)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn even(lens: [u32; 3]) -> (Even, Costs) {
        let substrings = lens.map(|len_bits| Substring { first_bit: 0, len_bits });
        let costs = Costs::of::<1>(1 << 15, 1 << 20, 2, true);
        (Even::new(1 << 15, &substrings, lens.iter().sum(), &costs), costs)
    }

    #[test]
    fn tables_take_turns_each_from_its_nearest_shell_on() {
        let (even, _) = even([10; 3]);
        assert_eq!((even.first(0).len(), even.first(31).len(), even.first(99).len()), (0, 31, 31));
        let mut taken = [0; 3];
        // Half of the bits: beyond, shells hold fewer values.
        for shell in even.first(15) {
            assert_eq!(shell.distance_bits, taken[shell.table]);
            taken[shell.table] += 1;
            assert!(taken.iter().max().unwrap() - taken.iter().min().unwrap() <= 1, "{taken:?}");
        }
    }

    #[test]
    fn what_the_first_shells_take_is_the_sum_of_each() {
        let lens = [11, 11, 10];
        let (even, costs) = even(lens);
        let (mut sum_ns, mut sum_ids) = (0.0, 0.0);
        for (count, shell) in (1..).zip(even.first(33)) {
            let len_bits = lens[shell.table];
            let probes = f64::from(crate::ball::shell_size(len_bits, shell.distance_bits));
            let ids = probes * f64::from(1u32 << (15 - len_bits));
            sum_ns += costs.shell(probes, ids, 0.0);
            sum_ids += ids;
            let (ns, ids) = even.expected(count);
            assert!(
                (ns / sum_ns - 1.0).abs() < 1e-5 && (ids / sum_ids - 1.0).abs() < 1e-5,
                "{count} {ns} {ids}"
            );
        }
        assert_eq!(even.expected(0), (0.0, 0.0));
        assert_eq!(even.expected(99), even.expected(33));
    }
}
