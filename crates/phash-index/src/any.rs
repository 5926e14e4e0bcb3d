//! Owns the facade for hosts that learn the width of their codes only when they run (a command line, a binding): the types
//! of the crate over 64, 128, 256 and 512 bits behind one. Nothing is decided here; every call goes to the typed twin.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;

use phash_code::Code;
use roaring::RoaringBitmap;

use crate::{
    BuildParams, Count, Error, Groups, Index, JoinStats, Matches, Pair, Segment, build_segment, groups, join,
};

/// One of four, by width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Any<A, B, C, D> {
    Bits64(A),
    Bits128(B),
    Bits256(C),
    Bits512(D),
}

/// The same for each width.
macro_rules! each {
    ($any:expr, $own:pat => $body:expr) => {
        match $any {
            Any::Bits64($own) => $body,
            Any::Bits128($own) => $body,
            Any::Bits256($own) => $body,
            Any::Bits512($own) => $body,
        }
    };
}

/// The same for each width, wrapped again.
macro_rules! map {
    ($any:expr, $own:pat => $body:expr) => {
        match $any {
            Any::Bits64($own) => Any::Bits64($body),
            Any::Bits128($own) => Any::Bits128($body),
            Any::Bits256($own) => Any::Bits256($body),
            Any::Bits512($own) => Any::Bits512($body),
        }
    };
}

/// The same for each width of two that must have one.
macro_rules! both {
    ($any:expr, $other:expr, ($own:pat, $its:pat) => $body:expr, $mismatch:expr) => {
        match ($any, $other) {
            (Any::Bits64($own), Any::Bits64($its)) => $body,
            (Any::Bits128($own), Any::Bits128($its)) => $body,
            (Any::Bits256($own), Any::Bits256($its)) => $body,
            (Any::Bits512($own), Any::Bits512($its)) => $body,
            _ => return Err($mismatch),
        }
    };
}

/// Evaluates for the width that a number says.
macro_rules! of_bits {
    ($bits:expr, $width:ident => $body:expr) => {
        match $bits {
            64 => {
                const $width: usize = 1;
                Any::Bits64($body)
            }
            128 => {
                const $width: usize = 2;
                Any::Bits128($body)
            }
            256 => {
                const $width: usize = 4;
                Any::Bits256($body)
            }
            512 => {
                const $width: usize = 8;
                Any::Bits512($body)
            }
            got_bits => return Err(Error::NoWidth { got_bits: u64::from(got_bits) }),
        }
    };
}

/// A code of 64, 128, 256 or 512 bits. From hexadecimal digits by [`str::parse`], the width by their number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnyCode(Any<Code<1>, Code<2>, Code<4>, Code<8>>);

impl AnyCode {
    /// The code with these bytes, in order; the width is their number.
    ///
    /// # Errors
    /// [`Error::NoWidth`] unless there are 8, 16, 32 or 64.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let got_bits = 8 * bytes.len() as u64;
        let bits = u32::try_from(got_bits).map_err(|_| Error::NoWidth { got_bits })?;
        Ok(Self(of_bits!(bits, W => Code::<W>::from_bytes(bytes)?)))
    }

    /// The width in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        bits_of(&self.0)
    }

    /// The bytes, in order.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        each!(&self.0, code => code.as_bytes())
    }
}

impl FromStr for AnyCode {
    type Err = Error;

    /// # Errors
    /// [`Error::NoWidth`] unless there are 16, 32, 64 or 128 characters, [`Error::Code`] if they are not all hexadecimal
    /// digits.
    fn from_str(text: &str) -> Result<Self, Error> {
        let got_bits = 4 * text.chars().count() as u64;
        let bits = u32::try_from(got_bits).map_err(|_| Error::NoWidth { got_bits })?;
        Ok(Self(of_bits!(bits, W => text.parse::<Code<W>>()?)))
    }
}

impl fmt::Display for AnyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each!(&self.0, code => code.fmt(f))
    }
}

impl fmt::Debug for AnyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! from_code {
    ($words:literal, $kind:ident) => {
        impl From<Code<$words>> for AnyCode {
            fn from(code: Code<$words>) -> Self {
                Self(Any::$kind(code))
            }
        }
    };
}
from_code!(1, Bits64);
from_code!(2, Bits128);
from_code!(4, Bits256);
from_code!(8, Bits512);

/// Codes of one width, in memory; ids are `0..len()`.
#[derive(Clone, Debug)]
pub struct AnyCodes(Any<Vec<Code<1>>, Vec<Code<2>>, Vec<Code<4>>, Vec<Code<8>>>);

impl AnyCodes {
    /// No codes yet, of so many bits.
    ///
    /// # Errors
    /// [`Error::NoWidth`] unless they are 64, 128, 256 or 512.
    pub fn new(bits: u32) -> Result<Self, Error> {
        Ok(Self(of_bits!(bits, W => Vec::<Code<W>>::new())))
    }

    /// The codes whose bytes these are, one after the other.
    ///
    /// # Errors
    /// [`Error::NoWidth`], or [`Error::Code`] if they are not a whole number of codes.
    pub fn from_bytes(bits: u32, bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self(of_bits!(bits, W => {
            // Not viewed as codes but copied: foreign bytes lie at any address.
            let (codes, rest) = bytes.split_at(bytes.len() - bytes.len() % Code::<W>::BYTES);
            if !rest.is_empty() {
                let (code_bytes, got_bytes) = (Code::<W>::BYTES, bytes.len());
                return Err(phash_code::Error::SliceLength { code_bytes, got_bytes }.into());
            }
            codes.chunks_exact(Code::<W>::BYTES).map(Code::<W>::from_bytes).collect::<Result<Vec<_>, _>>()?
        })))
    }

    /// The width in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        bits_of(&self.0)
    }

    /// How many codes there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        each!(&self.0, codes => phash_code::Codes::len(codes))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of an id.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<AnyCode> {
        each!(&self.0, codes => codes.get(id as usize).copied().map(AnyCode::from))
    }

    /// Adds a code and gives its id.
    ///
    /// # Errors
    /// [`Error::CodeWidth`] if it has another width, [`Error::Full`] after `u32::MAX` codes.
    pub fn push(&mut self, code: &AnyCode) -> Result<u32, Error> {
        let (id, mismatch) = (self.len(), mismatch(self.bits(), code));
        if id == u32::MAX {
            return Err(Error::Full { codes: id, more: 1 });
        }
        both!(&mut self.0, code.0, (codes, code) => codes.push(code), mismatch);
        Ok(id)
    }

    /// Builds an index segment of all codes, in memory.
    ///
    /// # Errors
    /// As [`build_segment`].
    pub fn build_segment(&self, params: &BuildParams) -> Result<Vec<u8>, Error> {
        each!(&self.0, codes => build_segment(codes, 0..self.len(), params))
    }
}

/// An index segment of codes of any of the widths.
#[derive(Clone, Debug)]
pub struct AnySegment<B>(Any<Segment<1, B>, Segment<2, B>, Segment<4, B>, Segment<8, B>>);

impl<B: AsRef<[u8]>> AnySegment<B> {
    /// Opens a segment; the bytes say the width. As [`Segment::open`].
    ///
    /// # Errors
    /// As [`Segment::open`]; [`Error::NoWidth`] for a segment of codes of another width.
    pub fn open(bytes: B) -> Result<Self, Error> {
        let bits = match crate::format::read(bytes.as_ref(), Code::<1>::BITS) {
            Err(Error::Width { got_bits, .. }) => got_bits,
            _ => Code::<1>::BITS,
        };
        Ok(Self(of_bits!(bits, W => Segment::<W, B>::open(bytes)?)))
    }

    /// The width of the codes in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        bits_of(&self.0)
    }

    /// The code ids it covers.
    #[must_use]
    pub fn ids(&self) -> std::ops::Range<u32> {
        each!(&self.0, segment => segment.ids())
    }

    /// As [`Segment::verify`].
    ///
    /// # Errors
    /// As [`Segment::verify`].
    pub fn verify(&self) -> Result<(), Error> {
        each!(&self.0, segment => segment.verify())
    }
}

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
    /// As [`build_segment`].
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

fn bits_of<A, B, C, D>(any: &Any<A, B, C, D>) -> u32 {
    match any {
        Any::Bits64(_) => 64,
        Any::Bits128(_) => 128,
        Any::Bits256(_) => 256,
        Any::Bits512(_) => 512,
    }
}

fn mismatch(expected_bits: u32, code: &AnyCode) -> Error {
    Error::CodeWidth { expected_bits, got_bits: code.bits() }
}
