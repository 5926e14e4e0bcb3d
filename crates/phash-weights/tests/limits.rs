//! Claim: a hostile file costs no more than its header may: each limit trips, and what a file claims is never allocated.
//! One test, so that the peak of the process's address space is its own.

mod common;

use std::fmt::Write as _;
use std::fs;

use common::{entry, file, header, refusal, vectors, write};
use phash_core::TensorSource as _;
use phash_weights::{Error, WeightsFile, limits, stamp};

/// Peak of the process's address space in bytes, where the system tells.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn too_many(error: &Error, expected: &str) {
    assert!(matches!(error, Error::TooMany { what, .. } if *what == expected), "{error}");
}

fn empty_tensors(count: usize) -> String {
    let entries: Vec<String> = (0..count).map(|i| entry(&format!("t{i}"), "U8", &[0], 0, 0)).collect();
    header(&entries)
}

#[test]
fn hostile_sizes_are_refused_without_allocating_what_they_claim() {
    let folder = tempfile::tempdir().unwrap();
    let before = peak_bytes();

    // Claims in the prefix, in files that are as long as they say: sparse, 8 GiB.
    for claim in [u64::MAX, 1 << 33, limits::HEADER_BYTES + 1, limits::HEADER_BYTES] {
        let path = write(folder.path(), "sparse.safetensors", &claim.to_le_bytes());
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(8 << 30).unwrap();
        let error = WeightsFile::open(&path).unwrap_err();
        let over = claim > limits::HEADER_BYTES;
        assert_eq!(matches!(error, Error::HeaderOverLimit { .. }), over, "{error}");
        // A header of zero bytes (the limit is not passed): not JSON at the first one.
        assert_eq!(matches!(error, Error::NotJson { offset_bytes: 8, .. }), !over, "{error}");
        assert_eq!(stamp(&path).unwrap().len_bytes, 8 << 30);
    }
    // A tensor that claims all of it is believed without being read.
    let text = header(&[entry("w", "U8", &[8 << 30], 0, 8 << 30)]);
    let path = write(folder.path(), "sparse.safetensors", &file(&text, 0));
    let len = fs::metadata(&path).unwrap().len() + (8 << 30);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len).unwrap();
    let model = WeightsFile::open(&path).unwrap();
    model.read_at(0, (8 << 30) - 4, &mut [0; 4]).unwrap();

    let path = write(folder.path(), "x.safetensors.index.json", b"{");
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(8 << 30).unwrap();
    assert!(matches!(WeightsFile::open(&path), Err(Error::IndexOverLimit { .. })));
    assert!(matches!(stamp(&path), Err(Error::IndexOverLimit { .. })));

    // Each count, one at the limit and one beyond.
    let at_limit = write(folder.path(), "many.safetensors", &file(&empty_tensors(limits::TENSORS), 0));
    assert_eq!(WeightsFile::open(&at_limit).unwrap().tensors().len(), limits::TENSORS);
    too_many(&refusal(&file(&empty_tensors(limits::TENSORS + 1), 0)), "tensors");

    let shape = |rank: usize| file(&header(&[entry("t", "U8", &vec![1; rank], 0, 1)]), 1);
    assert_eq!(
        WeightsFile::open(&write(folder.path(), "r.safetensors", &shape(limits::RANK))).unwrap().len_bytes(),
        shape(limits::RANK).len() as u64
    );
    too_many(&refusal(&shape(limits::RANK + 1)), "axes of one tensor");
    let endless = format!("{{\"t\":{{\"shape\":[{}1]", "1,".repeat(12_000_000));
    too_many(&refusal(&file(&endless, 0)), "axes of one tensor");

    let named = |len: usize| vectors(&[(&"n".repeat(len), 1)]);
    let path = write(folder.path(), "n.safetensors", &named(limits::NAME_BYTES));
    assert_eq!(WeightsFile::open(&path).unwrap().tensors().len(), 1);
    too_many(&refusal(&named(limits::NAME_BYTES + 1)), "bytes in a tensor's name");

    let mut metadata = "{\"__metadata__\":{\"\":\"\"".to_owned();
    for key in 0..limits::KEYS {
        let _ = write!(metadata, ",\"{key}\":\"\"");
    }
    too_many(&refusal(&file(&(metadata + "}}"), 0)), "JSON keys");

    let index = |entries: usize, shard: &dyn Fn(usize) -> String| {
        let map: Vec<String> = (0..entries).map(|i| format!("\"t{i}\":\"{}\"", shard(i))).collect();
        let text = format!("{{\"weight_map\":{{{}}}}}", map.join(","));
        WeightsFile::open(&write(folder.path(), "i.safetensors.index.json", text.as_bytes())).unwrap_err()
    };
    too_many(&index(limits::TENSORS + 1, &|_| "s".to_owned()), "tensors");
    assert!(matches!(index(limits::TENSORS, &|_| "s".to_owned()), Error::ShardMissing { .. }));
    too_many(&index(limits::SHARDS + 1, &|i| format!("s{i}")), "shards");
    assert!(matches!(index(limits::SHARDS, &|i| format!("s{i}")), Error::ShardMissing { .. }));
    too_many(&index(1, &|_| "s".repeat(limits::SHARD_NAME_BYTES + 1)), "bytes in a shard's name");

    let grown = peak_bytes() - before;
    println!("address space grew by {} MB", grown >> 20);
    assert!(grown < 1 << 30, "{} MB were allocated", grown >> 20);
}
