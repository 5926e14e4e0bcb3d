//! How fast weights are hashed, whole and from a sample, beside BLAKE3 of the same bytes, `sha256sum`, the mere reading of
//! the files, and the machine's memory: files and large generated models, warm cache, contenders in turn in one run.
//!
//! `cargo bench -p phash-bench --bench hash -- [DIR]`; without DIR the bundled models.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Read as _, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use phash_bench::machine;
use phash_bench::options::Options;
use phash_bench::table::{Table, time};
use phash_bench::timing::median;
use phash_library::{Hashing, Input, hash_files, walk};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One way of going over all files with so many threads.
type Contender = fn(&[PathBuf], NonZeroUsize) -> Result<()>;

const CONTENDERS: [(&str, Contender); 6] = [
    ("phashdb", |files, threads| phashdb(files, threads, u64::MAX)),
    ("phashdb, sample", |files, threads| phashdb(files, threads, 0)),
    ("BLAKE3", blake3_of_bytes),
    ("sha256sum", sha256sum),
    ("read only", read_only),
    ("memory", memory),
];
/// Places of the contenders that others are compared with.
const BLAKE3: usize = 2;
const MEMORY: usize = 5;

/// Large models: name, element type, bytes an element, shape, tensors in 256 MiB.
const LARGE: [(&str, &str, usize, &[usize]); 4] = [
    ("4096x4096 F32", "F32", 4, &[4_096, 4_096]),
    ("4096x4096 BF16", "BF16", 2, &[4_096, 4_096]),
    ("4096x4096 F16", "F16", 2, &[4_096, 4_096]),
    ("512x512x3x3 F32", "F32", 4, &[512, 512, 3, 3]),
];

fn main() -> Result<()> {
    let options = Options::read();
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/models");
    let dir = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).map_or(bundled, PathBuf::from);
    let passes = options.size(7, 1);
    println!("machine: {}", machine::line());
    println!(
        "warm cache, median of {passes} passes, contenders in turn; memory: the same bytes summed in memory\n"
    );
    let columns = ["data", "contender", "threads", "time", "MB/s", "speed / BLAKE3", "speed / memory"];
    let mut table = Table::new(&columns);
    race("files", &files_below(&dir)?, passes, &mut table)?;
    let temporary = std::env::temp_dir().join(format!("phash-bench-{}", std::process::id()));
    std::fs::create_dir(&temporary)?;
    let large_bytes = if options.tiny { 1 << 26 } else { 1 << 28 };
    let raced = LARGE.iter().try_for_each(|&(name, dtype, size, shape)| {
        let path = temporary.join("large.safetensors");
        generate(&path, dtype, size, shape, large_bytes)?;
        race(name, &[path], passes, &mut table)
    });
    std::fs::remove_dir_all(&temporary)?;
    raced?;
    println!("{}", table.to_markdown());
    Ok(())
}

/// Lets all contenders go over the files, in turn, on one and two threads.
fn race(name: &str, files: &[PathBuf], passes: u32, table: &mut Table) -> Result<()> {
    let bytes: u64 = files.iter().map(|file| file.metadata().map_or(0, |meta| meta.len())).sum();
    println!("{name}: {} files, {:.1} MB", files.len(), bytes as f64 / 1e6);
    for threads in [NonZeroUsize::MIN, NonZeroUsize::MIN.saturating_add(1)] {
        let mut times = [const { Vec::new() }; CONTENDERS.len()];
        for pass in 0..=passes {
            for (times, (_, contender)) in times.iter_mut().zip(CONTENDERS) {
                let start = Instant::now();
                contender(files, threads)?;
                if pass > 0 {
                    times.push(start.elapsed().as_nanos() as f64); // The first pass warms up.
                }
            }
        }
        let medians = times.map(|times| median(&times));
        let memory_ns = medians[MEMORY] / MEMORY_PASSES as f64 * bytes as f64 / MEMORY_BYTES as f64;
        for (place, (contender, ns)) in CONTENDERS.iter().map(|(name, _)| name).zip(medians).enumerate() {
            let ns = if place == MEMORY { memory_ns } else { ns };
            table.row([
                name.to_owned(),
                (*contender).to_owned(),
                threads.to_string(),
                time(ns),
                format!("{:.0}", bytes as f64 / ns * 1e3),
                format!("{:.2}", medians[BLAKE3] / ns),
                format!("{:.2}", memory_ns / ns),
            ]);
        }
    }
    Ok(())
}

/// Writes a safetensors file of random weights, about `bytes` long.
fn generate(path: &Path, dtype: &str, size: usize, shape: &[usize], bytes: usize) -> Result<()> {
    let len = size * shape.iter().product::<usize>();
    let tensors = (bytes / len).max(1);
    let entries: Vec<String> = (0..tensors)
        .map(|tensor| {
            let offsets = [tensor * len, (tensor + 1) * len];
            format!(r#""w{tensor}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":{offsets:?}}}"#)
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    // Either sign, and an exponent near zero.
    let (keep, set) = match dtype {
        "F32" => (0x81ff_ffff_81ff_ffff, 0x3c00_0000_3c00_0000),
        "BF16" => (0x81ff_81ff_81ff_81ff, 0x3c00_3c00_3c00_3c00),
        _ => (0x87ff_87ff_87ff_87ff, 0x2000_2000_2000_2000u64),
    };
    let mut state = 1u64;
    for _ in 0..tensors * len / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&(state & keep | set).to_le_bytes())?;
    }
    file.flush()?;
    Ok(())
}

/// The files that make up the models below `dir`: all contenders read the same ones.
fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for candidate in walk(&[dir.to_owned()]) {
        match candidate.input? {
            Input::Path(path) if path.extension().is_some_and(|end| end == "safetensors") => files.push(path),
            _ => {}
        }
    }
    Ok(files)
}

fn phashdb(files: &[PathBuf], threads: NonZeroUsize, sample_over_bytes: u64) -> Result<()> {
    let (cancel, progress) = (AtomicBool::new(false), |_: u64| {});
    let hashing = Hashing { threads, sample_over_bytes, cancel: &cancel, progress: &progress };
    let inputs = files.iter().cloned().map(Input::Path).collect();
    hash_files(inputs, &hashing, |hashed| {
        black_box(hashed.map(|hashed| hashed.hash.views).ok());
    })?;
    Ok(())
}

/// Bytes that are summed in memory, more than caches hold, and how many times.
const MEMORY_BYTES: usize = 1 << 28;
const MEMORY_PASSES: usize = 2;

/// Sums numbers that lie in memory: how fast they can be had at all, whatever the files.
fn memory(_: &[PathBuf], threads: NonZeroUsize) -> Result<()> {
    static NUMBERS: std::sync::LazyLock<Vec<u64>> =
        std::sync::LazyLock::new(|| (0..MEMORY_BYTES as u64 / 8).collect());
    let share = NUMBERS.len() / threads;
    let numbers: &[u64] = &NUMBERS;
    std::thread::scope(|scope| {
        for part in numbers.chunks(share) {
            scope.spawn(move || {
                for _ in 0..MEMORY_PASSES {
                    black_box(black_box(part).iter().fold(0, |sum: u64, number| sum.wrapping_add(*number)));
                }
            });
        }
    });
    Ok(())
}

fn sha256sum(files: &[PathBuf], threads: NonZeroUsize) -> Result<()> {
    // Every other file to each process: the sizes even out.
    let children = (0..threads.get()).map(|first| {
        let share = files.iter().skip(first).step_by(threads.get());
        Command::new("sha256sum").arg("--").args(share).stdout(Stdio::null()).spawn()
    });
    for child in children.collect::<std::io::Result<Vec<_>>>()? {
        let status = child.wait_with_output()?.status;
        if !status.success() {
            return Err(format!("sha256sum: {status}").into());
        }
    }
    Ok(())
}

fn blake3_of_bytes(files: &[PathBuf], threads: NonZeroUsize) -> Result<()> {
    each_piece(files, threads, |hasher: &mut blake3::Hasher, piece| {
        hasher.update(piece);
    })
}

fn read_only(files: &[PathBuf], threads: NonZeroUsize) -> Result<()> {
    each_piece(files, threads, |sum: &mut u8, piece| {
        *sum ^= piece.iter().step_by(64).fold(0, |sum, byte| sum ^ byte)
    })
}

/// Reads all files in pieces of 1 MiB and folds them, file by file, on so many threads.
fn each_piece<S: Default>(
    files: &[PathBuf],
    threads: NonZeroUsize,
    fold: impl Fn(&mut S, &[u8]) + Sync,
) -> Result<()> {
    let next = Mutex::new(files.iter());
    std::thread::scope(|scope| {
        let work = || -> std::io::Result<()> {
            let mut buffer = vec![0; 1 << 20];
            while let Some(path) = { next.lock().expect("no thread panics").next() } {
                let (mut file, mut state) = (File::open(path)?, S::default());
                loop {
                    let len = file.read(&mut buffer)?;
                    if len == 0 {
                        break;
                    }
                    fold(&mut state, &buffer[..len]);
                }
                black_box(&state);
            }
            Ok(())
        };
        let others: Vec<_> = (1..threads.get()).map(|_| scope.spawn(work)).collect();
        work()?;
        others.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;
    Ok(())
}
