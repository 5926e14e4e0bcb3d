//! The live index: what an insert takes and how many a second are sustained, alone and beside a reader; what a search takes
//! right after an insert, while the tail grows and while segments are built and merged; what the parts of a tail take.
//! Answers are checked against a scan first. Runs of the same kind with and without a reader in turn.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use phash_bench::codes::{Data, Kind, generate};
use phash_bench::machine;
use phash_bench::options::Options;
use phash_bench::table::{Table, time};
use phash_bench::timing::median;
use phash_code::Code;
use phash_index::{Live, LiveParams, Snapshot, Strategy, scan};

const RADIUS_BITS: u32 = 12;

fn main() {
    let options = Options::read();
    let n = options.size(2_000_000, 3_000);
    println!("machine: {}; n = {n}; radius {RADIUS_BITS}", machine::line());
    let mut inserts = Table::new(&[
        "codes",
        "at once",
        "reader",
        "insert",
        "p99",
        "worst",
        "codes/s",
        "codes/s settled",
        "indexed again",
        "search after insert",
        "p99 search",
    ]);
    let mut tails = Table::new(&["codes", "tail", "scanned", "in tables", "in a segment"]);
    run::<1>(n, &options, &mut inserts, &mut tails);
    run::<4>(n, &options, &mut inserts, &mut tails);
    println!("\n{}", inserts.to_markdown());
    println!(
        "at once: codes an insert; insert, p99, worst: time of one call; codes/s: until the last insert returned; settled:"
    );
    println!(
        "until everything was in segments; indexed again: codes indexed in the background, an inserted code; search after"
    );
    println!(
        "insert: a new snapshot searched for a code near the one just inserted (median, and 99 of 100 are faster)\n"
    );
    println!("{}", tails.to_markdown());
    println!("median search of a tail of so many codes, scanned, in roaring tables, or sealed");
}

fn run<const W: usize>(n: u32, options: &Options, inserts: &mut Table, tails: &mut Table) {
    let data: Data<W> = generate(Kind::Uniform, n, if options.tiny { 20 } else { 300 });
    let name = format!("uniform {}", Code::<W>::BITS);
    let params = if options.tiny {
        LiveParams::default().with_seal_codes(1024).with_scan_bytes(1024)
    } else {
        LiveParams::default()
    };
    for (at_once, reader) in [(1, false), (1, true), (1000, false), (1000, true)] {
        let run = insert_all(&data, &params, at_once, reader);
        inserts.row([
            name.clone(),
            at_once.to_string(),
            if reader { "one" } else { "none" }.to_owned(),
            time(quantile(&run.insert_ns, 0.5)),
            time(quantile(&run.insert_ns, 0.99)),
            time(quantile(&run.insert_ns, 1.0)),
            format!("{:.0}", f64::from(n) / run.insert_s),
            format!("{:.0}", f64::from(n) / run.settled_s),
            format!("{:.1}", run.indexed as f64 / f64::from(n)),
            time(quantile(&run.search_ns, 0.5)),
            time(quantile(&run.search_ns, 0.99)),
        ]);
    }
    for tail in [1 << 12, 1 << 14, 1 << 16, 1 << 18] {
        if tail <= n.max(1 << 12) {
            tail_row(&name, &data, tail.min(n), tails);
        }
    }
}

struct Run {
    insert_ns: Vec<f64>,
    search_ns: Vec<f64>,
    insert_s: f64,
    settled_s: f64,
    indexed: u64,
}

/// Inserts all codes. The reader searches for near copies of what was inserted last; without one the writer does so itself
/// a hundred times, outside of the time counted.
fn insert_all<const W: usize>(data: &Data<W>, params: &LiveParams, at_once: usize, reader: bool) -> Run {
    let live = Live::<W>::with_params(params.clone()).expect("threads");
    let done = AtomicBool::new(false);
    let mut run = Run { insert_ns: vec![], search_ns: vec![], insert_s: 0.0, settled_s: 0.0, indexed: 0 };
    let search = |live: &Live<W>| {
        let snapshot = live.snapshot();
        let query = snapshot.len().checked_sub(1).and_then(|last| snapshot.code(last)).copied()?;
        let start = Instant::now();
        let found = live.snapshot().within(&query, RADIUS_BITS);
        let ns = start.elapsed().as_nanos() as f64;
        assert!(found.matches.iter().any(|found| found.distance_bits == 0), "an inserted code was not found");
        Some(ns)
    };
    std::thread::scope(|scope| {
        let searches = reader.then(|| {
            scope.spawn(|| {
                let mut times = Vec::new();
                loop {
                    // Looked at first: the last round finds what was inserted.
                    let last = done.load(Ordering::Relaxed);
                    times.extend(search(&live));
                    if last {
                        break times;
                    }
                }
            })
        });
        let every = (data.codes.len() / at_once / 100).max(1);
        let mut searching_s = 0.0;
        let all = Instant::now();
        for (number, codes) in data.codes.chunks(at_once).enumerate() {
            let start = Instant::now();
            live.insert_many(codes).expect("there are ids left");
            run.insert_ns.push(start.elapsed().as_nanos() as f64);
            if !reader && number % every == 0 {
                let start = Instant::now();
                run.search_ns.extend(search(&live));
                searching_s += start.elapsed().as_secs_f64();
            }
        }
        run.insert_s = all.elapsed().as_secs_f64() - searching_s;
        done.store(true, Ordering::Relaxed);
        if let Some(searches) = searches {
            run.search_ns = searches.join().expect("the reader");
        }
        live.settle();
        run.settled_s = all.elapsed().as_secs_f64() - searching_s;
    });
    let stats = live.stats();
    assert_eq!((stats.codes as usize, stats.failed_builds), (data.codes.len(), 0));
    run.indexed = stats.built_codes;
    check(&live.snapshot(), data);
    run
}

fn check<const W: usize>(snapshot: &Snapshot<W>, data: &Data<W>) {
    for query in data.queries.iter().take(20) {
        let expected = scan::within(&data.codes, query, RADIUS_BITS).matches;
        assert_eq!(snapshot.within(query, RADIUS_BITS).matches, expected, "recall below 1");
    }
}

/// One tail in its three forms.
fn tail_row<const W: usize>(name: &str, data: &Data<W>, tail: u32, table: &mut Table) {
    let codes = &data.codes[..tail as usize];
    let never = u32::MAX;
    let build = |params: LiveParams| {
        let live = Live::<W>::with_params(params.with_seal_codes(tail + 1)).expect("threads");
        live.insert_many(codes).expect("there are ids left");
        live.settle();
        live
    };
    let scanned = build(LiveParams::default().with_scan_bytes(never));
    let tabled = build(LiveParams::default().with_scan_bytes(1));
    let sealed = build(LiveParams::default().with_scan_bytes(never));
    sealed.seal();
    let forms = [
        scanned.snapshot().strategy(Strategy::Scan),
        tabled.snapshot().strategy(Strategy::Index),
        sealed.snapshot(),
    ];
    let mut times = [const { vec![] }; 3];
    for pass in 0..6 {
        for (snapshot, times) in forms.iter().zip(&mut times) {
            for query in &data.queries {
                let start = Instant::now();
                let found = black_box(snapshot.within(query, RADIUS_BITS));
                if pass > 0 {
                    times.push(start.elapsed().as_nanos() as f64);
                } else {
                    assert_eq!(
                        found.matches,
                        scan::within(codes, query, RADIUS_BITS).matches,
                        "recall below 1"
                    );
                }
            }
        }
    }
    let [scanned, tabled, sealed] = times.map(|times| time(median(&times)));
    table.row([name.to_owned(), tail.to_string(), scanned, tabled, sealed]);
}

/// The time that a share of the calls does not exceed.
fn quantile(times: &[f64], share: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let place = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len());
    times[place - 1]
}
