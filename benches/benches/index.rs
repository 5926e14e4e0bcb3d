//! Exact Hamming search: our index, our scan, and mih-rs (64 bits), on the same codes and queries in the same run.
//! Every answer is checked against the scan before anything is timed. Times are for one query, one thread.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use phash_bench::codes::{Data, Kind, generate};
use phash_bench::machine;
use phash_bench::options::Options;
use phash_bench::table::{Table, time};
use phash_bench::timing::{median, per_query_ns};
use phash_code::{Code, Kernel};
use phash_index::{BuildParams, Index, Match, Matches, Plan, Segment, build_segment, scan};

const PASSES: usize = 5;

#[derive(Clone, Copy)]
enum Task {
    Within(u32),
    Nearest(usize),
}

impl Task {
    fn name(self) -> String {
        match self {
            Task::Within(radius_bits) => format!("radius {radius_bits}"),
            Task::Nearest(k) => format!("nearest {k}"),
        }
    }
}

fn main() {
    let options = Options::read();
    let n = options.size(1_000_000, 2_000);
    let queries = if options.tiny { 8 } else { 300 };
    println!("machine: {}", machine::line());
    println!(
        "kernel: {}; n = {n}; {queries} queries, half near a stored code; median of {PASSES} passes a query, index and scan in turn",
        Kernel::detect()
    );
    let mut table = Table::new(&[
        "codes",
        "search",
        "matches",
        "index",
        "scan",
        "scan/index",
        "mih-rs",
        "mih-rs/index",
        "scan floor",
        "index floor",
        "plan",
    ]);
    for kind in [Kind::Uniform, Kind::Skewed] {
        run::<1>(kind, n, queries, &[Task::Within(4), Task::Within(12), Task::Nearest(10)], &mut table);
        let wide = [Task::Within(4), Task::Within(12), Task::Within(31), Task::Nearest(1), Task::Nearest(10)];
        run::<2>(kind, n, queries, &wide, &mut table);
        run::<4>(kind, n, queries, &wide, &mut table);
    }
    println!();
    print!("{}", table.to_markdown());
    println!();
    println!("scan floor: bytes of all codes over the sequential read measured in this run.");
    println!(
        "index floor: buckets and candidates looked at, times an independent random read measured in this run."
    );
    println!("plan: queries answered by the index / by the scan, as the planner chose.");
}

fn run<const W: usize>(kind: Kind, n: u32, queries: usize, tasks: &[Task], table: &mut Table) {
    let data: Data<W> = generate(kind, n, queries);
    let name = format!("{} {}", kind.name(), Code::<W>::BITS);
    let words: Vec<u64> = data.codes.iter().flat_map(|code| code.to_le_words()).collect();
    let gb_per_s = machine::sequential_gb_per_s(&words);
    let random_ns = machine::random_read_ns(&words);
    let start = Instant::now();
    let bytes = build_segment(&data.codes, 0..n, &BuildParams::default()).expect("the parameters fit");
    let build_s = start.elapsed().as_secs_f64();
    let segments = [Segment::<W, _>::open(bytes).expect("the segment was just built")];
    println!(
        "{name}: seeds: {}; {gb_per_s:.1} GB/s sequential, {random_ns:.1} ns a random read; built in {build_s:.2} s, \
         {} substrings, {:.1} bytes a code",
        data.seeds,
        segments[0].substrings(),
        segments[0].bytes().len() as f64 / f64::from(n.max(1)),
    );
    let index = Index::new(&data.codes, &segments).expect("the segment belongs to the codes");
    let evict = vec![1u64; if n > 100_000 { 8 << 20 } else { 0 }];
    // The rival keeps 64-bit codes only.
    let rival = (W == 1).then(|| mih_rs::Index::new(words.clone()).expect("enough codes"));

    for &task in tasks {
        let by_index = |query: &Code<W>| -> Matches {
            match task {
                Task::Within(radius_bits) => index.within(query, radius_bits),
                Task::Nearest(k) => index.nearest(query, k),
            }
        };
        let by_scan = |query: &Code<W>| -> Matches {
            match task {
                Task::Within(radius_bits) => scan::within(&data.codes, query, radius_bits),
                Task::Nearest(k) => scan::nearest(&data.codes, query, k),
            }
        };
        let (mut matches, mut reads, mut by_plan) = (0, 0, [0, 0]);
        for query in &data.queries {
            let (found, expected) = (by_index(query), by_scan(query));
            assert_eq!(found.matches, expected.matches, "{name} {}: recall below 1", task.name());
            if let Some(rival) = &rival {
                check_rival(rival, &data.codes, query, task, &expected.matches);
            }
            matches += found.matches.len();
            reads += found.stats.probes + 2 * found.stats.verified;
            by_plan[usize::from(found.stats.plan == Plan::Scan)] += 1;
        }
        let [index_ns, scan_ns] = in_turn_ns(&evict, &data.queries, [&by_index, &by_scan]);
        let rival_ns = rival.as_ref().map(|rival| {
            let (mut range, mut topk) = (rival.range_searcher(), rival.topk_searcher());
            per_query_ns(PASSES, &evict, &data.queries, |query| {
                let word = query.to_le_words()[0];
                match task {
                    Task::Within(radius_bits) => drop(black_box(range.run(word, radius_bits as usize))),
                    Task::Nearest(k) => drop(black_box(topk.run(word, k))),
                }
            })
        });
        let ratio = |ns: f64| format!("{:.1}x", ns / index_ns);
        table.row([
            name.clone(),
            task.name(),
            format!("{:.1}", matches as f64 / queries as f64),
            time(index_ns),
            time(scan_ns),
            ratio(scan_ns),
            rival_ns.map_or("-".to_owned(), time),
            rival_ns.map_or("-".to_owned(), ratio),
            time(size_of_val(&words[..]) as f64 / gb_per_s),
            time(reads as f64 / queries as f64 * random_ns),
            format!("{}/{}", by_plan[0], by_plan[1]),
        ]);
    }
}

/// As [`per_query_ns`] for two searches, one pass of each in turn: what else the machine does meets both.
fn in_turn_ns<Q>(evict: &[u64], queries: &[Q], searches: [&dyn Fn(&Q) -> Matches; 2]) -> [f64; 2] {
    let mut passes = [vec![], vec![]];
    for pass in 0..2 * PASSES {
        let which = pass % 2;
        black_box(evict.iter().fold(0, |sum, word| sum ^ word));
        let time = |query| {
            let start = Instant::now();
            drop(black_box(searches[which](query)));
            start.elapsed().as_nanos() as f64
        };
        passes[which].push(queries.iter().map(time).collect::<Vec<f64>>());
    }
    passes.map(|passes| {
        let of_query = |i: usize| median(&passes.iter().map(|times| times[i]).collect::<Vec<f64>>());
        (0..queries.len()).map(of_query).sum::<f64>() / queries.len() as f64
    })
}

/// The rival gives ids without distances, in any order; of ties at the last place it may take others than we do.
fn check_rival<const W: usize>(
    rival: &mih_rs::Index<u64>,
    codes: &[Code<W>],
    query: &Code<W>,
    task: Task,
    expected: &[Match],
) {
    let word = query.to_le_words()[0];
    match task {
        Task::Within(radius_bits) => {
            let mut ids = rival.range_searcher().run(word, radius_bits as usize).to_vec();
            ids.sort_unstable();
            let mut expected: Vec<u32> = expected.iter().map(|found| found.id).collect();
            expected.sort_unstable();
            assert_eq!(ids, expected, "mih-rs {}: recall below 1", task.name());
        }
        Task::Nearest(k) => {
            let mut searcher = rival.topk_searcher();
            let ids = searcher.run(word, k);
            let mut distances: Vec<u32> = ids.iter().map(|&id| query.distance(&codes[id as usize])).collect();
            distances.sort_unstable();
            let expected: Vec<u32> = expected.iter().map(|found| found.distance_bits).collect();
            assert_eq!(distances, expected, "mih-rs {}: recall below 1", task.name());
        }
    }
}
