//! Owns [`AnyLive`] and [`AnySnapshot`]: the live index over codes of any of the widths.

use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::AtomicBool;

use super::{Any, AnyCode, AnyCodes, bits_of, mismatch};
use crate::{
    Count, Error, Groups, JoinStats, Live, LiveParams, LiveStats, Matches, Pair, Snapshot, Strategy, groups,
    join,
};

/// A [`Live`] index of codes of any of the widths.
///
/// ```
/// use phash_index::{AnyLive, LiveParams};
///
/// let live = AnyLive::new(64, LiveParams::default())?;
/// let id = live.insert(&"00000000000000ff".parse()?)?;
/// assert_eq!(live.snapshot().within(&"00000000000000fe".parse()?, 4)?.matches[0].id, id);
/// # Ok::<(), phash_index::Error>(())
/// ```
#[derive(Debug)]
pub struct AnyLive(Any<Live<1>, Live<2>, Live<4>, Live<8>>);

impl AnyLive {
    /// An empty index of codes of so many bits; as [`Live::with_params`].
    ///
    /// # Errors
    /// [`Error::NoWidth`] unless they are 64, 128, 256 or 512; else as [`Live::with_params`].
    pub fn new(bits: u32, params: LiveParams) -> Result<Self, Error> {
        Ok(Self(of_bits!(bits, W => Live::<W>::with_params(params)?)))
    }

    /// The width of the codes in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        bits_of(&self.0)
    }

    /// As [`Live::insert`].
    ///
    /// # Errors
    /// [`Error::CodeWidth`] if the code has another width; else as [`Live::insert`].
    pub fn insert(&self, code: &AnyCode) -> Result<u32, Error> {
        both!(&self.0, code.0, (live, code) => live.insert(code), mismatch(self.bits(), code))
    }

    /// As [`Live::insert_many`].
    ///
    /// # Errors
    /// [`Error::CodeWidth`] if the codes have another width; else as [`Live::insert_many`].
    pub fn insert_many(&self, codes: &AnyCodes) -> Result<Range<u32>, Error> {
        let (expected_bits, got_bits) = (self.bits(), codes.bits());
        both!(&self.0, &codes.0, (live, codes) => live.insert_many(codes), Error::CodeWidth { expected_bits, got_bits })
    }

    /// As [`Live::remove`].
    pub fn remove(&self, id: u32) -> bool {
        each!(&self.0, live => live.remove(id))
    }

    /// As [`Live::remove_many`].
    pub fn remove_many(&self, ids: &[u32]) -> u64 {
        each!(&self.0, live => live.remove_many(ids))
    }

    /// As [`Live::snapshot`].
    #[must_use]
    pub fn snapshot(&self) -> AnySnapshot {
        AnySnapshot(map!(&self.0, live => live.snapshot()))
    }

    /// As [`Live::stats`].
    #[must_use]
    pub fn stats(&self) -> LiveStats {
        each!(&self.0, live => live.stats())
    }

    /// As [`Live::settle`].
    pub fn settle(&self) {
        each!(&self.0, live => live.settle());
    }

    /// As [`Live::seal`].
    pub fn seal(&self) {
        each!(&self.0, live => live.seal());
    }
}

/// A [`Snapshot`] of codes of any of the widths.
#[derive(Clone, Debug)]
pub struct AnySnapshot(Any<Snapshot<1>, Snapshot<2>, Snapshot<4>, Snapshot<8>>);

impl AnySnapshot {
    /// As [`Snapshot::strategy`].
    #[must_use]
    pub fn strategy(self, strategy: Strategy) -> Self {
        Self(map!(self.0, snapshot => snapshot.strategy(strategy)))
    }

    /// The width of the codes in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        bits_of(&self.0)
    }

    /// As [`Snapshot::len`].
    #[must_use]
    pub fn len(&self) -> u32 {
        each!(&self.0, snapshot => snapshot.len())
    }

    /// As [`Snapshot::is_empty`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`Snapshot::live`].
    #[must_use]
    pub fn live(&self) -> u64 {
        each!(&self.0, snapshot => snapshot.live())
    }

    /// As [`Snapshot::code`].
    #[must_use]
    pub fn code(&self, id: u32) -> Option<AnyCode> {
        each!(&self.0, snapshot => snapshot.code(id).copied().map(AnyCode::from))
    }

    /// As [`Snapshot::within`].
    ///
    /// # Errors
    /// [`Error::CodeWidth`] if the query has another width.
    pub fn within(&self, query: &AnyCode, radius_bits: u32) -> Result<Matches, Error> {
        Ok(both!(&self.0, &query.0,
            (snapshot, query) => snapshot.within(query, radius_bits),
            mismatch(self.bits(), query)))
    }

    /// As [`Snapshot::count_within`].
    ///
    /// # Errors
    /// As [`Self::within`].
    pub fn count_within(&self, query: &AnyCode, radius_bits: u32) -> Result<Count, Error> {
        Ok(both!(&self.0, &query.0,
            (snapshot, query) => snapshot.count_within(query, radius_bits),
            mismatch(self.bits(), query)))
    }

    /// As [`Snapshot::nearest`].
    ///
    /// # Errors
    /// As [`Self::within`].
    pub fn nearest(&self, query: &AnyCode, k: usize) -> Result<Matches, Error> {
        self.nearest_within(query, k, self.bits())
    }

    /// As [`Snapshot::nearest_within`].
    ///
    /// # Errors
    /// As [`Self::within`].
    pub fn nearest_within(&self, query: &AnyCode, k: usize, radius_bits: u32) -> Result<Matches, Error> {
        Ok(both!(&self.0, &query.0,
            (snapshot, query) => snapshot.nearest_within(query, k, radius_bits),
            mismatch(self.bits(), query)))
    }

    /// As [`Snapshot::batch_within`].
    ///
    /// # Errors
    /// [`Error::CodeWidth`] if the queries have another width.
    pub fn batch_within(
        &self,
        queries: &AnyCodes,
        radius_bits: u32,
        threads: usize,
    ) -> Result<Vec<Matches>, Error> {
        let (expected_bits, got_bits) = (self.bits(), queries.bits());
        Ok(both!(&self.0, &queries.0,
            (snapshot, queries) => snapshot.batch_within(queries, radius_bits, threads),
            Error::CodeWidth { expected_bits, got_bits }))
    }

    /// As [`Snapshot::batch_nearest`].
    ///
    /// # Errors
    /// As [`Self::batch_within`].
    pub fn batch_nearest(&self, queries: &AnyCodes, k: usize, threads: usize) -> Result<Vec<Matches>, Error> {
        let (expected_bits, got_bits) = (self.bits(), queries.bits());
        Ok(both!(&self.0, &queries.0,
            (snapshot, queries) => snapshot.batch_nearest(queries, k, threads),
            Error::CodeWidth { expected_bits, got_bits }))
    }

    /// As [`join`].
    ///
    /// # Errors
    /// As [`join`].
    pub fn join(
        &self,
        radius_bits: u32,
        threads: NonZeroUsize,
        cancel: &AtomicBool,
        visit: impl FnMut(Pair) -> ControlFlow<()>,
    ) -> Result<JoinStats, Error> {
        each!(&self.0, snapshot => join(&snapshot.index()?, radius_bits, threads, cancel, visit))
    }

    /// As [`groups`].
    ///
    /// # Errors
    /// As [`groups`].
    pub fn groups(
        &self,
        radius_bits: u32,
        threads: NonZeroUsize,
        cancel: &AtomicBool,
    ) -> Result<Groups, Error> {
        each!(&self.0, snapshot => groups(&snapshot.index()?, radius_bits, threads, cancel))
    }
}
