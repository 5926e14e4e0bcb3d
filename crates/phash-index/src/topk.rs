//! Owns the best `k` matches so far: the smallest by distance, then id.

use std::collections::BinaryHeap;

use crate::Match;
use crate::order::by_comparing;

/// A bounded set of matches. What must hold: no id is offered twice.
pub(crate) struct TopK {
    k: usize,
    /// The worst match on top.
    heap: BinaryHeap<Match>,
    /// No match beyond this distance can be among the best `k`.
    bound_bits: u32,
}

impl TopK {
    /// `k` must not exceed the number of codes: it bounds the memory.
    pub(crate) fn new(k: usize, bound_bits: u32) -> Self {
        Self::in_buffer(k, bound_bits, Vec::new())
    }

    /// The same in the memory of a vector, whose contents are dropped; [`Self::into_sorted`] gives it back.
    pub(crate) fn in_buffer(k: usize, bound_bits: u32, mut buffer: Vec<Match>) -> Self {
        buffer.clear();
        Self { k, heap: BinaryHeap::from(buffer), bound_bits }
    }

    pub(crate) fn offer(&mut self, found: Match) {
        if self.heap.len() < self.k {
            self.heap.push(found);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && found < *worst
        {
            *worst = found;
        }
    }

    /// The worst match that is among the best `k`, once there are `k`.
    pub(crate) fn worst(&self) -> Option<Match> {
        if self.heap.len() == self.k { self.heap.peek().copied() } else { None }
    }

    /// The largest distance at which any code could still enter.
    pub(crate) fn radius(&self) -> u32 {
        self.worst().map_or(self.bound_bits, |worst| worst.distance_bits.min(self.bound_bits))
    }

    /// The largest distance at which a code with an id of `first_id` or more could still enter, or `None`.
    pub(crate) fn radius_from(&self, first_id: u32) -> Option<u32> {
        match self.worst() {
            _ if self.k == 0 => None,
            None => Some(self.bound_bits),
            Some(worst) if first_id < worst.id => Some(worst.distance_bits.min(self.bound_bits)),
            Some(worst) => worst.distance_bits.checked_sub(1).map(|radius| radius.min(self.bound_bits)),
        }
    }

    /// Takes out the matches that `drop` says, to be offered again; remembers how good the set was.
    pub(crate) fn forget(&mut self, drop: impl Fn(u32) -> bool) {
        if let Some(worst) = self.worst() {
            self.bound_bits = self.bound_bits.min(worst.distance_bits);
        }
        self.heap.retain(|found| !drop(found.id));
    }

    /// The matches in order.
    pub(crate) fn into_sorted(self) -> Vec<Match> {
        let mut matches = self.heap.into_vec();
        by_comparing(&mut matches);
        matches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_k_in_any_order_of_arrival(
            distances in prop::collection::vec(0u32..6, 0..40), k in 0usize..45, order in any::<u64>(),
        ) {
            let mut all: Vec<Match> =
                (0u32..).zip(&distances).map(|(id, &distance_bits)| Match { distance_bits, id }).collect();
            let shuffled = {
                let mut keyed: Vec<_> =
                    all.iter().map(|m| (u64::from(m.id + 1).wrapping_mul(order | 1) >> 7, *m)).collect();
                keyed.sort_unstable();
                keyed
            };
            let mut top = TopK::new(k, 64);
            for (_, found) in shuffled {
                if top.radius_from(found.id).is_some_and(|radius_bits| found.distance_bits <= radius_bits) {
                    top.offer(found);
                }
            }
            all.sort_unstable();
            all.truncate(k);
            prop_assert_eq!(top.into_sorted(), all);
        }
    }
}
