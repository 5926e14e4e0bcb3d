//! Owns [`Search`]: the codes of one view (or raw ones), their index segments and those that are never found: void and
//! removed ones. Searched exactly. A segment that cannot be used is left out: what it covers is scanned.

use phash_code::{Code, Codes};
use phash_core::{CODE_WORDS, ModelCode, View};
use phash_index::{BuildParams, Index, Layout, Matches, Segment, build_segment};
use phash_store::{CodeView, Reader, SegmentBytes, StoredSegment};
use roaring::RoaringBitmap;

use crate::error::{Error, Result};
use crate::segments::MIN_CODES;

/// One view's codes, or raw ones, ready to be searched.
#[derive(Debug)]
pub(crate) struct Search<const W: usize, C> {
    /// What messages call it.
    view: String,
    codes: C,
    segments: Vec<Segment<W, Bytes>>,
    /// Void and removed codes.
    denied: RoaringBitmap,
    /// Segments that were left out, and why.
    unusable: Vec<Error>,
}

/// The search of one view of models.
pub(crate) type ViewSearch<C> = Search<CODE_WORDS, C>;

/// The bytes of an index segment.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    Stored(SegmentBytes),
    Built(Vec<u8>),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Bytes::Stored(bytes) => bytes.as_ref(),
            Bytes::Built(bytes) => bytes,
        }
    }
}

impl<const W: usize> Search<W, CodeView<W>> {
    /// The search of stored codes with their index segments.
    pub(crate) fn stored(
        view: &str,
        codes: CodeView<W>,
        denied: RoaringBitmap,
        stored: Vec<StoredSegment>,
    ) -> Self {
        let mut search =
            Self { view: view.to_owned(), codes, segments: Vec::new(), denied, unusable: Vec::new() };
        for (ids, bytes) in stored {
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(source) => {
                    search.unusable.push(Error::SegmentFile { source });
                    continue;
                }
            };
            match Segment::open(Bytes::Stored(bytes)) {
                Ok(segment) if segment.ids() == ids => search.segments.push(segment),
                Ok(segment) => {
                    let source =
                        phash_index::Error::BeyondCodes { ids: segment.ids(), codes: search.codes.len() };
                    search.unusable.push(search.error(source));
                }
                Err(source) => search.unusable.push(search.error(source)),
            }
        }
        if let Err(source) = Index::new(&search.codes, &search.segments) {
            search.segments.clear();
            search.unusable.push(search.error(source));
        }
        search
    }
}

impl ViewSearch<CodeView<CODE_WORDS>> {
    /// The search of a stored view of models.
    pub(crate) fn of_view(view: View, reader: &Reader) -> Result<Self> {
        let name = view.name();
        let denied = reader.voids(name)? | reader.removed()?;
        Ok(Self::stored(name, reader.codes(name)?, denied, reader.segments(name)?))
    }
}

impl ViewSearch<Vec<ModelCode>> {
    /// The search of codes in memory; indexed if they are many.
    pub(crate) fn in_memory(view: View, codes: Vec<ModelCode>, denied: RoaringBitmap) -> Result<Self> {
        let mut search =
            Self { view: view.name().to_owned(), codes, segments: Vec::new(), denied, unusable: Vec::new() };
        let len = Codes::len(&search.codes);
        if len >= MIN_CODES {
            let built = build_segment(&search.codes, 0..len, &BuildParams::default())
                .and_then(|bytes| Segment::open(Bytes::Built(bytes)));
            search.segments.push(built.map_err(|source| search.error(source))?);
        }
        Ok(search)
    }
}

impl<const W: usize, C: Codes<W>> Search<W, C> {
    /// All codes within the radius (inclusive): id and distance, by distance, then id.
    pub(crate) fn within(&self, query: &Code<W>, radius_bits: u32) -> Vec<(u32, u32)> {
        self.index().map_or_else(Vec::new, |index| pairs(&index.within(query, radius_bits)))
    }

    /// The `k` nearest codes: id and distance, by distance, then id.
    pub(crate) fn nearest(&self, query: &Code<W>, k: usize) -> Vec<(u32, u32)> {
        self.index().map_or_else(Vec::new, |index| pairs(&index.nearest(query, k)))
    }

    /// The code of a model, unless it is void or removed.
    pub(crate) fn code(&self, id: u32) -> Option<&Code<W>> {
        if self.denied.contains(id) { None } else { self.codes.get(id) }
    }

    /// The ranges of ids that segments cover, in order.
    pub(crate) fn indexed(&self) -> Vec<std::ops::Range<u32>> {
        self.segments.iter().map(Segment::ids).collect()
    }

    /// The layout of each of them.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        self.segments.iter().map(Segment::layout).collect()
    }

    /// The layout of the newest segment: the last one, as segments are joined from the end.
    pub(crate) fn newest_layout(&self) -> Option<Layout> {
        self.segments.last().map(Segment::layout)
    }

    /// Why segments were left out.
    pub(crate) fn unusable(&self) -> &[Error] {
        &self.unusable
    }

    /// What messages call the view.
    pub(crate) fn view(&self) -> &str {
        &self.view
    }

    /// The codes.
    pub(crate) fn codes(&self) -> &C {
        &self.codes
    }

    fn error(&self, source: phash_index::Error) -> Error {
        Error::Index { view: self.view.clone(), source }
    }

    /// Always there: the segments were checked against the codes when the search was made.
    pub(crate) fn index(&self) -> Option<Index<'_, W, C, Bytes>> {
        let index = Index::new(&self.codes, &self.segments).ok()?;
        Some(index.deny(&self.denied))
    }
}

fn pairs(found: &Matches) -> Vec<(u32, u32)> {
    found.matches.iter().map(|found| (found.id, found.distance_bits)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn void_codes_are_never_found() {
        let codes = vec![ModelCode::ZERO; 3];
        let search = ViewSearch::in_memory(View::Energy, codes, [1].into_iter().collect()).unwrap();
        assert_eq!(search.within(&ModelCode::ZERO, 512), [(0, 0), (2, 0)]);
        assert_eq!(search.nearest(&ModelCode::ZERO, 5), [(0, 0), (2, 0)]);
        assert!(search.code(1).is_none() && search.code(2).is_some() && search.code(3).is_none());
    }
}
