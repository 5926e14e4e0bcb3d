//! Index segments: opaque files that are published, replaced and removed with commits.

use std::fs;
use std::path::Path;

use phash_store::{Error, Reader, Writer};

use crate::common::*;

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("segments")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn segments_are_published_by_a_commit_and_removed_after_one() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..10).unwrap();
    writer.add_segment("energy", 0..4, b"first").unwrap();
    let mut piece = |file: &mut dyn std::io::Write| {
        file.write_all(b"sec")?;
        file.flush()?;
        file.write_all(b"ond")
    };
    writer.add_segment_with("energy", 4..10, &mut piece).unwrap();
    writer.add_segment("blocks", 0..10, b"").unwrap();
    assert!(Reader::open(&dir, MMAP).unwrap().segments("energy").unwrap().is_empty());
    writer.commit().unwrap();
    assert_eq!(
        files(&dir),
        [
            "blocks.0000000000-0000000010.00000002.mih",
            "energy.0000000000-0000000004.00000000.mih",
            "energy.0000000004-0000000010.00000001.mih"
        ]
    );
    for options in [MMAP, NO_MMAP] {
        let segments = Reader::open(&dir, options).unwrap().segments("energy").unwrap();
        let seen: Vec<_> =
            segments.iter().map(|(ids, bytes)| (ids.clone(), bytes.as_ref().unwrap().as_ref())).collect();
        assert_eq!(seen, [(0..4, &b"first"[..]), (4..10, b"second")]);
    }
    let reader = Reader::open(&dir, MMAP).unwrap();
    let held = reader.segments("energy").unwrap();
    // Replaced by one: the range is free at once, the files go with the commit.
    assert_eq!(writer.drop_segments("energy", 0..u32::MAX).unwrap(), 2);
    writer.add_segment("energy", 0..10, b"merged").unwrap();
    assert_eq!(files(&dir).len(), 4);
    writer.commit().unwrap();
    assert_eq!(files(&dir).len(), 2);
    assert_eq!(writer.segments("energy").unwrap(), vec![0..10; 1]);
    assert_eq!(held[1].1.as_ref().unwrap().as_ref(), b"second", "a snapshot lost its segment");
    assert_eq!(reader.segments("energy").unwrap().len(), 2);
    assert!(reader.verify(&mut |_, _| {}).unwrap().is_sound(), "dropped since is not damage");
    assert_eq!(Reader::open(&dir, MMAP).unwrap().segments("energy").unwrap().len(), 1);
}

#[test]
fn a_segment_that_was_not_committed_is_removed_by_the_next_writer() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..10).unwrap();
    writer.commit().unwrap();
    writer.add_segment("energy", 0..4, b"lost").unwrap();
    drop(writer);
    fs::write(dir.join("segments/energy.x.tmp"), b"torn").unwrap();
    fs::write(dir.join("segments/README"), b"not ours").unwrap();
    let mut writer = Writer::open(&dir, &schema()).unwrap();
    assert_eq!(files(&dir), ["README"]);
    writer.add_segment("energy", 0..4, b"kept").unwrap();
    writer.commit().unwrap();
    assert_eq!(
        Reader::open(&dir, MMAP).unwrap().segments("energy").unwrap()[0].1.as_ref().unwrap().as_ref(),
        b"kept"
    );
}

#[test]
fn a_segment_whose_making_is_stopped_leaves_no_file() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..10).unwrap();
    writer.commit().unwrap();
    let stopped = writer.add_segment_with("energy", 0..4, &mut |file| {
        file.write_all(&[7; 3 << 20])?;
        assert_eq!(files(&dir).len(), 1, "some of it is written");
        Err(std::io::ErrorKind::Interrupted.into())
    });
    assert!(matches!(stopped, Err(Error::Io { .. })), "{stopped:?}");
    assert_eq!(files(&dir), [""; 0]);
}

#[test]
fn ranges_that_are_empty_too_long_or_overlap_are_refused() {
    let temporary = temp_dir();
    let mut writer = Writer::open_or_create(&temporary.path().join("db"), &schema()).unwrap();
    put_range(&mut writer, 0..10).unwrap();
    writer.add_segment("energy", 2..6, b"x").unwrap();
    for ids in [3..3, 0..11, 0..3, 5..7, 2..6, 3..4, 0..10] {
        let refused = writer.add_segment("energy", ids.clone(), b"y");
        assert!(matches!(refused, Err(Error::InvalidInput { .. })), "{ids:?}");
    }
    writer.add_segment("energy", 0..2, b"x").unwrap();
    writer.add_segment("energy", 6..10, b"x").unwrap();
    writer.add_segment("blocks", 3..4, b"y").unwrap();
    assert!(matches!(writer.add_segment("colour", 0..1, b""), Err(Error::UnknownView { .. })));
    assert_eq!(writer.drop_segments("energy", 1..8).unwrap(), 1, "only those that lie within");
    assert_eq!(writer.segments("energy").unwrap(), [0..2, 6..10]);
}
