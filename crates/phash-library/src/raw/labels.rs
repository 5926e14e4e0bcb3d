//! Owns [`LabelSet`]: which labels a database and an import have. Labels are remembered as 128 bits of keyed hashes: 20
//! to 60 bytes of memory a label (it is a table that doubles), and two different ones are never taken for the same.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

use phash_store::{Labels, Reader};

use crate::error::Result;

/// A set of labels.
#[derive(Debug, Default)]
pub(super) struct LabelSet {
    /// Keyed anew each time, so that nobody can make labels that collide.
    keys: [RandomState; 2],
    seen: HashSet<[u64; 2], BuildHasherDefault<Hashed>>,
}

/// Takes what is hashed already as it is.
#[derive(Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        // An array of numbers comes as its length and then its bytes; the last eight will do.
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*last);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl LabelSet {
    /// The labels of a database of raw codes. O(codes).
    pub(super) fn of(reader: &Reader) -> Result<Self> {
        let (labels, mut set): (Labels, Self) = (reader.code_labels()?, Self::default());
        let removed = reader.removed()?;
        for id in (0..reader.code_count()).filter(|&id| !removed.contains(id)) {
            if let Some(label) = labels.get(id)? {
                set.insert(&label);
            }
        }
        Ok(set)
    }

    /// Whether the label is new.
    pub(super) fn insert(&mut self, label: &str) -> bool {
        let [one, other] = &self.keys;
        self.seen.insert([one.hash_one(label), other.hash_one(label)])
    }
}
