//! What the fuzz target of segments and the tests share. Not part of the public interface: no promise of stability.
//! Panics when a property is broken.

use phash_code::{Code, Code64};
use rkyv::rancor;
use zerocopy::IntoBytes;

use crate::format::{FOOTER_BYTES, HEADER_BYTES, Meta, ending};
use crate::pages::{Damaged, PageSums};
use crate::places::Places;
use crate::{Error, Index, Segment, Strategy, scan};

/// What became of an input.
#[derive(Debug)]
pub enum Verdict {
    /// It cannot be opened.
    Refused(Error),
    /// It can, but is damaged, or made from other codes.
    Unsound(Error),
    /// It is a segment of the first of [`codes`].
    Sound,
}

/// The codes that the segments of the corpus were made from.
#[must_use]
pub fn codes() -> Vec<Code64> {
    // Few bits set, so that buckets hold several ids.
    let bits = |i: u64| 1 << (i * 7 % 64) | 1 << (i * i % 61) | (i % 3) << 20;
    (0..40).map(|i| Code::from_le_words([bits(i)])).collect()
}

/// Opens and reads `bytes` as they are, and once more with checksums that fit them. The verdict on the latter, if they
/// are so much like a segment that there can be checksums.
///
/// # Panics
/// If a read leads out of the segment, or a segment that was verified against the codes does not find what a scan finds.
pub fn index_segment(bytes: &[u8]) -> Verdict {
    let verdict = judge(bytes);
    match mended::<1>(bytes) {
        Some(mended) => judge(&mended),
        None => verdict,
    }
}

fn judge(bytes: &[u8]) -> Verdict {
    let segment = match Segment::<1, _>::open(bytes) {
        Ok(segment) => segment,
        Err(error) => return Verdict::Refused(error),
    };
    let cold = read_all(&segment);
    let codes = codes();
    if let Err(error) = segment.verify_against(&codes) {
        return Verdict::Unsound(error);
    }
    let warm = read_all(&segment);
    assert!(cold.iter().flatten().all(Result::is_ok) && cold == warm, "a sound segment reads differently");
    let segments = [segment];
    let index = Index::new(&codes, &segments).expect("it lies within the codes").strategy(Strategy::Index);
    if segments[0].held_ids() == segments[0].ids().end - segments[0].ids().start {
        for query in [codes[0], codes[5], Code::ZERO] {
            for radius_bits in [0, 3, 9] {
                let found = index.within(&query, radius_bits).matches;
                assert_eq!(found, scan::within(&codes, &query, radius_bits).matches, "not what a scan finds");
            }
        }
    }
    Verdict::Sound
}

/// The ids, the planes and the estimates, if any, of one bucket; for tables, one entry a value.
pub(crate) type Bucket = (Vec<u32>, Vec<u32>, Option<[u8; 4]>);

/// Every bucket of every table, listed and dense together.
pub(crate) fn read_all<const W: usize, B: AsRef<[u8]>>(
    segment: &Segment<W, B>,
) -> Vec<Vec<Result<Bucket, Damaged>>> {
    let arrays = segment.reader().expect("the bytes are those that were opened");
    let tables = segment.tables().iter().enumerate();
    tables
        .map(|(number, &substring)| {
            let table = arrays.table(number).expect("there are so many tables");
            let (dense, dense_values) = arrays.dense(number);
            let read = |value: u32| {
                let (start, end) = table.bucket(value)?;
                assert!(start <= end && end <= table.listed_ids(), "a bucket beyond the ids");
                let numbers =
                    |numbers: &[zerocopy::little_endian::U32]| numbers.iter().map(|n| n.get()).collect();
                let mut ids: Vec<u32> = numbers(table.ids(start, end)?);
                assert_eq!(ids.len(), (end - start) as usize, "as many ids as entries");
                let planes: Vec<u32> = numbers(table.planes(start, end)?);
                assert_eq!(planes.len(), ids.len() * segment.planes(), "as many planes as entries have");
                if let Ok(at) = dense_values.binary_search(&value) {
                    ids.extend(&dense[at].ids);
                }
                Ok((ids, planes, arrays.shells(number, value)?))
            };
            (0..substring.values()).map(read).collect()
        })
        .collect()
}

/// The bytes with checksums, page sums and lengths that fit the rest of them, if their metadata can be read.
#[must_use]
pub fn mended<const W: usize>(bytes: &[u8]) -> Option<Vec<u8>> {
    let code_bits = Code::<W>::BITS;
    let (before, footer) = bytes.split_at_checked(bytes.len().checked_sub(FOOTER_BYTES)?)?;
    let meta_len = usize::try_from(u64::from_le_bytes(*footer.first_chunk()?)).ok()?;
    let meta_start = before.len().checked_sub(meta_len).filter(|&start| start >= HEADER_BYTES)?;
    let meta = rkyv::from_bytes::<Meta, rancor::Error>(&before[meta_start..]).ok()?;
    let places = Places::of(&meta, code_bits, meta_start).ok()?;
    finished(&before[..places.page_sums.start], meta, code_bits)
}

/// A segment of these tables and dense buckets and this metadata, whose checksums are set right.
pub(crate) fn finished(sections: &[u8], mut meta: Meta, code_bits: u32) -> Option<Vec<u8>> {
    let dense_bytes: u64 = meta.dense.iter().map(|bucket| u64::from(bucket.len_bytes)).sum();
    let tables = sections.len().checked_sub(usize::try_from(dense_bytes).ok()?)?;
    let mut sums = PageSums::default();
    sums.add(&sections[..tables]);
    let sums = sums.finish();
    meta.page_sums_crc32 = crc32fast::hash(sums.as_bytes());
    meta.dense_crc32 = crc32fast::hash(&sections[tables..]);
    let mut bytes = [sections, sums.as_bytes()].concat();
    bytes.extend(ending(&meta, code_bits, bytes.len() as u64).ok()?);
    Some(bytes)
}
