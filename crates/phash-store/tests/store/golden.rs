//! A database made by the first version of the format must always open and give the same answers. Never made again
//! silently: `make_the_fixture` is run by hand when a version is added, into a new folder.

use std::path::PathBuf;

use phash_store::{Reader, Writer};

use crate::common::*;

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data/golden/store-v1")
}

/// The contents of the fixture: 40 models in two commits, a duplicate, a second version, one index segment.
fn fill(writer: &mut Writer) {
    put_range(writer, 0..25).unwrap();
    writer.commit().unwrap();
    put_range(writer, 25..40).unwrap();
    put(writer, "copies/of-3", 3, 1).unwrap();
    put(writer, "m/4", 5, 2).unwrap();
    writer.add_segment("energy", 0..40, b"opaque bytes of an index segment").unwrap();
    writer.commit().unwrap();
}

#[test]
#[ignore = "makes the fixture; run by hand for a new version of the format"]
fn make_the_fixture() {
    let dir = fixture();
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    fill(&mut writer);
    drop(writer);
    std::fs::write(dir.join("answers.crc32"), format!("{:08x}\n", fingerprint(&dir))).unwrap();
}

/// The checksum of all answers.
fn fingerprint(dir: &std::path::Path) -> u32 {
    crc32fast::hash(answers(&Reader::open(dir, NO_MMAP).unwrap()).unwrap().as_bytes())
}

#[test]
fn a_database_of_version_1_opens_and_gives_the_same_answers() {
    let temporary = temp_dir();
    // A copy, because readers of SQLite make files beside the catalog.
    let dir = temporary.path().join("db");
    copy_dir(&fixture(), &dir);
    let expected = std::fs::read_to_string(dir.join("answers.crc32")).unwrap();
    assert_eq!(format!("{:08x}\n", fingerprint(&dir)), expected);
    let reader = Reader::open(&dir, MMAP).unwrap();
    check_range(&reader, 40);
    assert_eq!(reader.model(3).unwrap().unwrap().sources[1].label, "copies/of-3");
    assert_eq!(reader.versions("m/4").unwrap().len(), 2);
    assert_eq!(
        reader.segments("energy").unwrap()[0].1.as_ref().unwrap().as_ref(),
        b"opaque bytes of an index segment"
    );
    let report = reader.verify(&mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    drop(reader);
    // And it can be written on.
    let mut writer = Writer::open(&dir, &schema()).unwrap();
    put_range(&mut writer, 40..60).unwrap();
    writer.commit().unwrap();
    check_range(&Reader::open(&dir, NO_MMAP).unwrap(), 60);
}

#[test]
fn a_database_made_again_with_the_same_clock_gives_the_same_answers() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    fill(&mut writer);
    drop(writer);
    let expected = std::fs::read_to_string(fixture().join("answers.crc32")).unwrap();
    assert_eq!(format!("{:08x}\n", fingerprint(&dir)), expected);
}
