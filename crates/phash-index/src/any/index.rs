//! Owns [`AnyIndex`]: codes of any of the widths with their index segments, to be searched.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use phash_code::Code;
use roaring::RoaringBitmap;

use super::{Any, AnyCode, AnyCodes, AnySegment, bits_of, mismatch};
use crate::{BuildParams, Count, Error, Groups, Index, JoinStats, Matches, Pair, Segment, groups, join};

/// Codes of one width with the index segments over them, and the searches of [`Index`]. Owns both.
#[derive(Debug)]
pub struct AnyIndex<B> {
    parts: Any<Parts<1, B>, Parts<2, B>, Parts<4, B>, Parts<8, B>>,
    deny: RoaringBitmap,
}

#[derive(Debug)]
struct Parts<const W: usize, B> {
    codes: Vec<Code<W>>,
    segments: Vec<Segment<W, B>>,
}

impl<const W: usize, B: AsRef<[u8]>> Parts<W, B> {
    fn index<'s>(&'s self, deny: &'s RoaringBitmap) -> Result<Index<'s, W, Vec<Code<W>>, B>, Error> {
        Ok(Index::new(&self.codes, &self.segments)?.deny(deny))
    }
}

impl AnyIndex<Vec<u8>> {
    /// Codes with an index segment over all of them, made here.
    ///
    /// # Errors
    /// As [`crate::build_segment`].
    pub fn build(codes: AnyCodes, params: &BuildParams) -> Result<Self, Error> {
        let segment = AnySegment::open(codes.build_segment(params)?)?;
        Self::new(codes, vec![segment])
    }
}

impl<B: AsRef<[u8]>> AnyIndex<B> {
    /// Codes with the index segments that were built from them; as [`Index::new`].
    ///
    /// # Errors
    /// As [`Index::new`]; [`Error::Width`] if a segment indexes codes of another width.
    pub fn new(codes: AnyCodes, segments: Vec<AnySegment<B>>) -> Result<Self, Error> {
        let expected_bits = codes.bits();
        let mut parts = map!(codes.0, codes => Parts { codes, segments: Vec::with_capacity(segments.len()) });
        for segment in segments {
            let mismatch = Error::Width { expected_bits, got_bits: segment.bits() };
            both!(&mut parts, segment.0, (parts, segment) => parts.segments.push(segment), mismatch);
        }
        let index = Self { parts, deny: RoaringBitmap::new() };
        each!(&index.parts, parts => parts.index(&index.deny).map(drop))?;
        Ok(index)
    }

    /// The width of the codes in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        bits_of(&self.parts)
    }

    /// How many codes there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        each!(&self.parts, parts => phash_code::Codes::len(&parts.codes))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of an id, denied or not.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<AnyCode> {
        each!(&self.parts, parts => parts.codes.get(id as usize).copied().map(AnyCode::from))
    }

    /// The ids that are never reported; may be changed between searches.
    pub fn deny_mut(&mut self) -> &mut RoaringBitmap {
        &mut self.deny
    }

    /// As [`Index::within`].
    ///
    /// # Errors
    /// [`Error::CodeWidth`] if the query has another width.
    pub fn within(&self, query: &AnyCode, radius_bits: u32) -> Result<Matches, Error> {
        Ok(
            both!(&self.parts, &query.0, (parts, query) => parts.index(&self.deny)?.within(query, radius_bits),
            mismatch(self.bits(), query)),
        )
    }

    /// As [`Index::count_within`].
    ///
    /// # Errors
    /// As [`Self::within`].
    pub fn count_within(&self, query: &AnyCode, radius_bits: u32) -> Result<Count, Error> {
        Ok(
            both!(&self.parts, &query.0, (parts, query) => parts.index(&self.deny)?.count_within(query, radius_bits),
            mismatch(self.bits(), query)),
        )
    }

    /// As [`Index::nearest`].
    ///
    /// # Errors
    /// As [`Self::within`].
    pub fn nearest(&self, query: &AnyCode, k: usize) -> Result<Matches, Error> {
        self.nearest_within(query, k, self.bits())
    }

    /// As [`Index::nearest_within`].
    ///
    /// # Errors
    /// As [`Self::within`].
    pub fn nearest_within(&self, query: &AnyCode, k: usize, radius_bits: u32) -> Result<Matches, Error> {
        Ok(both!(&self.parts, &query.0,
            (parts, query) => parts.index(&self.deny)?.nearest_within(query, k, radius_bits),
            mismatch(self.bits(), query)))
    }
}

impl<B: AsRef<[u8]> + Sync> AnyIndex<B> {
    /// As [`Index::batch_within`].
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
        Ok(both!(&self.parts, &queries.0,
            (parts, queries) => parts.index(&self.deny)?.batch_within(queries, radius_bits, threads),
            Error::CodeWidth { expected_bits, got_bits }))
    }

    /// As [`Index::batch_nearest`].
    ///
    /// # Errors
    /// As [`Self::batch_within`].
    pub fn batch_nearest(&self, queries: &AnyCodes, k: usize, threads: usize) -> Result<Vec<Matches>, Error> {
        let (expected_bits, got_bits) = (self.bits(), queries.bits());
        Ok(both!(&self.parts, &queries.0,
            (parts, queries) => parts.index(&self.deny)?.batch_nearest(queries, k, threads),
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
        each!(&self.parts, parts => join(&parts.index(&self.deny)?, radius_bits, threads, cancel, visit))
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
        each!(&self.parts, parts => groups(&parts.index(&self.deny)?, radius_bits, threads, cancel))
    }
}
