//! Every kernel this CPU has against a bit-by-bit count, for all widths and lengths that end in the middle of a block.
#![allow(missing_docs, reason = "a test")]

use phash_code::{Bucket, Code, Kernel, prefetch, prefetch_all};
use proptest::prelude::*;
use zerocopy::little_endian::U32;

/// Counts differing bits one at a time, through bytes: shares nothing with the kernels.
fn distance_by_bits<const W: usize>(a: &Code<W>, b: &Code<W>) -> u32 {
    a.as_bytes()
        .iter()
        .zip(b.as_bytes())
        .map(|(x, y)| (0..8).map(|i| u32::from((x >> i & 1) != (y >> i & 1))).sum::<u32>())
        .sum()
}

fn check<const W: usize>(words: &[u64], radius_bits: u32) {
    let codes: Vec<Code<W>> =
        words.chunks_exact(W).map(|chunk| Code::from_le_words(std::array::from_fn(|i| chunk[i]))).collect();
    let Some((query, codes)) = codes.split_first() else { return };
    // Each start shifts the codes against the blocks.
    for start in 0..codes.len().min(9) {
        let codes = &codes[start..];
        let expected: Vec<u32> = codes.iter().map(|code| distance_by_bits(query, code)).collect();
        let near: Vec<(usize, u32)> =
            expected.iter().copied().enumerate().filter(|&(_, d)| d <= radius_bits).collect();
        for kernel in Kernel::available() {
            let mut out = vec![u32::MAX; codes.len()];
            kernel.distances(query, codes, &mut out);
            assert_eq!(out, expected, "{kernel} distances, {W} words");
            let mut got = Vec::new();
            kernel.within(query, codes, radius_bits, |i, d| got.push((i, d)));
            assert_eq!(got, near, "{kernel} within {radius_bits}, {W} words");
            let mut got = Vec::new();
            let pairs = (0u32..).zip(codes);
            kernel.within_each(query, pairs, radius_bits, |i, d| got.push((i as usize, d)));
            assert_eq!(got, near, "{kernel} within_each {radius_bits}, {W} words");
        }
    }
}

fn check_all_widths(words: &[u64], radius_bits: u32) {
    check::<1>(words, radius_bits);
    check::<2>(words, radius_bits);
    check::<3>(words, radius_bits);
    check::<4>(words, radius_bits);
    check::<5>(words, radius_bits);
    check::<8>(words, radius_bits);
    check::<16>(words, radius_bits);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_kernel_counts_like_single_bits(
        words in prop::collection::vec(any::<u64>(), 0..200), share in 0u32..=10,
    ) {
        // Uniform codes differ in half their bits: radii around that separate, the ends take all or nothing.
        for bits in [64, 128, 192, 256, 320, 512, 1024] {
            check_all_widths(&words, bits * share / 10);
        }
    }
}

/// `words` as entries of `count` words each, laid out plane by plane; the first `count` words are the query.
fn check_planes(words: &[u32], count: usize, radius_bits: u32) {
    let (query, entries) = words.split_at(count.min(words.len()));
    if query.len() < count {
        return;
    }
    let entries: Vec<&[u32]> = entries.chunks_exact(count).collect();
    let planes: Vec<U32> =
        (0..count).flat_map(|p| entries.iter().map(move |entry| U32::new(entry[p]))).collect();
    let bits = |a: u32, b: u32| (0..32).map(|i| u32::from(a >> i & 1 != b >> i & 1)).sum::<u32>();
    let distance = |entry: &[u32]| entry.iter().zip(query).map(|(&a, &b)| bits(a, b)).sum::<u32>();
    let expected: Vec<(usize, u32)> = entries
        .iter()
        .enumerate()
        .map(|(i, entry)| (i, distance(entry)))
        .filter(|&(_, distance_bits)| distance_bits <= radius_bits)
        .collect();
    for kernel in Kernel::available() {
        let mut got = Vec::new();
        kernel.within_planes(query, &planes, entries.len(), radius_bits, |i, d| got.push((i, d)));
        assert_eq!(got, expected, "{kernel} within_planes {radius_bits}, {count} planes");
        // The same bucket, an empty one, and again with a radius that takes nothing and one that takes all.
        let bucket = Bucket { key: 'a', planes: &planes[..], len: entries.len(), radius_bits };
        let empty = Bucket { key: 'b', planes: &[], len: 0, radius_bits: u32::MAX };
        let first = Bucket { key: 'c', radius_bits: expected.first().map_or(0, |&(_, d)| d), ..bucket };
        let mut got = Vec::new();
        kernel.within_buckets(query, [bucket, empty, first].into_iter(), |&key, i, d| got.push((key, i, d)));
        let least = expected.iter().filter(|&&(_, d)| d <= first.radius_bits).map(|&(i, d)| ('c', i, d));
        let all: Vec<_> = expected.iter().map(|&(i, d)| ('a', i, d)).chain(least).collect();
        assert_eq!(got, all, "{kernel} within_buckets {radius_bits}, {count} planes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_kernel_compares_planes_like_single_bits(
        words in prop::collection::vec(any::<u32>(), 0..700), share in 0u32..=20, len in 0usize..60,
    ) {
        for count in (1..=9u32).chain([31, 32, 33, 63, 70]) {
            let places = count as usize;
            check_planes(&words, places, 32 * count * share / 20);
            check_planes(&words[..words.len().min(places * len)], places, 32 * count * share / 20);
        }
    }
}

#[test]
fn planes_of_extreme_words_and_radii_are_exact() {
    let words: Vec<u32> = (0..2_000u32).map(|i| if i % 3 == 0 { 0 } else { u32::MAX }).collect();
    for count in (1..=9).chain([31, 32, 33, 70]) {
        for radius_bits in [0, 31, 32, 64, 96, 256, 512, i32::MAX as u32 - 1, i32::MAX as u32, u32::MAX] {
            check_planes(&words, count, radius_bits);
        }
    }
}

#[test]
fn entries_without_words_are_all_at_distance_0_and_wrong_lengths_panic() {
    for kernel in Kernel::available() {
        let mut got = Vec::new();
        kernel.within_planes(&[], &[], 3, 0, |i, d| got.push((i, d)));
        assert_eq!(got, [(0, 0), (1, 0), (2, 0)], "{kernel}");
        kernel.within_planes(&[7], &[], 0, 32, |_, _| panic!("an empty bucket has no entries"));
        for len in [1, 3, usize::MAX / 2 + 2] {
            let wrong = || kernel.within_planes(&[0, 0], &[U32::ZERO; 4], len, 64, |_, _| {});
            assert!(std::panic::catch_unwind(wrong).is_err(), "{kernel}, {len} entries");
        }
    }
}

#[test]
fn a_hint_may_lie_anywhere() {
    for index in [0, 2, 3, usize::MAX] {
        prefetch(&[1u64, 2, 3], index);
    }
    prefetch_all::<4, u8>(&[]);
    prefetch_all::<4, _>(&[[0u8; 100]; 9]);
    prefetch_all::<4, ()>(&[(); 9]);
}

#[test]
fn extreme_codes_and_radii_are_exact() {
    let words: Vec<u64> = (0..160u32).map(|i| if i % 3 == 0 { 0 } else { u64::MAX }).collect();
    for radius_bits in [0, 1, 63, 64, 127, 128, 255, 256, 511, 512, 513, u32::MAX] {
        check_all_widths(&words, radius_bits);
        check_many_all_widths(&words, 3, radius_bits);
    }
}

/// Queries of all radii at once, some shrinking as they find, against single bits.
fn check_many<const W: usize>(words: &[u64], queries: usize, radius_bits: u32) {
    let codes: Vec<Code<W>> =
        words.chunks_exact(W).map(|chunk| Code::from_le_words(std::array::from_fn(|i| chunk[i]))).collect();
    let (queries, codes) = codes.split_at(queries.min(codes.len()));
    let bounds: Vec<u32> =
        (0u32..).take(queries.len()).map(|i| [0, 1, u32::MAX, radius_bits][i as usize % 4]).collect();
    // Every third query lowers its bound to what it found.
    let lower = |query: usize, distance_bits: u32, below_bits: &mut u32| {
        if query.is_multiple_of(3) {
            *below_bits = distance_bits;
        }
    };
    let mut expected_bounds = bounds.clone();
    let expected: Vec<Vec<(usize, u32)>> = queries
        .iter()
        .zip(&mut expected_bounds)
        .enumerate()
        .map(|(number, (query, below_bits))| {
            let mut near = vec![];
            for (i, code) in codes.iter().enumerate() {
                let distance_bits = distance_by_bits(query, code);
                if distance_bits < *below_bits {
                    near.push((i, distance_bits));
                    lower(number, distance_bits, below_bits);
                }
            }
            near
        })
        .collect();
    for kernel in Kernel::available() {
        let mut got = vec![vec![]; queries.len()];
        let mut below_bits = bounds.clone();
        kernel.within_many(queries, codes, &mut below_bits, |query, code, distance_bits, below_bits| {
            got[query].push((code, distance_bits));
            lower(query, distance_bits, below_bits);
        });
        assert_eq!(got, expected, "{kernel} within_many {radius_bits}, {W} words");
        assert_eq!(below_bits, expected_bounds, "{kernel} within_many {radius_bits}, {W} words");
    }
}

fn check_many_all_widths(words: &[u64], queries: usize, radius_bits: u32) {
    check_many::<1>(words, queries, radius_bits);
    check_many::<2>(words, queries, radius_bits);
    check_many::<3>(words, queries, radius_bits);
    check_many::<4>(words, queries, radius_bits);
    check_many::<5>(words, queries, radius_bits);
    check_many::<8>(words, queries, radius_bits);
    check_many::<16>(words, queries, radius_bits);
    check_many::<40>(words, queries, radius_bits);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_kernel_compares_a_batch_like_single_bits(
        words in prop::collection::vec(any::<u64>(), 0..2_000), queries in 0usize..20, share in 0u32..=20,
    ) {
        for bits in [64, 128, 256, 512, 1024] {
            check_many_all_widths(&words, queries, bits * share / 20);
        }
    }
}

#[test]
fn batches_beyond_a_chunk_and_a_group_are_exact() {
    // Words that differ little from one another: many matches, everywhere.
    let words: Vec<u64> = (0..70_000u64).map(|i| 1 << (i * i % 61)).collect();
    check_many::<8>(&words, 300, 9);
    check_many::<2>(&words, 30, 3);
    check_many::<1>(&words, 10, 2);
}

#[test]
fn the_fastest_kernel_is_one_of_those_available() {
    assert!(Kernel::available().contains(&Kernel::detect()));
    assert_eq!(Kernel::available()[0], Kernel::PORTABLE);
}
