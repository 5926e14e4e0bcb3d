//! A million codes through the public interface: the index equals the scan, and looks at few of them.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use common::Random;
use phash_code::Code;
use phash_index::{BuildParams, Index, Plan, Segment, build_segment, scan};

#[test]
fn a_million_codes_are_indexed_and_found_as_by_the_scan() {
    let mut random = Random(20_261_121);
    let codes: Vec<Code<4>> = (0..1_000_000).map(|_| random.code()).collect();
    let build =
        |ids| Segment::<4, _>::open(build_segment(&codes, ids, &BuildParams::default()).unwrap()).unwrap();
    // Two segments and a short tail, as a library that grew has them.
    let segments = [build(0..900_000), build(900_000..999_000)];
    segments[1].verify_against(&codes).unwrap();
    let index = Index::new(&codes, &segments).unwrap();
    for i in 0..24 {
        let flips = random.below(32);
        let source = random.below(1_000_000);
        let query = if i % 4 == 3 { random.code() } else { random.near(&codes[source as usize], flips) };
        for radius_bits in [0, 12, 31, 95] {
            let found = index.within(&query, radius_bits);
            assert_eq!(found.matches, scan::within(&codes, &query, radius_bits).matches);
            if radius_bits <= 31 {
                // The short segment may be scanned at the largest of these radii.
                assert_eq!(found.stats.plan, Plan::Mixed);
                assert!(found.stats.scanned == 1000 || (radius_bits == 31 && found.stats.scanned == 100_000));
                assert!(found.stats.verified < 10_000, "{:?}", found.stats);
            }
        }
        for k in [1, 10] {
            assert_eq!(index.nearest(&query, k).matches, scan::nearest(&codes, &query, k).matches);
        }
    }
}
