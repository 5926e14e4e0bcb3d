//! Owns [`Segment`]: an index segment opened over bytes, without copying its arrays. Opening checks everything but the
//! arrays; their pages are checked when they are first read, and all at once by [`Segment::verify`].

use std::marker::PhantomData;
use std::ops::Range;

use phash_code::{Code, Codes};

use crate::arrays::Arrays;
use crate::bit_order::BitOrder;
use crate::build::build_segment;
use crate::costs::Costs;
use crate::cut::Substring;
use crate::dense::{self, DenseBuckets};
use crate::even::Even;
use crate::format::{self, Meta, check_crc32};
use crate::pages::{Damaged, Pages};
use crate::places::Places;
use crate::sketch::{PLANE_BITS, Window};
use crate::{BuildParams, Error, Layout};

/// An immutable index segment: the bucket tables of a range of code ids, over any bytes (a vector, a mapped file).
///
/// `W` is the width of the codes in 64-bit words.
#[derive(Clone, Debug)]
pub struct Segment<const W: usize, B> {
    pub(crate) bytes: B,
    len_bytes: usize,
    meta: Meta,
    places: Places,
    order: BitOrder<W>,
    /// The window of each table's substring.
    windows: Vec<Window>,
    costs: Costs,
    /// The shells that queries take, if all tables are even.
    even: Option<Even>,
    dense: DenseBuckets,
    pages: Pages,
    codes: PhantomData<Code<W>>,
}

impl<const W: usize> Segment<W, Vec<u8>> {
    /// Builds the segment of the codes `ids` in memory. Its bytes need no check: it is what [`Self::open`] of
    /// [`build_segment`]'s bytes gives, but for pages that need not be compared when they are first read.
    ///
    /// # Errors
    /// As [`build_segment`].
    pub fn build<C: Codes<W> + Sync + ?Sized>(
        codes: &C,
        ids: Range<u32>,
        params: &BuildParams,
    ) -> Result<Self, Error> {
        let segment = Self::open(build_segment(codes, ids, params)?)?;
        segment.pages.trust();
        Ok(segment)
    }
}

impl<const W: usize, B: AsRef<[u8]>> Segment<W, B> {
    /// Opens a segment that [`crate::write_segment`] made.
    ///
    /// Cheap: reads header, metadata, dense buckets and page sums, about a thousandth of the bytes, and checks that
    /// every section lies where it should. Damage inside the arrays is found by [`Self::verify`], or, where a search runs
    /// into it, by the search, which then does without the segment.
    ///
    /// # Errors
    /// [`Error::Magic`], [`Error::Version`], [`Error::Width`], [`Error::Length`], [`Error::Checksum`] or
    /// [`Error::Damaged`]: the bytes are not a segment of such codes, or not a whole one.
    pub fn open(bytes: B) -> Result<Self, Error> {
        let all = bytes.as_ref();
        let (meta, end) = format::read(all, Code::<W>::BITS)?;
        let places = Places::of(&meta, Code::<W>::BITS, end)?;
        let order = BitOrder::new(&meta.order)
            .ok_or(Error::Damaged { what: "the order of the bits is no permutation", table: 0 })?;
        let check = |section, place: &Range<usize>, crc32| {
            check_crc32(section, place.start as u64, crc32, || crc32fast::hash(&all[place.clone()]))
        };
        check("page sums", &places.page_sums, meta.page_sums_crc32)?;
        check("dense buckets", &places.dense, meta.dense_crc32)?;
        let buckets = dense::decode(&all[places.dense.clone()], &meta.dense, meta.end_id - meta.first_id)?;
        let dense = DenseBuckets::new(buckets, places.tables.len());
        let pages = Pages::new(places.dense.start, places.page_sums.clone());
        let windows =
            places.substrings.iter().map(|&substring| Window::of_substring::<W>(substring)).collect();
        let len_bytes = all.len();
        let complete = is_complete::<W>(&meta, &places);
        let planes = meta.planes as usize;
        let costs = Costs::of::<W>(meta.end_id - meta.first_id, len_bytes, planes, complete);
        let is_even = meta.tables.iter().all(|table| table.even);
        let even = is_even.then(|| Even::new(meta.held_ids, &places.substrings, Code::<W>::BITS, &costs));
        Ok(Self {
            bytes,
            len_bytes,
            meta,
            places,
            order,
            windows,
            costs,
            even,
            dense,
            pages,
            codes: PhantomData,
        })
    }

    /// The bytes the segment was opened over.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The arrays, to be read. Cheap: once a query.
    pub(crate) fn reader(&self) -> Result<Arrays<'_, W>, Damaged> {
        let bytes = self.bytes.as_ref();
        if bytes.len() != self.len_bytes {
            return Err(Damaged::at(bytes.len()));
        }
        Ok(Arrays {
            bytes,
            places: &self.places,
            dense: &self.dense,
            order: &self.order,
            pages: &self.pages,
            planes: self.planes(),
            trusted: self.pages.all_good(),
        })
    }
}

impl<const W: usize, B> Segment<W, B> {
    /// The code ids it covers.
    pub fn ids(&self) -> Range<u32> {
        self.meta.first_id..self.meta.end_id
    }

    /// How many of them it holds: all but those that were removed when it was built.
    pub fn held_ids(&self) -> u32 {
        self.meta.held_ids
    }

    /// The layout it was built with.
    pub fn layout(&self) -> Layout {
        if self.meta.planes == 0 { Layout::Compact } else { Layout::Fast }
    }

    /// How many substrings (bucket tables) it has.
    pub fn substrings(&self) -> u32 {
        u32::try_from(self.places.substrings.len()).unwrap_or(u32::MAX)
    }

    /// The substring of ordered codes that each table is of.
    pub(crate) fn tables(&self) -> &[Substring] {
        &self.places.substrings
    }

    /// The windows of these substrings.
    pub(crate) fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The planes of a sketch; 0 in the compact layout.
    pub(crate) fn planes(&self) -> usize {
        self.meta.planes as usize
    }

    /// Whether a substring and its sketch are always the whole code.
    pub(crate) fn is_complete(&self) -> bool {
        is_complete::<W>(&self.meta, &self.places)
    }

    /// What its search costs.
    pub(crate) fn costs(&self) -> &Costs {
        &self.costs
    }

    /// The shells that queries take, if they are the same for all.
    pub(crate) fn even(&self) -> Option<&Even> {
        self.even.as_ref()
    }

    /// The order in which the segment takes the bits of a code.
    pub(crate) fn order(&self) -> &BitOrder<W> {
        &self.order
    }

    #[cfg(test)]
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.pages
    }
}

fn is_complete<const W: usize>(meta: &Meta, places: &Places) -> bool {
    let shortest = places.substrings.iter().map(|substring| substring.len_bits).min().unwrap_or(0);
    let sketch_bits = u64::from(meta.planes) * u64::from(PLANE_BITS);
    sketch_bits > 0 && sketch_bits + u64::from(shortest) >= u64::from(Code::<W>::BITS)
}
