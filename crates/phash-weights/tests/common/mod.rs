//! Owns the writer of test files: safetensors bytes from a header text, right or wrong as the test wants it.
#![expect(clippy::unwrap_used, reason = "a panic in a test is a failure with a place")]
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::path::{Path, PathBuf};

use phash_weights::{Error, WeightsFile};

/// A file with this header and that many data bytes, numbered 0, 1, 2 ...
pub(crate) fn file(header: &str, data_bytes: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend((0..data_bytes).map(|i| u8::try_from(i % 251).unwrap()));
    bytes
}

/// An entry of a header.
pub(crate) fn entry(name: &str, dtype: &str, shape: &[u64], start: u64, end: u64) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#)
}

/// A header of these entries.
pub(crate) fn header(entries: &[String]) -> String {
    format!("{{{}}}", entries.join(","))
}

/// A sound file of F32 vectors of these names and lengths, laid end to end.
pub(crate) fn vectors(tensors: &[(&str, u64)]) -> Vec<u8> {
    let mut start = 0;
    let entries: Vec<String> = tensors
        .iter()
        .map(|(name, len)| {
            let end = start + len * 4;
            let text = entry(name, "F32", &[*len], start, end);
            start = end;
            text
        })
        .collect();
    file(&header(&entries), usize::try_from(start).unwrap())
}

/// Writes `bytes` to `name` in `folder`.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

/// The error of opening a file with these bytes.
pub(crate) fn refusal(bytes: &[u8]) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "m.safetensors", bytes);
    let error = WeightsFile::open(&path).expect_err("it is to be refused");
    assert_eq!(error.path(), path);
    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    error
}
