//! What groups tell of their progress: every code once, whatever is searched for and by however many threads.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Random, segments};
use phash_code::Code64;
use phash_index::{Ended, Index, groups, groups_with_progress};

#[test]
fn progress_of_groups_adds_up_to_the_number_of_codes() {
    let mut random = Random(3);
    let distinct: Vec<Code64> = (0..3000).map(|_| random.code()).collect();
    // Some copies, and more copies than codes: the two ways of searching.
    for copies in [100, 8000] {
        let mut codes = distinct.clone();
        codes.extend((0..copies).map(|i| distinct[i % 1500]));
        let n = u32::try_from(codes.len()).unwrap();
        let built = segments(&codes, &[0, n / 2], None);
        let denied = (50..90).collect();
        let index = Index::new(&codes[..], &built).unwrap().deny(&denied);
        for radius_bits in [0, 3] {
            for threads in [1, 3].map(|threads| NonZeroUsize::new(threads).unwrap()) {
                let (calls, sum, never) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
                let tell = |codes: u64| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    sum.fetch_add(codes, Ordering::Relaxed);
                };
                let told = groups_with_progress(&index, radius_bits, threads, &never, &tell).unwrap();
                assert_eq!(sum.into_inner(), u64::from(n), "{copies} copies, radius {radius_bits}");
                assert_eq!((radius_bits > 0, told.ended()), (calls.into_inner() > 5, Ended::Complete));
                let silent = groups(&index, radius_bits, threads, &never).unwrap();
                assert!(told.iter().eq(silent.iter()));
                // Cancelled: what was not searched is not told as done.
                let (sum, up) = (AtomicU64::new(0), AtomicBool::new(true));
                let tell = |codes: u64| _ = sum.fetch_add(codes, Ordering::Relaxed);
                let told = groups_with_progress(&index, radius_bits, threads, &up, &tell).unwrap();
                assert_eq!(told.ended() == Ended::Complete, sum.into_inner() == u64::from(n));
            }
        }
    }
}
