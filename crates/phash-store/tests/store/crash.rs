//! Crashes through the seam: the writer dies, or an operation fails, at each operation on code files and segments in
//! turn; a power cut then takes any part of what was not synced. What was committed must be there, whole, and no more.

use std::path::{Path, PathBuf};

use phash_store::{Error, Reader, Store, Writer};
use tempfile::TempDir;

use crate::common::*;
use crate::fault_vfs::{Fault, FaultVfs};

/// A workload: what is there before, and the number of models after each commit.
struct Workload {
    vfs: FaultVfs,
    temporary: TempDir,
    start: u64,
    steps: &'static [u64],
}

impl Workload {
    /// Creating a database and two small commits.
    fn creation() -> Self {
        Self { vfs: FaultVfs::default(), temporary: temp_dir(), start: 0, steps: &[3, 5] }
    }

    /// Commits inside a block, exactly to its end, and over it, onto a database with a nearly full block.
    fn over_a_block_end() -> Self {
        let (vfs, temporary) = (FaultVfs::default(), temp_dir());
        run(&vfs, &temporary.path().join("start"), &[2000, 2040], &mut 0).unwrap();
        Self { vfs, temporary, start: 2040, steps: &[2045, 2048, 2060] }
    }

    /// The start once more, under the same path each time: the medium and the directory.
    fn begin(&self) -> (FaultVfs, PathBuf) {
        let (start, dir) = (self.temporary.path().join("start"), self.temporary.path().join("db"));
        replace_dir(&start, &dir);
        (self.vfs.moved(&start, &dir), dir)
    }

    fn ops(&self) -> FaultVfs {
        let (vfs, dir) = self.begin();
        run(&vfs, &dir, self.steps, &mut 0).unwrap();
        vfs
    }
}

/// Makes `to` a copy of `from`, or removes it if there is no `from`.
fn replace_dir(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    if from.exists() {
        copy_dir(from, to);
    }
}

/// Creates the database unless it is there, and ingests what is missing up to each step. `acknowledged` is the number
/// of models after the last commit that returned.
fn run(vfs: &FaultVfs, dir: &Path, steps: &[u64], acknowledged: &mut u64) -> phash_store::Result<()> {
    if !Store::exists(dir) {
        Store::create_on(&vfs.shared(), dir, &schema(), clock())?;
    }
    let mut writer = Writer::open_on(vfs.shared(), dir, &schema())?.with_clock(clock);
    for &step in steps {
        let from = u64::from(writer.model_count());
        if from >= step {
            continue;
        }
        put_range(&mut writer, from..step)?;
        if from > 0 {
            writer.drop_segments("energy", 0..u32::MAX)?;
            writer.add_segment("energy", 0..u32::try_from(from).unwrap(), &from.to_le_bytes())?;
        }
        writer.commit()?;
        *acknowledged = step;
    }
    Ok(())
}

/// xorshift, for choosing what a power cut leaves.
fn coin(mut state: u64) -> impl FnMut() -> bool {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.is_multiple_of(3)
    }
}

/// The database must open, hold exactly what was acknowledged, be sound, and take the rest of the workload.
fn check_image(image: &FaultVfs, dir: &Path, acknowledged: u64, steps: &[u64], place: &str) {
    if !Store::exists(dir) {
        assert_eq!(acknowledged, 0, "{place}: the database is gone");
    } else {
        // A reader copes before anybody has cleaned up.
        let reader = Reader::open_on(image.shared(), dir, NO_MMAP).unwrap_or_else(|e| panic!("{place}: {e}"));
        check_codes(&reader, acknowledged);
        drop(reader);
        drop(Writer::open_on(image.shared(), dir, &schema()).unwrap_or_else(|e| panic!("{place}: {e}")));
        let reader = Reader::open_on(image.shared(), dir, NO_MMAP).unwrap_or_else(|e| panic!("{place}: {e}"));
        check_codes(&reader, acknowledged);
        let report = reader.verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{place}: {report:?}");
        assert_eq!(report.uncommitted_bytes, 0, "{place}: not cut back");
    }
    let mut finished = 0;
    run(image, dir, steps, &mut finished).unwrap_or_else(|e| panic!("{place}: going on: {e}"));
    let reader = Reader::open_on(image.shared(), dir, NO_MMAP).unwrap();
    check_range(&reader, steps[steps.len() - 1]);
}

fn die_at_each_operation(workload: &Workload) {
    let ops = workload.ops().ops();
    assert!(ops > 20, "the workload has shrunk to {ops} operations");
    for at in 1..=ops {
        let (vfs, dir) = workload.begin();
        vfs.set_fault(Some(Fault::Die(at)));
        let mut acknowledged = workload.start;
        let _ = run(&vfs, &dir, workload.steps, &mut acknowledged);
        // The catalog is a real file: each image gets a copy under the same path.
        let after = workload.temporary.path().join("after");
        replace_dir(&dir, &after);
        for (what, image) in [
            ("nothing unsynced", vfs.power_cut(&mut || false)),
            ("some", vfs.power_cut(&mut coin(at * 77 + 1))),
            ("some others", vfs.power_cut(&mut coin(at * 991 + 3))),
            ("everything", vfs.process_death()),
        ] {
            replace_dir(&after, &dir);
            let place = format!("death at operation {at}, {} ({what})", vfs.op(at));
            check_image(&image, &dir, acknowledged, workload.steps, &place);
        }
    }
}

#[test]
fn a_death_at_any_operation_of_a_creation_leaves_a_database_or_none() {
    die_at_each_operation(&Workload::creation());
}

#[test]
fn a_death_at_any_operation_of_an_ingest_loses_nothing_committed_and_leaves_nothing_else() {
    die_at_each_operation(&Workload::over_a_block_end());
}

#[test]
fn an_error_at_any_operation_comes_back_and_the_next_writer_goes_on() {
    for workload in [Workload::creation(), Workload::over_a_block_end()] {
        for at in 1..=workload.ops().ops() {
            for fault in [Fault::Once(at), Fault::Full(at)] {
                let (vfs, dir) = workload.begin();
                vfs.set_fault(Some(fault));
                let mut acknowledged = workload.start;
                match run(&vfs, &dir, workload.steps, &mut acknowledged) {
                    Err(error) => {
                        assert_eq!(error.is_disk_full(), fault == Fault::Full(at), "{fault:?}: {error}")
                    }
                    // Only the removal of a dropped segment may fail unnoticed: the next writer removes it.
                    Ok(()) => {
                        assert!(vfs.op(at).starts_with("remove"), "{fault:?} at {}: no error", vfs.op(at))
                    }
                }
                vfs.set_fault(None);
                check_image(&vfs, &dir, acknowledged, workload.steps, &format!("{fault:?}"));
            }
        }
    }
}

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
    let vfs = FaultVfs::default();
    let mut writer = ten_committed(&vfs, &dir);
    put_range(&mut writer, 10..20).unwrap();
    // The next commit writes codes and a slot, then syncs.
    vfs.set_fault(Some(Fault::Once(vfs.ops() + 3)));
    let error = writer.commit().unwrap_err();
    assert_eq!(vfs.op(vfs.ops()), "sync energy.codes", "{error}");
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
    let vfs = FaultVfs::default();
    let mut writer = ten_committed(&vfs, &dir);
    let before = vfs.ops();
    put_range(&mut writer, 10..36_000).unwrap();
    assert!(vfs.ops() > before, "the batch should have been larger than the buffer");
    drop(writer);
    check_image(&vfs.process_death(), &dir, 10, &[12], "dropped batch");
}
