//! A search with the caller's buffers allocates nothing once these have grown, of every width, layout and strategy, with and
//! without a filter. What must hold: this file alone uses the counting allocator, which counts thread by thread.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::hint::black_box;
use std::ops::ControlFlow;

use allocation_counter::{AllocationInfo, measure};
use common::{Random, segments_with};
use phash_code::Code;
use phash_index::{BuildParams, Index, Layout, Match, Plan, Scratch, Strategy};
use roaring::RoaringBitmap;

const N: u32 = 24_000;

/// What `work` allocates the second time.
fn again(mut work: impl FnMut()) -> AllocationInfo {
    work();
    measure(work)
}

fn check<const W: usize>(layout: Layout) {
    let mut random = Random(W as u64);
    let bits = Code::<W>::BITS;
    let centre: Code<W> = random.code();
    // A quarter in few buckets, so that some of these are dense.
    let codes: Vec<Code<W>> = (0..N)
        .map(|i| match i % 4 {
            0 => random.near(&centre, bits / 16),
            _ => random.code(),
        })
        .collect();
    let params = BuildParams::default().with_layout(layout);
    let segments = segments_with(&codes, &[100, 16_000, N - 500], None, params);
    let queries: Vec<Code<W>> = (0..6)
        .map(|i| match i {
            0 => centre,
            1 => random.code(),
            _ => random.near(&codes[77 * i], 3),
        })
        .collect();
    let (half, few): (RoaringBitmap, RoaringBitmap) =
        ((0..N).filter(|id| id % 2 == 0).collect(), (0..N).step_by(997).collect());
    let plain = Index::new(&codes, &segments).unwrap();
    let (mut scanned, mut mixed) = (false, false);
    for (filter, index) in [
        ("none", plain.clone()),
        ("deny", plain.clone().deny(&half)),
        ("allow", plain.clone().allow(&half)),
        ("few", plain.clone().allow(&few).deny(&half)),
    ] {
        for (strategy, radii) in [
            (Strategy::Auto, &[0, 4, bits / 8, bits / 2][..]),
            (Strategy::Index, &[0, 4, bits / 8]),
            (Strategy::Scan, &[4, bits / 2]),
        ] {
            let index = index.clone().strategy(strategy);
            for &radius_bits in radii {
                let (mut scratch, mut matches) = (Scratch::new(), Vec::<Match>::new());
                let name = format!("{bits} bits, {layout:?}, {filter}, {strategy:?}, radius {radius_bits}");
                let within = again(|| {
                    for query in &queries {
                        let (stats, _) = index.within_into(&mut scratch, query, radius_bits, &mut matches);
                        scanned |= stats.plan == Plan::Scan;
                        mixed |= stats.plan == Plan::Mixed;
                    }
                });
                assert_eq!(within.count_total, 0, "within_into; {name}");
                let visit = again(|| {
                    for query in &queries {
                        let mut sum = 0u64;
                        index.visit_within(&mut scratch, query, radius_bits, |found| {
                            sum += u64::from(found.id);
                            ControlFlow::Continue(())
                        });
                        black_box(sum);
                    }
                });
                assert_eq!(visit.count_total, 0, "visit_within; {name}");
                let count = again(|| {
                    for query in &queries {
                        black_box(index.count_within(query, radius_bits).count);
                    }
                });
                assert_eq!(count.count_total, 0, "count_within; {name}");
                for k in [1, 10] {
                    let nearest = again(|| {
                        for query in &queries {
                            index.nearest_into(&mut scratch, query, k, radius_bits, &mut matches);
                            black_box(matches.len());
                        }
                    });
                    assert_eq!(nearest.count_total, 0, "nearest_into, {k}; {name}");
                }
            }
        }
    }
    assert!(scanned && mixed, "only one way of searching was met");
}

#[test]
fn a_search_of_64_bits_allocates_nothing_once_its_buffers_have_grown() {
    check::<1>(Layout::Compact);
    check::<1>(Layout::Fast);
}

#[test]
fn a_search_of_128_bits_allocates_nothing_once_its_buffers_have_grown() {
    check::<2>(Layout::Compact);
    check::<2>(Layout::Fast);
}

#[test]
fn a_search_of_256_bits_allocates_nothing_once_its_buffers_have_grown() {
    check::<4>(Layout::Compact);
    check::<4>(Layout::Fast);
}

#[test]
fn a_search_of_512_bits_allocates_nothing_once_its_buffers_have_grown() {
    check::<8>(Layout::Compact);
    check::<8>(Layout::Fast);
}

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(black_box(vec![1u8; 100]))).count_total, 1);
    let codes = vec![Code::<1>::ZERO; 9];
    let index = Index::<1, _, Vec<u8>>::new(&codes, &[]).unwrap();
    assert!(measure(|| drop(index.within(&codes[0], 3))).count_total > 0);
}
