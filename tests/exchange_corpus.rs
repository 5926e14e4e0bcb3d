//! Claim: the seeds of the fuzz targets of imports and codes, every known attack among them, get the verdict that their names say, and
//! hostile files are read in bounded memory. Properties are checked by the entry functions that the fuzz targets call.

use std::fs;
use std::path::Path;

use phash_library::fuzzing::{code_files, code_text, import_jsonl, import_parquet};

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "the corpus of {target} has only {} seeds", paths.len());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

/// Most memory that this process ever had, in bytes, where the system tells.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[test]
fn seeds_of_imports_get_the_verdict_of_their_names_in_bounded_memory() {
    let before = peak_bytes();
    for (name, bytes) in seeds("import_jsonl") {
        let verdict = import_jsonl(&bytes);
        assert_eq!(verdict.is_ok(), name.starts_with("ok-"), "{name}: {verdict:?}");
    }
    for (name, bytes) in seeds("import_parquet") {
        let verdict = import_parquet(&bytes);
        assert_eq!(verdict.is_ok(), name.starts_with("ok-"), "{name}: {verdict:?}");
    }
    // Pages within the limits, and what else the tests of this process need meanwhile.
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < 512 << 20, "{grown} bytes more");
}

#[test]
fn seeds_of_codes_hold_what_the_targets_check() {
    for (name, bytes) in seeds("code_text") {
        let read = code_text(&bytes).contains(&true);
        assert_eq!(read, name.starts_with("ok-"), "{name}");
    }
    for (_, bytes) in seeds("code_files") {
        code_files(&bytes);
    }
}
