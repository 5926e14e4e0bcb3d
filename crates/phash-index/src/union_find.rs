//! Owns [`UnionFind`]: disjoint sets of ids, the root of each its smallest id, with path halving (Tarjan and van Leeuwen,
//! JACM 1984). Written here rather than taken from a graph library: two short functions on one array.

/// Disjoint sets of `0..len`, to be united.
///
/// ```
/// use phash_index::UnionFind;
///
/// let mut sets = UnionFind::new(5);
/// sets.unite(4, 1);
/// sets.unite(1, 2);
/// assert_eq!(sets.root(4), 1);
/// assert_eq!(sets.into_sets(2).get(0), Some(&[1, 2, 4][..]));
/// ```
#[derive(Clone, Debug)]
pub struct UnionFind {
    /// The parent of each id; never larger than the id.
    parents: Vec<u32>,
}

impl UnionFind {
    /// Every id for itself. Memory 4 bytes an id.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Self { parents: (0..len).collect() }
    }

    /// How many ids there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.parents.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The smallest id of the set that holds `id`, in amortised logarithmic time.
    ///
    /// # Panics
    /// If there is no such id.
    #[must_use]
    pub fn root(&mut self, mut id: u32) -> u32 {
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

    /// Makes the sets of the two one. As fast as two of [`Self::root`].
    ///
    /// # Panics
    /// If there is no such id.
    pub fn unite(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b) as usize] = a.min(b);
    }

    /// Makes one what the other holds as one.
    ///
    /// # Panics
    /// If the other has ids that this one has not, and holds them as one with others.
    pub fn unite_all(&mut self, other: &Self) {
        for (id, &parent) in (0u32..).zip(&other.parents) {
            if parent != id {
                self.unite(id, parent);
            }
        }
    }

    /// The sets of `least` ids or more. Time about linear in the ids; memory 4 bytes an id and 4 each that is in one of them.
    #[must_use]
    pub fn into_sets(mut self, least: u32) -> Sets {
        let len = self.len();
        let mut sizes = vec![0u32; self.parents.len()];
        for id in 0..len {
            sizes[self.root(id) as usize] += 1;
        }
        // From sizes to the place of each set's next member; of ids that are no root nobody asks.
        let (mut ends, mut end) = (Vec::new(), 0);
        for size in &mut sizes {
            let start = end;
            if *size >= least.max(1) {
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
        Sets { members, ends }
    }
}

/// Sets of ids, in the order of their smallest ids, each ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    members: Vec<u32>,
    /// Where each set ends in `members`.
    ends: Vec<u32>,
}

impl Sets {
    /// How many sets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The ids of a set, ascending.
    #[must_use]
    pub fn get(&self, set: usize) -> Option<&[u32]> {
        let end = *self.ends.get(set)?;
        let start = set.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.members.get(start as usize..end as usize)
    }

    /// All sets, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).filter_map(|set| self.get(set))
    }

    /// The ids of all sets, one after the other.
    #[must_use]
    pub fn members(&self) -> &[u32] {
        &self.members
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
            least in 0usize..5,
        ) {
            let mut both = [UnionFind::new(len), UnionFind::new(len)];
            // The oracle: relabel everything, pair after pair.
            let mut labels: Vec<u32> = (0..len).collect();
            for (a, b, which) in pairs {
                let (a, b) = (a % len, b % len);
                both[usize::from(which)].unite(a, b);
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
            expected.retain(|set| set.len() >= least);
            let [mut sets, other] = both;
            sets.unite_all(&other);
            let sets = sets.into_sets(u32::try_from(least).unwrap());
            prop_assert_eq!((sets.len(), sets.get(expected.len())), (expected.len(), None));
            prop_assert_eq!(sets.members(), &expected.concat()[..]);
            let found: Vec<Vec<u32>> = sets.iter().map(<[u32]>::to_vec).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
