//! The index equals a search by single bits: every width, radius, k, cut, deny list and partial coverage.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use common::{Random, ranked, segments_with};
use phash_code::{Code, Codes};
use phash_index::{
    BuildParams, Error, Index, Layout, Limit, Match, Matches, Plan, Scratch, Segment, Strategy,
    build_segment, scan,
};
use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::test_runner::Config;
use roaring::RoaringBitmap;

const STRATEGIES: [Strategy; 3] = [Strategy::Auto, Strategy::Index, Strategy::Scan];

/// Codes that repeat and cluster, so that every radius separates something.
fn clustered<const W: usize>(random: &mut Random, n: u32) -> Vec<Code<W>> {
    let mut codes: Vec<Code<W>> = Vec::new();
    for i in 0..n {
        let code = match (i, random.below(4)) {
            (0, _) | (_, 0) => random.code(),
            (_, kind) => {
                let of = codes[random.below(i) as usize];
                let flips = if kind == 1 { 0 } else { random.below(Code::<W>::BITS / 4) };
                random.near(&of, flips)
            }
        };
        codes.push(code);
    }
    codes
}

/// A collection that is not contiguous in memory, as a block file's codes are not.
struct Blocks<const W: usize>(Vec<Vec<Code<W>>>, u32);

impl<const W: usize> Codes<W> for Blocks<W> {
    fn len(&self) -> u32 {
        self.0.iter().map(Codes::len).sum()
    }

    fn run(&self, id: u32) -> &[Code<W>] {
        self.0.get((id / self.1) as usize).map_or(&[], |block| block.run(id % self.1))
    }
}

fn check<const W: usize>(seed: u64, n: u32, m: Option<u32>, radius_bits: u32, k: usize) {
    let mut random = Random(seed);
    let codes = clustered::<W>(&mut random, n);
    let query = match codes.first() {
        Some(code) if seed.is_multiple_of(3) => random.near(code, 5),
        _ => random.code(),
    };
    let mut borders = vec![random.below(n / 4 + 1), random.below(n + 1), random.below(n + 1)];
    borders.sort_unstable();
    // Either layout, any number of planes.
    let params = match seed % 5 {
        0 | 1 => BuildParams::default(),
        2 | 3 => BuildParams::default().with_layout(Layout::Fast),
        _ => BuildParams::default()
            .with_layout(Layout::Fast)
            .with_planes(1 + Random(seed).below(Code::<W>::BITS / 32)),
    };
    let segments = segments_with(&codes, &borders, m, params);
    let denied: Vec<u32> = (0..n).filter(|_| random.below(5) == 0).collect();
    let deny = RoaringBitmap::from_iter(&denied);
    let blocks = Blocks(codes.chunks(7).map(<[_]>::to_vec).collect(), 7);
    let mask = random.code::<W>();
    let masked: Vec<Code<W>> = codes.iter().map(|&code| code ^ mask).collect();
    let masked_segments = segments_with(&masked, &borders, m, params);

    for denied in [&[][..], &denied[..]] {
        let all = ranked(&codes, denied, &query);
        let near: Vec<Match> = all.iter().copied().filter(|m| m.distance_bits <= radius_bits).collect();
        let top: Vec<Match> = all.iter().copied().take(k).collect();
        for strategy in STRATEGIES {
            let empty = RoaringBitmap::new();
            let deny = if denied.is_empty() { &empty } else { &deny };
            let index = Index::new(&codes, &segments).unwrap().deny(deny).strategy(strategy);
            assert_eq!(index.within(&query, radius_bits).matches, near, "{strategy:?}");
            assert_eq!(index.nearest(&query, k).matches, top, "{strategy:?}");
            check_the_rest(&index, &query, radius_bits, k, &all);
            let index = Index::new(&blocks, &segments).unwrap().deny(deny).strategy(strategy);
            assert_eq!(index.within(&query, radius_bits).matches, near, "blocks, {strategy:?}");
            assert_eq!(index.nearest(&query, k).matches, top, "blocks, {strategy:?}");
            let index = Index::new(&masked, &masked_segments).unwrap().deny(deny).strategy(strategy);
            assert_eq!(index.within(&(query ^ mask), radius_bits).matches, near, "masked, {strategy:?}");
            assert_eq!(index.nearest(&(query ^ mask), k).matches, top, "masked, {strategy:?}");
        }
        if denied.is_empty() {
            assert_eq!(scan::within(&codes, &query, radius_bits).matches, near);
            assert_eq!(scan::nearest(&codes, &query, k).matches, top);
            assert_eq!(scan::within(&blocks, &query, radius_bits).matches, near);
            assert_eq!(scan::nearest(&blocks, &query, k).matches, top);
        }
    }
    for segment in &segments {
        segment.verify_against(&codes).unwrap();
    }
}

/// What else an index answers, from all wanted codes in order.
fn check_the_rest<const W: usize>(
    index: &Index<'_, W, Vec<Code<W>>, Vec<u8>>,
    query: &Code<W>,
    radius_bits: u32,
    k: usize,
    all: &[Match],
) {
    let near = all.partition_point(|m| m.distance_bits <= radius_bits);
    assert_eq!(index.count_within(query, radius_bits).count, near as u64);
    assert_eq!(index.nearest_within(query, k, radius_bits).matches, all[..k.min(near)]);
    // A visitor sees each match once, in any order, and no more than it wants.
    let mut scratch = Scratch::new();
    for most in [usize::MAX, 3] {
        let mut seen = Vec::new();
        let (_, complete) = index.visit_within(&mut scratch, query, radius_bits, |found| {
            seen.push(found);
            if seen.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(seen.len() <= most && (complete || seen.len() == most));
        seen.sort_unstable();
        if most == usize::MAX {
            assert!(complete);
            assert_eq!(seen, all[..near]);
        } else {
            assert_eq!(seen.len(), most.min(near));
            assert!(
                seen.windows(2).all(|pair| pair[0] != pair[1])
                    && seen.iter().all(|m| all[..near].contains(m))
            );
        }
    }
    // Only some are allowed: many, few, and ids that no code has.
    for step in [2, 9] {
        let allow: RoaringBitmap = (0..1000).step_by(step).collect();
        let allowed: Vec<Match> = all.iter().copied().filter(|m| allow.contains(m.id)).collect();
        let index = index.clone().allow(&allow);
        let end = allowed.partition_point(|m| m.distance_bits <= radius_bits);
        assert_eq!(index.within(query, radius_bits).matches, allowed[..end]);
        assert_eq!(index.nearest(query, k).matches, allowed[..k.min(allowed.len())]);
    }
    // Under a limit what is found is right, and what is whole says so.
    for comparisons in [0, 5, 60, 100_000] {
        let limited = index.clone().limit(Limit::default().comparisons(comparisons));
        let found = limited.within(query, radius_bits);
        assert!(found.stats.compared + found.stats.scanned <= comparisons);
        assert!(found.matches.iter().all(|m| all[..near].contains(m)) && found.matches.is_sorted());
        assert!(!found.complete || found.matches == all[..near]);
        assert_eq!(found, limited.within(query, radius_bits));
        assert!(found.complete || comparisons < 100_000);
        let found = limited.nearest(query, k);
        assert!(found.matches.iter().all(|m| all.contains(m)) && found.matches.is_sorted());
        assert!(!found.complete || found.matches == all[..k.min(all.len())]);
    }
    let cancel = AtomicBool::new(true);
    let found = index.clone().limit(Limit::default().cancel(&cancel)).within(query, radius_bits);
    assert!(found.matches.is_empty() || found.complete);
    // Many queries at once are answered as one by one, by any number of threads.
    let queries =
        [*query, *query ^ Code::from_bits(|bit| bit == 0), *query ^ Code::from_bits(|bit| bit % 2 == 0)];
    for threads in [1, 3] {
        let one_by_one: Vec<Vec<Match>> =
            queries.iter().map(|q| index.within(q, radius_bits).matches).collect();
        let found = index.batch_within(&queries, radius_bits, threads);
        assert!(found.iter().all(|found| found.complete));
        assert_eq!(found.into_iter().map(|found| found.matches).collect::<Vec<_>>(), one_by_one);
        let one_by_one: Vec<Vec<Match>> = queries.iter().map(|q| index.nearest(q, k).matches).collect();
        let found = index.batch_nearest(&queries, k, threads);
        assert_eq!(found.into_iter().map(|found| found.matches).collect::<Vec<_>>(), one_by_one);
    }
}

fn fast_if(fast: bool) -> BuildParams {
    BuildParams::default().with_layout(if fast { Layout::Fast } else { Layout::Compact })
}

/// Cuts whose tables are small enough to build a hundred times: substrings of 11 bits at most.
fn small_cuts(bits: u32) -> impl proptest::strategy::Strategy<Value = Option<u32>> {
    proptest::option::of(bits.div_ceil(11)..=bits)
}

proptest! {
    #![proptest_config(Config::with_cases(192))]
    #[test]
    fn any_index_answers_like_a_search_by_bits_64(
        seed in any::<u64>(), n in 0u32..120, m in small_cuts(64), radius_bits in 0u32..70, k in 0usize..130,
    ) {
        check::<1>(seed, n, m, radius_bits, k);
    }

    #[test]
    fn any_index_answers_like_a_search_by_bits_128(
        seed in any::<u64>(), n in 0u32..80, m in small_cuts(128), radius_bits in 0u32..135, k in 0usize..90,
    ) {
        check::<2>(seed, n, m, radius_bits, k);
    }

    #[test]
    fn any_index_answers_like_a_search_by_bits_256(
        seed in any::<u64>(), n in 0u32..60, m in small_cuts(256), radius_bits in 0u32..260, k in 0usize..70,
    ) {
        check::<4>(seed, n, m, radius_bits, k);
    }

    #[test]
    fn any_index_answers_like_a_search_by_bits_512(
        seed in any::<u64>(), n in 0u32..40, m in small_cuts(512), radius_bits in 0u32..520, k in 0usize..45,
    ) {
        check::<8>(seed, n, m, radius_bits, k);
    }

    #[test]
    fn few_long_substrings_answer_like_many_short_ones(
        seed in any::<u64>(), m in (4u32..=5), radius_bits in 0u32..24, k in 0usize..9,
    ) {
        let codes = clustered::<1>(&mut Random(seed), 400);
        let query = Random(seed ^ 1).near(&codes[17], 6);
        let few = segments_with(&codes, &[0, 400], Some(m), BuildParams::default());
        let expected = ranked(&codes, &[], &query);
        let few = Index::new(&codes, &few).unwrap().strategy(Strategy::Index);
        let near: Vec<Match> = expected.iter().copied().filter(|m| m.distance_bits <= radius_bits).collect();
        prop_assert_eq!(few.within(&query, radius_bits).matches, near);
        prop_assert_eq!(few.nearest(&query, k.min(3)).matches, expected[..k.min(3)].to_vec());
    }
}

#[test]
fn none_one_and_two_codes_are_searched_at_every_radius_and_k() {
    for n in 0..3 {
        for m in [None, Some(8), Some(64)] {
            for radius_bits in (0..=66).chain([u32::MAX]) {
                check::<1>(3, n, m, radius_bits, radius_bits.min(4) as usize);
            }
            check::<1>(4, n, m, 64, usize::MAX);
        }
    }
}

#[test]
fn the_radius_is_inclusive() {
    let codes: Vec<Code<4>> = (0..=256).map(|ones| Code::from_bits(|i| i < ones)).collect();
    let segments = segments_with(&codes, &[0, 257], Some(32), fast_if(true));
    for strategy in STRATEGIES {
        let index = Index::new(&codes, &segments).unwrap().strategy(strategy);
        for radius_bits in 0..=256 {
            let found = index.within(&Code::ZERO, radius_bits).matches;
            assert_eq!(found.len(), radius_bits as usize + 1);
            assert!((0..).zip(found).all(|(i, m)| m == Match { distance_bits: i, id: i }));
        }
    }
}

/// Data made to break an index: giant buckets, all ties, neighbours one bit apart.
#[test]
fn adversarial_codes_are_searched_exactly() {
    let mut random = Random(11);
    let one = random.code::<4>();
    let n = 3000u32;
    let kinds: [(&str, Vec<Code<4>>); 5] = [
        ("all equal", vec![one; n as usize]),
        ("all zero", vec![Code::ZERO; n as usize]),
        ("one bit apart", (0..n).map(|i| Code::from_bits(|bit| bit == i % 256)).collect()),
        ("one half equal", (0..n).map(|i| if i % 2 == 0 { one } else { random.code() }).collect()),
        ("equal in most substrings", (0..n).map(|_| Code::from_le_words([1, 2, 3, random.next()])).collect()),
    ];
    for (kind, codes, fast) in
        kinds.into_iter().flat_map(|(kind, codes)| [(kind, codes.clone(), false), (kind, codes, true)])
    {
        let segments = segments_with(&codes, &[0, 1000, 2900], Some(32), fast_if(fast));
        for segment in &segments {
            segment.verify_against(&codes).unwrap();
        }
        for query in [codes[0], random.near(&codes[1], 3), random.code()] {
            let all = ranked(&codes, &[], &query);
            for strategy in STRATEGIES {
                let index = Index::new(&codes, &segments).unwrap().strategy(strategy);
                for radius_bits in [0, 1, 2, 40, 128, 256] {
                    let end = all.partition_point(|m| m.distance_bits <= radius_bits);
                    assert_eq!(index.within(&query, radius_bits).matches, all[..end], "{kind}, {strategy:?}");
                }
                for k in [0, 1, 10, 2000, 3001] {
                    assert_eq!(
                        index.nearest(&query, k).matches,
                        all[..k.min(3000)],
                        "{kind}, {strategy:?}, {k}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_giant_bucket_is_kept_as_a_small_bitmap() {
    let codes = vec![Code::<1>::ZERO; 100_000];
    let bytes = build_segment(&codes, 0..100_000, &BuildParams::default().with_substrings(8)).unwrap();
    assert!(bytes.len() < 20_000, "as lists: 3.2 MB, got {}", bytes.len());
    Segment::<1, _>::open(&bytes).unwrap().verify_against(&codes).unwrap();
}

#[test]
fn segments_are_the_same_bytes_for_runs_of_any_length() {
    let codes = clustered::<2>(&mut Random(5), 500);
    let blocks = Blocks(codes.chunks(13).map(<[_]>::to_vec).collect(), 13);
    let build = |params| build_segment(&codes, 20..480, &params).unwrap();
    assert_eq!(
        build(BuildParams::default()),
        build_segment(&blocks, 20..480, &BuildParams::default()).unwrap()
    );
    assert_ne!(build(BuildParams::default()), build(BuildParams::default().with_substrings(20)));
}

#[test]
fn the_nearest_of_codes_that_all_resemble_the_query_are_scanned() {
    let mut random = Random(12);
    let centre = random.code::<2>();
    let flipped = |bit: u32| {
        let mut code = centre;
        code.set_bit(bit, !code.bit(bit));
        code
    };
    let codes: Vec<Code<2>> = (0..1_000_000).map(|i| flipped(i % 128)).collect();
    let segments = segments_with(&codes, &[0, 1_000_000], None, fast_if(true));
    let index = Index::new(&codes, &segments).unwrap();
    for i in 0..30u32 {
        let query = random.near(&codes[i as usize], i % 10);
        let Matches { matches, stats, .. } = index.nearest(&query, 10);
        assert_eq!(matches, scan::nearest(&codes, &query, 10).matches);
        // Nearly all entries of whole buckets would have had to be offered, one by one.
        assert!(stats.compared < 1000, "{i} {stats:?}");
    }
}

#[test]
fn the_planner_probes_small_radii_and_scans_large_ones() {
    let mut random = Random(8);
    let codes: Vec<Code<4>> = (0..200_000).map(|_| random.code()).collect();
    let segments = segments_with(&codes, &[0, 190_000], None, BuildParams::default());
    let index = Index::new(&codes, &segments).unwrap();
    let query = random.near(&codes[77], 9);
    let Matches { matches, stats, .. } = index.within(&query, 12);
    assert_eq!(matches, scan::within(&codes, &query, 12).matches);
    assert_eq!((stats.plan, stats.scanned, stats.damaged_segments), (Plan::Mixed, 10_000, 0));
    assert!(stats.probes > 12 && stats.verified == stats.candidates && stats.verified < 1000);
    let stats = index.within(&query, 120).stats;
    assert_eq!((stats.plan, stats.scanned, stats.verified), (Plan::Scan, 200_000, 0));
    let Matches { matches, stats, .. } = index.nearest(&query, 1);
    assert_eq!((matches, stats.plan), (scan::nearest(&codes, &query, 1).matches, Plan::Mixed));
    let stats = index.nearest(&query, 1000).stats;
    assert_eq!((stats.plan, stats.scanned), (Plan::Scan, 200_000));
}

/// Buckets full of codes that are all near the query: each would be gone through in every table, and sorted.
#[test]
fn the_planner_scans_where_most_of_what_it_finds_is_near() {
    let mut random = Random(31);
    let centre = random.code::<1>();
    let codes: Vec<Code<1>> =
        (0..100_000).map(|i| Code::from_bits(|bit| centre.bit(bit) != (bit == i % 64))).collect();
    let layout = BuildParams::default().with_layout(Layout::Fast);
    let segments = segments_with(&codes, &[0, 100_000], None, layout);
    let index = Index::new(&codes, &segments).unwrap();
    // One bit in each of five of the six substrings: their buckets have the codes that differ there, all within reach.
    let lens: Vec<u32> =
        index.explain_within(&centre, 4).segments[0].tables.iter().map(|&(bits, _)| bits).collect();
    assert_eq!(lens.len(), 6);
    let mut found = 0;
    for _ in 0..40 {
        let query = random.near(&centre, 5);
        let by_index = index.clone().strategy(Strategy::Index).within(&query, 4);
        let planned = index.within(&query, 4);
        assert_eq!(planned.matches, scan::within(&codes, &query, 4).matches);
        assert_eq!(by_index.matches, planned.matches);
        if planned.stats.probes > 0 && planned.stats.candidates > 5000 {
            assert_eq!((planned.stats.plan, planned.stats.scanned), (Plan::Scan, 100_000));
            found += 1;
        }
    }
    assert!(found > 3, "{found} queries looked into full buckets");
}

#[test]
fn ids_outside_the_codes_and_segments_out_of_order_are_refused() {
    let codes = clustered::<1>(&mut Random(1), 30);
    let build = |ids| build_segment(&codes, ids, &BuildParams::default());
    assert!(matches!(build(0..31), Err(Error::Ids { codes: 30, .. })));
    #[expect(clippy::reversed_empty_ranges, reason = "the error under test")]
    let backwards = build(9..8);
    assert!(matches!(backwards, Err(Error::Ids { .. })));
    let open = |ids| Segment::<1, _>::open(build(ids).unwrap()).unwrap();
    let (low, high) = (open(0..20), open(10..30));
    let overlapping = [low.clone(), high.clone()];
    assert!(matches!(Index::new(&codes, &overlapping), Err(Error::Order { before: 20, .. })));
    let swapped = [high.clone(), open(0..5)];
    assert!(matches!(Index::new(&codes, &swapped), Err(Error::Order { before: 30, .. })));
    assert!(matches!(Index::new(&codes[..29], &[high]), Err(Error::BeyondCodes { codes: 29, .. })));
    assert!(low.verify_against(&codes[..19]).is_err());
}

#[test]
fn an_index_without_segments_scans() {
    let codes = clustered::<1>(&mut Random(2), 50);
    let index = Index::<1, _, Vec<u8>>::new(&codes, &[]).unwrap();
    assert_eq!(index.within(&codes[3], 20), scan::within(&codes, &codes[3], 20));
    assert_eq!(index.nearest(&codes[3], 9), scan::nearest(&codes, &codes[3], 9));
}
