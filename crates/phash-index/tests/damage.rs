//! Damaged and hostile segments: reported, or without effect on the answers; never a panic.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{Random, ranked};
use phash_code::Code;
use phash_index::{BuildParams, Error, Index, Match, Segment, Strategy, build_segment};

struct Setup {
    codes: Vec<Code<1>>,
    bytes: Vec<u8>,
    queries: Vec<(Code<1>, Vec<Match>)>,
}

/// A segment with listed and dense buckets, and queries with their true answers.
fn setup() -> Setup {
    let mut random = Random(21);
    let mut codes: Vec<Code<1>> = (0..90).map(|_| random.code()).collect();
    codes.extend(vec![codes[4]; 80]);
    let bytes = build_segment(&codes, 0..170, &BuildParams::default().with_substrings(12)).unwrap();
    let queries =
        [codes[4], codes[50], random.near(&codes[60], 7)].map(|query| (query, ranked(&codes, &[], &query)));
    Setup { codes, bytes, queries: queries.into() }
}

const RADII_BITS: [u32; 3] = [0, 9, 30];

fn answers_are_right(setup: &Setup, segment: Segment<1, &[u8]>) -> bool {
    let segments = [segment];
    // Damage may move the range of ids: then the index is refused, which is a report as well.
    let Ok(index) = Index::new(&setup.codes, &segments) else { return true };
    let index = index.strategy(Strategy::Index);
    setup.queries.iter().all(|(query, all)| {
        let within = RADII_BITS.iter().all(|&radius_bits| {
            let end = all.partition_point(|m| m.distance_bits <= radius_bits);
            index.within(query, radius_bits).matches == all[..end]
        });
        // Both are asked whatever the first says: neither may panic.
        let nearest = index.nearest(query, 5).matches == all[..5];
        within && nearest
    })
}

#[test]
fn every_flipped_byte_is_reported_or_harmless() {
    let setup = setup();
    assert!(answers_are_right(&setup, Segment::open(&setup.bytes[..]).unwrap()));
    let (mut refused, mut found) = (0, 0);
    for at in 0..setup.bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = setup.bytes.clone();
            bytes[at] ^= flip;
            let Ok(segment) = Segment::<1, _>::open(&bytes[..]) else {
                refused += 1;
                continue;
            };
            let verified = segment.verify();
            let right = answers_are_right(&setup, segment);
            assert!(
                verified.is_err() || right,
                "byte {at} ^ {flip:#x}: not reported, and the answers changed"
            );
            found += usize::from(verified.is_err());
        }
    }
    // Header, metadata and footer are checked on opening, the arrays by `verify`: between them, every byte.
    assert_eq!(refused + found, setup.bytes.len() * 3);
    assert!(refused > 0 && found > 0);
}

#[test]
fn every_truncation_is_refused() {
    let setup = setup();
    for len in 0..setup.bytes.len() {
        assert!(Segment::<1, _>::open(&setup.bytes[..len]).is_err(), "{len} bytes");
        assert!(Segment::<1, _>::open(&setup.bytes[setup.bytes.len() - len..]).is_err(), "last {len} bytes");
    }
    let longer = [&setup.bytes[..], &[0]].concat();
    assert!(Segment::<1, _>::open(&longer[..]).is_err());
}

#[test]
fn damage_a_search_runs_into_does_not_change_its_answer() {
    let setup = setup();
    // The offsets of the first table (6 bits) start after the header; the ids of its last bucket lie at its end.
    for (at, what) in [(16, "offsets"), (16 + 4 * 65, "ids")] {
        let mut bytes = setup.bytes.clone();
        bytes[at..at + 240].fill(0xff);
        let segments = [Segment::<1, _>::open(&bytes[..]).unwrap()];
        assert!(matches!(segments[0].verify(), Err(Error::Checksum { .. })));
        let index = Index::new(&setup.codes, &segments).unwrap().strategy(Strategy::Index);
        let (query, all) = &setup.queries[1];
        let found = index.within(query, 64);
        assert_eq!((&found.matches, found.stats.damaged_segments), (all, 1), "{what}");
        let found = index.nearest(query, 100);
        assert_eq!((&found.matches[..], found.stats.damaged_segments), (&all[..100], 1), "{what}");
    }
}

#[test]
fn arbitrary_arrays_under_valid_metadata_never_panic() {
    let setup = setup();
    let mut random = Random(99);
    for _ in 0..2000 {
        let mut bytes = setup.bytes.clone();
        for _ in 0..1 + random.below(40) {
            // Small numbers pass more checks than random ones: offsets and ids that are merely wrong.
            let at = 16 + 4 * random.below(800) as usize;
            bytes[at..at + 4].copy_from_slice(&random.below(200).to_le_bytes());
        }
        if let Ok(segment) = Segment::<1, _>::open(&bytes[..]) {
            let _ = segment.verify();
            let _ = segment.verify_against(&setup.codes);
            answers_are_right(&setup, segment);
        }
    }
}

#[test]
fn a_segment_of_other_codes_is_told_from_a_damaged_one() {
    let setup = setup();
    let segment = Segment::<1, _>::open(&setup.bytes[..]).unwrap();
    segment.verify_against(&setup.codes).unwrap();
    let mut others = setup.codes.clone();
    let bit = others[33].bit(63);
    others[33].set_bit(63, !bit);
    assert!(matches!(segment.verify_against(&others), Err(Error::OtherCodes { id: 33, table: 11 })));
}

#[test]
fn each_wrong_field_has_its_own_error() {
    let setup = setup();
    let open = |at: usize, byte: u8| {
        let mut bytes = setup.bytes.clone();
        bytes[at] ^= byte;
        Segment::<1, _>::open(bytes).unwrap_err()
    };
    let len = setup.bytes.len();
    assert!(matches!(open(0, 1), Error::Magic { offset_bytes: 0 }));
    assert!(matches!(open(8, 1), Error::Version { expected: 3, got: 2 }));
    assert!(matches!(open(len - 1, 1), Error::Magic { .. }));
    assert!(matches!(open(len - 32, 1), Error::Checksum { section: "footer", .. }));
    assert!(matches!(open(len - 40, 1), Error::Checksum { section: "metadata", .. }));
    assert!(matches!(
        Segment::<2, _>::open(&setup.bytes[..]),
        Err(Error::Width { expected_bits: 128, got_bits: 64 })
    ));
    assert!(matches!(Segment::<1, _>::open(&setup.bytes[..20]), Err(Error::Length { got_bytes: 20, .. })));
}
