//! Compaction: the database afterwards is the one that the live contents alone would have made; it is published at once or
//! not at all, whatever fails when; and readers keep what they have.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_code::Codes;
use phash_store::{Error, Reader, Store, Writer};
use roaring::RoaringBitmap;

use crate::codes;
use crate::common::*;
use crate::fault_vfs::{Fault, FaultVfs};
use crate::remove::ids;

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

/// Removes and compacts a database of 2100 models on a faulty medium. `acknowledged` is the number of steps that returned.
fn remove_and_compact(vfs: &FaultVfs, dir: &Path, acknowledged: &mut u32) -> phash_store::Result<()> {
    let mut writer = Writer::open_on(vfs.shared(), dir, &schema())?.with_clock(clock);
    if *acknowledged < 1 {
        writer.remove(&gone(2100))?;
        writer.commit()?;
        *acknowledged = 1;
    }
    if *acknowledged < 2 {
        let Some(mut compaction) = writer.compact(&mut |_, _| true)? else { return Ok(()) };
        let live = u32::try_from(2100 - gone(2100).len()).unwrap();
        compaction.add_segment_with("energy", 0..live, &mut |file| file.write_all(b"segment"))?;
        compaction.publish()?;
        *acknowledged = 2;
    }
    put_range(&mut writer, 9000..9003)?;
    writer.commit()?;
    *acknowledged = 3;
    Ok(())
}

/// The state after each step, as text.
fn state(reader: &Reader) -> (u32, u32, u64, String) {
    let labels = reader.models().map(|model| model.unwrap().sources[0].label.clone()).collect::<Vec<_>>();
    (reader.live_count(), reader.info().unwrap().compactions, reader.generation(), labels.join(" "))
}

#[test]
fn a_fault_at_any_operation_of_a_compaction_leaves_it_done_or_undone() {
    let temporary = temp_dir();
    let (start, dir) = (temporary.path().join("start"), temporary.path().join("db"));
    let after = temporary.path().join("after");
    let vfs = FaultVfs::default();
    Store::create_on(&vfs.shared(), &start, &schema(), clock()).unwrap();
    let mut writer = Writer::open_on(vfs.shared(), &start, &schema()).unwrap().with_clock(clock);
    put_range(&mut writer, 0..2100).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let replace = |from: &Path, to: &Path| {
        let _ = fs::remove_dir_all(to);
        copy_dir(from, to);
    };
    let begin = || {
        replace(&start, &dir);
        vfs.moved(&start, &dir)
    };
    let open = |vfs: &FaultVfs| Reader::open_on(vfs.shared(), &dir, NO_MMAP);
    // The states that there may be, in order.
    let mut states = Vec::new();
    let whole = begin();
    states.push(state(&open(&whole).unwrap()));
    let mut writer = Writer::open_on(whole.shared(), &dir, &schema()).unwrap();
    writer.remove(&gone(2100)).unwrap();
    writer.commit().unwrap();
    drop(writer);
    states.push(state(&open(&whole).unwrap()));
    let mut acknowledged = 1;
    let mut writer = Writer::open_on(whole.shared(), &dir, &schema()).unwrap();
    compact(&mut writer);
    drop(writer);
    states.push(state(&open(&whole).unwrap()));
    acknowledged += 1;
    remove_and_compact(&whole, &dir, &mut acknowledged).unwrap();
    states.push(state(&open(&whole).unwrap()));

    let counted = begin();
    remove_and_compact(&counted, &dir, &mut 0).unwrap();
    assert_eq!(state(&open(&counted).unwrap()), states[3]);
    let ops = counted.ops();
    assert!(ops > 25, "the workload has shrunk to {ops} operations");
    for at in 1..=ops {
        for fault in [Fault::Die(at), Fault::Once(at), Fault::Full(at)] {
            let vfs = begin();
            vfs.set_fault(Some(fault));
            let mut acknowledged = 0;
            let result = remove_and_compact(&vfs, &dir, &mut acknowledged);
            let place = format!("{fault:?}: {}", vfs.op(at));
            assert!(result.is_err() || vfs.op(at).starts_with("remove"), "{place}: no error");
            replace(&dir, &after);
            let mut seed = at * 77 + 1;
            let mut coin = || {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed.is_multiple_of(3)
            };
            for image in [vfs.power_cut(&mut || false), vfs.power_cut(&mut coin), vfs.process_death()] {
                replace(&after, &dir);
                let found = state(&open(&image).unwrap_or_else(|e| panic!("{place}: {e}")));
                let step = states.iter().position(|state| *state == found);
                // What was reported is there; the step in progress is wholly there or not at all.
                let step = step.unwrap_or_else(|| panic!("{place}: {found:?}"));
                let done = u32::try_from(step).unwrap();
                assert!(done == acknowledged || done == acknowledged + 1, "{place}: {done}, {acknowledged}");
                let writer = Writer::open_on(image.shared(), &dir, &schema());
                drop(writer.unwrap_or_else(|e| panic!("{place}: {e}")));
                let reader = open(&image).unwrap();
                assert_eq!(state(&reader), states[step], "{place}");
                let report = reader.verify(&mut |_, _| {}).unwrap();
                assert!(report.is_sound() && report.uncommitted_bytes == 0, "{place}: {report:?}");
                let files = image.shared().list(&dir).unwrap();
                assert_eq!(files.len(), 4, "{place}: left over: {files:?}");
                let mut acknowledged = done;
                remove_and_compact(&image, &dir, &mut acknowledged)
                    .unwrap_or_else(|e| panic!("{place}: going on: {e}"));
                assert_eq!(state(&open(&image).unwrap()).0, states[3].0, "{place}");
            }
        }
    }
}
