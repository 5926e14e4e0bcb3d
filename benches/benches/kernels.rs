//! How fast every kernel compares codes at every width: a scan by one query, distances written out, a batch of queries,
//! scattered codes and buckets of planes, beside the sequential read and the independent random read of the same memory.
//!
//! `cargo bench -p phash-bench --bench kernels -- [--n N] [--tiny]`

use std::hint::black_box;

use phash_bench::machine;
use phash_bench::options::Options;
use phash_bench::random::SplitMix;
use phash_bench::table::{Table, time};
use phash_bench::timing::median_ns;
use phash_code::{Bucket, Code, Kernel, prefetch_all};
use zerocopy::little_endian::U32;

/// Entries of the buckets measured, and planes of an entry.
const ENTRIES: [usize; 4] = [1, 16, 32, 200];
const PLANES: [usize; 3] = [2, 3, 6];

/// How many buckets ahead planes are asked for.
const BUCKETS_AHEAD: usize = 8;

fn main() {
    let options = Options::read();
    let n = options.size(10_000_000, 2_000) as usize;
    println!("machine: {}", machine::line());
    println!(
        "n = {n} and as many codes as fill 256 KiB; one thread; medians; best kernel: {}",
        Kernel::detect()
    );
    let mut scans = Table::new(&[
        "codes",
        "n",
        "kernel",
        "read GB/s",
        "scan GB/s",
        "scan",
        "distances GB/s",
        "batch GB/s",
        "batch, a query",
        "random read",
        "scattered, a code",
    ]);
    width::<1>(n, options.tiny, &mut scans);
    width::<2>(n, options.tiny, &mut scans);
    width::<4>(n, options.tiny, &mut scans);
    width::<8>(n, options.tiny, &mut scans);
    println!("\n{}", scans.to_markdown());
    println!("batch: 64 queries; bytes that the same scans one by one would read, over the time.");
    println!("scattered: random codes, asked for ahead.\n");
    let mut buckets = Table::new(&[
        "planes",
        "entries",
        "bytes",
        "kernel",
        "in cache: alone",
        "in a run",
        "in memory: alone",
        "in a run",
        "asked for ahead",
    ]);
    planes(if options.tiny { 1 << 16 } else { 400 << 20 }, options.tiny, &mut buckets);
    println!("{}", buckets.to_markdown());
    println!(
        "time of a bucket: one call each, a run of buckets in one call, and with planes asked for {BUCKETS_AHEAD} buckets ahead"
    );
}

/// All kernels over codes of one width, in the second-level cache and `n` in memory.
fn width<const W: usize>(n: usize, tiny: bool, table: &mut Table) {
    let mut random = SplitMix::new(W as u64);
    let mut draw = || Code::<W>::from_le_words(std::array::from_fn(|_| random.bits()));
    let codes: Vec<Code<W>> = (0..n).map(|_| draw()).collect();
    let queries: Vec<Code<W>> = (0..if tiny { 3 } else { 64 }).map(|_| draw()).collect();
    let words: Vec<u64> = codes.iter().flat_map(Code::to_le_words).collect();
    let in_cache = (256 << 10) / Code::<W>::BYTES;
    for n in [in_cache.min(n), n] {
        let (codes, words) = (&codes[..n], &words[..n * W]);
        let read_gb_per_s = machine::sequential_gb_per_s(words);
        let random_ns = machine::random_read_ns(words);
        for kernel in Kernel::available() {
            measure(kernel, codes, &queries, tiny, [read_gb_per_s, random_ns], table);
        }
    }
}

/// One kernel over these codes; `[GB/s, ns]` are the sequential and the random read of their memory.
fn measure<const W: usize>(
    kernel: Kernel,
    codes: &[Code<W>],
    queries: &[Code<W>],
    tiny: bool,
    [read_gb_per_s, random_ns]: [f64; 2],
    table: &mut Table,
) {
    let bytes = size_of_val(codes) as f64;
    // So near that nothing of random codes is: what is measured is the comparing.
    let radius_bits = Code::<W>::BITS / 16;
    let passes = if tiny { 1 } else { 5 };
    let repeats = if tiny { 1 } else { ((64 << 20) / size_of_val(codes).max(1)).clamp(1, 100) };
    let per_pass = |work: &mut dyn FnMut()| {
        median_ns(passes, || {
            for _ in 0..repeats {
                work();
            }
        }) / repeats as f64
    };
    let mut matches = 0;
    let scan_ns = per_pass(&mut || kernel.within(&queries[0], codes, radius_bits, |_, _| matches += 1));
    let mut distances = vec![0; codes.len()];
    let distances_ns = per_pass(&mut || {
        kernel.distances(&queries[0], codes, &mut distances);
        black_box(&distances);
    });
    // A batch is too long to be repeated, and long enough for the median of three.
    let mut below_bits = vec![radius_bits + 1; queries.len()];
    let batch_ns = median_ns(passes.min(3), || {
        kernel.within_many(queries, codes, &mut below_bits, |_, _, _, _| matches += 1);
    });
    let mut random = SplitMix::new(5);
    let ids: Vec<u32> =
        (0..if tiny { 100 } else { 200_000 }).map(|_| random.below(codes.len() as u32)).collect();
    let scattered_ns = median_ns(passes, || {
        let scattered = ids.iter().map(|&id| (id, &codes[id as usize]));
        kernel.within_each(&queries[0], scattered, radius_bits, |_, _| matches += 1);
    });
    black_box(matches);
    table.row([
        Code::<W>::BITS.to_string(),
        codes.len().to_string(),
        kernel.to_string(),
        format!("{read_gb_per_s:.1}"),
        format!("{:.1}", bytes / scan_ns),
        time(scan_ns),
        format!("{:.1}", bytes / distances_ns),
        format!("{:.1}", bytes * queries.len() as f64 / batch_ns),
        time(batch_ns / queries.len() as f64),
        time(random_ns),
        time(scattered_ns / ids.len() as f64),
    ]);
}

/// All kernels over buckets drawn at random from 256 KiB and from `memory_bytes` of random words.
fn planes(memory_bytes: usize, tiny: bool, table: &mut Table) {
    let mut random = SplitMix::new(9);
    let words: Vec<U32> = (0..memory_bytes / 4).map(|_| U32::new(random.bits() as u32)).collect();
    for count in PLANES {
        for len in ENTRIES {
            for kernel in Kernel::available() {
                let query: Vec<u32> = (0..count).map(|_| random.bits() as u32).collect();
                let mut cells = vec![
                    count.to_string(),
                    len.to_string(),
                    (4 * count * len).to_string(),
                    kernel.to_string(),
                ];
                let [alone_ns, run_ns, _] =
                    runs(kernel, &query, &words[..(256 << 10 >> 2).min(words.len())], len, tiny);
                let memory = runs(kernel, &query, &words, len, tiny);
                cells.extend([alone_ns, run_ns].into_iter().chain(memory).map(time));
                table.row(cells);
            }
        }
    }
}

/// The time of a bucket of `len` entries: called for alone, in a run, in a run with planes asked for ahead.
fn runs(kernel: Kernel, query: &[u32], words: &[U32], len: usize, tiny: bool) -> [f64; 3] {
    let bucket_words = query.len() * len;
    let calls = if tiny { 10 } else { 2_000 };
    // A third of the bits, as a query's radius leaves: few entries are that near.
    let radius_bits = query.len() as u32 * 32 / 8;
    let mut random = SplitMix::new(7);
    let mut matches = 0u64;
    // Other buckets every pass: those of the last one are in the cache.
    let mut draw = || -> Vec<usize> {
        (0..calls).map(|_| random.place(words.len() / bucket_words) * bucket_words).collect()
    };
    let passes = if tiny { 1 } else { 21 };
    let mut places = vec![];
    let mut time = |work: &mut dyn FnMut(&[usize])| {
        let mut times = vec![];
        for _ in 0..passes {
            places = draw();
            let start = std::time::Instant::now();
            work(&places);
            times.push(start.elapsed().as_nanos() as f64 / calls as f64);
        }
        phash_bench::timing::median(&times)
    };
    let alone = time(&mut |places| {
        for &place in places {
            let planes = &words[place..place + bucket_words];
            kernel.within_planes(query, planes, len, radius_bits, |_, _| matches += 1);
        }
    });
    let bucket =
        |&place: &usize| Bucket { key: place, planes: &words[place..place + bucket_words], len, radius_bits };
    let run = time(&mut |places| {
        kernel.within_buckets(query, places.iter().map(bucket), |_, _, _| matches += 1);
    });
    let ahead = time(&mut |places| {
        let buckets = places.iter().enumerate().map(|(i, place)| {
            if let Some(&next) = places.get(i + BUCKETS_AHEAD) {
                prefetch_all::<16, _>(&words[next..next + bucket_words]);
            }
            bucket(place)
        });
        kernel.within_buckets(query, buckets, |_, _, _| matches += 1);
    });
    black_box(matches);
    [alone, run, ahead]
}
