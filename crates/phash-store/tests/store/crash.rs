//! Crashes and errors at one place, told step by step. All places in turn: `calls` and `power_cuts`.

use std::path::Path;

use phash_store::{Error, Reader, Store, Writer};

use crate::common::*;
use crate::fault_vfs::{Fault, FaultVfs};

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
