//! Backup: the copy is the snapshot, byte for byte of what it says, whatever a writer does meanwhile; it is there whole or
//! not at all; damage is not copied.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_store::{Contents, Error, Reader, Schema, Writer};

use crate::codes::{self, raw};
use crate::common::*;
use crate::remove::ids;

/// A database over a block, with a segment, a removal and a killed writer's log.
fn database(dir: &Path, contents: Contents) -> Writer {
    let schema = schema_of(contents);
    let mut writer = Writer::open_or_create(dir, &schema).unwrap().with_clock(clock);
    match contents {
        Contents::Models => put_range(&mut writer, 0..2100).unwrap(),
        Contents::Codes => codes::put_codes(&mut writer, 0..2100).unwrap(),
    }
    writer.commit().unwrap();
    writer.add_segment(&schema.views[0].name, 0..1000, b"first segment").unwrap();
    writer.add_segment(&schema.views[0].name, 1000..2000, b"second segment").unwrap();
    writer.commit().unwrap();
    writer.remove(&ids(&[7])).unwrap();
    writer.commit().unwrap();
    writer
}

fn schema_of(contents: Contents) -> Schema {
    if contents == Contents::Models { schema() } else { raw() }
}

fn answers_of(reader: &Reader) -> String {
    if reader.contents() == Contents::Models {
        return answers(reader).unwrap();
    }
    let (all, labels) = (reader.raw_codes::<2>().unwrap(), reader.code_labels().unwrap());
    let mut text = format!("{} {:?}", reader.generation(), reader.removed().unwrap());
    for id in 0..reader.code_count() {
        text += &format!("{:?} {:?}\n", phash_code::Codes::get(&all, id), labels.get(id).unwrap());
    }
    for (ids, bytes) in reader.segments("raw").unwrap() {
        text += &format!("{ids:?} {:?}\n", bytes.map(|bytes| bytes.as_ref().to_vec()));
    }
    text
}

fn sound(dir: &Path) -> Reader {
    let reader = Reader::open(dir, NO_MMAP).unwrap();
    let report = reader.verify(&mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    reader
}

/// Stops the writer when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_gives_the_same_answers_and_can_be_written_on() {
    for contents in [Contents::Models, Contents::Codes] {
        let temporary = temp_dir();
        let (dir, out) = (temporary.path().join("db"), temporary.path().join("out"));
        let writer = database(&dir, contents);
        let reader = Reader::open(&dir, MMAP).unwrap();
        let (mut last, mut all) = (0, 0);
        let done = reader
            .backup(&out, &mut |done, of| {
                assert!(done >= last && done <= of);
                (last, all) = (done, of);
                true
            })
            .unwrap()
            .unwrap();
        assert_eq!((last, done.generation, done.items), (all, reader.generation(), 2099));
        assert!(done.segments_left_out.is_empty() && done.copied_bytes >= all);
        let copy = sound(&out);
        assert_eq!(answers_of(&copy), answers_of(&reader));
        assert!(!temporary.path().join("out.partial").exists());
        // The evidence of the last commit, should the catalog lose it.
        let published = |dir: &Path| fs::read(dir.join("published")).unwrap();
        assert_eq!(published(&out), published(&dir));
        drop((writer, copy));
        let mut writer = Writer::open(&out, &schema_of(contents)).unwrap();
        match contents {
            Contents::Models => put_range(&mut writer, 2100..2300).unwrap(),
            Contents::Codes => codes::put_codes(&mut writer, 2100..2300).unwrap(),
        }
        writer.commit().unwrap();
        assert_eq!(sound(&out).live_count(), 2299);
        assert_eq!(sound(&dir).live_count(), 2099);
    }
}

#[test]
fn a_backup_of_each_snapshot_is_that_snapshot_while_a_writer_appends_removes_and_compacts() {
    for contents in [Contents::Models, Contents::Codes] {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        let mut writer = database(&dir, contents);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Also if a check fails: else the scope would wait for ever.
            let stop = Stop(&stop);
            let work = scope.spawn(|| {
                let (mut number, mut rounds) = (10_000, 0);
                while !stop.0.load(Ordering::Relaxed) {
                    for _ in 0..40 {
                        match contents {
                            Contents::Models => put_range(&mut writer, number..number + 1).unwrap(),
                            Contents::Codes => {
                                let label = codes::label(number);
                                writer.put_code(&codes::code(number), label.as_deref()).unwrap();
                            }
                        }
                        number += 1;
                    }
                    writer.commit().unwrap();
                    let end = writer.model_count().max(writer.code_count());
                    writer.remove(&ids(&[end - 3, end - 30])).unwrap();
                    writer.commit().unwrap();
                    if rounds % 3 == 0 {
                        writer.compact(&mut |_, _| true).unwrap().unwrap().publish().unwrap();
                        writer.shrink_catalog().unwrap();
                    }
                    rounds += 1;
                }
                rounds
            });
            let mut seen = std::collections::BTreeSet::new();
            for round in 0..8 {
                let reader = Reader::open(&dir, MMAP).unwrap();
                let before = answers_of(&reader);
                let out = temporary.path().join(format!("out-{round}"));
                // The writer goes on in the middle of it.
                let mut told = 0;
                let pause = |_, _| {
                    told += 1;
                    std::thread::sleep(std::time::Duration::from_millis(u64::from(told < 5) * 10));
                    true
                };
                let mut pause = pause;
                reader.backup(&out, &mut pause).unwrap().unwrap();
                assert_eq!(answers_of(&sound(&out)), before, "round {round}");
                seen.insert(reader.generation());
                fs::remove_dir_all(out).unwrap();
            }
            stop.0.store(true, Ordering::Relaxed);
            let rounds = work.join().unwrap();
            assert!(seen.len() > 1, "the writer did nothing meanwhile in {rounds} rounds");
        });
    }
}

#[test]
fn damage_is_not_copied_and_what_can_be_built_again_is_left_out() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    drop(database(&dir, Contents::Models));
    let out = temporary.path().join("out");
    let backup = || Reader::open(&dir, MMAP).unwrap().backup(&out, &mut |_, _| true);
    for (name, at) in [("energy.codes", 4096 + 64 + 9), ("tensors.blocks.codes", 4096 + 5)] {
        let good = fs::read(dir.join(name)).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(dir.join(name), &bad).unwrap();
        match backup() {
            Err(Error::Corrupted { file, .. }) => assert_eq!(file, dir.join(name)),
            other => panic!("{name}: {other:?}"),
        }
        assert!(!out.exists() && !temporary.path().join("out.partial").exists());
        fs::write(dir.join(name), &good).unwrap();
    }
    // A row of the catalog that no checksum of SQLite covers.
    let catalog = dir.join("catalog.sqlite");
    let good = fs::read(&catalog).unwrap();
    let places = good.windows(6).enumerate().filter(|(_, bytes)| bytes == b"m/1555").map(|(at, _)| at);
    let mut refused = 0;
    for at in places {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&catalog, &bad).unwrap();
        match backup() {
            Err(Error::Corrupted { .. }) => refused += 1,
            // In a part of a page that is not in use.
            done => {
                drop(done.unwrap().unwrap());
                sound(&out);
                fs::remove_dir_all(&out).unwrap();
            }
        }
    }
    assert!(refused >= 2, "the row and the index of labels");
    fs::write(&catalog, &good).unwrap();
    let segment = fs::read_dir(dir.join("segments")).unwrap().next().unwrap().unwrap().path();
    let mut bad = fs::read(&segment).unwrap();
    bad[3] ^= 1;
    fs::write(&segment, bad).unwrap();
    let done = backup().unwrap().unwrap();
    assert_eq!(done.segments_left_out.len(), 1);
    sound(&out);
}

#[test]
fn a_backup_stopped_or_refused_leaves_nothing() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    drop(database(&dir, Contents::Codes));
    let reader = Reader::open(&dir, MMAP).unwrap();
    for out in [dir.clone(), dir.join("out"), dir.join("segments/x")] {
        let error = reader.backup(&out, &mut |_, _| true).unwrap_err();
        assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    }
    let out = temporary.path().join("out");
    for stop_after in 0.. {
        let mut told = 0;
        let done = reader.backup(&out, &mut |_, _| {
            told += 1;
            told <= stop_after
        });
        let is_done = done.unwrap().is_some();
        assert_eq!(out.exists(), is_done);
        assert!(!temporary.path().join("out.partial").exists());
        if is_done {
            assert!(stop_after > 3);
            break;
        }
    }
    let error = reader.backup(&out, &mut |_, _| true).unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    sound(&out);
}

#[test]
fn what_has_come_to_the_place_meanwhile_is_left_alone() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    drop(database(&dir, Contents::Codes));
    let out = temporary.path().join("out");
    let done = Reader::open(&dir, MMAP).unwrap().backup(&out, &mut |_, _| {
        // An empty folder is what a rename would replace without a word.
        let _ = fs::create_dir(&out);
        true
    });
    assert!(matches!(done, Err(Error::AlreadyExists { .. })), "{done:?}");
    assert!(fs::read_dir(&out).unwrap().next().is_none() && !temporary.path().join("out.partial").exists());
}
