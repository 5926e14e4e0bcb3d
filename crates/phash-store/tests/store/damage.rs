//! Damage: every byte of a small code file changed, every length cut, other files swapped in. Each must be found, or
//! be proven harmless by unchanged answers; nothing may be repaired silently.

use std::fs;
use std::path::Path;

use phash_store::{Error, OpenOptions, Reader, Store, VerifyReport, Writer};

use crate::common::*;

/// A database of `counts.last()` models, a commit at each count, closed.
fn database(dir: &Path, counts: &[u64]) {
    Store::create(dir, &schema()).unwrap();
    let mut writer = Writer::open(dir, &schema()).unwrap().with_clock(clock);
    for &count in counts {
        let from = u64::from(writer.model_count());
        put_range(&mut writer, from..count).unwrap();
        writer.commit().unwrap();
    }
    writer.add_segment("energy", 0..2, b"eight by").unwrap();
    writer.commit().unwrap();
}

fn verify(dir: &Path, options: OpenOptions) -> Result<VerifyReport, Error> {
    Reader::open(dir, options)?.verify(&mut |_, _| {})
}

/// Whether opening or verifying says that something is wrong, naming the file.
fn is_found(dir: &Path, file: &Path) -> bool {
    match verify(dir, NO_MMAP) {
        Err(Error::Corrupted { file: named, .. } | Error::TooShort { file: named, .. }) => named == file,
        Err(Error::UnknownVersion { path, .. } | Error::NotADatabase { path, .. }) => path == file,
        Err(other) => panic!("not an error about damage: {other}"),
        Ok(report) => report.damages.iter().any(|damage| damage.file == file),
    }
}

#[test]
fn every_changed_byte_of_a_code_file_is_found() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    // Three commits: both slots of the block are used, and one of them twice.
    database(&dir, &[2, 5, 7]);
    assert!(verify(&dir, NO_MMAP).unwrap().is_sound());
    for name in ["blocks.codes", "tensors.blocks.codes"] {
        let file = dir.join(name);
        let good = fs::read(&file).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&file, &bad).unwrap();
            assert!(is_found(&dir, &file), "{name}: byte {at} changed, not found");
        }
        fs::write(&file, &good).unwrap();
    }
    assert!(verify(&dir, MMAP).unwrap().is_sound());
}

#[test]
fn changed_bytes_in_full_blocks_are_found() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, &[2000, 2048, 4100]);
    let file = dir.join("blocks.codes");
    let good = fs::read(&file).unwrap();
    let block_at = |block: usize| 4096 + block * (64 + 2048 * 8);
    // All bytes of the block headers, and some of the codes.
    let headers = (0..3).flat_map(|block| block_at(block)..block_at(block) + 64);
    for at in headers.chain((4096..good.len()).step_by(1499)) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&file, &bad).unwrap();
        assert!(is_found(&dir, &file), "byte {at} changed, not found");
    }
}

#[test]
fn a_code_file_cut_at_any_length_is_an_error_at_once() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, &[2, 5, 7]);
    let file = dir.join("energy.codes");
    let good = fs::read(&file).unwrap();
    for len in (0..good.len()).rev() {
        fs::write(&file, &good[..len]).unwrap();
        for options in [MMAP, NO_MMAP] {
            let error = Reader::open(&dir, options).unwrap_err();
            assert!(
                matches!(error, Error::TooShort { got_bytes, .. } if got_bytes == len as u64),
                "{len}: {error}"
            );
        }
        if len % 16 == 0 {
            let error = Writer::open(&dir, &schema()).unwrap_err();
            assert!(matches!(error, Error::TooShort { .. }), "{len}: {error}");
            assert_eq!(fs::read(&file).unwrap().len(), len, "the evidence was changed");
        }
    }
}

#[test]
fn a_longer_code_file_is_cut_back_by_the_writer_and_left_alone_by_readers() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, &[2, 5, 7]);
    let file = dir.join("energy.codes");
    let good = fs::read(&file).unwrap();
    for junk in [1, 63, 64, 5000, 70_000] {
        let mut longer = good.clone();
        longer.extend((0..junk).map(|n: usize| n.to_string().as_bytes()[0] ^ 0x80));
        fs::write(&file, &longer).unwrap();
        let reader = Reader::open(&dir, MMAP).unwrap();
        check_range(&reader, 7);
        let report = reader.verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.uncommitted_bytes, junk as u64);
        assert_eq!(fs::read(&file).unwrap(), longer, "a reader wrote");
        drop(Writer::open(&dir, &schema()).unwrap());
        assert_eq!(fs::read(&file).unwrap(), good);
        check_range(&reader, 7);
    }
}

#[test]
fn a_catalog_older_than_the_code_files_is_an_error_not_a_smaller_database() {
    // Later commits into the same block, which took its slots, and into a block of their own.
    for counts in [[3, 5, 7], [2048, 2050, 2060]] {
        let temporary = temp_dir();
        let (dir, old) = (temporary.path().join("db"), temporary.path().join("old"));
        database(&dir, &counts[..1]);
        copy_dir(&dir, &old);
        let mut writer = Writer::open(&dir, &schema()).unwrap();
        for &count in &counts[1..] {
            let from = u64::from(writer.model_count());
            put_range(&mut writer, from..count).unwrap();
            writer.commit().unwrap();
        }
        drop(writer);
        fs::copy(old.join("catalog.sqlite"), dir.join("catalog.sqlite")).unwrap();
        let len = fs::metadata(dir.join("energy.codes")).unwrap().len();
        assert!(Reader::open(&dir, MMAP).unwrap_err().is_damage());
        // Without the number of the last commit the slots tell it.
        for lost in [false, true] {
            if lost {
                fs::remove_file(dir.join("published")).unwrap();
            }
            let error = Writer::open(&dir, &schema()).unwrap_err();
            assert!(error.is_damage(), "{error}");
            assert_eq!(fs::metadata(dir.join("energy.codes")).unwrap().len(), len, "codes were cut off");
        }
    }
}

#[test]
fn what_an_interrupted_commit_left_in_the_spare_slot_is_cleared_by_the_next_writer() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, &[2, 5]);
    let file = dir.join("energy.codes");
    // The second commit wrote the second slot, so the first is the spare one; a torn slot is neither empty nor valid.
    let mut bytes = fs::read(&file).unwrap();
    bytes[4096 + 16..4096 + 32].fill(0x5a);
    fs::write(&file, &bytes).unwrap();
    check_range(&Reader::open(&dir, NO_MMAP).unwrap(), 5);
    assert!(is_found(&dir, &file), "a torn slot at rest is reported");
    drop(Writer::open(&dir, &schema()).unwrap());
    bytes[4096..4096 + 32].fill(0);
    assert_eq!(fs::read(&file).unwrap(), bytes, "only the spare slot is cleared");
    assert!(verify(&dir, MMAP).unwrap().is_sound());
}

#[test]
fn a_code_file_of_another_view_or_database_is_refused() {
    let temporary = temp_dir();
    let (dir, other) = (temporary.path().join("db"), temporary.path().join("other"));
    database(&dir, &[3]);
    database(&other, &[3]);
    let file = dir.join("energy.codes");
    let good = fs::read(&file).unwrap();
    // The same contents, but made for another database.
    for source in [other.join("energy.codes"), dir.join("tensors.energy.codes")] {
        fs::copy(source, &file).unwrap();
        assert!(matches!(Reader::open(&dir, MMAP), Err(Error::Corrupted { .. })));
        assert!(matches!(Writer::open(&dir, &schema()), Err(Error::Corrupted { .. })));
    }
    fs::write(&file, good).unwrap();
    fs::remove_file(dir.join("tensors.blocks.codes")).unwrap();
    assert!(matches!(Reader::open(&dir, MMAP), Err(Error::Io { .. })));
    assert!(matches!(Writer::open(&dir, &schema()), Err(Error::Io { .. })));
}

#[test]
fn a_changed_byte_of_the_catalog_is_found_or_changes_no_answer() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, &[2, 5, 20]);
    let before = answers(&Reader::open(&dir, MMAP).unwrap()).unwrap();
    let file = dir.join("catalog.sqlite");
    let good = fs::read(&file).unwrap();
    // Bytes that are used, densely; bytes of free space in pages, which are zero, now and then.
    let (mut found, mut harmless) = (0, 0);
    for at in (0..good.len()).filter(|&at| (good[at] != 0 && at % 5 == 0) || at % 401 == 0) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        for log in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let _ = fs::remove_file(dir.join(log));
        }
        fs::write(&file, &bad).unwrap();
        let sound = Reader::open(&dir, MMAP).is_ok_and(|reader| {
            let report = reader.verify(&mut |_, _| {}).unwrap();
            let after = answers(&reader);
            assert!(
                !report.is_sound() || after.as_ref().is_ok_and(|after| *after == before),
                "byte {at}: {after:?}"
            );
            report.is_sound()
        });
        if sound { harmless += 1 } else { found += 1 }
    }
    // What is harmless is free space in pages, and such fields of SQLite as its version.
    assert!(found > 6 * harmless, "found {found}, harmless {harmless}");
}

#[test]
fn a_damaged_or_missing_segment_is_found() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, &[5]);
    let entry = fs::read_dir(dir.join("segments")).unwrap().next().unwrap().unwrap().path();
    for at in 0..8 {
        let mut bad = b"eight by".to_vec();
        bad[at] ^= 4;
        fs::write(&entry, &bad).unwrap();
        assert!(is_found(&dir, &entry), "byte {at}");
    }
    // A file that cannot be used is said so in its place; the database opens, as codes do not depend on segments.
    let why = || {
        let reader = Reader::open(&dir, MMAP).unwrap();
        assert!(!reader.verify(&mut |_, _| ()).unwrap().is_sound());
        let segments = reader.schema().views.iter().flat_map(|view| reader.segments(&view.name).unwrap());
        segments.filter_map(|(_, bytes)| bytes.err()).next().unwrap()
    };
    fs::write(&entry, b"eight b").unwrap();
    assert!(matches!(&*why(), Error::TooShort { .. }));
    fs::write(&entry, b"eight byt").unwrap();
    assert!(matches!(&*why(), Error::Corrupted { .. }));
    fs::remove_file(&entry).unwrap();
    assert!(matches!(&*why(), Error::Io { .. }));
}

#[test]
fn what_is_not_a_database_is_said_so() {
    let temporary = temp_dir();
    let dir = temporary.path();
    assert!(matches!(Reader::open(dir, MMAP), Err(Error::NotADatabase { .. })));
    assert!(matches!(Reader::open(&dir.join("missing"), MMAP), Err(Error::NotADatabase { .. })));
    assert!(matches!(Writer::open(dir, &schema()), Err(Error::NotADatabase { .. })));
    for content in [&b""[..], b"not a database, but long enough to be looked at as one", &[0; 5000]] {
        fs::write(dir.join("catalog.sqlite"), content).unwrap();
        let error = Reader::open(dir, MMAP).unwrap_err();
        assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, &[3]);
    let file = dir.join("catalog.sqlite");
    let mut bytes = fs::read(&file).unwrap();
    bytes[63] = 6; // user_version lies at bytes 60..64 of an SQLite file, big-endian
    fs::write(&file, &bytes).unwrap();
    assert!(matches!(Reader::open(&dir, MMAP), Err(Error::UnknownVersion { found: 6, supported: 5, .. })));
    assert!(matches!(Writer::open(&dir, &schema()), Err(Error::UnknownVersion { found: 6, .. })));
    // Nor does a database of models pass for one of raw codes.
    bytes[63] = 2;
    fs::write(&file, &bytes).unwrap();
    let error = Reader::open(&dir, MMAP).unwrap_err();
    assert!(matches!(error, Error::Corrupted { .. }), "{error}");
    // Nor for one without checksums of codes: those of the rows cover them.
    bytes[63] = 3;
    fs::write(&file, &bytes).unwrap();
    let error = Reader::open(&dir, MMAP).unwrap().model(0).unwrap_err();
    assert!(matches!(error, Error::Corrupted { .. }), "{error}");
}
