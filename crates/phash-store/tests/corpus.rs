//! Claim: the seeds of the fuzz target of the store's files get the verdict that their names say, and so do random edits as
//! far as one can tell. The properties are checked by the entry function that the fuzz target calls.
#![expect(clippy::unwrap_used, reason = "a panic in a test is a failure with a place")]

use std::fs;
use std::path::{Path, PathBuf};

use phash_store::fuzzing::{StoreFiles, Verdict};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/store_files")
}

/// A directory of its own, in memory where the system offers that.
fn temp_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn expected(name: &str) -> Verdict {
    match name.split('-').next() {
        Some("ok") => Verdict::Sound,
        Some("unsound") => Verdict::Damaged,
        Some("forged") => Verdict::Forged,
        _ => Verdict::Refused,
    }
}

#[test]
fn seeds_of_store_files() {
    // There are none where the crate was taken out of its repository.
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder()).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.is_empty() || paths.len() >= 40, "the corpus has only {} seeds", paths.len());
    let temporary = temp_dir();
    let store = StoreFiles::new(temporary.path());
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let verdict = store.run(&fs::read(&path).unwrap());
        // Those that were found are kept for the code that they reach.
        assert!(name.contains("-found-") || verdict == expected(name), "{name}: {verdict:?}");
    }
}

#[test]
fn random_edits_break_no_property() {
    let mut state =
        std::env::var("PHASH_STORE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122u64);
    println!("PHASH_STORE_SEED={state}");
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()[0]
    };
    let temporary = temp_dir();
    let store = StoreFiles::new(temporary.path());
    let mut seen = [0; 4];
    for round in 0..1200 {
        // One in ten is of a whole database.
        let flags = next() & 0b10_1111 | u8::from(round % 10 == 0) << 4;
        let mut input = vec![flags];
        for _ in 0..=next() % 3 {
            // Headers of files and of first blocks often, cut files and missing ones seldom.
            let operation = [0, 0, 0, 5, 5, 1, 2, 6, 4, 3, 7][usize::from(next() % 11)];
            let place = [[next() % 110, 0], [next() & 0x7f, 0x10], [next(), next()]][usize::from(next() % 3)];
            let len = next() % 9;
            input.extend([next(), operation, place[0], place[1], len]);
            input.extend((0..len.max(3)).map(|_| next()));
        }
        seen[store.run(&input) as usize] += 1;
    }
    assert!(seen.iter().all(|&count| count > 0), "verdicts that were never seen: {seen:?}");
}

/// Sets bytes.
fn set(file: u8, at: u16, data: &[u8]) -> Vec<u8> {
    edit(file, 0, at, u8::try_from(data.len()).unwrap(), data)
}

/// Inverts 8 bytes at a time.
fn invert(file: u8, at: u16, eights: u8) -> Vec<u8> {
    edit(file, 5, at, eights, &[])
}

fn edit(file: u8, operation: u8, at: u16, len: u8, data: &[u8]) -> Vec<u8> {
    let [low, high] = at.to_le_bytes();
    [&[file, operation, low, high, len], data].concat()
}

#[test]
#[ignore = "makes the seeds; run by hand"]
fn make_the_seeds() {
    const CODES: u8 = 1;
    const MENDED: u8 = 4;
    const ENDS: u8 = 8;
    const WHOLE: u8 = 16;
    const MAPPED: u8 = 32;
    // Of the raw codes: files and what follows them, and places in files of one word a record.
    let (codes, places, text, published, ends) = (0, 1, 2, 3, 4);
    let (block, second_block) = (4096, 4096 + 64 + 2048 * 8);
    let nothing: &[Vec<u8>] = &[];
    let one = |edit: Vec<u8>| vec![edit];
    // Name, flags, edits, and whether the whole database gets the same verdict.
    let seeds: Vec<(&str, u8, Vec<Vec<u8>>, bool)> = vec![
        ("ok-codes", CODES, nothing.into(), true),
        ("ok-models", 0, nothing.into(), true),
        ("ok-codes-compacted", 2, nothing.into(), true),
        ("ok-models-compacted", 3, nothing.into(), true),
        ("ok-checksums-mended", CODES | MENDED | ENDS, nothing.into(), true),
        ("ok-bytes-behind-the-end", CODES, one(edit(codes, 4, 0, 9, &[])), true),
        ("ok-published-damaged", CODES, one(invert(published, 0, 1)), true),
        ("ok-published-gone", CODES, one(edit(published, 7, 0, 0, &[])), true),
        ("ok-published-earlier", CODES | MENDED, one(set(published, 16, &[1])), true),
        ("bad-magic", CODES, one(set(codes, 0, b"Q")), true),
        ("bad-version", CODES | MENDED, one(set(codes, 8, &[99])), true),
        ("bad-words", CODES | MENDED, one(set(codes, 12, &[2])), true),
        ("bad-words-huge", CODES | MENDED, one(set(codes, 12, &[0xff; 4])), true),
        ("bad-kind", CODES | MENDED, one(set(codes, 16, &[3])), true),
        ("bad-codes-a-block", CODES | MENDED, one(set(codes, 20, &[0; 4])), true),
        ("bad-database-id", MENDED, one(invert(0, 24, 1)), true),
        ("bad-parameters", MENDED, one(set(0, 40, &[8])), true),
        ("bad-name-length", MENDED, one(set(0, 72, &[0xff; 4])), true),
        ("bad-name", MENDED, one(set(2, 76, b"wide")), true),
        ("bad-zeros-of-the-header", CODES | MENDED, one(set(codes, 4000, &[1])), true),
        ("bad-header-of-another-file", CODES, one(edit(codes, 6, 0, 255, &[1, 0, 0])), true),
        ("bad-empty-file", CODES, one(edit(codes, 3, 0, 0, &[])), true),
        ("bad-half-a-header", CODES, one(edit(codes, 3, 2048, 0, &[])), true),
        ("bad-no-codes", CODES, one(edit(codes, 3, block, 0, &[])), true),
        ("bad-half-a-code", CODES, one(edit(codes, 3, second_block + 64 + 51 * 8 + 4, 0, &[])), true),
        ("bad-missing-file", 0, one(edit(3, 7, 0, 0, &[])), true),
        ("bad-code-of-the-last-block", CODES, one(invert(codes, second_block + 64, 1)), true),
        ("bad-code-of-a-full-block", CODES, one(invert(codes, block + 64, 1)), true),
        ("bad-code-of-a-full-block-mapped", CODES | MAPPED, one(invert(codes, block + 64, 1)), true),
        ("bad-byte-inserted", CODES, one(edit(codes, 1, block + 70, 1, &[7])), true),
        ("bad-byte-removed", CODES, one(edit(codes, 2, block + 70, 1, &[])), true),
        ("bad-slots-gone", CODES, one(set(codes, block, &[0; 64])), true),
        ("bad-slots-of-another-block", CODES, one(edit(codes, 6, block, 8, &[0, 0x40, 0x50])), true),
        (
            "bad-slot-count-0",
            CODES | MENDED,
            vec![set(codes, block + 4, &[0; 4]), set(codes, block + 36, &[0; 4])],
            true,
        ),
        (
            "bad-slot-count-huge",
            CODES | MENDED,
            vec![set(codes, block + 4, &[0xff; 4]), set(codes, block + 36, &[0xff; 4])],
            true,
        ),
        (
            "bad-slot-reserved-bytes",
            CODES | MENDED,
            vec![set(codes, block + 20, &[1]), set(codes, block + 52, &[1])],
            true,
        ),
        ("unsound-slots-of-the-last-block-gone", CODES, one(set(codes, second_block, &[0; 64])), true),
        ("unsound-older-slot", CODES, one(invert(codes, block, 1)), true),
        (
            "unsound-slot-of-a-later-commit",
            CODES | MENDED,
            one(set(codes, second_block + 8, &[0xff; 8])),
            false,
        ),
        ("forged-code-of-a-full-block", CODES | MENDED, one(invert(codes, block + 72, 1)), true),
        (
            "forged-code-of-the-last-block",
            CODES | MENDED | ENDS,
            one(invert(codes, second_block + 64, 1)),
            true,
        ),
        ("forged-label", CODES | MENDED | ENDS, one(set(text, block + 64 + 1, b"x")), true),
        ("bad-label-no-text", CODES | MENDED | ENDS, one(set(text, block + 64, &[0xff])), false),
        (
            "bad-label-beyond-the-text",
            CODES | MENDED | ENDS,
            one(set(places, block + 64 + 7 * 8, &[0xff; 5])),
            true,
        ),
        (
            "bad-label-longest",
            CODES | MENDED | ENDS,
            one(set(places, block + 64 + 2093 % 2048 * 8, &[0xff; 8])),
            true,
        ),
        (
            "bad-label-of-no-bytes",
            CODES | MENDED | ENDS,
            one(set(places, block + 64 + 7 * 8, &[1, 0, 0, 0, 0, 0, 0, 0])),
            true,
        ),
        ("bad-end-one-more", CODES | ENDS, one(set(ends, 0, &2101u32.to_le_bytes())), true),
        ("bad-end-huge", CODES, one(set(ends, 0, &[0xff; 4])), true),
        ("bad-end-huge-text", CODES | ENDS, one(set(ends, 32, &[0xff; 4])), true),
        ("bad-end-checksum", CODES, one(invert(ends, 8, 1)), true),
        ("unsound-end-one-less", CODES | ENDS, one(set(ends, 0, &2099u32.to_le_bytes())), false),
        ("unsound-end-generation", CODES | ENDS, one(set(ends, 4, &[0xff; 8])), false),
        ("bad-end-of-models-huge", ENDS, one(set(5, 0, &[0xff; 4])), true),
    ];
    let folder = folder();
    fs::create_dir_all(&folder).unwrap();
    for (name, flags, edits, whole) in seeds {
        let input = |flags: u8| [vec![flags], edits.concat()].concat();
        fs::write(folder.join(name), input(flags)).unwrap();
        if whole {
            fs::write(folder.join(format!("{name}-whole")), input(flags | WHOLE)).unwrap();
        }
    }
    // What only the whole database tells.
    let most = (1u64 << 62).to_le_bytes();
    for (name, edit) in [
        ("bad-published-later", set(published, 16, &[0xff])),
        ("bad-published-greatest", set(published, 16, &[0xff; 8])),
        ("bad-commits-greatest", set(ends, 48, &[0xff; 8])),
        ("ok-commits-most", set(ends, 48, &most)),
    ] {
        let input = [vec![CODES | MENDED | WHOLE], edit].concat();
        fs::write(folder.join(format!("{name}-whole")), input).unwrap();
    }
}
