//! Damaged and forged segments, read bucket by bucket: no answer is wrong, and nothing panics.

use phash_code::Code64;
use proptest::prelude::{any, proptest};
use proptest::test_runner::Config;

use crate::format::{DenseMeta, Meta, TableMeta};
use crate::fuzzing::{finished, mended, read_all};
use crate::{BuildParams, Error, Layout, Segment, build_segment};

/// Codes of which some are equal, so that the compact layout has dense buckets.
fn codes() -> Vec<Code64> {
    let code = |i: u64| Code64::from_le_words([i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 5)]);
    (0..90).chain(std::iter::repeat_n(4, 80)).map(code).collect()
}

fn segments() -> [Vec<u8>; 2] {
    [Layout::Compact, Layout::Fast].map(|layout| {
        build_segment(&codes(), 0..170, &BuildParams::default().with_layout(layout).with_substrings(12))
            .unwrap()
    })
}

#[test]
fn no_flipped_byte_goes_unnoticed_or_changes_what_a_bucket_holds() {
    for sound in segments() {
        let expected = read_all(&Segment::<1, _>::open(&sound).unwrap());
        let (mut refused, mut damaged) = (0, 0);
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= [0x01, 0x80, 0xff][at % 3];
            let Ok(segment) = Segment::<1, _>::open(&bytes) else {
                refused += 1;
                continue;
            };
            let read = read_all(&segment);
            assert_eq!(read.len(), expected.len());
            let pairs = read.iter().flatten().zip(expected.iter().flatten());
            assert!(pairs.clone().all(|(got, expected)| got.is_err() || got == expected), "byte {at}");
            // Those that read the changed byte's page.
            damaged += usize::from(pairs.filter(|(got, _)| got.is_err()).count() > 0);
            assert!(matches!(segment.verify(), Err(Error::Checksum { .. })), "byte {at}");
            assert!(!segment.pages().all_good());
        }
        let pages = Segment::<1, _>::open(&sound).unwrap().places().dense.start;
        // Of the pages only the header is looked at on opening.
        assert_eq!((refused, damaged), (sound.len() - pages + 16, pages - 16));
    }
}

#[test]
fn a_verified_segment_and_one_built_in_memory_are_trusted() {
    let [_, bytes] = segments();
    let segment = Segment::<1, _>::open(bytes).unwrap();
    assert!(!segment.reader().unwrap().trusted);
    segment.verify().unwrap();
    assert!(segment.reader().unwrap().trusted && segment.clone().reader().unwrap().trusted);
    let built = Segment::build(&codes(), 0..170, &BuildParams::default()).unwrap();
    assert!(built.reader().unwrap().trusted);
}

#[test]
fn bytes_that_shrink_after_opening_are_damage() {
    /// As many of the bytes as it says.
    struct Shrinking(Vec<u8>, std::cell::Cell<usize>);
    impl AsRef<[u8]> for Shrinking {
        fn as_ref(&self) -> &[u8] {
            &self.0[..self.1.get()]
        }
    }
    let [bytes, _] = segments();
    let len = bytes.len();
    let segment = Segment::<1, _>::open(Shrinking(bytes, len.into())).unwrap();
    assert!(segment.reader().is_ok());
    segment.bytes.1.set(len - 1);
    assert!(segment.reader().is_err() && segment.verify().is_err());
}

/// What `verify_against` says after `change` of metadata and bytes, under good checksums.
fn forged(change: impl FnOnce(&mut Meta, &mut Vec<u8>)) -> Error {
    let [_, bytes] = segments();
    let segment = Segment::<1, _>::open(&bytes).unwrap();
    let mut sections = bytes[..segment.places().page_sums.start].to_vec();
    let mut meta = segment.meta().clone();
    change(&mut meta, &mut sections);
    let bytes = finished(&sections, meta, 64).unwrap();
    let opened = Segment::<1, _>::open(bytes);
    opened.and_then(|segment| segment.verify_against(&codes())).unwrap_err()
}

#[test]
fn what_checksums_do_not_tell_verification_does() {
    let [_, bytes] = segments();
    let segment = Segment::<1, _>::open(&bytes).unwrap();
    let place = segment.places().tables[3].clone();
    let damaged = |error: Error, says: &str| {
        assert!(matches!(&error, Error::Damaged { what, .. } if what.contains(says)), "{error}");
    };
    let flip = |at: usize| forged(|_, sections| sections[at] ^= 1);
    damaged(flip(place.offsets.start), "does not start");
    damaged(flip(place.offsets.end - 4), "does not end");
    damaged(flip(place.shells.start + 5), "estimates");
    assert!(matches!(flip(place.planes.start), Error::OtherCodes { table: 3, .. }));
    assert!(matches!(flip(place.planes.end - 1), Error::OtherCodes { table: 3, .. }));
    // Two ids of different buckets change places.
    let swapped = forged(|_, sections| {
        let last = place.ids.end - 4;
        (0..4).for_each(|i| sections.swap(place.ids.start + i, last + i));
    });
    assert!(matches!(swapped, Error::OtherCodes { table: 3, .. } | Error::Damaged { .. }), "{swapped}");
    damaged(forged(|meta, _| meta.order = vec![3; 64]), "no permutation");
    let reversed = forged(|meta, _| meta.order = (0..64).rev().collect());
    assert!(matches!(reversed, Error::OtherCodes { table: 0, .. }));
    assert!(matches!(forged(|meta, _| meta.end_id = u32::MAX), Error::BeyondCodes { .. }));
    // Ids that one table holds and another does not.
    let missing = forged(|meta, sections| {
        meta.held_ids -= 1;
        meta.tables.iter_mut().for_each(|table| table.listed_ids -= 1);
        let (mut kept, mut start) = (Vec::new(), 16);
        for (number, place) in segment.places().tables.iter().enumerate() {
            kept.extend_from_slice(&sections[start..place.offsets.start]);
            start = place.shells.end;
            kept.extend(without_one(sections, place, number == 3));
        }
        kept.extend_from_slice(&sections[start..]);
        *sections = [&sections[..16], &kept].concat();
    });
    damaged(missing, "same ids");
}

/// The arrays of a table without the entry of the last id of its last bucket, or of its first bucket.
fn without_one(sections: &[u8], place: &crate::places::TablePlace, first: bool) -> Vec<u8> {
    let numbers = |range: &std::ops::Range<usize>| -> Vec<u32> {
        sections[range.clone()].chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let (mut offsets, ids, planes) = (numbers(&place.offsets), numbers(&place.ids), numbers(&place.planes));
    let buckets: Vec<(usize, usize)> =
        offsets.windows(2).map(|w| (w[0] as usize, w[1] as usize)).filter(|(s, e)| s < e).collect();
    let (start, end) = if first { buckets[0] } else { buckets[buckets.len() - 1] };
    let value = offsets.iter().position(|&offset| offset as usize == end).unwrap();
    let value = if first { value } else { offsets.partition_point(|&offset| (offset as usize) < end) };
    offsets[value..].iter_mut().for_each(|offset| *offset -= 1);
    let (len, kept_ids) = (end - start, [&ids[..end - 1], &ids[end..]].concat());
    let mut kept_planes = planes[..start * 2].to_vec();
    for plane in 0..2 {
        let row = &planes[start * 2 + plane * len..start * 2 + (plane + 1) * len];
        kept_planes.extend_from_slice(&row[..len - 1]);
    }
    kept_planes.extend_from_slice(&planes[end * 2..]);
    let mut counts: Vec<u32> = offsets.windows(2).map(|w| w[1] - w[0]).collect();
    let mut shells = Vec::new();
    crate::shells::Shells::new().fill(counts.drain(..), &mut shells);
    let numbers = [offsets, kept_ids, kept_planes].concat();
    numbers.iter().flat_map(|n| n.to_le_bytes()).chain(shells.into_iter().flatten()).collect()
}

proptest! {
    #![proptest_config(Config::with_cases(400))]
    /// Small numbers pass more checks than random ones: offsets and ids that are merely wrong.
    #[test]
    fn numbers_at_random_under_good_checksums_never_panic(
        fast in any::<bool>(), edits in proptest::collection::vec((any::<u32>(), 0u32..200), 1..60),
    ) {
        let mut bytes = segments()[usize::from(fast)].clone();
        let pages = Segment::<1, _>::open(&bytes).unwrap().places().dense.start;
        for (at, number) in edits {
            let at = 16 + at as usize % (pages / 4 - 4) * 4;
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        let segment = Segment::<1, _>::open(mended::<1>(&bytes).unwrap()).unwrap();
        let cold = read_all(&segment);
        let verified = segment.verify();
        assert!(verified.is_err() || cold.iter().flatten().all(Result::is_ok));
        let _ = segment.verify_against(&codes());
    }

    #[test]
    fn metadata_at_random_under_good_checksums_never_panics(
        fast in any::<bool>(),
        ids in (any::<u32>(), 0u32..200, 0u32..200), planes in 0u32..6, held in any::<bool>(),
        tables in proptest::collection::vec((0u32..66, 0u32..28, 0u32..200, any::<bool>()), 0..14),
        dense in proptest::collection::vec((0u32..14, 0u32..70, 0u32..200, 0u32..300), 0..4),
        order in proptest::collection::vec(0u16..66, 0..66), parts in 0u8..64,
    ) {
        let bytes = &segments()[usize::from(fast)];
        let segment = Segment::<1, _>::open(bytes).unwrap();
        let sections = &bytes[..segment.places().page_sums.start];
        let mut meta = segment.meta().clone();
        let part = |i: u8| parts >> i & 1 == 1;
        if part(0) {
            (meta.first_id, meta.end_id) = (ids.1, if held { ids.0 } else { ids.2 });
        }
        if part(1) { meta.planes = planes; }
        if part(2) { meta.held_ids = ids.1; }
        if part(3) {
            meta.tables = tables.into_iter().map(|(first_bit, len_bits, listed_ids, even)| TableMeta { first_bit, len_bits, listed_ids, even }).collect();
        }
        if part(4) {
            meta.dense = dense.into_iter().map(|(table, value, ids, len_bytes)| DenseMeta { table, value, ids, len_bytes }).collect();
        }
        if part(5) { meta.order = order; }
        let Some(bytes) = finished(sections, meta, 64) else { return Ok(()) };
        if let Ok(segment) = Segment::<1, _>::open(bytes) {
            read_all(&segment);
            let _ = segment.verify();
            let _ = segment.verify_against(&codes());
        }
    }
}
