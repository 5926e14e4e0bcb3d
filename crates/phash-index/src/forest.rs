//! Owns [`Forest`]: disjoint sets of ids (union-find), the root of each its smallest id, with path halving (Tarjan and
//! van Leeuwen, JACM 1984). Written here rather than taken from a graph library: two short functions on one array.

/// Disjoint sets of `0..len`.
#[derive(Debug)]
pub(crate) struct Forest {
    /// The parent of each id; never larger than the id.
    parents: Vec<u32>,
}

impl Forest {
    /// Every id for itself. Memory 4 bytes an id.
    pub(crate) fn new(len: u32) -> Self {
        Self { parents: (0..len).collect() }
    }

    /// How many ids there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.parents.len()).unwrap_or(u32::MAX)
    }

    /// The smallest id of the set, in amortised logarithmic time.
    pub(crate) fn root(&mut self, mut id: u32) -> u32 {
        loop {
            let parent = self.parents[id as usize];
            if parent == id {
                return id;
            }
            let above = self.parents[parent as usize];
            self.parents[id as usize] = above;
            id = above;
        }
    }

    /// Makes the sets of the two one.
    pub(crate) fn unite(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b) as usize] = a.min(b);
    }

    /// Makes one what the other holds as one. Both must have the same length.
    pub(crate) fn unite_all(&mut self, other: &Self) {
        for (id, &parent) in (0u32..).zip(&other.parents) {
            if parent != id {
                self.unite(id, parent);
            }
        }
    }

    /// The sets of two or more, one after the other in the order of their smallest ids, each ascending; and where each
    /// ends.
    pub(crate) fn into_sets(mut self) -> (Vec<u32>, Vec<u32>) {
        let len = self.len();
        let mut sizes = vec![0u32; self.parents.len()];
        for id in 0..len {
            sizes[self.root(id) as usize] += 1;
        }
        // From sizes to the place of each set's next member.
        let (mut ends, mut end) = (Vec::new(), 0);
        for size in &mut sizes {
            let start = end;
            if *size > 1 {
                end += *size;
                ends.push(end);
                *size = start;
            } else {
                *size = u32::MAX;
            }
        }
        let mut places = sizes;
        let mut members = vec![0; end as usize];
        for id in 0..len {
            let place = &mut places[self.root(id) as usize];
            if *place != u32::MAX {
                members[*place as usize] = id;
                *place += 1;
            }
        }
        (members, ends)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_are_the_connected_components(
            len in 1u32..30, pairs in prop::collection::vec((0u32..30, 0u32..30, any::<bool>()), 0..40),
        ) {
            let mut forests = [Forest::new(len), Forest::new(len)];
            // The oracle: relabel everything, pair after pair.
            let mut labels: Vec<u32> = (0..len).collect();
            for (a, b, which) in pairs {
                let (a, b) = (a % len, b % len);
                forests[usize::from(which)].unite(a, b);
                let (from, to) = (labels[a as usize], labels[b as usize]);
                labels.iter_mut().filter(|label| **label == from).for_each(|label| *label = to);
            }
            let mut expected: Vec<Vec<u32>> = Vec::new();
            for id in 0..len {
                let label = labels[id as usize];
                match expected.iter_mut().find(|set| labels[set[0] as usize] == label) {
                    Some(set) => set.push(id),
                    None => expected.push(vec![id]),
                }
            }
            expected.retain(|set| set.len() > 1);
            let [mut forest, other] = forests;
            forest.unite_all(&other);
            let (members, ends) = forest.into_sets();
            let mut start = 0;
            let mut found = Vec::new();
            for end in ends {
                found.push(members[start..end as usize].to_vec());
                start = end as usize;
            }
            prop_assert_eq!(found, expected);
        }
    }
}
