//! Compaction: the database afterwards is the one that the live contents alone would have made; it is published at once or
//! not at all, whatever fails when; and readers keep what they have.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_code::Codes;
use phash_store::{Error, Reader, Result, Schema, Store, Writer};
use roaring::RoaringBitmap;

use crate::codes;
use crate::common::*;
use crate::fault_vfs::FaultVfs;
use crate::medium::Image;
use crate::remove::ids;
use crate::workloads::{Commit, Workload, larger};

/// What is removed of `0..count`: every third, and a whole block.
fn gone(count: u32) -> RoaringBitmap {
    (0..count).filter(|id| id % 3 == 1 || (2048..4096).contains(id)).collect()
}

/// The answers but for the generation, which stands in the first line.
fn rows(reader: &Reader) -> String {
    answers(reader).unwrap().split_once('\n').unwrap().1.to_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = files.filter(|name| name.contains(".codes") || name.contains('+')).collect();
    names.sort();
    names
}

fn compact(writer: &mut Writer) {
    writer.compact(&mut |_, _| true).unwrap().unwrap().publish().unwrap();
}

fn sound(reader: &Reader) {
    let report = reader.verify(&mut |_, _| {}).unwrap();
    assert!(report.is_sound() && report.uncommitted_bytes == 0, "{report:?}");
}

#[test]
fn a_compacted_database_is_the_one_that_its_live_contents_alone_would_have_made() {
    let temporary = temp_dir();
    let (dir, fresh) = (temporary.path().join("db"), temporary.path().join("fresh"));
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    put_range(&mut writer, 0..5000).unwrap();
    put(&mut writer, "again", 3, 1).unwrap();
    writer.commit().unwrap();
    writer.remove(&gone(5000)).unwrap();
    writer.commit().unwrap();
    let before = Reader::open(&dir, MMAP).unwrap();
    let dead = before.info().unwrap();
    assert!(dead.dead_bytes() > 0);
    compact(&mut writer);
    writer.shrink_catalog().unwrap();

    let mut other = Writer::open_or_create(&fresh, &schema()).unwrap().with_clock(clock);
    for content in (0..5000).filter(|&content| !gone(5000).contains(content)) {
        put(&mut other, &format!("m/{content}"), content.into(), 0).unwrap();
    }
    put(&mut other, "again", 3, 1).unwrap();
    other.commit().unwrap();
    let (reader, expected) = (Reader::open(&dir, NO_MMAP).unwrap(), Reader::open(&fresh, MMAP).unwrap());
    assert!(rows(&reader) == rows(&expected));
    assert!(reader.removed().unwrap().is_empty() && reader.removed_tensors().unwrap().is_empty());
    assert_eq!(
        names(&dir),
        ["blocks+1.codes", "energy+1.codes", "tensors.blocks+1.codes", "tensors.energy+1.codes"]
    );
    for name in ["blocks", "energy", "tensors.blocks", "tensors.energy"] {
        let len = |dir: &Path, name| fs::metadata(dir.join(name)).unwrap().len();
        let (new, same) = (format!("{name}+1.codes"), format!("{name}.codes"));
        assert_eq!(len(&dir, new), len(&fresh, same), "{name}");
    }
    let info = reader.info().unwrap();
    assert_eq!((info.compactions, info.removed, info.generation), (1, 0, 3));
    assert!(info.code_bytes < dead.code_bytes);
    sound(&reader);

    // The reader of before still has all, and can check it, though its files have no names any more.
    assert_eq!(before.codes::<4>("energy").unwrap().get(4999).unwrap().as_bytes(), energy(4999));
    assert_eq!(before.models().count(), before.live_count() as usize);
    let report = before.verify(&mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    drop((before, reader));

    // Now that nobody has an older snapshot, the catalog's pages can be freed, too.
    writer.shrink_catalog().unwrap();
    let info = Reader::open(&dir, NO_MMAP).unwrap().info().unwrap();
    assert!(info.catalog_bytes < dead.catalog_bytes && info.dead_bytes() == 0, "{info:?}");

    // And it is written on, removed from, compacted again, and opened again.
    put(&mut writer, "m/1", 1, 0).unwrap();
    writer.remove(&ids(&[0])).unwrap();
    compact(&mut writer);
    drop(writer);
    let mut writer = Writer::open(&dir, &schema()).unwrap();
    put(&mut writer, "m/4", 4, 0).unwrap();
    writer.commit().unwrap();
    let reader = Reader::open(&dir, MMAP).unwrap();
    sound(&reader);
    assert_eq!(reader.info().unwrap().compactions, 2);
    assert_eq!(reader.source_by_label("m/2").unwrap().unwrap().model_id, 0);
    assert_eq!(reader.source_by_label("m/4").unwrap().unwrap().model_id, reader.model_count() - 1);
}

#[test]
fn raw_codes_and_their_labels_are_compacted_to_the_files_that_they_alone_would_have_made() {
    let temporary = temp_dir();
    let (dir, fresh) = (temporary.path().join("db"), temporary.path().join("fresh"));
    let mut writer = Writer::open_or_create(&dir, &codes::raw()).unwrap();
    codes::put_codes(&mut writer, 0..5000).unwrap();
    writer.commit().unwrap();
    writer.remove(&gone(5000)).unwrap();
    compact(&mut writer);
    let mut other = Writer::open_or_create(&fresh, &codes::raw()).unwrap();
    for number in (0..5000u64).filter(|&number| !gone(5000).contains(u32::try_from(number).unwrap())) {
        other.put_code(&codes::code(number), codes::label(number).as_deref()).unwrap();
    }
    other.commit().unwrap();
    let (reader, expected) = (Reader::open(&dir, NO_MMAP).unwrap(), Reader::open(&fresh, MMAP).unwrap());
    assert_eq!(reader.code_count(), expected.code_count());
    for id in 0..reader.code_count() {
        let code = |reader: &Reader| reader.raw_codes::<2>().unwrap().get(id).copied();
        let label = |reader: &Reader| reader.code_labels().unwrap().get(id).unwrap();
        assert_eq!((code(&reader), label(&reader)), (code(&expected), label(&expected)), "{id}");
    }
    let counts = |info: phash_store::Info| (info.codes, info.labels, info.code_bytes, info.label_bytes);
    assert_eq!(counts(reader.info().unwrap()), counts(expected.info().unwrap()));
    sound(&reader);
    // Nothing left at all.
    let all: RoaringBitmap = (0..reader.code_count()).collect();
    writer.remove(&all).unwrap();
    compact(&mut writer);
    let reader = Reader::open(&dir, NO_MMAP).unwrap();
    assert_eq!((reader.code_count(), reader.live_count()), (0, 0));
    sound(&reader);
    codes::put_codes(&mut writer, 0..10).unwrap();
    writer.commit().unwrap();
    codes::check(&Reader::open(&dir, MMAP).unwrap(), 10);
}

#[test]
fn segments_below_the_first_removed_id_stay_and_new_ones_are_published_with_the_codes() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..100).unwrap();
    for first in [0, 30, 60] {
        writer.add_segment("energy", first..first + 30, format!("from {first}").as_bytes()).unwrap();
    }
    writer.commit().unwrap();
    writer.remove(&ids(&[31, 99])).unwrap();
    let mut compaction = writer.compact(&mut |_, _| true).unwrap().unwrap();
    assert_eq!(compaction.segments("energy").unwrap(), std::slice::from_ref(&(0..30)));
    assert_eq!(compaction.codes::<4>("energy").unwrap().get(31).unwrap().as_bytes(), energy(32));
    let write = &mut |file: &mut dyn std::io::Write| file.write_all(b"new");
    assert!(matches!(compaction.add_segment_with("energy", 30..99, write), Err(Error::InvalidInput { .. })));
    compaction.add_segment_with("energy", 30..98, write).unwrap();
    compaction.publish().unwrap();
    let reader = Reader::open(&dir, MMAP).unwrap();
    let segments: Vec<_> = reader
        .segments("energy")
        .unwrap()
        .into_iter()
        .map(|(ids, bytes)| (ids, String::from_utf8(bytes.unwrap().as_ref().to_vec()).unwrap()))
        .collect();
    assert_eq!(segments, [(0..30, "from 0".to_owned()), (30..98, "new".to_owned())]);
    assert_eq!(fs::read_dir(dir.join("segments")).unwrap().count(), 2);
    sound(&reader);
}

#[test]
fn a_compaction_that_is_stopped_or_dropped_leaves_nothing_and_the_writer_goes_on() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..5000).unwrap();
    writer.remove(&ids(&[3])).unwrap();
    writer.commit().unwrap();
    let before = names(&dir);
    let mut calls = 0;
    let stopped = writer.compact(&mut |_, _| {
        calls += 1;
        calls < 4
    });
    assert!(stopped.unwrap().is_none());
    assert_eq!(names(&dir), before);
    let mut compaction = writer.compact(&mut |_, _| true).unwrap().unwrap();
    compaction.add_segment_with("energy", 0..4999, &mut |file| file.write_all(b"x")).unwrap();
    drop(compaction);
    assert_eq!(names(&dir), before);
    assert_eq!(fs::read_dir(dir.join("segments")).unwrap().count(), 0);
    put(&mut writer, "x", 9999, 0).unwrap();
    writer.commit().unwrap();
    let reader = Reader::open(&dir, MMAP).unwrap();
    assert_eq!((reader.live_count(), reader.info().unwrap().compactions), (5000, 0));
    sound(&reader);
}

#[test]
fn damaged_codes_are_not_copied() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..5000).unwrap();
    writer.remove(&ids(&[3])).unwrap();
    writer.commit().unwrap();
    let path = dir.join("energy.codes");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096 + 64 + 100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let before = names(&dir);
    assert!(matches!(writer.compact(&mut |_, _| true), Err(Error::Corrupted { .. })));
    assert!(matches!(writer.commit(), Err(Error::Poisoned { .. })));
    assert_eq!(names(&dir), before);
}

#[test]
fn a_catalog_of_before_a_compaction_is_refused_even_with_its_own_files() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..10).unwrap();
    writer.remove(&ids(&[3])).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let old = temporary.path().join("old");
    copy_dir(&dir, &old);
    compact(&mut Writer::open(&dir, &schema()).unwrap());
    fs::copy(dir.join("published"), old.join("published")).unwrap();
    assert!(matches!(Reader::open(&old, MMAP), Err(Error::Corrupted { .. })));
    assert!(matches!(Writer::open(&old, &schema()), Err(Error::Corrupted { .. })));
}

#[test]
fn a_catalog_older_than_files_of_a_later_edition_is_refused_and_they_are_kept() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..10).unwrap();
    writer.remove(&ids(&[3])).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let old = temporary.path().join("old");
    copy_dir(&dir, &old);
    let mut writer = Writer::open(&dir, &schema()).unwrap();
    compact(&mut writer);
    put_range(&mut writer, 10..12).unwrap();
    writer.commit().unwrap();
    drop(writer);
    // The old database with the later files beside its own: as if the catalog's log had been lost.
    for name in names(&dir) {
        fs::copy(dir.join(&name), old.join(&name)).unwrap();
    }
    let before = names(&old);
    assert!(matches!(Writer::open(&old, &schema()), Err(Error::Corrupted { .. })));
    assert_eq!(names(&old), before);
    // What one interrupted compaction leaves is removed.
    for name in names(&dir) {
        let mut bytes = fs::read(old.join(&name)).unwrap();
        bytes.truncate(4096 + 700);
        bytes[4096..].fill(7);
        fs::write(old.join(&name), bytes).unwrap();
    }
    drop(Writer::open(&old, &schema()).unwrap());
    assert!(names(&old).iter().all(|name| !name.contains('+')));
    sound(&Reader::open(&old, MMAP).unwrap());
}

#[test]
fn readers_that_open_and_refresh_during_compactions_see_whole_databases() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..100).unwrap();
    writer.commit().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|number| {
                let (dir, done) = (&dir, &done);
                scope.spawn(move || {
                    let options = if number == 0 { NO_MMAP } else { MMAP };
                    let mut reader = Reader::open(dir, options).unwrap();
                    let mut seen = 0;
                    while !done.load(Ordering::SeqCst) {
                        // A hundred live models at each commit, whatever their ids.
                        assert_eq!(reader.live_count(), 100);
                        let codes = reader.codes::<4>("energy").unwrap();
                        let mut live = 0;
                        for model in reader.models() {
                            let model = model.unwrap();
                            let content: u64 = model.sources[0].label[2..].parse().unwrap();
                            assert_eq!(codes.get(model.id).unwrap().as_bytes(), energy(content));
                            live += 1;
                        }
                        assert_eq!(live, 100);
                        if number == 1 {
                            reader = Reader::open(dir, options).unwrap();
                        } else {
                            reader.refresh().unwrap();
                        }
                        seen += 1;
                    }
                    seen
                })
            })
            .collect();
        for round in 0..40u64 {
            let next = 100 + round * 10;
            put_range(&mut writer, next..next + 10).unwrap();
            let oldest: RoaringBitmap = if round % 2 == 0 { (0..10).collect() } else { (5..15).collect() };
            writer.remove(&oldest).unwrap();
            writer.commit().unwrap();
            compact(&mut writer);
        }
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

/// A removal, a compaction and an ingest, of models or raw codes: states 1, 2 and 3. Interrupted and failed at every call, and
/// cut off, by `calls` and `power_cuts`.
pub(crate) struct RemoveAndCompact {
    pub(crate) raw: bool,
}

/// The first number of what is put in after the compaction.
const LATER: u64 = 9_000_000;

impl RemoveAndCompact {
    fn schema(&self) -> Schema {
        if self.raw { codes::raw() } else { schema() }
    }

    fn view(&self) -> &'static str {
        if self.raw { "raw" } else { "energy" }
    }

    /// How many there are before; rows of models cost time.
    fn count(&self) -> u32 {
        u32::try_from(larger(if self.raw { 2060 } else { 50 })).unwrap()
    }

    fn gone(&self) -> RoaringBitmap {
        (0..self.count()).filter(|id| id % 3 == 1).collect()
    }

    /// The numbers of what is live in a state.
    fn live(&self, state: u64) -> Vec<u64> {
        let gone = if state > 0 { self.gone() } else { RoaringBitmap::new() };
        let first = (0..self.count()).filter(|&id| !gone.contains(id)).map(u64::from);
        first.chain((3..=state).map(|state| LATER + state)).collect()
    }

    fn put(&self, writer: &mut Writer, number: u64) -> Result<()> {
        if self.raw {
            writer.put_code(&codes::code(number), codes::label(number).as_deref())?;
        } else {
            put(writer, &format!("m/{number}"), number, 0)?;
        }
        Ok(())
    }

    /// What a reader sees, by the numbers of what was put: codes, labels, tensors.
    fn check(&self, reader: &Reader, live: &[u64]) {
        assert_eq!(reader.live_count() as usize, live.len());
        let removed = reader.removed().unwrap();
        let ids = (0..reader.model_count().max(reader.code_count())).filter(|&id| !removed.contains(id));
        if self.raw {
            let (stored, labels) = (reader.raw_codes::<2>().unwrap(), reader.code_labels().unwrap());
            for (id, &number) in ids.zip(live) {
                assert_eq!(stored.get(id).unwrap().as_bytes(), codes::code(number), "code {id}");
                assert_eq!(labels.get(id).unwrap(), codes::label(number), "label {id}");
            }
            return;
        }
        let (stored, tensors) =
            (reader.codes::<4>("energy").unwrap(), reader.tensor_codes::<4>("energy").unwrap());
        let voids = reader.voids("blocks").unwrap();
        for ((model, id), &number) in reader.models().zip(ids).zip(live) {
            let model = model.unwrap();
            assert_eq!((model.id, &model.sources[0].label), (id, &format!("m/{number}")));
            assert_eq!(stored.get(id).unwrap().as_bytes(), energy(number), "code {id}");
            assert_eq!(voids.contains(id), blocks(number).is_none(), "void {id}");
            assert_eq!(model.tensors.len() as u64, number % 3);
            for (t, tensor) in (0u64..).zip(model.tensors) {
                assert_eq!(tensors.get(tensor).unwrap().as_bytes(), bytes32(5, number * 3 + t));
            }
        }
    }
}

impl Workload for RemoveAndCompact {
    fn name(&self) -> &'static str {
        if self.raw { "removal and compaction of codes" } else { "removal and compaction of models" }
    }

    fn writer(&self, vfs: &FaultVfs, db: &Path) -> Result<Writer> {
        Ok(Writer::open_on(vfs.shared(), db, &self.schema())?.with_clock(clock))
    }

    fn image(&self, root: &Path) -> Image {
        let vfs = FaultVfs::boot(&Image::default(), root);
        vfs.record();
        let db = root.join("db");
        Store::create_on(&vfs.shared(), &db, &self.schema(), clock()).unwrap();
        let mut writer = self.writer(&vfs, &db).unwrap();
        for number in 0..self.count() {
            self.put(&mut writer, number.into()).unwrap();
        }
        writer.add_segment(self.view(), 0..1, b"stays").unwrap();
        writer.add_segment(self.view(), 1..self.count(), b"goes").unwrap();
        writer.commit().unwrap();
        drop(writer);
        vfs.live()
    }

    fn start(&self) -> u64 {
        0
    }

    fn run(&self, vfs: &FaultVfs, db: &Path, commit: &mut Commit<'_>) -> Result<()> {
        let mut writer = self.writer(vfs, db)?;
        writer.remove(&self.gone())?;
        commit(1, &mut || writer.commit())?;
        let mut compaction = writer.compact(&mut |_, _| true)?.unwrap();
        let live = u32::try_from(self.live(2).len()).unwrap();
        compaction.add_segment_with(self.view(), 1..live, &mut |file| file.write_all(b"new"))?;
        let mut compaction = Some(compaction);
        commit(2, &mut || compaction.take().unwrap().publish())?;
        drop(compaction);
        self.put(&mut writer, LATER + 3)?;
        commit(3, &mut || writer.commit())
    }

    fn state(&self, vfs: &FaultVfs, db: &Path) -> u64 {
        let reader =
            Reader::open_on(vfs.shared(), db, NO_MMAP).unwrap_or_else(|error| panic!("a reader: {error}"));
        // The image is the first commit.
        let state = reader.generation() - 1;
        let info = reader.info().unwrap();
        let expected = match state {
            0 => (0, 0),
            1 => (0, u32::try_from(self.gone().len()).unwrap()),
            _ => (1, 0),
        };
        assert_eq!((info.compactions, info.removed), expected, "state {state}");
        self.check(&reader, &self.live(state));
        let segments = reader.segments(self.view()).unwrap().into_iter();
        let segments: Vec<Vec<u8>> = segments.map(|(_, bytes)| bytes.unwrap().as_ref().to_vec()).collect();
        assert_eq!(segments, [&b"stays"[..], if state < 2 { b"goes" } else { b"new" }]);
        state
    }

    fn go_on(&self, vfs: &FaultVfs, db: &Path, mut writer: Writer, state: u64) {
        let names = vfs.shared().list(db).unwrap();
        let files = names.iter().filter(|name| name.contains(".codes") || name.contains('+')).count();
        assert_eq!(
            files,
            if self.raw && state < 2 {
                1
            } else if self.raw {
                3
            } else {
                4
            },
            "left over: {names:?}"
        );
        self.put(&mut writer, LATER).unwrap_or_else(|error| panic!("going on: {error}"));
        writer.commit().unwrap_or_else(|error| panic!("going on: {error}"));
        self.check_further(vfs, db, state);
        writer.compact(&mut |_, _| true).unwrap().unwrap().publish().unwrap();
        self.check_further(vfs, db, state);
    }

    fn check_further(&self, vfs: &FaultVfs, db: &Path, state: u64) {
        let mut live = self.live(state);
        live.push(LATER);
        let reader =
            Reader::open_on(vfs.shared(), db, NO_MMAP).unwrap_or_else(|error| panic!("a reader: {error}"));
        self.check(&reader, &live);
        sound(&reader);
    }
}
