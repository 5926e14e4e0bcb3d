//! The self-join equals the quadratic one, in its order, whatever the threads, segments, filters and ways to search; groups
//! are its connected components.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Random, distance_by_bits, segments};
use phash_code::{Code, Code64, Code128, Codes};
use phash_index::{Ended, Error, Index, JoinStats, Pair, Segment, Strategy, groups, join};
use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::test_runner::Config;
use roaring::RoaringBitmap;

const STRATEGIES: [Strategy; 3] = [Strategy::Auto, Strategy::Index, Strategy::Scan];
static NEVER: AtomicBool = AtomicBool::new(false);

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// Codes of which many are copies, or near copies, of others.
fn clustered<const W: usize>(random: &mut Random, n: u32) -> Vec<Code<W>> {
    let mut codes: Vec<Code<W>> = Vec::new();
    for i in 0..n {
        let code = match random.below(3) {
            kind @ 0..2 if i > 0 => {
                let of = codes[random.below(i) as usize];
                random.near(&of, kind * Code::<W>::BITS / 8)
            }
            _ => random.code(),
        };
        codes.push(code);
    }
    codes
}

/// All pairs within the radius by single bits, by `a`, distance, `b`.
fn pairs_by_bits<const W: usize>(codes: &[Code<W>], denied: &RoaringBitmap, radius_bits: u32) -> Vec<Pair> {
    let ids: Vec<u32> = (0..Codes::len(codes)).filter(|id| !denied.contains(*id)).collect();
    let mut pairs = Vec::new();
    for (place, &a) in ids.iter().enumerate() {
        for &b in &ids[place + 1..] {
            let distance_bits = distance_by_bits(&codes[a as usize], &codes[b as usize]);
            if distance_bits <= radius_bits {
                pairs.push(Pair { a, distance_bits, b });
            }
        }
    }
    pairs.sort_unstable_by_key(|pair| (pair.a, pair.distance_bits, pair.b));
    pairs
}

/// The connected components of two or more, by relabelling.
fn components(len: u32, pairs: &[Pair]) -> Vec<Vec<u32>> {
    let mut labels: Vec<u32> = (0..len).collect();
    for pair in pairs {
        let (from, to) = (labels[pair.a as usize], labels[pair.b as usize]);
        labels.iter_mut().filter(|label| **label == from).for_each(|label| *label = to);
    }
    let mut sets: Vec<Vec<u32>> = Vec::new();
    for id in 0..len {
        match sets.iter_mut().find(|set| labels[set[0] as usize] == labels[id as usize]) {
            Some(set) => set.push(id),
            None => sets.push(vec![id]),
        }
    }
    sets.retain(|set| set.len() > 1);
    sets
}

fn collect<const W: usize, B: AsRef<[u8]> + Sync>(
    index: &Index<'_, W, [Code<W>], B>,
    radius_bits: u32,
    count: usize,
) -> (Vec<Pair>, JoinStats) {
    let mut pairs = Vec::new();
    let stats = join(index, radius_bits, threads(count), &NEVER, |pair| {
        pairs.push(pair);
        ControlFlow::Continue(())
    });
    (pairs, stats.unwrap())
}

fn check<const W: usize>(seed: u64, n: u32, radius_bits: u32) {
    let mut random = Random(seed);
    let codes = clustered::<W>(&mut random, n);
    let mut borders = [random.below(n / 4 + 1), random.below(n + 1), random.below(n + 1)];
    borders.sort_unstable();
    let segments = segments(&codes, &borders, Some(Code::<W>::BITS / 8));
    let everything: RoaringBitmap = (0..n).collect();
    let mut some = |share: u32| -> RoaringBitmap { (0..n).filter(|_| random.below(share) == 0).collect() };
    for (denied, allowed) in [(RoaringBitmap::new(), None), (some(4), None), (some(9), Some(some(2)))] {
        let out = &denied | (&everything - allowed.as_ref().unwrap_or(&everything));
        let expected = pairs_by_bits(&codes, &out, radius_bits);
        let expected_groups = components(n, &expected);
        for strategy in STRATEGIES {
            let mut index = Index::new(&codes[..], &segments).unwrap().deny(&denied).strategy(strategy);
            if let Some(allowed) = &allowed {
                index = index.allow(allowed);
            }
            for count in [1, 3] {
                let (pairs, stats) = collect(&index, radius_bits, count);
                assert_eq!(pairs, expected, "{strategy:?}, {count} threads");
                assert_eq!((stats.ended, stats.pairs), (Ended::Complete, expected.len() as u64));
                let groups = groups(&index, radius_bits, threads(count), &NEVER).unwrap();
                assert!(groups.iter().eq(&expected_groups), "{strategy:?}, {count} threads");
                assert_eq!((groups.ended(), groups.len()), (Ended::Complete, expected_groups.len()));
            }
        }
    }
}

proptest! {
    #![proptest_config(Config::with_cases(48))]
    #[test]
    fn the_join_is_the_quadratic_one_64(seed in any::<u64>(), n in 0u32..160, radius_bits in 0u32..70) {
        check::<1>(seed, n, radius_bits);
    }

    #[test]
    fn the_join_is_the_quadratic_one_128(seed in any::<u64>(), n in 0u32..100, radius_bits in 0u32..135) {
        check::<2>(seed, n, radius_bits);
    }

    #[test]
    fn the_join_is_the_quadratic_one_256(seed in any::<u64>(), n in 0u32..80, radius_bits in 0u32..100) {
        check::<4>(seed, n, radius_bits);
    }

    #[test]
    fn the_join_is_the_quadratic_one_512(seed in any::<u64>(), n in 0u32..60, radius_bits in 0u32..200) {
        check::<8>(seed, n, radius_bits);
    }

    #[test]
    fn a_visitor_that_stops_has_seen_the_first_pairs(seed in any::<u64>(), wanted in 1usize..2000, count in 1usize..4) {
        // Three chunks of ids, in clusters of 30.
        let mut random = Random(seed);
        let centres: Vec<Code64> = (0..50).map(|_| random.code()).collect();
        let codes: Vec<Code64> = (0..1500).map(|i| random.near(&centres[i % 50], 3)).collect();
        let expected = pairs_by_bits(&codes, &RoaringBitmap::new(), 5);
        let index = Index::<1, _, Vec<u8>>::new(&codes[..], &[]).unwrap();
        let mut pairs = Vec::new();
        let stats = join(&index, 5, threads(count), &NEVER, |pair| {
            pairs.push(pair);
            if pairs.len() == wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }).unwrap();
        prop_assert_eq!(&pairs, &expected[..wanted.min(expected.len())]);
        prop_assert_eq!(stats.pairs, pairs.len() as u64);
        prop_assert_eq!(stats.ended, if wanted <= expected.len() { Ended::Stopped } else { Ended::Complete });
    }
}

#[test]
fn a_join_that_is_cancelled_says_so_and_has_given_the_first_pairs() {
    let mut random = Random(5);
    let one: Code64 = random.code();
    let codes: Vec<Code64> = (0..3000).map(|_| random.near(&one, 1)).collect();
    let index = Index::<1, _, Vec<u8>>::new(&codes[..], &[]).unwrap();
    let all = collect(&index, 2, 1).0;
    for count in [1, 2, 3] {
        let cancel = AtomicBool::new(false);
        let mut pairs = Vec::new();
        let stats = join(&index, 2, threads(count), &cancel, |pair| {
            pairs.push(pair);
            cancel.store(pairs.len() >= 100_000, Ordering::Relaxed);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(stats.ended, Ended::Cancelled);
        assert!((100_000..all.len()).contains(&pairs.len()), "{}", pairs.len());
        assert!(pairs == all[..pairs.len()]);

        let at_once = groups(&index, 2, threads(count), &AtomicBool::new(true)).unwrap();
        assert_eq!(at_once.ended(), Ended::Cancelled);
        assert!(at_once.iter().flatten().count() <= codes.len());
    }
}

#[test]
fn more_equal_codes_than_a_block_may_hold_matches_of_give_every_pair_in_order() {
    let n = 6000;
    let codes = vec![Random(1).code::<2>(); n as usize];
    let index = Index::<2, _, Vec<u8>>::new(&codes[..], &[]).unwrap().strategy(Strategy::Scan);
    for count in [1, 2] {
        let mut expected = (0..n).flat_map(|a| (a + 1..n).map(move |b| Pair { a, distance_bits: 0, b }));
        let stats = join(&index, 1, threads(count), &NEVER, |pair| {
            assert_eq!(Some(pair), expected.next());
            ControlFlow::Continue(())
        });
        assert_eq!(stats.unwrap().pairs, u64::from(n) * u64::from(n - 1) / 2);
    }
}

#[test]
fn groups_do_not_go_over_the_pairs_of_equal_codes() {
    // Three codes, two of them near each other, 40,000 times each: 2.4 thousand million pairs.
    let mut random = Random(7);
    let [one, other]: [Code128; 2] = [random.code(), random.code()];
    let near = random.near(&one, 1);
    let codes: Vec<Code128> = (0..120_000).map(|i| [one, other, near][i % 3]).collect();
    let built = segments(&codes, &[0, 100_000], None);
    let index = Index::new(&codes[..], &built).unwrap();
    for (radius_bits, expected) in [(0, vec![40_000; 3]), (1, vec![80_000, 40_000]), (128, vec![120_000])] {
        let groups = groups(&index, radius_bits, threads(2), &NEVER).unwrap();
        assert_eq!(groups.iter().map(<[_]>::len).collect::<Vec<_>>(), expected);
        assert!(groups.iter().all(|group| group.is_sorted()));
        assert!(groups.search().scanned + groups.search().verified <= 20, "{:?}", groups.search());
        assert_eq!((groups.codes(), groups.get(3)), (120_000, None));
    }
    // The same with the copies a minority, searched where they lie.
    let mut codes: Vec<Code128> = (0..9000).map(|_| random.code()).collect();
    codes.splice(100..100, vec![one; 4000]);
    codes.push(near);
    let index = Index::<2, _, Vec<u8>>::new(&codes[..], &[]).unwrap();
    let found = groups(&index, 1, threads(2), &NEVER).unwrap();
    let expected: Vec<u32> = (100..4100).chain([13_000]).collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), [&expected]);
}

#[test]
fn many_distinct_codes_with_more_copies_are_indexed_for_themselves() {
    let mut random = Random(11);
    let mut codes: Vec<Code64> = (0..20_000).map(|_| random.code()).collect();
    let near = random.near(&codes[77], 4);
    codes.extend_from_within(..);
    codes.push(near);
    codes.extend_from_within(..100);
    let index = Index::<1, _, Vec<u8>>::new(&codes[..], &[]).unwrap();
    let denied = (20_000..20_010).collect();
    let index = index.deny(&denied);
    let found = groups(&index, 4, threads(2), &NEVER).unwrap();
    let expected = (0u32..20_000).filter_map(|i| {
        let mut group = vec![i];
        group.extend((i >= 10).then_some(i + 20_000));
        group.extend((i == 77).then_some(40_000));
        group.extend((i < 100).then_some(40_001 + i));
        (group.len() > 1).then_some(group)
    });
    assert!(found.iter().eq(expected.collect::<Vec<_>>()));
}

#[test]
fn a_collection_with_fewer_codes_than_it_says_is_an_error() {
    struct Liar(Vec<Code64>);
    impl Codes<1> for Liar {
        fn len(&self) -> u32 {
            2000
        }
        fn run(&self, id: u32) -> &[Code64] {
            self.0.run(id)
        }
    }
    let liar = Liar(vec![Code64::ZERO; 1200]);
    let index = Index::<1, _, Vec<u8>>::new(&liar, &[]).unwrap();
    for count in [1, 2] {
        let ended = join(&index, 0, threads(count), &NEVER, |_| ControlFlow::Continue(()));
        assert!(matches!(ended, Err(Error::MissingCode { id: 1200 })), "{ended:?}");
        let found = groups(&index, 0, threads(count), &NEVER);
        assert!(matches!(found, Err(Error::MissingCode { id: 1200 })), "{found:?}");
    }
}

#[test]
fn no_code_and_one_code_have_no_pairs() {
    for n in 0..2 {
        let codes = vec![Code64::ZERO; n];
        let index = Index::<1, _, Vec<u8>>::new(&codes[..], &[]).unwrap();
        let (pairs, stats) = collect(&index, 64, 3);
        assert_eq!((pairs, stats.ended, stats.pairs), (Vec::new(), Ended::Complete, 0));
        assert!(groups(&index, u32::MAX, threads(9), &NEVER).unwrap().is_empty());
    }
    let segments: [Segment<1, Vec<u8>>; 0] = [];
    assert!(
        groups(&Index::new(&[Code64::ZERO; 0][..], &segments).unwrap(), 0, threads(1), &NEVER)
            .unwrap()
            .is_empty()
    );
}
