//! How fast weights are hashed, beside `sha256sum` on the same files, warm cache, same number of threads; with BLAKE3 of
//! the same bytes and the mere reading of them as limits. All contenders take turns in one run.
//!
//! `cargo bench -p phash-bench --bench hash -- [DIR]`; without DIR the bundled models.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
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

const CONTENDERS: [(&str, Contender); 4] =
    [("phashdb", phashdb), ("sha256sum", sha256sum), ("BLAKE3", blake3_of_bytes), ("read only", read_only)];

fn main() -> Result<()> {
    let options = Options::read();
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/models");
    let dir = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).map_or(bundled, PathBuf::from);
    let files = files_below(&dir)?;
    let bytes: u64 = files.iter().map(|file| file.metadata().map_or(0, |meta| meta.len())).sum();
    let passes = options.size(7, 1);
    println!("machine: {}", machine::line());
    println!(
        "{} files, {:.1} MB, warm cache, median of {passes} passes, contenders in turn\n",
        files.len(),
        bytes as f64 / 1e6
    );
    let mut table = Table::new(&["contender", "threads", "time", "MB/s", "speed / sha256sum"]);
    for threads in [NonZeroUsize::MIN, NonZeroUsize::MIN.saturating_add(1)] {
        let mut times = [const { Vec::new() }; CONTENDERS.len()];
        for pass in 0..=passes {
            for (times, (_, contender)) in times.iter_mut().zip(CONTENDERS) {
                let start = Instant::now();
                contender(&files, threads)?;
                if pass > 0 {
                    times.push(start.elapsed().as_nanos() as f64); // The first pass warms up.
                }
            }
        }
        let medians = times.map(|times| median(&times));
        for ((name, _), ns) in CONTENDERS.iter().zip(medians) {
            let speed = format!("{:.0}", bytes as f64 / ns * 1e3);
            table.row([
                (*name).to_owned(),
                threads.to_string(),
                time(ns),
                speed,
                format!("{:.2}", medians[1] / ns),
            ]);
        }
    }
    println!("{}", table.to_markdown());
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

fn phashdb(files: &[PathBuf], threads: NonZeroUsize) -> Result<()> {
    let (cancel, progress) = (AtomicBool::new(false), |_: u64| {});
    let hashing = Hashing { threads, cancel: &cancel, progress: &progress };
    let inputs = files.iter().cloned().map(Input::Path).collect();
    hash_files(inputs, &hashing, |hashed| {
        black_box(hashed.map(|hashed| hashed.hash.views).ok());
    })?;
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
