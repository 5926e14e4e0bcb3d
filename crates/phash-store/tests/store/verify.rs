//! `verify` lists all damage at once, also of a database that cannot be opened, and says what is affected.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_store::{Affected, Damage, Kind, Reader, VerifyReport, Writer, verify};
use rusqlite::Connection;

use crate::codes::{self, raw};
use crate::common::*;
use crate::remove::ids;

fn check(dir: &Path) -> VerifyReport {
    verify(dir, MMAP, &mut |_, _| true).unwrap().unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn of<'a>(report: &'a VerifyReport, name: &str) -> Vec<&'a Damage> {
    report.damages.iter().filter(|damage| damage.file.ends_with(name)).collect()
}

fn affected(kind: Kind, ids: std::ops::Range<u32>) -> Option<Affected> {
    Some(Affected { kind, ids })
}

#[test]
fn all_damage_of_a_database_of_models_that_cannot_be_opened_is_told_with_what_it_affects() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    put_range(&mut writer, 0..2100).unwrap();
    writer.add_segment("energy", 0..10, b"a segment").unwrap();
    writer.commit().unwrap();
    drop(writer);
    assert!(check(&dir).is_sound());
    // A code of the first block of one view, the header of a file, a file cut in its last block, a segment, a row.
    flip(&dir.join("energy.codes"), 4096 + 64 + 7);
    flip(&dir.join("blocks.codes"), 50);
    let tensors = dir.join("tensors.energy.codes");
    let len = fs::metadata(&tensors).unwrap().len();
    assert!(len > 4096 + 64 + 2048 * 32);
    fs::File::options().write(true).open(&tensors).unwrap().set_len(len - 1).unwrap();
    fs::remove_file(dir.join("tensors.blocks.codes")).unwrap();
    let segment = fs::read_dir(dir.join("segments")).unwrap().next().unwrap().unwrap().path();
    flip(&segment, 3);
    let catalog = dir.join("catalog.sqlite");
    let bytes = fs::read(&catalog).unwrap();
    // In a row of the table of tensors, which repeats the name in no index.
    let at = bytes.windows(14).rposition(|bytes| bytes == b"layer.1.weight").unwrap();
    flip(&catalog, at + 13);

    assert!(Reader::open(&dir, MMAP).is_err());
    let report = check(&dir);
    let energy = of(&report, "energy.codes");
    let of_models: Vec<_> =
        energy.iter().filter(|damage| !damage.file.ends_with("tensors.energy.codes")).collect();
    assert_eq!(of_models.len(), 1);
    assert_eq!(of_models[0].affected, affected(Kind::Model, 0..2048));
    assert_eq!(of_models[0].labels[..2], ["m/0", "m/1"]);
    assert_eq!(of_models[0].offset_bytes, 4096 + 64);
    let blocks = of(&report, "blocks.codes");
    assert!(blocks.iter().any(|damage| damage.what.contains("header") && damage.affected.is_none()));
    let cut = of(&report, "tensors.energy.codes");
    assert_eq!((cut.len(), &*cut[0].what, cut[0].offset_bytes), (1, "length", len - 1));
    let Some(Affected { kind: Kind::Tensor, ids }) = &cut[0].affected else { panic!("{cut:?}") };
    assert!(ids.start == 2048 && !cut[0].labels.is_empty());
    assert!(of(&report, "tensors.blocks.codes")[0].affected.is_some());
    assert_eq!(of(&report, segment.file_name().unwrap().to_str().unwrap()).len(), 1);
    let rows = of(&report, "catalog.sqlite");
    let row = rows.iter().find(|damage| damage.what.contains("of tensors")).expect("a row of tensors");
    assert!(matches!(&row.affected, Some(Affected { kind: Kind::Tensor, ids }) if ids.len() == 1), "{row:?}");
}

#[test]
fn each_damaged_row_is_told_once() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    put_range(&mut writer, 0..300).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let catalog = dir.join("catalog.sqlite");
    // Rows of models have the content digest after their id; the index of digests has it, too.
    for content in [100, 101, 250] {
        let bytes = fs::read(&catalog).unwrap();
        let digest = content_digest(content);
        let places: Vec<usize> = (0..bytes.len() - 32).filter(|&at| bytes[at..at + 32] == digest).collect();
        assert!(places.len() >= 2);
        places.iter().for_each(|&at| flip(&catalog, at + 31));
    }
    let report = check(&dir);
    let told: Vec<_> = report.damages.iter().filter_map(|damage| damage.affected.clone()).collect();
    assert_eq!(told, [100, 101, 250].map(|id| Affected { kind: Kind::Model, ids: id..id + 1 }), "{report:?}");
    let first = report.damages.iter().find(|damage| damage.affected.is_some()).unwrap();
    assert_eq!(first.labels, ["m/100"]);
}

/// Makes the checksum of a row of models or tensors fit, with that of its codes or without.
fn fit_row(conn: &Connection, table: &str, id: u32, with_codes_crc: bool) {
    use rusqlite::types::ValueRef;
    let mut bytes = Vec::new();
    let mut put = |kind: u8, value: &[u8]| {
        bytes.push(kind);
        bytes.extend((value.len() as u64).to_le_bytes());
        bytes.extend(value);
    };
    put(b't', table.as_bytes());
    let mut add = |value: ValueRef<'_>| match value {
        ValueRef::Integer(value) => put(b'i', &value.to_le_bytes()),
        ValueRef::Text(value) => put(b's', value),
        ValueRef::Blob(value) => put(b'b', value),
        _ => put(b'n', &[]),
    };
    conn.query_row(&format!("SELECT * FROM {table} WHERE id = {id}"), [], |row| {
        // The last two are the checksums of the row and of the codes.
        let columns = row.as_ref().column_count();
        let last = with_codes_crc.then_some(columns - 1);
        for at in (0..columns - 2).chain(last) {
            add(row.get_ref(at)?);
        }
        Ok(())
    })
    .unwrap();
    if table == "models" {
        let sql = format!("SELECT reason, tensors FROM skips WHERE model_id = {id} ORDER BY reason");
        let mut statement = conn.prepare(&sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            add(row.get_ref(0).unwrap());
            add(row.get_ref(1).unwrap());
        }
    }
    let crc = crc32fast::hash(&bytes);
    conn.execute(&format!("UPDATE {table} SET crc = {crc} WHERE id = {id}"), []).unwrap();
}

/// Changes the checksum of the codes of a model or tensor, and makes that of its row fit.
pub(crate) fn forge_codes_crc(dir: &Path, table: &str, id: u32) {
    let conn = Connection::open(dir.join("catalog.sqlite")).unwrap();
    // The lowest bit of it, for which SQLite has no operator.
    let sql = format!("UPDATE {table} SET codes_crc = codes_crc + 1 - 2 * (codes_crc & 1) WHERE id = {id}");
    conn.execute(&sql, []).unwrap();
    fit_row(&conn, table, id, true);
}

/// Makes a database of models one of version 3, which has no checksums of codes.
pub(crate) fn downgrade(dir: &Path) {
    let conn = Connection::open(dir.join("catalog.sqlite")).unwrap();
    conn.execute_batch("BEGIN").unwrap();
    for table in ["models", "tensors"] {
        let mut statement = conn.prepare(&format!("SELECT id FROM {table}")).unwrap();
        let ids: Vec<u32> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        ids.into_iter().for_each(|id| fit_row(&conn, table, id, false));
        drop(statement);
        conn.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN codes_crc")).unwrap();
    }
    conn.execute_batch("PRAGMA user_version = 3; COMMIT").unwrap();
}

#[test]
fn rows_and_codes_that_do_not_belong_together_are_told_by_their_ids_and_by_the_read_that_needs_them() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    put_range(&mut writer, 0..300).unwrap();
    writer.commit().unwrap();
    drop(writer);
    for id in [7, 8, 250] {
        forge_codes_crc(&dir, "models", id);
    }
    forge_codes_crc(&dir, "tensors", 11);
    let report = check(&dir);
    let told: Vec<_> = report.damages.iter().map(|damage| damage.affected.clone()).collect();
    let expected =
        [affected(Kind::Model, 7..9), affected(Kind::Model, 250..251), affected(Kind::Tensor, 11..12)];
    assert_eq!(told, expected, "{report:?}");
    assert_eq!(report.damages[0].labels, ["m/7", "m/8"]);
    assert!(report.damages[0].what.contains("models 7 to 8"), "{report:?}");
    for reading in [MMAP, NO_MMAP] {
        let reader = Reader::open(&dir, reading).unwrap();
        assert!(reader.model(6).is_ok() && reader.tensor(10).is_ok());
        for error in [reader.model(7).unwrap_err(), reader.tensor(11).unwrap_err()] {
            assert!(error.is_damage() && error.to_string().contains("checksum of the codes of"), "{error}");
        }
        let of = reader.tensor(12).unwrap().unwrap().model_id;
        assert!(reader.tensors(of).is_err() || reader.model(of).unwrap().unwrap().tensors.start == 12);
    }
}

#[test]
fn a_changed_code_of_a_model_is_found_when_the_model_is_read_and_named_with_its_place() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    put_range(&mut writer, 0..2100).unwrap();
    writer.commit().unwrap();
    drop(writer);
    // In the first block, which nobody checks who maps the file.
    let at = 4096 + 64 + 32 * 1000;
    flip(&dir.join("energy.codes"), at + 31);
    let reader = Reader::open(&dir, MMAP).unwrap();
    let error = reader.model(1000).unwrap_err().to_string();
    let told = ["energy.codes", &format!("at byte {at}"), "codes of model 1000"];
    assert!(told.iter().all(|part| error.contains(part)), "{error}");
    assert!(reader.model(999).is_ok() && reader.model(1001).is_ok());
    let report = check(&dir);
    let told: Vec<_> = report.damages.iter().map(|damage| damage.affected.clone()).collect();
    // The block that cannot be trusted, and the model that it is about.
    assert_eq!(told, [affected(Kind::Model, 0..2048), affected(Kind::Model, 1000..1001)]);
}

#[test]
fn damage_of_labels_is_told_once_a_block_with_the_codes_whose_labels_are_in_it() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &raw()).unwrap().with_clock(clock);
    codes::put_codes(&mut writer, 0..3000).unwrap();
    writer.commit().unwrap();
    drop(writer);
    // In the first of several blocks of text.
    flip(&dir.join("raw.text"), 4096 + 64 + 64 * 100);
    let report = check(&dir);
    assert_eq!(report.damages.len(), 1, "{report:?}");
    let Some(Affected { kind: Kind::LabelPlace, ids }) = &report.damages[0].affected else {
        panic!("{report:?}")
    };
    assert!(ids.start == 1 && ids.end < 3000, "{ids:?}");
    // Codes are not affected by their labels, nor the other way round.
    flip(&dir.join("raw.codes"), 4096 + 64);
    let report = check(&dir);
    assert_eq!(report.damages.len(), 2);
    assert_eq!(report.damages[0].affected, affected(Kind::Raw, 0..2048));
}

#[test]
fn a_database_without_a_readable_catalog_is_checked_by_the_files_themselves() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &raw()).unwrap().with_clock(clock);
    codes::put_codes(&mut writer, 0..3000).unwrap();
    writer.commit().unwrap();
    drop(writer);
    fs::write(dir.join("catalog.sqlite"), vec![7; 8192]).unwrap();
    flip(&dir.join("raw.codes"), 4096 + 64);
    flip(&dir.join("raw.labels"), 9);
    let report = check(&dir);
    assert_eq!(of(&report, "catalog.sqlite").len(), 1);
    assert_eq!(of(&report, "raw.codes")[0].affected, affected(Kind::Raw, 0..2048));
    assert_eq!(of(&report, "raw.labels").len(), 1);
    assert_eq!((report.damages.len(), report.checked_codes > 900), (3, true));
}

#[test]
fn a_check_can_be_stopped() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &raw()).unwrap().with_clock(clock);
    codes::put_codes(&mut writer, 0..3000).unwrap();
    writer.commit().unwrap();
    let mut all = 0;
    assert!(
        verify(&dir, MMAP, &mut |_, _| {
            all += 1;
            true
        })
        .unwrap()
        .is_some()
    );
    for stop_after in 0..all {
        let mut told = 0;
        let report = verify(&dir, NO_MMAP, &mut |_, _| {
            told += 1;
            told <= stop_after
        })
        .unwrap();
        assert!(report.is_none(), "after {stop_after} of {all}");
    }
}

#[test]
fn missing_rows_are_told_with_their_ids() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    put_range(&mut writer, 0..300).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let catalog = rusqlite::Connection::open(dir.join("catalog.sqlite")).unwrap();
    catalog.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM models WHERE id IN (7, 8, 200)").unwrap();
    drop(catalog);
    let report = check(&dir);
    let told: Vec<_> = report.damages.iter().filter_map(|damage| damage.affected.clone()).collect();
    for ids in [7..9, 200..201] {
        assert!(told.contains(&Affected { kind: Kind::Model, ids }), "{report:?}");
    }
}

#[test]
fn a_log_that_is_lost_with_the_last_commit_is_told() {
    let temporary = temp_dir();
    let (dir, copy) = (temporary.path().join("db"), temporary.path().join("copy"));
    let mut writer = Writer::open_or_create(&dir, &raw()).unwrap().with_clock(clock);
    codes::put_codes(&mut writer, 0..300).unwrap();
    writer.commit().unwrap();
    copy_dir(&dir, &copy);
    assert!(check(&copy).is_sound());
    fs::remove_file(copy.join("catalog.sqlite-wal")).unwrap();
    let _ = fs::remove_file(copy.join("catalog.sqlite-shm"));
    let report = check(&copy);
    assert!(report.damages[0].what.contains("last commit"), "{report:?}");
}

#[test]
fn commits_that_only_a_code_file_knows_of_are_told() {
    let temporary = temp_dir();
    let (dir, copy) = (temporary.path().join("db"), temporary.path().join("copy"));
    let mut writer = Writer::open_or_create(&dir, &raw()).unwrap().with_clock(clock);
    codes::put_codes(&mut writer, 0..300).unwrap();
    writer.commit().unwrap();
    drop(writer);
    // The second commit is in the catalog alone, the third in the code files, too.
    let mut writer = Writer::open(&dir, &raw()).unwrap().with_clock(clock);
    writer.remove(&ids(&[3])).unwrap();
    writer.commit().unwrap();
    codes::put_codes(&mut writer, 300..310).unwrap();
    writer.commit().unwrap();
    copy_dir(&dir, &copy);
    for lost in ["catalog.sqlite-wal", "catalog.sqlite-shm", "published"] {
        fs::remove_file(copy.join(lost)).unwrap();
    }
    let report = check(&copy);
    assert!(report.damages.iter().any(|damage| damage.what.contains("slots of block 0")), "{report:?}");
}

#[test]
fn a_check_beside_compactions_tells_no_damage() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &raw()).unwrap().with_clock(clock);
    codes::put_codes(&mut writer, 0..50).unwrap();
    writer.commit().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                writer.remove(&ids(&[3])).unwrap();
                writer.commit().unwrap();
                writer.compact(&mut |_, _| true).unwrap().unwrap().publish().unwrap();
                let next = u64::from(writer.code_count());
                writer.put_code(&codes::code(next), None).unwrap();
                writer.commit().unwrap();
            }
        });
        for _ in 0..500 {
            let report = verify(&dir, NO_MMAP, &mut |_, _| true);
            let sound =
                report.as_ref().is_ok_and(|report| report.as_ref().is_some_and(VerifyReport::is_sound));
            if !sound {
                stop.store(true, Ordering::Relaxed);
            }
            assert!(sound, "{report:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}
