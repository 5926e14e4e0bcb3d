//! Databases of every version of the format must always open and give the same answers. Fixtures are never made again silently:
//! those of versions 1 to 3 were made by builds that wrote these; `make_the_fixtures` is run by hand when a version is added,
//! into a new folder.

use std::path::{Path, PathBuf};

use phash_store::{Error, Reader, Schema, Writer};

use crate::codes;
use crate::common::*;
use crate::remove::ids;

/// The version of each fixture, and the newest one of what it holds.
const FIXTURES: [(&str, u32, u32); 5] =
    [("store-v1", 1, 5), ("store-v2", 2, 4), ("store-v3", 3, 5), ("store-v4", 4, 4), ("store-v5", 5, 5)];

fn fixture() -> PathBuf {
    golden("store-v1")
}

pub(crate) fn golden(name: &str) -> PathBuf {
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
    // And, migrated, it can be written on.
    let mut writer = migrate(&dir, &schema());
    put_range(&mut writer, 40..60).unwrap();
    writer.commit().unwrap();
    check_range(&Reader::open(&dir, NO_MMAP).unwrap(), 60);
}

fn migrate(dir: &Path, schema: &Schema) -> Writer {
    Writer::migrate(dir, schema, &mut |_, _| true).unwrap().unwrap().0
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
fn a_database_of_version_2_opens_gives_the_same_answers_and_can_be_written_on_when_migrated() {
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
    let mut writer = migrate(&dir, &codes::raw());
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

/// What a database says, in the form in which the fixtures keep it.
fn said(dir: &Path) -> String {
    if Reader::open(dir, NO_MMAP).unwrap().contents() == phash_store::Contents::Codes {
        return code_answers(dir);
    }
    format!("{:08x}\n", fingerprint(dir))
}

#[test]
#[ignore = "makes the fixtures; run by hand for a new version of the format"]
fn make_the_fixtures() {
    for name in ["store-v4", "store-v5"] {
        let dir = golden(name);
        if dir.exists() {
            continue;
        }
        let schema = if name == "store-v4" { codes::raw() } else { schema() };
        let mut writer = Writer::open_or_create(&dir, &schema).unwrap().with_clock(clock);
        if name == "store-v4" {
            fill_codes(&mut writer)
        } else {
            fill(&mut writer)
        }
        remove_and_compact(&mut writer);
        drop(writer);
        std::fs::write(dir.join("answers.crc32"), said(&dir)).unwrap();
    }
}

#[test]
fn databases_with_removals_open_give_the_same_answers_and_can_be_written_on_once_they_are_of_the_newest_version()
 {
    for (name, version, newest) in FIXTURES.into_iter().filter(|(_, version, _)| *version > 2) {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        copy_dir(&golden(name), &dir);
        let expected = std::fs::read_to_string(dir.join("answers.crc32")).unwrap();
        assert_eq!(said(&dir), expected, "{name}");
        let reader = Reader::open(&dir, MMAP).unwrap();
        assert_eq!(
            (reader.info().unwrap().format_version, reader.removed().unwrap()),
            (version, &ids(&[0, 30]))
        );
        let report = reader.verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{report:?}");
        let (schema, live) = (reader.schema().clone(), reader.live_count());
        drop(reader);
        let mut writer =
            if version == newest { Writer::open(&dir, &schema).unwrap() } else { migrate(&dir, &schema) };
        match newest {
            5 => drop(put(&mut writer, "another", 4000, 0).unwrap()),
            _ => drop(writer.put_code(&codes::code(9), Some("another")).unwrap()),
        }
        writer.compact(&mut |_, _| true).unwrap().unwrap().publish().unwrap();
        drop(writer);
        let reader = Reader::open(&dir, MMAP).unwrap();
        assert_eq!(reader.live_count(), live + 1);
        assert!(reader.verify(&mut |_, _| {}).unwrap().is_sound());
    }
}

/// All files of a database, and what is in them.
fn bytes_of(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // Shared memory of SQLite and its empty log come and go with whoever reads.
        let name = path.to_string_lossy().into_owned();
        if path.is_file() && !name.ends_with("-shm") && !name.ends_with("-wal") {
            all.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn nothing_is_added_to_a_database_of_an_older_version_and_it_is_left_as_it_was() {
    for (name, version, newest) in FIXTURES {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        copy_dir(&golden(name), &dir);
        let schema = Reader::open(&dir, NO_MMAP).unwrap().schema().clone();
        let before = bytes_of(&dir);
        match Writer::open(&dir, &schema) {
            Err(error @ Error::OlderVersion { .. }) => {
                assert!(version < newest);
                let text = error.to_string();
                let told =
                    ["db: ", "phashdb migrate", "phashdb backup", &format!("format version {version},")];
                assert!(told.iter().all(|part| text.contains(part)), "{text}");
                assert!(text.contains(&format!("version {newest} in place")), "{text}");
            }
            opened => {
                assert_eq!(opened.unwrap().format_version(), newest);
                assert_eq!(version, newest);
            }
        }
        assert!(bytes_of(&dir) == before, "{name} was written to");
    }
}

#[test]
fn migration_raises_the_version_in_one_commit_and_changes_no_answer() {
    for (name, from, to) in FIXTURES {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        copy_dir(&golden(name), &dir);
        let reader = Reader::open(&dir, NO_MMAP).unwrap();
        let (schema, generation) = (reader.schema().clone(), reader.generation());
        let say = |reader: &Reader| match to {
            5 => answers(reader).unwrap().split_once('\n').unwrap().1.to_owned(),
            _ => String::new(),
        };
        let before = say(&reader);
        let (writer, found) = Writer::migrate(&dir, &schema, &mut |_, _| true).unwrap().unwrap();
        assert_eq!((found, writer.format_version()), (from, to));
        drop(writer);
        let again = Writer::migrate(&dir, &schema, &mut |_, _| true).unwrap().unwrap();
        assert_eq!(again.1, to);
        drop(again);
        assert_eq!(say(&reader), before, "an older snapshot");
        let reader = Reader::open(&dir, NO_MMAP).unwrap();
        let commits = u64::from(from != to);
        assert_eq!((reader.info().unwrap().format_version, reader.generation()), (to, generation + commits));
        assert_eq!(say(&reader), before);
        if from == 2 {
            codes::check(&reader, 2100);
        }
        let report = reader.verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{report:?}");
    }
}

#[test]
fn a_migrated_catalog_is_the_one_that_a_new_database_would_have() {
    let temporary = temp_dir();
    let (old, new) = (temporary.path().join("old"), temporary.path().join("new"));
    copy_dir(&fixture(), &old);
    drop(migrate(&old, &schema()));
    let mut writer = Writer::open_or_create(&new, &schema()).unwrap().with_clock(clock);
    fill(&mut writer);
    drop(writer);
    let tables = |dir: &Path, sql: &str| -> Vec<String> {
        let conn = rusqlite::Connection::open(dir.join("catalog.sqlite")).unwrap();
        let mut statement = conn.prepare(sql).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            (0..columns).map(|at| Ok(format!("{:?}", row.get_ref(at)?))).collect::<rusqlite::Result<Vec<_>>>()
        };
        statement.query_map([], row).unwrap().map(|row| row.unwrap().join(" ")).collect()
    };
    for sql in [
        // A rule for its kinds was another one in version 1.
        "SELECT name, sql FROM sqlite_schema WHERE name <> 'code_files' ORDER BY name",
        "SELECT name, type, \"notnull\", pk FROM pragma_table_info('code_files')",
        "SELECT * FROM models",
        "SELECT * FROM tensors",
        "SELECT * FROM sources",
        "SELECT * FROM upkeep",
        "SELECT * FROM removed",
        "SELECT * FROM voids",
    ] {
        assert!(tables(&old, sql) == tables(&new, sql), "{sql}");
    }
}

#[test]
fn a_migration_that_is_stopped_or_meets_damage_changes_nothing() {
    for name in ["store-v1", "store-v3"] {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        copy_dir(&golden(name), &dir);
        drop(Reader::open(&dir, NO_MMAP).unwrap());
        let before = bytes_of(&dir);
        for stop_after in 0..2 {
            let mut told = 0;
            let stopped = Writer::migrate(&dir, &schema(), &mut |done, all| {
                told += 1;
                assert!(done <= all && all > 0);
                told <= stop_after
            });
            assert!(stopped.unwrap().is_none());
            assert!(bytes_of(&dir) == before, "stopped after {stop_after}");
        }
        // A row that does not pass its checksum gets no new one.
        rusqlite::Connection::open(dir.join("catalog.sqlite"))
            .unwrap()
            .execute("UPDATE tensors SET dtype = 'F64' WHERE id = 3", [])
            .unwrap();
        let before = bytes_of(&dir);
        let error = Writer::migrate(&dir, &schema(), &mut |_, _| true).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains("row 3 of tensors"), "{error}");
        assert!(bytes_of(&dir) == before, "damaged");
    }
}

#[test]
fn a_migration_gives_no_checksum_to_codes_whose_block_is_damaged_and_names_the_place() {
    let temporary = temp_dir();
    let (dir, sound) = (temporary.path().join("db"), temporary.path().join("sound"));
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    put_range(&mut writer, 0..2100).unwrap();
    writer.remove(&ids(&[5, 2070])).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let expected = answers(&Reader::open(&dir, NO_MMAP).unwrap()).unwrap();
    crate::verify::downgrade(&dir);
    copy_dir(&dir, &sound);
    // In the first block: the last one is looked at by every opening.
    for file in ["energy.codes", "tensors.energy.codes"] {
        let path = dir.join(file);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[4096 + 64 + 32 * 700] ^= 4;
        std::fs::write(&path, bad).unwrap();
        let before = bytes_of(&dir);
        let error = Writer::migrate(&dir, &schema(), &mut |_, _| true).unwrap_err();
        let text = error.to_string();
        let told = [file, &format!("at byte {}", 4096 + 64), "block 0"];
        assert!(error.is_damage() && told.iter().all(|part| text.contains(part)), "{text}");
        assert!(bytes_of(&dir) == before, "{file}");
        std::fs::write(&path, good).unwrap();
    }
    // And the sound one is what it was before it was made older.
    drop(migrate(&sound, &schema()));
    let reader = Reader::open(&sound, NO_MMAP).unwrap();
    let after = answers(&reader).unwrap();
    assert!(after.split_once('\n').unwrap().1 == expected.split_once('\n').unwrap().1);
    assert!(reader.verify(&mut |_, _| {}).unwrap().is_sound());
}
