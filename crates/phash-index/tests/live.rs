//! A live index answers like a scan of what was inserted and not removed, at every moment, for every snapshot ever taken,
//! from any thread.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use common::{Random, distance_by_bits};
use phash_code::{Code, Code64, Code128};
use phash_index::{
    BuildParams, Layout, Live, LiveParams, Match, Plan, SearchStats, Snapshot, Strategy, groups, join,
};
use proptest::prelude::{any, proptest};
use proptest::test_runner::Config;

fn small() -> LiveParams {
    // Coarse tables: a segment of 1,024 codes is built in a millisecond.
    LiveParams::default()
        .with_seal_codes(1024)
        .with_scan_bytes(1)
        .with_build(BuildParams::default().with_threads(1))
}

/// All codes that are there, nearest first.
fn ranked<const W: usize>(codes: &[Option<Code<W>>], query: &Code<W>) -> Vec<Match> {
    let there = (0u32..).zip(codes).filter_map(|(id, code)| Some((id, code.as_ref()?)));
    let mut all: Vec<Match> =
        there.map(|(id, code)| Match { distance_bits: distance_by_bits(query, code), id }).collect();
    all.sort_unstable();
    all
}

fn check<const W: usize>(
    snapshot: &Snapshot<W>,
    codes: &[Option<Code<W>>],
    query: &Code<W>,
    radius_bits: u32,
    k: usize,
) {
    let all = ranked(codes, query);
    let near: Vec<Match> = all.iter().copied().filter(|m| m.distance_bits <= radius_bits).collect();
    for strategy in [Strategy::Auto, Strategy::Index, Strategy::Scan] {
        if strategy == Strategy::Index && radius_bits > 24 {
            continue; // Exponential in the radius.
        }
        let snapshot = snapshot.clone().strategy(strategy);
        assert_eq!(snapshot.within(query, radius_bits).matches, near, "{strategy:?}");
        assert_eq!(snapshot.count_within(query, radius_bits).count, near.len() as u64, "{strategy:?}");
        if strategy != Strategy::Index {
            assert_eq!(snapshot.nearest(query, k).matches, all[..k.min(all.len())], "{strategy:?}");
        }
        let nearest = snapshot.nearest_within(query, k, radius_bits).matches;
        assert_eq!(nearest, near[..k.min(near.len())], "{strategy:?}");
        assert_eq!(snapshot.index().unwrap().within(query, radius_bits).matches, near, "{strategy:?}");
    }
    assert_eq!((snapshot.len() as usize, snapshot.live()), (codes.len(), all.len() as u64));
}

fn run<const W: usize>(seed: u64, steps: usize) {
    let mut random = Random(seed);
    let live = Live::<W>::with_params(small()).unwrap();
    let mut codes: Vec<Option<Code<W>>> = Vec::new();
    let mut kept = Vec::new();
    let centres: Vec<Code<W>> = (0..8).map(|_| random.code()).collect();
    for _ in 0..steps {
        let fresh = |random: &mut Random| match random.below(3) {
            0 => random.code(),
            _ => {
                let centre = centres[random.below(8) as usize];
                random.near(&centre, Code::<W>::BITS / 6)
            }
        };
        match random.below(8) {
            0..2 => {
                let code = fresh(&mut random);
                assert_eq!(live.insert(code).unwrap() as usize, codes.len());
                codes.push(Some(code));
            }
            2..4 => {
                let many = if random.below(9) == 0 { 1500 } else { random.below(300) };
                let new: Vec<Code<W>> = (0..many).map(|_| fresh(&mut random)).collect();
                let ids = live.insert_many(&new).unwrap();
                assert_eq!(ids.start as usize..ids.end as usize, codes.len()..codes.len() + new.len());
                codes.extend(new.into_iter().map(Some));
            }
            4 => {
                let len = u32::try_from(codes.len()).unwrap();
                let ids: Vec<u32> = (0..random.below(40)).map(|_| random.below(len + 2)).collect();
                let mut there = 0;
                for &id in &ids {
                    there += u64::from(codes.get_mut(id as usize).is_some_and(|code| code.take().is_some()));
                }
                assert_eq!(live.remove_many(&ids), there);
            }
            5 => live.settle(),
            6 if random.below(4) == 0 => live.seal(),
            _ => kept.push((live.snapshot(), codes.clone())),
        }
    }
    kept.push((live.snapshot(), codes.clone()));
    let stats = live.stats();
    assert_eq!(stats.failed_builds, 0, "{stats:?}");
    assert_eq!(stats.codes, stats.sealed + stats.tabled + stats.scanned);
    drop(live);
    // Snapshots outlive everything, and change with nothing that came later.
    for (snapshot, codes) in kept {
        for _ in 0..2 {
            let centre = centres[random.below(8) as usize];
            let query = random.near(&centre, 6);
            let radius_bits = random.below(Code::<W>::BITS / 2);
            let k = random.below(30) as usize;
            check(&snapshot, &codes, &query, radius_bits, k);
        }
        for (id, code) in (0u32..).zip(&codes).step_by(97) {
            assert_eq!(snapshot.code(id), code.as_ref());
        }
        assert_eq!(snapshot.code(snapshot.len()), None);
    }
}

proptest! {
    #![proptest_config(Config::with_cases(48))]
    #[test]
    fn every_snapshot_answers_like_a_scan_of_its_moment_64(seed in any::<u64>()) {
        run::<1>(seed, 40);
    }

    #[test]
    fn every_snapshot_answers_like_a_scan_of_its_moment_256(seed in any::<u64>()) {
        run::<4>(seed, 25);
    }
}

#[test]
fn what_was_inserted_before_a_snapshot_is_found_by_it_while_others_write_and_remove() {
    const PER_WRITER: u32 = 6000;
    let live = Live::<2>::with_params(small()).unwrap();
    let (finished, inserted) = (AtomicU32::new(0), AtomicU32::new(0));
    let random_of = |writer: u32| Random(u64::from(writer) + 1);
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (live, finished, inserted) = (&live, &finished, &inserted);
            scope.spawn(move || {
                let mut random = random_of(writer);
                for i in 0..PER_WRITER {
                    let code: Code128 = random.code();
                    let id = live.insert(code).unwrap();
                    inserted.fetch_add(1, Ordering::SeqCst);
                    let snapshot = live.snapshot();
                    assert_eq!(snapshot.code(id), Some(&code));
                    if i % 16 == 0 {
                        let found = snapshot.within(&code, 0).matches;
                        assert!(found.iter().any(|found| found.id == id), "own write not found");
                    }
                    if i % 7 == 0 {
                        assert!(live.remove(id));
                        assert!(live.snapshot().within(&code, 0).matches.iter().all(|found| found.id != id));
                    }
                }
                finished.fetch_add(1, Ordering::SeqCst);
            });
        }
        scope.spawn(|| {
            let mut random = Random(99);
            while finished.load(Ordering::SeqCst) < 2 {
                let before = inserted.load(Ordering::SeqCst);
                let snapshot = live.snapshot();
                assert!(snapshot.len() >= before);
                let query = random.code();
                let expected: Vec<Option<Code128>> =
                    (0..snapshot.len()).map(|id| snapshot.code(id).copied()).collect();
                check(&snapshot, &expected, &query, 50, 5);
            }
        });
    });
    live.settle();
    let stats = live.stats();
    let removed = u64::from(2 * PER_WRITER.div_ceil(7));
    assert_eq!((stats.codes, stats.removed, stats.failed_builds), (2 * PER_WRITER, removed, 0));
    assert!(stats.sealed >= 11 * 1024 && stats.segments <= 5, "{stats:?}");
    assert!(stats.built_codes <= 5 * u64::from(stats.sealed), "{stats:?}");
}

#[test]
fn a_batch_gives_every_query_its_own_answer_on_any_number_of_threads() {
    let mut random = Random(3);
    let live = Live::<1>::with_params(small()).unwrap();
    let codes: Vec<Code64> = (0..3000).map(|_| random.code()).collect();
    live.insert_many(&codes).unwrap();
    let queries: Vec<Code64> = (0..100).map(|i| random.near(&codes[i], 4)).collect();
    let snapshot = live.snapshot();
    for threads in [0, 1, 2, 7] {
        let within = snapshot.batch_within(&queries, 6, threads);
        let nearest = snapshot.batch_nearest(&queries, 3, threads);
        assert_eq!((within.len(), nearest.len()), (100, 100));
        for ((query, within), nearest) in queries.iter().zip(within).zip(nearest) {
            assert_eq!(within.matches, snapshot.within(query, 6).matches);
            assert_eq!(nearest.matches, snapshot.nearest(query, 3).matches);
        }
        assert!(snapshot.batch_within(&[], 6, threads).is_empty());
    }
}

#[test]
fn the_counts_of_work_mean_the_same_in_segments_and_tails() {
    let mut random = Random(21);
    let codes: Vec<Code64> = (0..3000).map(|_| random.code()).collect();
    let query = random.near(&codes[9], 2);
    for layout in [Layout::Compact, Layout::Fast] {
        let build = BuildParams::default().with_threads(1).with_layout(layout);
        for sealed in [0, 2000, 3000] {
            let live = Live::<1>::with_params(small().with_build(build).with_seal_codes(u32::MAX)).unwrap();
            live.insert_many(&codes[..sealed]).unwrap();
            live.seal();
            live.insert_many(&codes[sealed..]).unwrap();
            live.settle();
            let snapshot = live.snapshot();
            for strategy in [Strategy::Index, Strategy::Scan] {
                let snapshot = snapshot.clone().strategy(strategy);
                let tables = snapshot.within(&query, 9).stats.tables;
                assert_eq!(tables > 0, strategy == Strategy::Index);
                for stats in [
                    snapshot.within(&query, 9).stats,
                    snapshot.batch_within(&[query], 9, 1)[0].stats,
                    snapshot.nearest_within(&query, 2, 9).stats,
                    snapshot.count_within(&query, 9).stats,
                ] {
                    if strategy == Strategy::Scan {
                        let mut expected = SearchStats::default();
                        expected.scanned = 3000;
                        assert_eq!(stats, expected);
                        continue;
                    }
                    assert_eq!((stats.plan, stats.scanned), (Plan::Index, 0), "{layout:?} {sealed}");
                    assert!(stats.probes >= stats.tables && stats.candidates > 0);
                    assert_eq!(stats.compared, stats.candidates, "{layout:?} {sealed}");
                    // A fast segment of 64 bits needs no code, a compact one and a tail need every one.
                    if layout == Layout::Compact || sealed == 0 {
                        assert_eq!(stats.verified, stats.compared);
                    }
                    assert!((stats.verified == 0) == (layout == Layout::Fast && sealed == 3000), "{stats:?}");
                    assert!(stats.verified <= stats.compared);
                }
            }
        }
    }
}

#[test]
fn a_snapshot_can_be_joined() {
    let mut random = Random(8);
    let one: Code64 = random.code();
    let live = Live::<1>::new().unwrap();
    live.insert_many(&[one, random.code(), random.near(&one, 1), one]).unwrap();
    live.remove(0);
    let snapshot = live.snapshot();
    let index = snapshot.index().unwrap();
    let (threads, never) = (NonZeroUsize::MIN, AtomicBool::new(false));
    let mut pairs = Vec::new();
    join(&index, 2, threads, &never, |pair| {
        pairs.push((pair.a, pair.b));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(pairs, [(2, 3)]);
    assert!(groups(&index, 2, threads, &never).unwrap().iter().eq([&[2, 3]]));
    assert_eq!(live.insert(one).unwrap(), 4);
    assert_eq!(snapshot.len(), 4);
}

#[test]
fn an_empty_index_has_no_answers() {
    let live = Live::<4>::new().unwrap();
    live.seal();
    live.settle();
    let snapshot = live.snapshot();
    assert!(snapshot.is_empty() && snapshot.live() == 0 && !live.remove(0));
    check(&snapshot, &[], &Code::ZERO, 256, 10);
}

#[test]
fn live_indexes_and_snapshots_go_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Live<1>>();
    shared::<Snapshot<8>>();
    shared::<phash_index::Segment<4, Vec<u8>>>();
    shared::<phash_index::Index<'static, 2, [Code128], Vec<u8>>>();
    shared::<phash_index::Matches>();
    shared::<phash_index::Groups>();
    shared::<phash_index::Error>();
}
