//! Owns [`KnownCodes`]: which raw codes a database has, each with its label and how often. Two codes are the same if code and
//! label are. What must hold: a code that is there twice is known twice, so that nothing is lost or made more by doing it again.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, RandomState};

use roaring::RoaringBitmap;

use super::record::StoredCodes;
use crate::error::Result;
use crate::raw::Hashed;

/// Codes that are held at a time when a whole database is compared: some 200 MB.
const CODES_AT_A_TIME: u64 = 1 << 22;

/// Codes with labels, as 128 bits of keyed hashes: 20 to 60 bytes of memory each.
#[derive(Debug, Default)]
pub(crate) struct KnownCodes {
    /// Keyed anew each time, so that nobody can make codes that collide.
    keys: [RandomState; 2],
    counts: HashMap<[u64; 2], u32, BuildHasherDefault<Hashed>>,
}

impl KnownCodes {
    /// Adds a code.
    fn add(&mut self, key: [u64; 2]) {
        let count = self.counts.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// All codes of a database. O(codes) of time and memory.
    pub(crate) fn of(codes: &StoredCodes<'_>) -> Result<Self> {
        let mut known = Self::default();
        codes.for_each(&mut |_, code, label| {
            known.add(known.key(code, label));
            Ok(())
        })?;
        Ok(known)
    }

    /// Whether the code is known once more than it was asked for.
    pub(crate) fn take(&mut self, code: &[u8], label: Option<&str>) -> bool {
        self.take_key(self.key(code, label))
    }

    fn take_key(&mut self, key: [u64; 2]) -> bool {
        match self.counts.get_mut(&key) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    fn key(&self, code: &[u8], label: Option<&str>) -> [u64; 2] {
        let [one, other] = &self.keys;
        [one.hash_one((code, label)), other.hash_one((code, label))]
    }
}

/// The ids of those codes of `of` that `among` has, as often as it has them. In parts by the codes' hashes: memory does not
/// grow with the databases but for the set; time O(codes of both) for each 4 million codes of `among`, which are `codes` in all.
/// `go_on` is asked now and then.
pub(crate) fn duplicates(
    of: &StoredCodes<'_>,
    among: &StoredCodes<'_>,
    codes: u32,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<RoaringBitmap> {
    let mut found = RoaringBitmap::new();
    let parts = u64::from(codes).div_ceil(CODES_AT_A_TIME);
    let mut known = KnownCodes::default();
    for part in 0..parts {
        known.counts.clear();
        let here = |key: [u64; 2]| ((key[1] >> 32) * parts) >> 32 == part;
        let mut seen = 0u32;
        let mut look = || {
            seen = seen.wrapping_add(1);
            if seen.is_multiple_of(1 << 12) { go_on() } else { Ok(()) }
        };
        among.for_each(&mut |_, code, label| {
            let key = known.key(code, label);
            if here(key) {
                known.add(key);
            }
            look()
        })?;
        of.for_each(&mut |id, code, label| {
            let key = known.key(code, label);
            if here(key) && known.take_key(key) {
                found.insert(id);
            }
            look()
        })?;
    }
    Ok(found)
}
