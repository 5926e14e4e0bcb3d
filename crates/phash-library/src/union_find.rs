//! Owns [`UnionFind`]: disjoint sets of numbers, joined by size with path halving (Tarjan and van Leeuwen, JACM 1984).

/// Disjoint sets of `0..len`.
#[derive(Debug)]
pub(crate) struct UnionFind {
    parents: Vec<usize>,
    sizes: Vec<usize>,
}

impl UnionFind {
    pub(crate) fn new(len: usize) -> Self {
        Self { parents: (0..len).collect(), sizes: vec![1; len] }
    }

    fn root(&mut self, mut number: usize) -> usize {
        while self.parents[number] != number {
            self.parents[number] = self.parents[self.parents[number]];
            number = self.parents[number];
        }
        number
    }

    pub(crate) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        let (large, small) = if self.sizes[a] >= self.sizes[b] { (a, b) } else { (b, a) };
        self.parents[small] = large;
        self.sizes[large] += self.sizes[small];
    }

    /// The sets, each ascending, in the order of their smallest numbers.
    pub(crate) fn sets(mut self) -> Vec<Vec<usize>> {
        let mut places = std::collections::HashMap::new();
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for number in 0..self.parents.len() {
            let place = *places.entry(self.root(number)).or_insert_with(|| {
                sets.push(Vec::new());
                sets.len() - 1
            });
            sets[place].push(number);
        }
        sets
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_are_the_connected_components(len in 1usize..30, pairs in prop::collection::vec((0usize..30, 0usize..30), 0..40)) {
            let mut sets = UnionFind::new(len);
            // The oracle: relabel everything, pair after pair.
            let mut labels: Vec<usize> = (0..len).collect();
            for (a, b) in pairs.into_iter().map(|(a, b)| (a % len, b % len)) {
                sets.join(a, b);
                let (from, to) = (labels[a], labels[b]);
                labels.iter_mut().filter(|label| **label == from).for_each(|label| *label = to);
            }
            let found = sets.sets();
            prop_assert_eq!(found.iter().map(Vec::len).sum::<usize>(), len);
            for (set, number) in found.iter().enumerate().flat_map(|(set, numbers)| numbers.iter().map(move |n| (set, *n))) {
                for (other, peer) in found.iter().enumerate().flat_map(|(set, numbers)| numbers.iter().map(move |n| (set, *n))) {
                    prop_assert_eq!(set == other, labels[number] == labels[peer]);
                }
            }
            prop_assert!(found.windows(2).all(|pair| pair[0][0] < pair[1][0]));
        }
    }
}
