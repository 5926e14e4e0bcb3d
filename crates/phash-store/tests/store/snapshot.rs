//! Snapshots in one process: readers on other threads see whole commits, whatever the writer does meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use phash_code::Codes;
use phash_store::{Error, Reader, Writer};

use crate::common::*;

#[test]
fn reader_reader_parts_and_writer_can_be_shared_between_threads() {
    fn sync<T: Send + Sync + 'static>() {}
    fn send<T: Send>() {}
    sync::<Reader>();
    sync::<phash_store::CodeView<4>>();
    sync::<phash_store::SegmentBytes>();
    sync::<Error>();
    send::<Writer>();
}

#[test]
fn readers_see_whole_commits_while_a_writer_runs() {
    let temporary = temp_dir();
    let dir = &temporary.path().join("db");
    let mut writer = Writer::open_or_create(dir, &schema()).unwrap();
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = [MMAP, NO_MMAP, MMAP]
            .into_iter()
            .map(|options| {
                scope.spawn(move || {
                    let mut reader = Reader::open(dir, options).unwrap();
                    let (mut last, mut seen) = (0, 0);
                    loop {
                        let finished = done.load(Ordering::SeqCst);
                        seen += u32::from(reader.refresh().unwrap());
                        let count = reader.model_count();
                        assert!(count.is_multiple_of(70) && count >= last, "{count} after {last}");
                        assert_eq!(u64::from(count), reader.generation() * 70);
                        last = count;
                        let codes = reader.codes::<4>("energy").unwrap();
                        for id in (0..count).rev().take(80) {
                            assert_eq!(codes.get(id).unwrap().as_bytes(), energy(id.into()));
                        }
                        let segments = reader.segments("energy").unwrap();
                        assert_eq!(segments.len(), usize::from(count > 0));
                        for (ids, bytes) in segments {
                            assert_eq!((ids.end, bytes.unwrap().as_ref()), (count, &count.to_le_bytes()[..]));
                        }
                        let report = reader.verify(&mut |_, _| {}).unwrap();
                        assert!(report.is_sound(), "{report:?}");
                        if finished {
                            check_range(&reader, u64::from(count));
                            return (count, seen);
                        }
                    }
                })
            })
            .collect();
        for round in 1..=40u32 {
            put_range(&mut writer, u64::from(round - 1) * 70..u64::from(round) * 70).unwrap();
            writer.drop_segments("energy", 0..u32::MAX).unwrap();
            writer.add_segment("energy", 0..round * 70, &(round * 70).to_le_bytes()).unwrap();
            writer.commit().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        for reader in readers {
            let (count, seen) = reader.join().unwrap();
            assert_eq!(count, 40 * 70);
            assert!(seen > 0, "never saw a commit");
        }
    });
}

#[test]
fn a_code_view_outlives_its_reader_and_stays_as_it_was() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..10).unwrap();
    writer.commit().unwrap();
    let mut reader = Reader::open(&dir, MMAP).unwrap();
    let codes = reader.codes::<4>("energy").unwrap();
    put_range(&mut writer, 10..3000).unwrap();
    writer.commit().unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!((codes.len(), reader.codes::<4>("energy").unwrap().len()), (10, 3000));
    drop(reader);
    assert_eq!(codes.run(0).len(), 10);
    assert_eq!(codes.get(9).unwrap().as_bytes(), energy(9));
}

#[test]
fn mapped_and_read_databases_give_the_same_answers() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    for (count, label) in [(30, "a"), (2047, "b"), (2200, "c")] {
        put(&mut writer, label, 3, 0).unwrap();
        let from = u64::from(writer.model_count());
        put_range(&mut writer, from..count).unwrap();
        writer
            .add_segment("blocks", u32::try_from(from - 1).unwrap()..u32::try_from(from).unwrap(), b"x")
            .unwrap();
        writer.commit().unwrap();
    }
    let mapped = answers(&Reader::open(&dir, MMAP).unwrap()).unwrap();
    let read = answers(&Reader::open(&dir, NO_MMAP).unwrap()).unwrap();
    assert!(mapped.len() > 100_000);
    assert!(mapped == read);
}

#[cfg(unix)]
#[test]
fn a_database_in_a_directory_that_cannot_be_written_can_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..10).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let set = |mode| std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    let is_superuser = std::fs::write(dir.join("probe"), b"").is_ok();
    let result = Reader::open(&dir, MMAP).map(|reader| check_range(&reader, 10));
    let written = Writer::open(&dir, &schema()).is_ok();
    set(0o755);
    result.unwrap();
    assert_eq!(written, is_superuser);
}

#[test]
fn a_reader_never_lacks_a_segment_that_is_replaced_while_it_opens() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    put_range(&mut writer, 0..10).unwrap();
    writer.add_segment("energy", 0..10, b"0").unwrap();
    writer.commit().unwrap();
    let stop = AtomicBool::new(false);
    let missing = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                writer.drop_segments("energy", 0..10).unwrap();
                writer.add_segment("energy", 0..10, b"another").unwrap();
                writer.commit().unwrap();
            }
        });
        let missing = (0..1000).find_map(|_| {
            let reader = Reader::open(&dir, MMAP).unwrap();
            let segments = reader.segments("energy").unwrap();
            (segments.len() != 1 || segments[0].1.is_err()).then(|| format!("{segments:?}"))
        });
        stop.store(true, Ordering::Relaxed);
        missing
    });
    assert_eq!(missing, None);
}
