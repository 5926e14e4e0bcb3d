//! Owns the ids that were removed from a live index, persistently: a copy is two pointers. The latest few are kept apart,
//! so that a removal does not copy the bitmap; a search that needs them as one bitmap makes it, once.

use std::sync::{Arc, OnceLock};

use roaring::RoaringBitmap;

/// Removals kept apart; then they go to a new bitmap.
const RECENT: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct Tombstones {
    settled: Arc<RoaringBitmap>,
    /// Ascending, none of them settled.
    recent: Arc<[u32]>,
    all: OnceLock<Arc<RoaringBitmap>>,
}

impl Tombstones {
    pub(super) fn contains(&self, id: u32) -> bool {
        self.recent.binary_search(&id).is_ok() || self.settled.contains(id)
    }

    pub(super) fn len(&self) -> u64 {
        self.settled.len() + self.recent.len() as u64
    }

    /// With these ids as well; `None` if they all were removed before.
    pub(super) fn with(&self, ids: &[u32]) -> Option<Self> {
        let mut new: Vec<u32> = ids.iter().copied().filter(|&id| !self.contains(id)).collect();
        if new.is_empty() {
            return None;
        }
        new.extend_from_slice(&self.recent);
        new.sort_unstable();
        new.dedup();
        if new.len() <= RECENT {
            return Some(Self {
                settled: Arc::clone(&self.settled),
                recent: new.into(),
                all: OnceLock::new(),
            });
        }
        let mut settled = RoaringBitmap::clone(&self.settled);
        settled.extend(new);
        Some(Self { settled: Arc::new(settled), ..Self::default() })
    }

    /// All of them as one bitmap.
    pub(super) fn bitmap(&self) -> &RoaringBitmap {
        if self.recent.is_empty() {
            return &self.settled;
        }
        self.all.get_or_init(|| {
            let mut all = RoaringBitmap::clone(&self.settled);
            all.extend(self.recent.iter().copied());
            Arc::new(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_copy_holds_what_was_removed_before_it(batches in prop::collection::vec(prop::collection::vec(0u32..5000, 0..400), 0..9)) {
            let mut tombstones = Tombstones::default();
            let mut expected = RoaringBitmap::new();
            let mut copies = vec![(tombstones.clone(), expected.clone())];
            for ids in batches {
                let before = expected.len();
                expected.extend(ids.iter().copied());
                match tombstones.with(&ids) {
                    Some(more) => tombstones = more,
                    None => prop_assert_eq!(before, expected.len()),
                }
                copies.push((tombstones.clone(), expected.clone()));
            }
            for (copy, expected) in copies {
                prop_assert_eq!(copy.bitmap(), &expected);
                prop_assert_eq!(copy.len(), expected.len());
                prop_assert!((0..5000).all(|id| copy.contains(id) == expected.contains(id)));
            }
        }
    }
}
