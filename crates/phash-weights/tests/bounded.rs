//! Claim: what a hostile header or shard index costs is bounded by its own length: bytes allocated at once are a small multiple
//! of it, and nothing behind it is read, whatever it claims. Counted, not timed.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a panic in a test is a failure with a place")]

mod common;

use std::fs;
use std::path::Path;

use allocation_counter::measure;
use common::{entry, header, write};
use phash_weights::WeightsFile;

/// Bytes that this thread has read from files, and calls to do so.
fn read_bytes() -> (u64, u64) {
    let text = fs::read_to_string("/proc/thread-self/io").unwrap();
    let number = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    (number("rchar:"), number("syscr:"))
}

/// A safetensors file with this header in a file that claims 8 GiB of data, which take no space.
fn sparse(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = write(folder, name, &common::file(text, 0));
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(8 << 30).unwrap();
    path
}

#[test]
fn a_hostile_header_or_index_costs_a_multiple_of_its_length_and_nothing_behind_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let n = 5_000_000;
    let many: Vec<String> =
        (0..100_000).map(|i| entry(&format!("t{i}"), "F32", &[1 << 40], 0, 8 << 30)).collect();
    let same: Vec<String> = (0..100_000).map(|_| entry("t", "U8", &[0], 0, 0)).collect();
    let axes = format!("{{\"t\":{{\"dtype\":\"U8\",\"data_offsets\":[0,0],\"shape\":[{}", "0,".repeat(n));
    let attacks = [
        ("deep", "[".repeat(n)),
        ("deep-objects", "{\"a\":".repeat(n / 5)),
        ("deep-in-unknown", format!("{{\"t\":{{\"unknown\":{}", "[".repeat(n))),
        ("endless-string", format!("{{\"{}", "a".repeat(n))),
        ("endless-escapes", format!("{{\"{}", "\\u0061".repeat(n / 6))),
        ("endless-number", format!("{{\"t\":{{\"shape\":[{}", "9".repeat(n))),
        ("endless-axes", axes),
        ("metadata", format!("{{\"__metadata__\":{{\"a\":\"{}\"}}}}", "b".repeat(n))),
        ("overlapping", header(&many)),
        ("duplicates", header(&same)),
        ("spaces", format!("{{{}}}", " ".repeat(n))),
    ];
    for (name, text) in attacks {
        let path = sparse(folder.path(), &format!("{name}.safetensors"), &text);
        let index = write(folder.path(), &format!("{name}.safetensors.index.json"), text.as_bytes());
        for path in [path, index] {
            let what = path.file_name().unwrap().to_string_lossy().into_owned();
            let before = read_bytes();
            let mut refused = false;
            let cost = measure(|| refused = WeightsFile::open(&path).is_err());
            let after = read_bytes();
            let (bytes, calls) = (after.0 - before.0, after.1 - before.1);
            println!(
                "{what}: {} bytes, {bytes} read in {calls} calls, {} at once",
                text.len(),
                cost.bytes_max
            );
            assert!(refused, "{what}");
            let len = text.len() as u64;
            assert!(bytes <= 2 * len + 65_536, "{what}: {bytes} bytes were read of {len}");
            assert!(cost.bytes_max <= 8 * len + 65_536, "{what}: {} bytes at once", cost.bytes_max);
        }
    }
}

#[test]
fn an_index_that_names_one_file_ten_thousand_times_or_files_elsewhere_opens_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    for shard in
        ["../x", "/etc/passwd", "a/../../x", "..", ".", "", "a\\u0000b", "C:\\\\x", "sub/x.safetensors"]
    {
        let map: Vec<String> = (0..10_000).map(|i| format!("\"t{i}\":\"{shard}\"")).collect();
        let text = format!("{{\"weight_map\":{{{}}}}}", map.join(","));
        let path = write(folder.path(), "i.safetensors.index.json", text.as_bytes());
        let before = read_bytes();
        let mut refused = false;
        let cost = measure(|| refused = WeightsFile::open(&path).is_err());
        let bytes = read_bytes().0 - before.0;
        assert!(refused, "{shard}");
        let len = text.len() as u64;
        assert!(bytes <= 2 * len + 65_536 && cost.bytes_max <= 16 * len, "{shard}: {bytes}, {cost:?}");
    }
}
