//! Databases of raw codes: what is put is what is read, for any commits and labels; every changed byte; and what is refused.

use std::fs;
use std::path::Path;

use phash_code::Codes;
use phash_store::{Contents, Error, OpenOptions, Reader, Schema, Writer};

use crate::common::*;

pub(crate) fn raw() -> Schema {
    Schema::codes(2)
}

pub(crate) fn code(number: u64) -> [u8; 16] {
    let mut code = [0; 16];
    code.copy_from_slice(&bytes32(6, number)[..16]);
    code
}

/// Each seventh code has no label, the others labels of 1 to some 250 bytes, not all of them ASCII.
pub(crate) fn label(number: u64) -> Option<String> {
    let tail = "ü".repeat(usize::try_from(number % 120).unwrap());
    (!number.is_multiple_of(7)).then(|| format!("{number}/{tail}"))
}

pub(crate) fn put_codes(writer: &mut Writer, numbers: std::ops::Range<u64>) -> phash_store::Result<()> {
    for number in numbers {
        let id = writer.put_code(&code(number), label(number).as_deref())?;
        assert_eq!(u64::from(id), number);
    }
    Ok(())
}

pub(crate) fn check(reader: &Reader, count: u64) {
    assert_eq!((u64::from(reader.code_count()), reader.model_count()), (count, 0));
    let (codes, labels) = (reader.raw_codes::<2>().unwrap(), reader.code_labels().unwrap());
    for (id, number) in (0u32..).zip(0..count) {
        assert_eq!(codes.get(id).unwrap().as_bytes(), code(number), "code {id}");
        assert_eq!(labels.get(id).unwrap(), label(number), "label {id}");
    }
    let end = reader.code_count();
    assert!(codes.get(end).is_none() && labels.get(end).unwrap().is_none());
    assert!(labels.get(u32::MAX).unwrap().is_none());
}

/// A database with a commit at each count, closed.
fn database(dir: &Path, counts: &[u64]) {
    let mut writer = Writer::open_or_create(dir, &raw()).unwrap().with_clock(clock);
    for &count in counts {
        let from = u64::from(writer.code_count());
        put_codes(&mut writer, from..count).unwrap();
        writer.commit().unwrap();
    }
}

#[test]
fn codes_and_labels_come_back_whatever_the_commits() {
    for counts in [&[1][..], &[5, 5, 6], &[2047, 2048, 2049], &[4200], &[1500, 3000, 6500]] {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        for &count in counts {
            database(&dir, &[count]);
            for options in [MMAP, NO_MMAP] {
                let reader = Reader::open(&dir, options).unwrap();
                assert_eq!(reader.contents(), Contents::Codes);
                check(&reader, count);
            }
        }
        let reader = Reader::open(&dir, MMAP).unwrap();
        let info = reader.info().unwrap();
        let count = counts[counts.len() - 1];
        let labelled = (0..count).filter(|&number| label(number).is_some()).count();
        assert_eq!((u64::from(info.codes), info.labels as usize, info.format_version), (count, labelled, 4));
        let blocks = count.div_ceil(2048);
        assert_eq!(info.code_bytes, 4096 + blocks * 64 + count * 16);
        assert_eq!(info.label_bytes > 2 * 4096, labelled > 0);
        let report = reader.verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.checked_codes, count);
    }
}

#[test]
fn codes_without_labels_take_no_places() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &raw()).unwrap();
    for number in 0..3000 {
        writer.put_code(&code(number), (number % 2 == 0).then_some("")).unwrap();
    }
    writer.commit().unwrap();
    let reader = Reader::open(&dir, MMAP).unwrap();
    assert_eq!(reader.info().unwrap().label_bytes, 2 * 4096);
    assert_eq!(reader.code_labels().unwrap().get(2000).unwrap(), None);
    // The first label comes late: places before it are filled in.
    writer.put_code(&code(0), Some("late")).unwrap();
    writer.put_code(&code(1), None).unwrap();
    writer.commit().unwrap();
    let reader = Reader::open(&dir, MMAP).unwrap();
    let labels = reader.code_labels().unwrap();
    let found: Vec<_> = [0, 2999, 3000, 3001].map(|id| labels.get(id).unwrap()).into();
    assert_eq!(found, [None, None, Some("late".to_owned()), None]);
    assert!(reader.verify(&mut |_, _| {}).unwrap().is_sound());
}

#[test]
fn a_snapshot_keeps_its_labels_while_the_writer_goes_on() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, &[2000]);
    let mut reader = Reader::open(&dir, MMAP).unwrap();
    let before = reader.code_labels().unwrap();
    database(&dir, &[2047, 2600]);
    check(&reader, 2000);
    assert!(reader.verify(&mut |_, _| {}).unwrap().is_sound());
    assert!(reader.refresh().unwrap());
    check(&reader, 2600);
    assert_eq!(before.get(1999).unwrap(), label(1999));
    assert_eq!(before.get(2001).unwrap(), None);
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_the_batch_as_it_was() {
    let temporary = temp_dir();
    let (dir, models) = (temporary.path().join("db"), temporary.path().join("models"));
    let mut writer = Writer::open_or_create(&dir, &raw()).unwrap();
    put_codes(&mut writer, 0..3).unwrap();
    let error = writer.put_code(&[0; 8], None).unwrap_err();
    assert!(matches!(error, Error::WidthMismatch { expected_bytes: 16, got_bytes: 8, .. }), "{error}");
    let long = "x".repeat(65_536);
    assert!(matches!(writer.put_code(&code(3), Some(&long)), Err(Error::InvalidInput { .. })));
    assert!(matches!(put(&mut writer, "m", 1, 0), Err(Error::OtherContents { .. })));
    assert!(matches!(writer.put_source(&source("m", 1, 0), 0), Err(Error::OtherContents { .. })));
    writer.put_code(&code(3), Some(&long[1..])).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let reader = Reader::open(&dir, MMAP).unwrap();
    assert_eq!(reader.code_labels().unwrap().get(3).unwrap().unwrap().len(), 65_535);
    assert!(matches!(reader.raw_codes::<1>(), Err(Error::WidthMismatch { .. })));
    assert!(matches!(reader.codes::<2>("raw"), Err(Error::OtherContents { .. })));
    assert!(matches!(reader.voids("raw"), Err(Error::OtherContents { .. })));
    assert!(reader.model(0).unwrap().is_none() && reader.models().next().is_none());
    assert!(matches!(Writer::open(&dir, &schema()), Err(Error::OtherContents { .. })));
    let error = Writer::open(&dir, &Schema::codes(4)).unwrap_err();
    assert!(matches!(error, Error::OtherWidth { expected_bits: 256, found_bits: 128, .. }), "{error}");

    let mut writer = Writer::open_or_create(&models, &schema()).unwrap();
    assert!(matches!(writer.put_code(&code(0), None), Err(Error::OtherContents { .. })));
    assert_eq!(writer.code_count(), 0);
    assert!(matches!(Writer::open(&models, &raw()), Err(Error::Locked { .. })));
    drop(writer);
    assert!(matches!(Writer::open(&models, &raw()), Err(Error::OtherContents { .. })));
    let reader = Reader::open(&models, MMAP).unwrap();
    assert!(matches!(reader.raw_codes::<2>(), Err(Error::OtherContents { .. })));
    assert!(matches!(reader.code_labels(), Err(Error::OtherContents { .. })));
}

/// Whether opening or verifying says that something is wrong, naming the file.
fn is_found(dir: &Path, file: &Path, options: OpenOptions) -> bool {
    match Reader::open(dir, options).and_then(|reader| reader.verify(&mut |_, _| {})) {
        Err(Error::Corrupted { file: named, .. } | Error::TooShort { file: named, .. }) => named == file,
        Err(Error::UnknownVersion { path, .. }) => path == file,
        Err(other) => panic!("not an error about damage: {other}"),
        Ok(report) => report.damages.iter().any(|damage| damage.file == file),
    }
}

#[test]
fn every_changed_byte_and_every_cut_is_found() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, &[2, 5, 7]);
    for name in ["raw.codes", "raw.labels", "raw.text"] {
        let file = dir.join(name);
        let good = fs::read(&file).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&file, &bad).unwrap();
            assert!(is_found(&dir, &file, MMAP), "{name}: byte {at} changed, not found");
            if at % 3 == 0 {
                fs::write(&file, &good[..at]).unwrap();
                assert!(is_found(&dir, &file, MMAP), "{name}: cut at {at}, not found");
            }
        }
        fs::write(&file, &good).unwrap();
    }
    check(&Reader::open(&dir, MMAP).unwrap(), 7);
}

#[test]
fn a_changed_label_is_an_error_of_the_first_read_that_needs_it() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, &[4200]);
    let good_labels = |reader: &Reader| {
        let labels = reader.code_labels().unwrap();
        (0..4200).map(|id| labels.get(id).is_ok_and(|found| found == label(id.into()))).collect::<Vec<_>>()
    };
    let (mut hit, mut missed) = (0, 0);
    // Places: a byte of the first block's codes. Text: one of the first block's pieces.
    for (name, at) in [("raw.labels", 4096 + 64 + 8 * 100), ("raw.text", 4096 + 64 + 64 * 100)] {
        let file = dir.join(name);
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        for right in good_labels(&Reader::open(&dir, MMAP).unwrap()) {
            *(if right { &mut hit } else { &mut missed }) += 1;
        }
        assert!(matches!(Reader::open(&dir, NO_MMAP), Err(Error::Corrupted { .. })));
        fs::write(&file, &good).unwrap();
    }
    assert!(missed > 2048 && hit > 2048, "{hit} right, {missed} refused: only the blocks read are checked");
}
