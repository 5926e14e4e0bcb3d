//! Crashes and errors at one place, told step by step. All places in turn: `calls` and `power_cuts`.

use std::path::Path;

use phash_store::{Error, Reader, Store, Writer};

use crate::common::*;
use crate::fault_vfs::{Fault, FaultVfs};
use crate::medium::{Image, Medium};

/// The writer of a new database with ten models.
fn ten_committed(vfs: &FaultVfs, dir: &Path) -> Writer {
    Store::create_on(&vfs.shared(), dir, &schema(), clock()).unwrap();
    let mut writer = Writer::open_on(vfs.shared(), dir, &schema()).unwrap();
    put_range(&mut writer, 0..10).unwrap();
    writer.commit().unwrap();
    writer
}

#[test]
fn a_failed_sync_poisons_the_writer_until_the_database_is_opened_again() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let vfs = FaultVfs::new(temporary.path());
    let mut writer = ten_committed(&vfs, &dir);
    put_range(&mut writer, 10..20).unwrap();
    // The next commit writes codes and a slot, then syncs.
    vfs.set_fault(Some(Fault::Once(vfs.calls() + 3)));
    let error = writer.commit().unwrap_err();
    assert_eq!(vfs.call(vfs.calls()), "sync energy.codes", "{error}");
    // The same sync would succeed now; the writer must not believe it.
    assert!(matches!(writer.commit(), Err(Error::Poisoned { .. })));
    assert!(matches!(put(&mut writer, "x", 99, 0), Err(Error::Poisoned { .. })));
    assert!(matches!(writer.put_source(&source("x", 1, 0), 1), Err(Error::Poisoned { .. })));
    assert!(matches!(writer.add_segment("energy", 0..1, b"x"), Err(Error::Poisoned { .. })));
    assert!(matches!(writer.source_by_label("m/1"), Err(Error::Poisoned { .. })));
    drop(writer);
    let mut writer = Writer::open_on(vfs.shared(), &dir, &schema()).unwrap();
    assert_eq!(writer.model_count(), 10);
    put_range(&mut writer, 10..20).unwrap();
    writer.commit().unwrap();
    check_range(&Reader::open_on(vfs.shared(), &dir, NO_MMAP).unwrap(), 20);
}

#[test]
fn a_batch_larger_than_the_buffer_leaves_nothing_when_dropped() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let vfs = FaultVfs::new(temporary.path());
    let mut writer = ten_committed(&vfs, &dir);
    let before = vfs.calls();
    put_range(&mut writer, 10..36_000).unwrap();
    assert!(vfs.calls() > before, "the batch should have been larger than the buffer");
    drop(writer);
    check_range(&Reader::open_on(vfs.shared(), &dir, NO_MMAP).unwrap(), 10);
    let mut writer = Writer::open_on(vfs.shared(), &dir, &schema()).unwrap();
    put_range(&mut writer, 10..12).unwrap();
    writer.commit().unwrap();
    let reader = Reader::open_on(vfs.shared(), &dir, NO_MMAP).unwrap();
    check_range(&reader, 12);
    let report = reader.verify(&mut |_, _| {}).unwrap();
    assert!(report.is_sound() && report.uncommitted_bytes == 0, "{report:?}");
}

#[test]
fn a_compaction_that_could_not_be_published_poisons_the_writer() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let vfs = FaultVfs::new(temporary.path());
    let mut writer = ten_committed(&vfs, &dir);
    writer.remove(&[3].into_iter().collect()).unwrap();
    let compaction = writer.compact(&mut |_, _| true).unwrap().unwrap();
    vfs.set_fault(Some(Fault::Once(vfs.calls() + 1)));
    compaction.publish().unwrap_err();
    assert_eq!(vfs.call(vfs.calls()), "sync_dir db");
    assert!(matches!(writer.commit(), Err(Error::Poisoned { .. })));
    assert!(matches!(put(&mut writer, "x", 99, 0), Err(Error::Poisoned { .. })));
}

/// A machine with an empty file system, and what is left of it after a power cut that takes all that it may.
fn machine() -> (tempfile::TempDir, FaultVfs, std::path::PathBuf) {
    let temporary = temp_dir();
    let root = temporary.path().join("root");
    let vfs = FaultVfs::boot(&Image::default(), &root);
    vfs.record();
    (temporary, vfs, root.join("db"))
}

fn after_the_worst_power_cut(vfs: &FaultVfs, db: &Path) -> FaultVfs {
    let (start, events) = vfs.history();
    let mut medium = Medium::new(&start);
    events.iter().for_each(|event| medium.apply(event));
    FaultVfs::boot(&medium.power_cut(512, &mut |_| 0), db.parent().unwrap())
}

#[test]
fn a_database_that_was_created_is_there_after_a_power_cut() {
    let (_temporary, vfs, db) = machine();
    Store::create_on(&vfs.shared(), &db, &schema(), clock()).unwrap();
    let vfs = after_the_worst_power_cut(&vfs, &db);
    check_range(&Reader::open_on(vfs.shared(), &db, NO_MMAP).unwrap(), 0);
}

#[test]
fn names_that_a_dead_process_left_unsynced_are_made_durable_by_the_next_one() {
    let (_temporary, vfs, db) = machine();
    Store::create_on(&vfs.shared(), &db, &schema(), clock()).unwrap();
    let names: Vec<u64> = (1..=vfs.calls()).filter(|&n| vfs.call(n).starts_with("sync_dir")).collect();
    // Of the folder, of the folder of segments, of the code files, of the catalog.
    assert_eq!(names.len(), 4, "{names:?}");
    for at in names {
        for fault in [Fault::Die(at), Fault::Once(at)] {
            let (_temporary, vfs, db) = machine();
            vfs.set_fault(Some(fault));
            Store::create_on(&vfs.shared(), &db, &schema(), clock()).unwrap_err();
            vfs.revive();
            if !Store::exists(&db) {
                Store::create_on(&vfs.shared(), &db, &schema(), clock()).unwrap();
            }
            let mut writer = Writer::open_on(vfs.shared(), &db, &schema()).unwrap();
            put_range(&mut writer, 0..3).unwrap();
            writer.add_segment("energy", 0..3, b"segment").unwrap();
            writer.commit().unwrap();
            let vfs = after_the_worst_power_cut(&vfs, &db);
            drop(writer);
            let reader = Reader::open_on(vfs.shared(), &db, NO_MMAP)
                .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            check_range(&reader, 3);
            assert!(reader.segments("energy").unwrap()[0].1.is_ok(), "{fault:?}");
        }
    }
}
