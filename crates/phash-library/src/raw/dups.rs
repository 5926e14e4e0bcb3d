//! Owns [`CodeGroup`]: groups of codes linked by distances within a radius, for finding duplicates.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use phash_index::Ended;

use super::CodeLibrary;
use super::library::CodeMode;
use crate::error::{Error, Result};

/// Codes that belong together: each is within the radius of another one of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeGroup {
    /// Ids ascending, two or more, each with its distance to the first, in bits.
    pub members: Vec<(u32, u32)>,
}

impl CodeLibrary {
    /// All groups of codes that are linked by distances within `radius_bits` (inclusive), the largest first, then by first id.
    /// Exact; the same for any number of threads. `done` is told numbers of codes that need no further search; they add up
    /// to all codes.
    ///
    /// Time about that of a search for each distinct code. Memory about 20 bytes a code, and 4 for each thread.
    ///
    /// # Errors
    /// [`Error::RadiusTooLarge`]; [`Error::Cancelled`] if the flag was raised.
    pub fn duplicates(
        &self,
        radius_bits: u32,
        threads: NonZeroUsize,
        cancel: &AtomicBool,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<CodeGroup>> {
        self.check_mode(CodeMode::Radius(radius_bits))?;
        let found = self.codes().groups(radius_bits, threads, cancel, done)?;
        if found.ended() != Ended::Complete {
            return Err(Error::Cancelled);
        }
        let mut groups: Vec<CodeGroup> = found.iter().map(|ids| self.group(ids)).collect();
        // Stable: groups of one size stay in the order of their first members.
        groups.sort_by_key(|group| std::cmp::Reverse(group.members.len()));
        Ok(groups)
    }

    fn group(&self, ids: &[u32]) -> CodeGroup {
        let first = ids.first().and_then(|&id| self.code(id));
        let distance = |id: u32| first.zip(self.code(id)).map_or(0, |(a, b)| a.distance(&b));
        CodeGroup { members: ids.iter().map(|&id| (id, distance(id))).collect() }
    }
}
