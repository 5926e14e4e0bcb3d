//! Claim: the seeds of the fuzz targets, every known attack among them, get the verdict that their names say. Their
//! properties are checked by the entry functions that the fuzz targets call.
#![expect(clippy::unwrap_used, reason = "a panic in a test is a failure with a place")]

use std::fs;
use std::path::{Path, PathBuf};

use phash_weights::fuzzing::{Verdict, safetensors_header, shard_index};

/// The seeds of a target; none where the crate was taken out of its repository.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.is_empty() || paths.len() > 30, "the corpus of {target} has only {} seeds", paths.len());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

#[test]
fn header_seeds() {
    for (name, bytes) in seeds("safetensors_header") {
        let verdict = safetensors_header(&bytes);
        let accepted = matches!(verdict, Verdict::Accepted(_));
        assert!(
            accepted != (name.starts_with("bad-") || name.starts_with("foreign-")),
            "{name}: {verdict:?}"
        );
        let alone = matches!(verdict, Verdict::RefusedByUsAlone(_));
        let expected = name.starts_with("bad-duplicate") || name == "bad-rank";
        // Of the duplicates the crate itself refuses those of fields that it knows.
        let refused_by_both = ["bad-duplicate-field", "bad-duplicate-metadata"].contains(&name.as_str());
        assert_eq!(alone, expected && !refused_by_both, "{name}: {verdict:?}");
    }
}

#[test]
fn index_seeds() {
    for (name, bytes) in seeds("shard_index") {
        let verdict = shard_index(&bytes);
        assert_eq!(verdict.is_ok(), name.starts_with("ok-"), "{name}: {verdict:?}");
    }
}
