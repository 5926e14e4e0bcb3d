//! Claim: the seeds of the segment fuzz target get the verdict that their names say. The properties are checked by the
//! entry function that the fuzz target calls.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use phash_index::fuzzing::{Verdict, codes, index_segment};
use phash_index::{BuildParams, Layout, build_segment, build_segment_without};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/index_segment")
}

#[test]
fn segment_seeds() {
    // There are none where the crate was taken out of its repository.
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder()).into_iter().flatten().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert!(paths.is_empty() || paths.len() >= 20, "the corpus has only {} seeds", paths.len());
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let verdict = index_segment(&fs::read(&path).unwrap());
        match name.split('-').next() {
            Some("ok") => assert!(matches!(verdict, Verdict::Sound), "{name}: {verdict:?}"),
            Some("unsound") => assert!(matches!(verdict, Verdict::Unsound(_)), "{name}: {verdict:?}"),
            _ => assert!(matches!(verdict, Verdict::Refused(_)), "{name}: {verdict:?}"),
        }
    }
}

/// Checksums are mended by the entry function, so that a seed may differ from a segment in one place only.
#[test]
#[ignore = "makes the seeds; run by hand for a new version of the format, and fuzz for new `-found-` ones"]
fn make_the_seeds() {
    let codes = codes();
    let params = BuildParams::default().with_substrings(16);
    let fast = params.with_layout(Layout::Fast).with_planes(1);
    let build = |ids, params: &BuildParams| build_segment(&codes, ids, params).unwrap();
    let sound = build(0..12, &params);
    let sketches = build(0..12, &fast);
    let len = sound.len();
    let meta_len = u32::from_le_bytes(sound[len - 32..len - 28].try_into().unwrap()) as usize;
    let changed = |bytes: &[u8], at: usize, to: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let removed = [3, 4].into_iter().collect();
    // Table 0 of `sound`: offsets at 16, ids at 84, estimates at 132; of `sketches` planes at 132.
    let seeds: Vec<(&str, Vec<u8>)> = vec![
        ("ok-compact", sound.clone()),
        ("ok-fast", sketches.clone()),
        ("ok-empty", build(0..0, &params)),
        ("ok-later-ids", build(7..19, &fast)),
        ("ok-removed", build_segment_without(&codes, 0..12, &removed, &fast).unwrap()),
        ("ok-many-tables", build(0..3, &BuildParams::default().with_substrings(64))),
        ("ok-wrong-checksum-mended", changed(&sound, len - 9, &[0xff])),
        ("bad-no-bytes", Vec::new()),
        ("bad-header-only", sound[..16].to_vec()),
        ("bad-magic", changed(&sound, 0, b"q")),
        ("bad-version-before", changed(&sound, 8, &[sound[8] - 1])),
        ("bad-version-after", changed(&sound, 8, &[sound[8] + 1])),
        ("bad-width", changed(&sound, 12, &[128])),
        ("bad-footer-magic", sound[..len - 1].to_vec()),
        ("bad-metadata-beyond-file", changed(&sound, len - 32, &[0xff; 8])),
        ("bad-metadata-no-archive", changed(&sound, len - 32 - meta_len, &vec![0xa5; meta_len])),
        ("bad-metadata-pointers", changed(&sound, len - 32 - 24, &[0x7f; 24])),
        ("bad-shorter", [&sound[..200], &sound[204..]].concat()),
        ("bad-longer", [&sound[..200], &[0; 4], &sound[200..]].concat()),
        ("unsound-offsets-backwards", changed(&sound, 20, &[12, 0, 0, 0, 1])),
        ("unsound-offsets-beyond-ids", changed(&sound, 20, &[0xff; 40])),
        ("unsound-first-offset", changed(&sound, 16, &[1])),
        ("unsound-id-beyond", changed(&sound, 84, &[0xff; 4])),
        ("unsound-ids-descend", changed(&sound, 84, &[11, 0, 0, 0, 0, 0, 0, 0])),
        ("unsound-estimate", changed(&sound, 140, &[99])),
        ("unsound-sketch", changed(&sketches, 133, &[0x55])),
        ("unsound-other-codes", {
            let others: Vec<_> = codes.iter().rev().copied().collect();
            build_segment(&others, 0..12, &params).unwrap()
        }),
    ];
    fs::create_dir_all(folder()).unwrap();
    for (name, bytes) in seeds {
        fs::write(folder().join(name), bytes).unwrap();
    }
}
