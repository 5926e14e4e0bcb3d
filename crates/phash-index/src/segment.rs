//! Owns [`Segment`]: an index segment opened over bytes, without copying its arrays. Opening checks header, metadata
//! and every place; what the arrays hold is checked where it is used, and all at once by [`Segment::verify`].

use std::ops::Range;

use phash_code::Code;
use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

use crate::Error;
use crate::cut::Substring;
use crate::dense::{self, DenseBucket};
use crate::format::{self, Layout};

/// An immutable index segment: the bucket tables of a range of code ids, over any bytes (a vector, a mapped file).
///
/// `W` is the width of the codes in 64-bit words.
#[derive(Clone, Debug)]
pub struct Segment<const W: usize, B> {
    bytes: B,
    layout: Layout,
    dense: Vec<DenseBucket>,
    /// The value of each dense bucket, close together for searching.
    dense_values: Vec<u32>,
    /// Where the dense buckets of each table end.
    dense_ends: Vec<usize>,
    dense_bucket_ids: f64,
}

/// One bucket table of a segment.
pub(crate) struct TableView<'s> {
    pub(crate) substring: Substring,
    /// One more than the substring has values.
    pub(crate) offsets: &'s [U32],
    /// The listed ids, relative to the segment's first.
    pub(crate) ids: &'s [U32],
    /// The buckets kept as bitmaps; they are empty in `offsets`.
    pub(crate) dense: &'s [DenseBucket],
    /// Their values, ascending.
    pub(crate) dense_values: &'s [u32],
}

impl<const W: usize, B: AsRef<[u8]>> Segment<W, B> {
    /// Opens a segment that [`crate::build_segment`] made.
    ///
    /// Cheap: reads the header, the metadata and the dense buckets, and checks that every section lies where it should.
    /// Damage inside the arrays is found by [`Self::verify`], or, if a search runs into it, by the search, which then
    /// does without the segment.
    ///
    /// # Errors
    /// [`Error::Magic`], [`Error::Version`], [`Error::Width`], [`Error::Length`], [`Error::Checksum`] or
    /// [`Error::Damaged`]: the bytes are not a segment of such codes, or not a whole one.
    pub fn open(bytes: B) -> Result<Self, Error> {
        let all = bytes.as_ref();
        let layout = format::read(all, Code::<W>::BITS)?;
        let meta = &layout.meta;
        let dense = dense::decode(&all[layout.dense.clone()], &meta.dense, meta.end_id - meta.first_id)?;
        let dense_values = dense.iter().map(|bucket| bucket.value).collect();
        let end = |number: u32| dense.partition_point(|bucket| bucket.table <= number);
        let dense_ends = (0u32..).zip(&layout.tables).map(|(number, _)| end(number)).collect();
        let squares: f64 = dense.iter().map(|bucket| (bucket.ids.len() as f64).powi(2)).sum();
        let all_ids = f64::from(meta.end_id - meta.first_id).max(1.0) * layout.tables.len() as f64;
        let dense_bucket_ids = squares / all_ids;
        Ok(Self { bytes, layout, dense, dense_values, dense_ends, dense_bucket_ids })
    }

    /// The bytes the segment was opened over.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl<const W: usize, B> Segment<W, B> {
    /// The code ids it indexes.
    pub fn ids(&self) -> Range<u32> {
        self.layout.meta.first_id..self.layout.meta.end_id
    }

    /// How many substrings (bucket tables) it has.
    pub fn substrings(&self) -> u32 {
        u32::try_from(self.layout.tables.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many ids the bucket of a stored code holds that the dense buckets account for, on average.
    pub(crate) fn dense_bucket_ids(&self) -> f64 {
        self.dense_bucket_ids
    }

    /// The substring of each table.
    pub(crate) fn cut(&self) -> impl ExactSizeIterator<Item = Substring> {
        self.layout.tables.iter().map(|table| table.substring)
    }
}

impl<const W: usize, B: AsRef<[u8]>> Segment<W, B> {
    /// The tables; `None` stands for one that the bytes no longer hold.
    pub(crate) fn tables(&self) -> impl Iterator<Item = Option<TableView<'_>>> {
        let bytes = self.bytes.as_ref();
        let starts = std::iter::once(&0).chain(&self.dense_ends);
        self.layout.tables.iter().zip(starts.zip(&self.dense_ends)).map(move |(place, (&start, &end))| {
            Some(TableView {
                substring: place.substring,
                offsets: <[U32]>::ref_from_bytes(bytes.get(place.offsets.clone())?).ok()?,
                ids: <[U32]>::ref_from_bytes(bytes.get(place.ids.clone())?).ok()?,
                dense: &self.dense[start..end],
                dense_values: &self.dense_values[start..end],
            })
        })
    }
}
