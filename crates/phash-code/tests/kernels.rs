//! Every kernel this CPU has against a bit-by-bit count, for all widths and lengths that end in the middle of a block.
#![allow(missing_docs, reason = "a test")]

use phash_code::{Code, Kernel};
use proptest::prelude::*;

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

#[test]
fn extreme_codes_and_radii_are_exact() {
    let words: Vec<u64> = (0..160u32).map(|i| if i % 3 == 0 { 0 } else { u64::MAX }).collect();
    for radius_bits in [0, 1, 63, 64, 127, 128, 255, 256, 511, 512, 513, u32::MAX] {
        check_all_widths(&words, radius_bits);
    }
}

#[test]
fn the_fastest_kernel_is_one_of_those_available() {
    assert!(Kernel::available().contains(&Kernel::detect()));
    assert_eq!(Kernel::available()[0], Kernel::PORTABLE);
}
