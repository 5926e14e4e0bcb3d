//! A database made by the first version of the format must always open and give the same answers. Never made again
//! silently: `make_the_fixture` is run by hand when a version is added, into a new folder.

use std::path::PathBuf;

use phash_store::{Reader, Writer};

use crate::codes;
use crate::common::*;
use crate::remove::ids;

fn fixture() -> PathBuf {
    golden("store-v1")
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data/golden").join(name)
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

/// The contents of the fixture of raw codes: two commits, the second over the end of a block, one index segment.
fn fill_codes(writer: &mut Writer) {
    codes::put_codes(writer, 0..2000).unwrap();
    writer.commit().unwrap();
    codes::put_codes(writer, 2000..2100).unwrap();
    writer.add_segment("raw", 0..2000, b"opaque bytes of an index segment").unwrap();
    writer.commit().unwrap();
}

#[test]
#[ignore = "makes the fixture; run by hand for a new version of the format"]
fn make_the_fixture_of_raw_codes() {
    fill_codes(&mut Writer::open_or_create(&golden("store-v2"), &codes::raw()).unwrap().with_clock(clock));
}

#[test]
fn a_database_of_version_2_opens_gives_the_same_answers_and_can_be_written_on() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    copy_dir(&golden("store-v2"), &dir);
    let reader = Reader::open(&dir, NO_MMAP).unwrap();
    codes::check(&reader, 2100);
    let segments = reader.segments("raw").unwrap();
    assert_eq!((segments.len(), &segments[0].0), (1, &(0..2000)));
    assert_eq!(segments[0].1.as_ref().unwrap().as_ref(), b"opaque bytes of an index segment");
    let report = reader.verify(&mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    drop(reader);
    let mut writer = Writer::open(&dir, &codes::raw()).unwrap();
    codes::put_codes(&mut writer, 2100..5000).unwrap();
    writer.commit().unwrap();
    codes::check(&Reader::open(&dir, MMAP).unwrap(), 5000);
}

#[test]
fn files_of_raw_codes_made_again_are_the_same_byte_for_byte_but_for_the_database_id() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    fill_codes(&mut Writer::open_or_create(&dir, &codes::raw()).unwrap().with_clock(clock));
    for name in ["raw.codes", "raw.labels", "raw.text"] {
        let read = |dir: &std::path::Path| std::fs::read(dir.join(name)).unwrap();
        let (mut made, mut stored) = (read(&dir), read(&golden("store-v2")));
        for bytes in [&mut made, &mut stored] {
            // The id is random, and the checksums of header and slots cover it.
            bytes[24..40].fill(0);
            bytes[4092..4096].fill(0);
            let stride = if name == "raw.labels" {
                64 + 2048 * 8
            } else if name == "raw.text" {
                64 + 2048 * 64
            } else {
                64 + 2048 * 16
            };
            for block in (4096..bytes.len()).step_by(stride) {
                bytes[block + 28..block + 32].fill(0);
                bytes[block + 60..block + 64].fill(0);
            }
        }
        assert!(made == stored, "{name}");
    }
}

/// What versions 3 and 4 have beside the others: removals before a compaction and after it, and a segment.
fn remove_and_compact(writer: &mut Writer) {
    writer.remove(&ids(&[5, 39])).unwrap();
    writer.commit().unwrap();
    writer.compact(&mut |_, _| true).unwrap().unwrap().publish().unwrap();
    let view = writer.schema().views[0].name.clone();
    writer.add_segment(&view, 0..20, b"opaque bytes of an index segment").unwrap();
    writer.remove(&ids(&[0, 30])).unwrap();
    writer.commit().unwrap();
}

/// All that is said of raw codes.
fn code_answers(dir: &std::path::Path) -> String {
    let reader = Reader::open(dir, NO_MMAP).unwrap();
    let (all, labels) = (reader.raw_codes::<2>().unwrap(), reader.code_labels().unwrap());
    let mut text = format!("{} {:?}\n", reader.generation(), reader.removed().unwrap());
    for id in 0..reader.code_count() {
        let code = phash_code::Codes::get(&all, id).unwrap();
        text += &format!("{:02x?} {:?}\n", code.as_bytes(), labels.get(id).unwrap());
    }
    format!("{:08x}\n", crc32fast::hash(text.as_bytes()))
}

#[test]
#[ignore = "makes the fixtures; run by hand for a new version of the format"]
fn make_the_fixtures_of_versions_3_and_4() {
    let dir = golden("store-v3");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    fill(&mut writer);
    remove_and_compact(&mut writer);
    drop(writer);
    std::fs::write(dir.join("answers.crc32"), format!("{:08x}\n", fingerprint(&dir))).unwrap();
    let dir = golden("store-v4");
    let mut writer = Writer::open_or_create(&dir, &codes::raw()).unwrap().with_clock(clock);
    fill_codes(&mut writer);
    remove_and_compact(&mut writer);
    drop(writer);
    std::fs::write(dir.join("answers.crc32"), code_answers(&dir)).unwrap();
}

#[test]
fn databases_of_versions_3_and_4_open_give_the_same_answers_and_can_be_written_on() {
    for (name, version) in [("store-v3", 3), ("store-v4", 4)] {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        copy_dir(&golden(name), &dir);
        let expected = std::fs::read_to_string(dir.join("answers.crc32")).unwrap();
        let found = if version == 3 { format!("{:08x}\n", fingerprint(&dir)) } else { code_answers(&dir) };
        assert_eq!(found, expected, "{name}");
        let reader = Reader::open(&dir, MMAP).unwrap();
        assert_eq!(
            (reader.info().unwrap().format_version, reader.removed().unwrap()),
            (version, &ids(&[0, 30]))
        );
        let report = reader.verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{report:?}");
        let (schema, live) = (reader.schema().clone(), reader.live_count());
        drop(reader);
        let mut writer = Writer::open(&dir, &schema).unwrap();
        assert!(!writer.migrate().unwrap(), "nothing is newer");
        match version {
            3 => drop(put(&mut writer, "another", 4000, 0).unwrap()),
            _ => drop(writer.put_code(&codes::code(9), Some("another")).unwrap()),
        }
        writer.compact(&mut |_, _| true).unwrap().unwrap().publish().unwrap();
        drop(writer);
        let reader = Reader::open(&dir, MMAP).unwrap();
        assert_eq!(reader.live_count(), live + 1);
        assert!(reader.verify(&mut |_, _| {}).unwrap().is_sound());
    }
}

#[test]
fn migration_raises_the_version_in_one_commit_and_changes_no_answer() {
    for (name, from, to) in [("store-v1", 1, 3), ("store-v2", 2, 4)] {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        copy_dir(&golden(name), &dir);
        let reader = Reader::open(&dir, NO_MMAP).unwrap();
        let (schema, generation) = (reader.schema().clone(), reader.generation());
        let say = |reader: &Reader| {
            if from == 1 {
                answers(reader).unwrap().split_once('\n').unwrap().1.to_owned()
            } else {
                String::new()
            }
        };
        let before = say(&reader);
        let mut writer = Writer::open(&dir, &schema).unwrap();
        assert_eq!(writer.format_version(), from);
        assert!(writer.migrate().unwrap());
        assert!(!writer.migrate().unwrap());
        drop(writer);
        assert_eq!(say(&reader), before, "an older snapshot");
        let reader = Reader::open(&dir, NO_MMAP).unwrap();
        assert_eq!((reader.info().unwrap().format_version, reader.generation()), (to, generation + 1));
        assert_eq!(say(&reader), before);
        if from == 2 {
            codes::check(&reader, 2100);
        }
        assert!(reader.verify(&mut |_, _| {}).unwrap().is_sound());
    }
}
