//! Measures appending raw codes with labels of 24 bytes: N codes of 256 bits, a commit each 100,000.
//! `cargo run --release -p phash-store --example codes -- [CODES] [DIR]`
#![expect(clippy::print_stdout, reason = "the figures are the result")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use phash_store::{OpenOptions, Reader, Schema, Writer};

const BATCH: u32 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let codes: u32 = args.next().map_or(Ok(10_000_000), |text| text.parse())?;
    let temporary = tempfile::tempdir()?;
    let dir = args.next().map_or_else(|| temporary.path().join("db"), PathBuf::from);
    let mut writer = Writer::open_or_create(&dir, &Schema::codes(4))?;
    let (start, mut commit_ms, mut state) = (Instant::now(), Vec::new(), 1u64);
    for id in 0..codes {
        let mut code = [0; 32];
        for word in code.chunks_exact_mut(8) {
            // A linear congruential generator is random enough to be written.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word.copy_from_slice(&state.to_le_bytes());
        }
        writer.put_code(&code, Some(&format!("pictures/{:03}/{id:08}.jpg", id % 1000)))?;
        if (id + 1) % BATCH == 0 || id + 1 == codes {
            let commit = Instant::now();
            writer.commit()?;
            commit_ms.push(commit.elapsed().as_secs_f64() * 1e3);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let commits_s = commit_ms.iter().sum::<f64>() / 1e3;
    commit_ms.sort_by(f64::total_cmp);
    println!("put {codes} codes: {seconds:.2} s, {:.0} codes/s", f64::from(codes) / seconds);
    println!(
        "commits: {}, {commits_s:.2} s in all, median {:.1} ms, longest {:.1} ms",
        commit_ms.len(),
        commit_ms.get(commit_ms.len() / 2).unwrap_or(&0.0),
        commit_ms.last().unwrap_or(&0.0)
    );
    drop(writer);
    let start = Instant::now();
    let reader = Reader::open(&dir, OpenOptions::default())?;
    println!("open a reader: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let report = reader.verify(&mut |_, _| {})?;
    println!("verify: {:.2} s, {} damages", start.elapsed().as_secs_f64(), report.damages.len());
    let info = reader.info()?;
    println!("codes {} bytes, labels {} bytes", info.code_bytes, info.label_bytes);
    Ok(())
}
