//! Every byte of small databases changed and removed, and every file cut at each length: an error, or the same answers.
//! Silent change of an answer is found by `verify`, and only index segments may have that (what reads them checks them).
//!
//! In the suite, bytes that SQLite's pages do not use are changed together. `PHASH_STORE_EVERY_BYTE=1`: each alone, with
//! more patterns. `PHASH_STORE_LARGER`: so many times as many items in each database.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use phash_store::{Contents, Reader, Result, Writer};

use crate::codes::{self, raw};
use crate::common::*;
use crate::power_cuts::{Place, Random, given};
use crate::workloads::larger;

/// All that a reader can say, in either kind of database.
fn all_answers(dir: &Path) -> Result<String> {
    let reader = Reader::open(dir, NO_MMAP)?;
    if reader.contents() == Contents::Models {
        return answers(&reader);
    }
    let (codes, labels) = (reader.raw_codes::<2>()?, reader.code_labels()?);
    let mut text = format!("{:?} {}\n", reader.schema(), reader.generation());
    for id in 0..reader.code_count() {
        text += &format!("{:?} {:?}\n", phash_code::Codes::get(&codes, id), labels.get(id)?);
    }
    for (ids, bytes) in reader.segments("raw")? {
        text += &format!("{ids:?} {:?}\n", bytes.map(|bytes| bytes.as_ref().to_vec()));
    }
    Ok(text)
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The first read that needs the bytes fails.
    ByReading,
    /// `verify` reports it; an answer differs.
    ByVerify,
    /// No answer differs.
    Harmless,
}

fn outcome(dir: &Path, before: &str) -> Found {
    match all_answers(dir) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Found::ByReading
        }
        Ok(after) if after == before => Found::Harmless,
        Ok(after) => {
            let differs = before.lines().zip(after.lines()).find(|(one, other)| one != other);
            let report = Reader::open(dir, NO_MMAP).unwrap().verify(&mut |_, _| {}).unwrap();
            assert!(!report.is_sound(), "another answer, and verify finds nothing: {differs:?}");
            Found::ByVerify
        }
    }
}

/// A small database with several commits, a segment, labels and voids. `log`: as a writer leaves it that was killed.
fn database(dir: &Path, contents: Contents, log: bool) {
    let schema = if contents == Contents::Models { schema() } else { raw() };
    let mut writer = Writer::open_or_create(dir, &schema).unwrap().with_clock(clock);
    for (step, closes) in [(2, false), (3, true), (4, false), (5, false)] {
        let count = larger(step);
        match contents {
            Contents::Models => {
                let from = u64::from(writer.model_count());
                put_range(&mut writer, from..count).unwrap();
            }
            Contents::Codes => {
                let from = u64::from(writer.code_count());
                codes::put_codes(&mut writer, from..count).unwrap();
            }
        }
        if step == 3 {
            writer.add_segment(&schema.views[0].name, 0..2, b"eight by").unwrap();
        }
        writer.commit().unwrap();
        if closes {
            drop(writer);
            writer = Writer::open(dir, &schema).unwrap().with_clock(clock);
        }
    }
    if log {
        let copy = dir.with_extension("copy");
        copy_dir(dir, &copy);
        drop(writer);
        fs::remove_dir_all(dir).unwrap();
        fs::rename(copy, dir).unwrap();
    }
    let _ = fs::remove_file(dir.join("catalog.sqlite-shm"));
}

/// The files of a database that can be damaged.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in [dir.to_owned(), dir.join("segments")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.ends_with("writer.lock") {
                all.push(path);
            }
        }
    }
    all.sort();
    all
}

/// The parts of a file to be changed at once: single bytes, and the gaps in SQLite's pages between the list of cells and
/// the first cell.
fn parts(file: &Path, bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    const PAGE: usize = 4096;
    if !file.ends_with("catalog.sqlite") || given("PHASH_STORE_EVERY_BYTE", 0) > 0 {
        return (0..bytes.len()).map(|at| at..at + 1).collect();
    }
    let mut parts = Vec::new();
    for page in (0..bytes.len()).step_by(PAGE) {
        let header = if page == 0 { 100 } else { page };
        let number = |at: usize| usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1]);
        let header_len = if matches!(bytes[header], 2 | 5) { 12 } else { 8 };
        let gap = header + header_len + 2 * number(header + 3)..page + number(header + 5);
        assert!(matches!(bytes[header], 2 | 5 | 10 | 13) && gap.start <= gap.end, "page at {page}");
        parts.extend((page..gap.start).map(|at| at..at + 1));
        if !gap.is_empty() {
            parts.push(gap.clone());
        }
        parts.extend((gap.end..page + PAGE).map(|at| at..at + 1));
    }
    parts
}

/// Changes that are tried: bytes in place, or another file altogether.
#[derive(Clone, Debug)]
enum Damage {
    Flip(std::ops::Range<usize>, u8),
    Remove(std::ops::Range<usize>),
    Cut(usize),
}

fn damages(file: &Path, good: &[u8]) -> Vec<Damage> {
    let every = given("PHASH_STORE_EVERY_BYTE", 0) > 0;
    let mut random = Random(given("PHASH_STORE_SEED", u64::from(std::process::id())));
    let mut all = Vec::new();
    for part in parts(file, good) {
        let mut patterns = vec![1 << (part.start % 8)];
        if every || file.ends_with("catalog.sqlite") {
            patterns.push(0xff);
        }
        if every {
            patterns.extend([1 << random.below(8), u8::try_from(1 + random.below(255)).unwrap()]);
        }
        all.extend(patterns.into_iter().map(|pattern| Damage::Flip(part.clone(), pattern)));
        // A catalog with a byte less has a torn page, whichever it is.
        if every || !file.ends_with("catalog.sqlite") || part.start.is_multiple_of(3) {
            all.push(Damage::Remove(part));
        }
    }
    // Of a catalog cut off before its last page SQLite says so at once; every length is for the longer run, but for those below
    // a header, which are special.
    let step = if file.ends_with("catalog.sqlite") && !every { 7 } else { 1 };
    let special = good.len().min(100);
    all.extend((0..special).chain((special..good.len()).step_by(step)).map(Damage::Cut));
    all
}

fn damage_everything(contents: Contents, log: bool) {
    let temporary = temp_dir();
    let original = temporary.path().join("db");
    database(&original, contents, log);
    let before = all_answers(&original).unwrap();
    let _ = fs::remove_file(original.join("catalog.sqlite-shm"));
    if !log {
        let _ = fs::remove_file(original.join("catalog.sqlite-wal"));
    }
    let found = [const { AtomicU64::new(0) }; 3];
    for file in files(&original) {
        let name = file.strip_prefix(&original).unwrap();
        // With a log or without, the other files are the same.
        if log && !name.starts_with("published") && !name.to_string_lossy().starts_with("catalog.sqlite") {
            continue;
        }
        let good = fs::read(&file).unwrap();
        let (damages, next) = (damages(&file, &good), AtomicUsize::new(0));
        let work = |thread: usize| {
            let dir =
                temporary.path().join(format!("{thread}.{}", name.display().to_string().replace('/', "-")));
            copy_dir(&original, &dir);
            let (path, logs) =
                (dir.join(name), ["catalog.sqlite-wal", "catalog.sqlite-shm"].map(|log| dir.join(log)));
            let log_bytes = fs::read(&logs[0]).ok();
            // A reader that stays keeps SQLite from making its shared memory anew each time. Only for damage to other files.
            let by_sqlite = name.to_string_lossy().starts_with("catalog.sqlite");
            let _stays = (!by_sqlite).then(|| Reader::open(&dir, MMAP).unwrap());
            while let Some(damage) = damages.get(next.fetch_add(1, Ordering::Relaxed)) {
                let _place = Place(format!("{}: {damage:?}", name.display()));
                if by_sqlite {
                    let _ = fs::remove_file(&logs[1]);
                }
                match &log_bytes {
                    None if !by_sqlite => {}
                    None => drop(fs::remove_file(&logs[0])),
                    Some(bytes) => {
                        let now = fs::read(&logs[0]).ok();
                        assert!(path == logs[0] || now.as_ref() == Some(bytes), "a reader wrote");
                    }
                }
                let writable = || File::options().write(true).open(&path).unwrap();
                match damage {
                    Damage::Flip(part, pattern) => {
                        let bad: Vec<u8> = good[part.clone()].iter().map(|byte| byte ^ pattern).collect();
                        writable().write_all_at(&bad, part.start as u64).unwrap();
                    }
                    Damage::Remove(part) => {
                        let mut file = File::create(&path).unwrap();
                        file.write_all(&good[..part.start]).unwrap();
                        file.write_all(&good[part.end..]).unwrap();
                    }
                    Damage::Cut(len) => writable().set_len(*len as u64).unwrap(),
                }
                let outcome = outcome(&dir, &before);
                let only_verified =
                    ["catalog.sqlite", "mih"].map(|kind| name.to_string_lossy().ends_with(kind));
                assert!(outcome != Found::ByVerify || only_verified.contains(&true), "not found by reading");
                found[outcome as usize].fetch_add(1, Ordering::Relaxed);
                if outcome == Found::Harmless {
                    let usual = name.to_string_lossy().starts_with("catalog.sqlite")
                        || name == Path::new("published");
                    // What is behind the committed codes is not there in a database at rest; slots are for verify.
                    let verify = || Reader::open(&dir, NO_MMAP).unwrap().verify(&mut |_, _| {}).unwrap();
                    assert!(usual || !verify().is_sound(), "not found by verify");
                }
                match damage {
                    Damage::Flip(part, _) => {
                        writable().write_all_at(&good[part.clone()], part.start as u64).unwrap();
                    }
                    _ => fs::write(&path, &good).unwrap(),
                }
            }
            fs::remove_dir_all(&dir).unwrap();
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let work = &work;
                scope.spawn(move || work(thread));
            }
        });
        println!("{}: {} bytes, {} damages", name.display(), good.len(), damages.len());
    }
    println!("{contents}, log {log}: found by reading, by verify, harmless: {found:?}");
}

#[test]
fn no_damage_to_a_database_of_models_changes_an_answer() {
    damage_everything(Contents::Models, false);
}

#[test]
fn no_damage_to_a_database_of_codes_changes_an_answer() {
    damage_everything(Contents::Codes, false);
}

#[test]
fn no_damage_to_a_database_whose_writer_was_killed_changes_an_answer() {
    damage_everything(Contents::Codes, true);
}
