//! The self-join and its groups: as it chooses, by the index for every code, and by comparing all pairs in blocks, in turn
//! in one run, on one thread; then on two. All ways must give the same pairs before any is timed.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use phash_bench::codes::{Kind, generate};
use phash_bench::machine;
use phash_bench::options::Options;
use phash_bench::table::{Table, time};
use phash_bench::timing::median;
use phash_code::Code;
use phash_index::{BuildParams, Ended, Index, Layout, Segment, Strategy, groups, join};

fn main() {
    let options = Options::read();
    let n = options.size(200_000, 1_500);
    let passes = if options.tiny { 1 } else { 3 };
    println!("machine: {}; n = {n}; median of {passes} passes, in turn", machine::line());
    let mut table = Table::new(&[
        "codes",
        "radius",
        "pairs",
        "join",
        "by index",
        "by blocks",
        "best / join",
        "two threads",
        "speed-up",
        "groups",
        "in groups",
    ]);
    for kind in [Kind::Uniform, Kind::Skewed] {
        run::<1>(kind, n, passes, &[4, 8], &mut table);
        run::<4>(kind, n, passes, &[12, 31], &mut table);
    }
    println!("\n{}", table.to_markdown());
    println!(
        "by index: a search of the index for every code; by blocks: every code compared with every other"
    );
}

fn run<const W: usize>(kind: Kind, n: u32, passes: usize, radii: &[u32], table: &mut Table) {
    let codes = generate::<W>(kind, n, 1).codes;
    let params = BuildParams::default().with_layout(Layout::Fast);
    let segments = [Segment::<W, _>::build(&codes, 0..n, &params).expect("the parameters fit")];
    let index = Index::new(&codes, &segments).expect("the segment belongs to the codes");
    let (never, one) = (AtomicBool::new(false), NonZeroUsize::MIN);
    let two = one.saturating_add(1);
    for &radius_bits in radii {
        let joined = |strategy, threads| {
            let index = index.clone().strategy(strategy);
            let (mut sum, start) = (0u64, Instant::now());
            let stats = join(&index, radius_bits, threads, &never, |pair| {
                let parts = [pair.a, pair.b, pair.distance_bits].map(u64::from);
                sum = parts.iter().fold(sum, |sum, part| (sum ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                ControlFlow::Continue(())
            });
            let stats = stats.expect("all codes are there");
            assert_eq!(stats.ended, Ended::Complete);
            (start.elapsed().as_nanos() as f64, stats.pairs, sum)
        };
        let ways =
            [(Strategy::Auto, one), (Strategy::Index, one), (Strategy::Scan, one), (Strategy::Auto, two)];
        let (_, pairs, sum) = joined(Strategy::Scan, one);
        let mut times = [const { vec![] }; 5];
        for _ in 0..passes {
            for (times, (strategy, threads)) in times.iter_mut().zip(ways) {
                let (ns, got_pairs, got_sum) = joined(strategy, threads);
                assert_eq!((got_pairs, got_sum), (pairs, sum), "other pairs, or in another order");
                times.push(ns);
            }
            let start = Instant::now();
            groups(&index, radius_bits, one, &never).expect("all codes are there");
            times[4].push(start.elapsed().as_nanos() as f64);
        }
        let in_groups = groups(&index, radius_bits, two, &never).expect("all codes are there").codes();
        let [auto, by_index, by_blocks, on_two, grouped] = times.map(|times| median(&times));
        table.row([
            format!("{} {}", kind.name(), Code::<W>::BITS),
            radius_bits.to_string(),
            pairs.to_string(),
            time(auto),
            time(by_index),
            time(by_blocks),
            format!("{:.2}x", by_index.min(by_blocks) / auto),
            time(on_two),
            format!("{:.2}x", auto / on_two),
            time(grouped),
            in_groups.to_string(),
        ]);
    }
}
