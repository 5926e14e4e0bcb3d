//! Owns [`State`]: what a live index is at one moment. Immutable; a successor shares everything that did not change.
//!
//! The ids are covered in order: by segments up to `sealed_end`, by tails from there up to `tabled_end` (if that is
//! larger), and not at all behind: those are scanned.

use std::ops::Range;
use std::sync::Arc;

use phash_code::Codes;

use super::store::{Prefix, Store};
use super::tail::Tail;
use super::tombstones::Tombstones;
use crate::{Error, Index, Segment};

/// The bytes of a segment, shared by all states that have it.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Vec<u8>>);

impl Shared {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[derive(Clone, Debug)]
pub(super) struct State<const W: usize> {
    pub(super) store: Store<W>,
    pub(super) removed: Arc<Tombstones>,
    /// In order and without gaps from id 0 to `sealed_end`.
    pub(super) segments: Arc<Vec<Segment<W, Shared>>>,
    /// In order; each from its first id to that of the next.
    pub(super) tails: Arc<Vec<Arc<Tail>>>,
    pub(super) tabled_end: u32,
    /// One owner for each state that lives: tells whether a reader still holds an older one.
    #[expect(dead_code, reason = "its owners are counted, it is never read")]
    pub(super) lease: Arc<()>,
}

impl<const W: usize> State<W> {
    pub(super) fn new(lease: &Arc<()>) -> Self {
        Self {
            store: Store::new(),
            removed: Arc::default(),
            segments: Arc::default(),
            tails: Arc::default(),
            tabled_end: 0,
            lease: Arc::clone(lease),
        }
    }

    /// Where the segments end.
    pub(super) fn sealed_end(&self) -> u32 {
        self.segments.last().map_or(0, |segment| segment.ids().end)
    }

    /// Where the tables of segments and tails end: ids behind are scanned.
    pub(super) fn covered_end(&self) -> u32 {
        self.tabled_end.max(self.sealed_end())
    }

    /// The codes that lie in segments.
    pub(super) fn sealed(&self) -> Prefix<'_, W> {
        Prefix { store: &self.store, len: self.sealed_end() }
    }

    /// The tails with the ids that are to be searched in each.
    pub(super) fn tailed(&self) -> impl Iterator<Item = (&Tail, Range<u32>)> {
        let covered = self.sealed_end()..self.covered_end();
        let ends = self.tails.iter().skip(1).map(|tail| tail.first_id()).chain([u32::MAX]);
        self.tails.iter().zip(ends).filter_map(move |(tail, end)| {
            let ids = tail.first_id().max(covered.start)..end.min(covered.end);
            (ids.start < ids.end).then_some((&**tail, ids))
        })
    }

    /// The ids that are scanned.
    pub(super) fn scanned(&self) -> Range<u32> {
        self.covered_end()..self.store.len()
    }

    /// A search of the first codes with the help of the segments, without what was removed.
    pub(super) fn index<'s, C: Codes<W>>(&'s self, codes: &'s C) -> Result<Index<'s, W, C, Shared>, Error> {
        Ok(Index::new(codes, self.segments.as_slice())?.deny(self.removed.bitmap()))
    }
}
