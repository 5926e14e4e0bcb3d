//! Removal: what is removed is gone for every reader of a later commit and for no other, and can be put again; and random
//! removals and compactions against a model in plain maps.

use phash_store::{Error, Outcome, Reader, Removed, Writer};
use roaring::RoaringBitmap;

use crate::codes;
use crate::common::*;

pub(crate) fn ids(ids: &[u32]) -> RoaringBitmap {
    ids.iter().copied().collect()
}

/// Labels of the models that a reader lists.
fn listed(reader: &Reader) -> Vec<(u32, String)> {
    reader
        .models()
        .map(|model| {
            let model = model.unwrap();
            (model.id, model.sources[0].label.clone())
        })
        .collect()
}

fn sound(reader: &Reader) {
    let report = reader.verify(&mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn removed_models_are_gone_after_the_commit_and_older_snapshots_keep_them() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..600).unwrap();
    writer.commit().unwrap();
    let mut before = Reader::open(&dir, MMAP).unwrap();
    // A whole page of models among them.
    let gone: RoaringBitmap = (256..512).chain([0, 7, 599]).collect();
    let removed = writer.remove(&gone).unwrap();
    assert_eq!((&removed.ids, removed.sources), (&gone, 259));
    assert_eq!(writer.pending().removed, 259);
    check_range(&Reader::open(&dir, MMAP).unwrap(), 600);
    writer.commit().unwrap();
    check_range(&before, 600);
    sound(&before);
    assert!(before.removed().unwrap().is_empty());

    let reader = Reader::open(&dir, NO_MMAP).unwrap();
    let expected = (0..600).filter(|id| !gone.contains(*id)).map(|id| (id, format!("m/{id}")));
    assert_eq!(listed(&reader), expected.collect::<Vec<_>>());
    assert_eq!((reader.removed().unwrap(), reader.live_count(), reader.model_count()), (&gone, 341, 600));
    for id in &gone {
        assert!(reader.model(id).unwrap().is_none() && reader.label(id).unwrap().is_none());
        assert!(reader.source_by_label(&format!("m/{id}")).unwrap().is_none());
        assert!(reader.source_by_file_digest(&file_digest(id.into(), 0)).unwrap().is_none());
        assert!(reader.model_by_content_digest(&content_digest(id.into())).unwrap().is_none());
        assert!(reader.tensors(id).unwrap().is_empty());
    }
    let info = reader.info().unwrap();
    let weak = (0..600u32).filter(|id| id % 7 == 0 && !gone.contains(*id)).count();
    let tensors: u32 = (0..600).filter(|id| !gone.contains(*id)).map(|id| id % 3).sum();
    assert_eq!((info.models, info.labels, info.sources, info.removed), (341, 341, 341, 259));
    assert_eq!((info.weak_models as usize, info.tensors, info.format_version), (weak, tensors, 5));
    let voids = (0..600u32).filter(|id| id % 5 == 0 && !gone.contains(*id)).count();
    assert_eq!(info.void_models, [0, u32::try_from(voids).unwrap()]);
    assert_eq!(reader.removed_tensors().unwrap().len(), u64::from(reader.tensor_count() - tensors));
    sound(&reader);
    assert!(before.refresh().unwrap());
    assert_eq!(before.removed().unwrap(), &gone);

    // Again, and what was never there.
    assert_eq!(writer.remove(&gone).unwrap(), Removed::default());
    assert!(matches!(writer.remove(&ids(&[600])), Err(Error::InvalidInput { .. })));
    assert!(matches!(writer.put_source(&source("x", 7, 0), 7), Err(Error::InvalidInput { .. })));
    // A removed label can be put again, with the same contents.
    assert_eq!(put(&mut writer, "m/7", 7, 0).unwrap(), Outcome::Ingested { id: 600, version: 1 });
    writer.commit().unwrap();
    let reader = Reader::open(&dir, MMAP).unwrap();
    assert_eq!(reader.source_by_label("m/7").unwrap().unwrap().model_id, 600);
    assert_eq!(reader.live_count(), 342);
    sound(&reader);
}

#[test]
fn a_label_takes_with_it_only_models_that_stand_under_no_other() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    // Model 0 under two labels, model 1 superseded by model 2 under `c`, which has one source of model 0, too.
    for (label, content) in [("a", 10), ("b", 10), ("c", 11), ("c", 10), ("c", 12)] {
        put(&mut writer, label, content, 0).unwrap();
    }
    writer.commit().unwrap();
    assert_eq!(writer.remove_label("nobody").unwrap(), Removed::default());
    assert!(writer.pending().is_empty());
    let removed = writer.remove_label("c").unwrap();
    assert_eq!((removed.ids, removed.kept, removed.sources), (ids(&[1, 2]), ids(&[0]), 3));
    writer.commit().unwrap();
    let reader = Reader::open(&dir, MMAP).unwrap();
    assert_eq!(listed(&reader), [(0, "a".to_owned())]);
    assert_eq!(reader.info().unwrap().labels, 2);
    sound(&reader);
    assert_eq!(writer.remove_label("a").unwrap().kept, ids(&[0]));
    assert_eq!(writer.remove_label("b").unwrap().ids, ids(&[0]));
    writer.commit().unwrap();
    let reader = Reader::open(&dir, MMAP).unwrap();
    let info = reader.info().unwrap();
    assert_eq!((info.models, info.labels, info.sources), (0, 0, 0));
    sound(&reader);
}

#[test]
fn the_version_before_a_removed_one_is_current_again() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put(&mut writer, "a", 1, 0).unwrap();
    put(&mut writer, "a", 2, 0).unwrap();
    writer.remove(&ids(&[1])).unwrap();
    writer.commit().unwrap();
    let reader = Reader::open(&dir, MMAP).unwrap();
    let source = reader.source_by_label("a").unwrap().unwrap();
    assert_eq!((source.model_id, source.version, source.current), (0, 1, true));
    assert_eq!(reader.info().unwrap().labels, 1);
    sound(&reader);
}

#[test]
fn a_removal_without_a_commit_changes_nothing_not_even_the_version() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..20).unwrap();
    writer.commit().unwrap();
    writer.remove(&ids(&[3])).unwrap();
    writer.remove_label("m/4").unwrap();
    drop(writer);
    let reader = Reader::open(&dir, MMAP).unwrap();
    check_range(&reader, 20);
    let info = reader.info().unwrap();
    assert_eq!((info.format_version, info.removed, info.labels), (5, 0, 20));
    drop(reader);
    let mut writer = Writer::open(&dir, &schema()).unwrap();
    writer.remove(&ids(&[3])).unwrap();
    writer.commit().unwrap();
    assert_eq!(Reader::open(&dir, MMAP).unwrap().live_count(), 19);
}

#[test]
fn raw_codes_are_removed_with_their_labels_and_the_others_stay() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &codes::raw()).unwrap();
    codes::put_codes(&mut writer, 0..3000).unwrap();
    assert!(matches!(writer.remove(&ids(&[1])), Err(Error::InvalidInput { .. })), "not committed");
    writer.commit().unwrap();
    assert!(matches!(writer.remove_label("1/"), Err(Error::OtherContents { .. })));
    // 7 has no label.
    assert_eq!(writer.remove(&ids(&[2, 7, 2999])).unwrap().ids, ids(&[2, 7, 2999]));
    assert_eq!(writer.remove(&ids(&[2, 3])).unwrap().ids, ids(&[3]));
    writer.commit().unwrap();
    assert_eq!(writer.remove(&ids(&[2, 3])).unwrap().ids, ids(&[]));
    let reader = Reader::open(&dir, MMAP).unwrap();
    // The codes stay where they are, and are said to be removed.
    codes::check(&reader, 3000);
    assert_eq!(reader.removed().unwrap(), &ids(&[2, 3, 7, 2999]));
    let labelled = (0..3000u64).filter(|&number| codes::label(number).is_some()).count() - 3;
    let info = reader.info().unwrap();
    assert_eq!((info.codes, info.removed, info.labels as usize, info.format_version), (2996, 4, labelled, 4));
    assert!(info.dead_bytes() > 4 * 16);
    sound(&reader);
}

#[test]
fn a_changed_set_of_removed_ids_is_found_by_the_first_read_of_it() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    put_range(&mut writer, 0..20).unwrap();
    writer.remove(&ids(&[3, 4])).unwrap();
    writer.commit().unwrap();
    drop(writer);
    for (sql, opens) in [
        ("DELETE FROM removed WHERE kind = 0", true),
        ("UPDATE removed SET chunk = 1 WHERE kind = 0", true),
        ("UPDATE removed SET crc = crc + 1 WHERE kind = 0", true),
        ("UPDATE upkeep SET removed = 1", false),
        ("UPDATE upkeep SET edition = 1", false),
        ("DELETE FROM upkeep", false),
    ] {
        let copy = temporary.path().join("copy");
        let _ = std::fs::remove_dir_all(&copy);
        copy_dir(&dir, &copy);
        rusqlite::Connection::open(copy.join("catalog.sqlite")).unwrap().execute(sql, []).unwrap();
        let reader = Reader::open(&copy, MMAP);
        assert_eq!(reader.is_ok(), opens, "{sql}");
        let Ok(reader) = reader else { continue };
        assert!(matches!(reader.removed(), Err(Error::Corrupted { .. })), "{sql}");
        assert!(reader.models().any(|model| model.is_err()), "{sql}");
        assert!(reader.model(3).is_err(), "{sql}");
        assert!(!reader.verify(&mut |_, _| {}).unwrap().is_sound(), "{sql}");
    }
}
