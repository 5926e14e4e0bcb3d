//! Measures appending and opening: N models with two 512-bit codes each and no tensors, a commit each 100,000.
//! `cargo run --release -p phash-store --example throughput -- [MODELS] [DIR]`
#![expect(clippy::print_stdout, reason = "the figures are the result")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use phash_code::Codes;
use phash_store::{
    Contents, NewModel, NewSource, OpenOptions, Reader, Schema, Stamp, Store, ViewCode, ViewSpec, Writer,
};

const BATCH: u32 = 100_000;

/// Pseudo-random bytes out of a number (splitmix64).
fn bytes<const N: usize>(seed: u64) -> [u8; N] {
    let mut out = [0; N];
    for (word, chunk) in (0u64..).zip(out.chunks_exact_mut(8)) {
        let mut z = seed.wrapping_mul(8).wrapping_add(word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let models: u32 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let temporary = tempfile::tempdir()?;
    let dir = args.next().map_or_else(|| temporary.path().join("db"), PathBuf::from);

    let views = ["energy", "blocks"].map(|name| ViewSpec { name: name.to_owned(), words: 8 });
    let schema = Schema { contents: Contents::Models, parameters: [1; 32], views: views.to_vec() };
    Store::create(&dir, &schema)?;
    let mut writer = Writer::open(&dir, &schema)?;
    let (start, mut commit_ms) = (Instant::now(), Vec::new());
    for id in 0..models {
        let (a, b) = (bytes::<64>(u64::from(id) * 4), bytes::<64>(u64::from(id) * 4 + 1));
        let label = format!("models/family-{}/model-{id:08}.safetensors", id % 1000);
        writer.put(&NewModel {
            source: NewSource {
                label: &label,
                path: &label,
                stamp: Stamp { len_bytes: 1 << 20, mtime_ns: 1_700_000_000_000_000_000 },
                file_digest: bytes(u64::from(id) * 4 + 2),
            },
            format: "safetensors",
            content_digest: bytes(u64::from(id) * 4 + 3),
            views: &[
                ViewCode { bytes: Some(&a), features: 1000 },
                ViewCode { bytes: Some(&b), features: 900 },
            ],
            weak: false,
            tensors_used: 10,
            tensors_skipped: &[],
            tensors: &[],
        })?;
        if (id + 1) % BATCH == 0 || id + 1 == models {
            let commit = Instant::now();
            writer.commit()?;
            commit_ms.push(commit.elapsed().as_secs_f64() * 1e3);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    commit_ms.sort_by(f64::total_cmp);
    let median_ms = commit_ms.get(commit_ms.len() / 2).copied().unwrap_or(0.0);
    println!("put {models} models: {seconds:.2} s, {:.0} models/s", f64::from(models) / seconds);
    println!(
        "commits: {}, median {median_ms:.1} ms, longest {:.1} ms",
        commit_ms.len(),
        commit_ms.last().unwrap_or(&0.0)
    );
    let start = Instant::now();
    drop(writer);
    println!("close the writer: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);

    let start = Instant::now();
    drop(Writer::open(&dir, &schema)?);
    println!("open and close a writer: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    for mmap in [true, false] {
        let start = Instant::now();
        let reader = Reader::open(&dir, OpenOptions { mmap })?;
        let open_ms = start.elapsed().as_secs_f64() * 1e3;
        let codes = reader.codes::<8>("energy")?;
        let start = Instant::now();
        let (mut id, mut ones) = (0, 0u64);
        while id < codes.len() {
            let run = codes.run(id);
            ones += run
                .iter()
                .flat_map(|code| code.as_bytes())
                .map(|byte| u64::from(byte.count_ones()))
                .sum::<u64>();
            id += u32::try_from(run.len())?;
        }
        let touch_ms = start.elapsed().as_secs_f64() * 1e3;
        println!(
            "open a reader, mmap {mmap}: {open_ms:.2} ms; touch every code: {touch_ms:.1} ms ({ones} bits set)"
        );
    }
    let reader = Reader::open(&dir, OpenOptions::default())?;
    let start = Instant::now();
    let report = reader.verify(&mut |_, _| {})?;
    println!("verify: {:.2} s, {} damages", start.elapsed().as_secs_f64(), report.damages.len());
    let info = reader.info()?;
    println!("catalog {} bytes, codes {} bytes", info.catalog_bytes, info.code_bytes);
    Ok(())
}
