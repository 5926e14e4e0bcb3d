//! The cancel flag of the building of segments: whenever it is raised, the building ends with a typed error and no segment,
//! or the segment is whole.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use common::Random;
use phash_code::{Code, Code256, Codes};
use phash_index::{BuildParams, Error, Layout, Segment, build_segment, write_segment_until};

/// Pieces that the flag is looked at between, when bytes are written.
const PIECE_BYTES: usize = 64 * 1024;

/// Takes bytes, and raises the flag after the first so many.
struct Raising<'c> {
    bytes: Vec<u8>,
    after: usize,
    cancel: &'c AtomicBool,
}

impl Write for Raising<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= self.after {
            self.cancel.store(true, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn codes(n: u32) -> Vec<Code256> {
    let mut random = Random(5);
    (0..n).map(|_| random.code()).collect()
}

#[test]
fn a_flag_raised_while_bytes_are_written_ends_the_building_within_a_piece() {
    let codes = codes(3000);
    let removed = [7, 9].into_iter().collect();
    for (layout, removed) in [(Layout::Compact, None), (Layout::Fast, Some(&removed))] {
        let whole = BuildParams::default().with_layout(layout);
        let never = AtomicBool::new(false);
        let mut expected = Vec::new();
        let len = write_segment_until(&codes, 0..3000, removed, &whole, &never, &mut expected).unwrap();
        assert_eq!(len, expected.len() as u64);
        for threads in [1, 2, 5] {
            for after in [1, 17, 100_000, expected.len() / 2, expected.len() / 10 * 9] {
                let cancel = AtomicBool::new(false);
                let params = whole.with_threads(threads);
                let mut out = Raising { bytes: Vec::new(), after, cancel: &cancel };
                let ended = write_segment_until(&codes, 0..3000, removed, &params, &cancel, &mut out);
                assert!(matches!(ended, Err(Error::Cancelled)), "{threads} threads, {after}: {ended:?}");
                assert!(out.bytes.len() < after + PIECE_BYTES, "{} bytes after {after}", out.bytes.len());
                assert!(expected.starts_with(&out.bytes));
                assert!(Segment::<4, _>::open(out.bytes).is_err(), "what was written is no segment");
            }
        }
    }
}

#[test]
fn a_flag_that_is_up_before_means_that_nothing_is_written() {
    let (codes, up) = (codes(100), AtomicBool::new(true));
    let mut out = Vec::new();
    let ended = write_segment_until(&codes, 0..100, None, &BuildParams::default(), &up, &mut out);
    assert!(matches!(ended, Err(Error::Cancelled)) && out.is_empty());
    // What makes no sense is told all the same.
    let ended = write_segment_until(&codes, 0..101, None, &BuildParams::default(), &up, &mut out);
    assert!(matches!(ended, Err(Error::Ids { .. })));
}

/// Codes in runs of ten; the flag goes up when the last of them is asked for.
struct Lending<'c> {
    codes: &'c [Code256],
    cancel: &'c AtomicBool,
}

impl Codes<4> for Lending<'_> {
    fn len(&self) -> u32 {
        Codes::len(self.codes)
    }

    fn run(&self, from: u32) -> &[Code<4>] {
        let run = self.codes.get(from as usize..).unwrap_or_default();
        if run.len() <= 10 {
            self.cancel.store(true, Ordering::Relaxed);
        }
        &run[..run.len().min(10)]
    }
}

#[test]
fn a_flag_raised_while_codes_are_fetched_ends_the_building_before_the_first_table() {
    let (codes, removed) = (codes(500), (0..3).collect());
    let params = BuildParams::default().with_order(phash_index::Order::AsIs);
    for removed in [None, Some(&removed)] {
        for threads in [1, 3] {
            let cancel = AtomicBool::new(false);
            let (lending, mut out) = (Lending { codes: &codes, cancel: &cancel }, Vec::new());
            let params = params.with_threads(threads);
            let ended = write_segment_until(&lending, 0..500, removed, &params, &cancel, &mut out);
            assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
            assert!(out.len() <= 16, "no more than the header: {} bytes", out.len());
        }
    }
}

#[test]
fn whenever_another_thread_raises_the_flag_the_building_ends_whole_or_cancelled() {
    let codes = codes(2000);
    let params = BuildParams::default().with_substrings(16).with_threads(3);
    let expected = build_segment(&codes, 0..2000, &params).unwrap();
    let (mut whole, mut cancelled) = (0, 0);
    for round in 0..300u32 {
        let cancel = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..round * 20).for_each(|_| std::hint::spin_loop());
                cancel.store(true, Ordering::Relaxed);
            });
            let mut out = Vec::new();
            match write_segment_until(&codes, 0..2000, None, &params, &cancel, &mut out) {
                Ok(_) => {
                    assert!(out == expected);
                    whole += 1;
                }
                Err(Error::Cancelled) => cancelled += 1,
                Err(other) => panic!("{other}"),
            }
        });
    }
    println!("{whole} whole, {cancelled} cancelled");
}
