//! Claim: what a database claims costs nothing before it is found to be there: counts, lengths and sets of ids with checksums
//! that fit, and files with gigabytes of nothing behind them, which take no space. Counted in bytes, not in time.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a panic in a test is a failure with a place")]

use std::fs::{self, OpenOptions as FileOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use allocation_counter::measure;
use phash_store::{
    Contents, Error, LossKind, NewModel, NewSource, NewTensor, OpenOptions, Reader, SalvageEvent, Schema,
    Stamp, ViewCode, ViewSpec, Writer,
};
use rusqlite::Connection;
use tempfile::TempDir;

/// What opening costs without any attack, and some.
const PEAK_BYTES: u64 = 2 << 20;

/// A database of raw codes with labels and a segment, closed.
fn database() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &Schema::codes(1)).unwrap();
    for number in 0..3000u64 {
        writer.put_code(&number.to_le_bytes(), Some(&format!("label {number}"))).unwrap();
    }
    writer.add_segment("raw", 0..3000, b"segment").unwrap();
    writer.commit().unwrap();
    writer.remove(&(0..100).collect()).unwrap();
    writer.commit().unwrap();
    (temporary, dir)
}

/// A database of some models, each with a tensor, closed.
fn models() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("db");
    let views = vec![ViewSpec { name: "view".to_owned(), words: 1 }];
    let schema = Schema { contents: Contents::Models, parameters: [7; 32], views };
    let mut writer = Writer::open_or_create(&dir, &schema).unwrap();
    for number in 0..40u8 {
        let (label, code, digest) = (format!("label {number}"), [number + 1; 8], [number; 32]);
        let views = [ViewCode { bytes: Some(&code), features: 9 }];
        let stamp = Stamp { len_bytes: 1, mtime_ns: 1 };
        writer
            .put(&NewModel {
                source: NewSource { label: &label, path: &label, stamp, file_digest: digest },
                format: "safetensors",
                content_digest: digest,
                views: &views,
                weak: false,
                tensors_used: 1,
                tensors_skipped: &[],
                tensors: &[NewTensor { name: "weight", dtype: "F32", shape: &[9], views: &views }],
            })
            .unwrap();
    }
    writer.commit().unwrap();
    (temporary, dir)
}

/// The checksum of a row, as docs/file-format.md has it.
fn row_crc(table: &str, fields: &[(u8, Vec<u8>)]) -> u32 {
    let mut bytes = Vec::new();
    for (kind, value) in std::iter::once(&(b't', table.as_bytes().to_vec())).chain(fields) {
        bytes.push(*kind);
        bytes.extend((value.len() as u64).to_le_bytes());
        bytes.extend(value);
    }
    crc32fast::hash(&bytes)
}

/// Changes rows of a table, and gives them checksums that fit: of all columns but the checksum itself.
fn forge(dir: &Path, table: &str, change: &str) {
    use rusqlite::types::ValueRef;
    let conn = Connection::open(dir.join("catalog.sqlite")).unwrap();
    conn.pragma_update(None, "foreign_keys", false).unwrap();
    conn.execute(&format!("UPDATE {table} SET {change}"), []).unwrap();
    let mut statement = conn.prepare(&format!("SELECT rowid, * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let crc = statement.column_index("crc").unwrap();
    let rows: Vec<(i64, u32)> = statement
        .query_map([], |row| {
            let fields: Vec<(u8, Vec<u8>)> = (1..columns)
                .filter(|&at| at != crc)
                .map(|at| match row.get_ref(at).unwrap() {
                    ValueRef::Integer(value) => (b'i', value.to_le_bytes().to_vec()),
                    ValueRef::Text(value) => (b's', value.to_vec()),
                    ValueRef::Blob(value) => (b'b', value.to_vec()),
                    _ => (b'n', Vec::new()),
                })
                .collect();
            Ok((row.get(0)?, row_crc(table, &fields)))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (rowid, crc) in rows {
        conn.execute(&format!("UPDATE {table} SET crc = ?1 WHERE rowid = ?2"), (crc, rowid)).unwrap();
    }
}

/// All that may be read, as far as it goes.
fn read_all(dir: &Path, mmap: bool) -> Result<(), String> {
    try_read_all(dir, mmap).map_err(|error| error.to_string())
}

fn try_read_all(dir: &Path, mmap: bool) -> Result<(), Arc<Error>> {
    let reader = Reader::open(dir, OpenOptions { mmap })?;
    let _ = reader.removed()?;
    let _ = reader.raw_codes::<1>()?;
    for (_, bytes) in reader.segments("raw")? {
        let _ = bytes?;
    }
    let labels = reader.code_labels()?;
    for id in 0..reader.code_count().min(5000) {
        let _ = labels.get(id)?;
    }
    Ok(())
}

fn read_bytes() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("rchar:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn forged_rows_whose_checksums_fit_are_refused_before_what_they_claim_is_allocated() {
    let most = u64::from(u32::MAX);
    let attacks: Vec<(&str, String)> = vec![
        ("code_files", format!("committed = {most}")),
        ("code_files", format!("committed = {} WHERE id = 1", 2047 * 4096)),
        ("code_files", "words = 4294967295".to_owned()),
        ("code_files", "committed = -1".to_owned()),
        ("segments", format!("len_bytes = {}", i64::MAX)),
        ("segments", format!("len_bytes = {}", 8u64 << 30)),
        ("segments", format!("end_id = {most}")),
        ("meta", format!("segments_made = {most}, labels = {most}")),
        ("upkeep", format!("removed = {most}")),
        ("upkeep", format!("edition = {most}")),
    ];
    let (_sound, dir) = database();
    forge(&dir, "meta", "labels = labels");
    assert!(read_all(&dir, true).is_ok(), "forged without a change");
    for (table, change) in attacks {
        let (_temporary, dir) = database();
        forge(&dir, table, &change);
        for mmap in [true, false] {
            let mut result = Ok(());
            let before = read_bytes();
            let cost = measure(|| result = read_all(&dir, mmap));
            let read = read_bytes() - before;
            let what = format!("{table} {change}, mapped {mmap}");
            println!("{what}: {read} bytes read, {} at once, {result:?}", cost.bytes_max);
            assert!(cost.bytes_max <= PEAK_BYTES, "{what}: {} bytes at once", cost.bytes_max);
            assert!(read <= 4 << 20, "{what}: {read} bytes were read");
            assert!(result.is_err() || table == "meta", "{what}");
        }
        let cost = measure(|| drop(Writer::open(&dir, &Schema::codes(1))));
        assert!(cost.bytes_max <= PEAK_BYTES, "{table} {change}: a writer: {cost:?}");
    }
}

#[test]
fn gigabytes_of_nothing_behind_the_committed_bytes_are_neither_read_nor_allocated() {
    for name in ["raw.codes", "raw.labels", "raw.text", "published"] {
        let (_temporary, dir) = database();
        FileOptions::new().write(true).open(dir.join(name)).unwrap().set_len(8 << 30).unwrap();
        for mmap in [true, false] {
            let mut result = Ok(());
            let before = read_bytes();
            let cost = measure(|| result = read_all(&dir, mmap));
            let read = read_bytes() - before;
            assert!(result.is_ok(), "{name}: {result:?}");
            assert!(cost.bytes_max <= PEAK_BYTES && read <= 4 << 20, "{name}: {read}, {cost:?}");
        }
        // A writer looks at the header of each block before it cuts them off: 64 bytes in 16 KiB.
        let before = read_bytes();
        let cost = measure(|| drop(Writer::open(&dir, &Schema::codes(1)).unwrap()));
        let read = read_bytes() - before;
        assert!(cost.bytes_max <= PEAK_BYTES && read <= 64 << 20, "{name}: {read}, {cost:?}");
        assert!(name == "published" || fs::metadata(dir.join(name)).unwrap().len() < 1 << 20, "{name}");
    }
}

#[test]
fn models_that_are_only_claimed_are_not_looked_for_one_by_one() {
    let most = u64::from(u32::MAX);
    // A model far away is of other codes; a source may be anywhere.
    for (table, change, salvaged) in [
        ("meta", format!("models = {most}, tensors = {most}, sources = {most}"), 40),
        ("models", format!("id = {} WHERE id = 39", most - 3), 39),
        ("sources", format!("id = {} WHERE id = 39", most - 3), 40),
    ] {
        let (temporary, dir) = models();
        if table != "meta" {
            forge(&dir, "meta", &format!("models = {most}, tensors = {most}, sources = {most}"));
        }
        forge(&dir, table, &change);
        // Each piece of a table is told as progress, of salvage as of verify.
        let (mut events, mut lost) = (0, Vec::new());
        let out = temporary.path().join("out");
        let mut report = None;
        let cost = measure(|| {
            let told = phash_store::salvage(&dir, &out, None, &mut |event| {
                events += 1;
                if let SalvageEvent::Lost(loss) = event {
                    lost.push(loss);
                }
                true
            });
            assert_eq!(told.unwrap().unwrap().items, salvaged, "{table} {change}");
            let mut progress = |_, _| {
                events += 1;
                true
            };
            report = phash_store::verify(&dir, OpenOptions::default(), &mut progress).unwrap();
        });
        assert!(!report.unwrap().is_sound(), "{change}");
        println!("{change}: {events} events, {} at once", cost.bytes_max);
        assert!(events < 1000, "{change}: {events} pieces");
        assert!(cost.bytes_max <= 8 << 20, "{change}: {} bytes at once", cost.bytes_max);
        let told = |id: u32| lost.iter().any(|loss| loss.ids.as_ref().is_some_and(|ids| ids.contains(&id)));
        assert!(told(40) && told(2_000_000_000), "{change}: {lost:?}");
        assert!(lost.iter().any(|loss| loss.kind == LossKind::Model), "{change}");
    }
}
