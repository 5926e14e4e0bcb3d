//! The rules by which a file becomes a new model, a new version, a duplicate or nothing; and what input is refused.

use phash_store::{Error, NewModel, OpenOptions, Outcome, Reader, Schema, Stamp, Store, ViewCode, Writer};

use crate::common::*;

fn new_writer() -> (tempfile::TempDir, Writer) {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let writer = Writer::open_or_create(&dir, &schema()).unwrap().with_clock(clock);
    (temporary, writer)
}

#[test]
fn an_unchanged_file_is_skipped_by_its_stamp_unless_it_was_too_new_to_trust_that() {
    let (_temporary, mut writer) = new_writer();
    put(&mut writer, "a", 1, 0).unwrap();
    assert_eq!(writer.unchanged("a", stamp(1)).unwrap().map(|source| source.model_id), Some(0));
    assert!(writer.unchanged("b", stamp(1)).unwrap().is_none());
    let other_len = Stamp { len_bytes: 5, ..stamp(1) };
    let other_time = Stamp { mtime_ns: 5, ..stamp(1) };
    assert!(writer.unchanged("a", other_len).unwrap().is_none());
    assert!(writer.unchanged("a", other_time).unwrap().is_none());

    // Modified one second before it was recorded: only the digest can tell. 2 s is the boundary.
    let now_ns = clock() * 1_000_000;
    for (age_ns, trusted) in [(1_000_000_000, false), (2_000_000_000, false), (2_000_000_001, true)] {
        let stamp = Stamp { len_bytes: 9, mtime_ns: now_ns - age_ns };
        let mut young = source("young", 1, 0);
        young.stamp = stamp;
        writer.put_source(&young, 0).unwrap();
        assert_eq!(writer.unchanged("young", stamp).unwrap().is_some(), trusted, "{age_ns}");
    }
}

#[test]
fn a_touched_file_with_the_same_digest_is_unchanged_and_gets_the_new_stamp() {
    let (_temporary, mut writer) = new_writer();
    put(&mut writer, "a", 1, 0).unwrap();
    writer.commit().unwrap();
    let mut touched = source("a", 1, 0);
    touched.stamp.mtime_ns += 1;
    assert_eq!(writer.put_source(&touched, 0).unwrap(), Outcome::Unchanged { id: 0 });
    assert_eq!(writer.pending().changes, 1);
    assert!(writer.unchanged("a", touched.stamp).unwrap().is_some());
    assert_eq!(put(&mut writer, "a", 1, 0).unwrap(), Outcome::Unchanged { id: 0 });
    assert_eq!(writer.source_by_label("a").unwrap().unwrap().version, 1);
}

#[test]
fn a_changed_file_becomes_a_new_version_of_its_label() {
    let (temporary, mut writer) = new_writer();
    assert_eq!(put(&mut writer, "a", 1, 0).unwrap(), Outcome::Ingested { id: 0, version: 1 });
    assert_eq!(put(&mut writer, "a", 2, 0).unwrap(), Outcome::Ingested { id: 1, version: 2 });
    // Back to the old contents: a third version, of the first model.
    assert_eq!(put(&mut writer, "a", 1, 0).unwrap(), Outcome::Duplicate { of: 0, version: 3 });
    // Saved again with another header: another file, the same contents.
    assert_eq!(put(&mut writer, "a", 1, 1).unwrap(), Outcome::Duplicate { of: 0, version: 4 });
    writer.commit().unwrap();
    let reader = Reader::open(&temporary.path().join("db"), MMAP).unwrap();
    let versions = reader.versions("a").unwrap();
    let seen: Vec<_> =
        versions.iter().map(|source| (source.version, source.model_id, source.current)).collect();
    assert_eq!(seen, [(1, 0, false), (2, 1, false), (3, 0, false), (4, 0, true)]);
    assert_eq!(reader.source_by_label("a").unwrap().unwrap().version, 4);
    assert_eq!(reader.label(1).unwrap().as_deref(), Some("a"), "an outdated label is better than none");
    assert_eq!(reader.info().unwrap().labels, 1);
}

#[test]
fn the_same_contents_under_another_path_are_recorded_as_a_duplicate() {
    let (temporary, mut writer) = new_writer();
    put(&mut writer, "a", 1, 0).unwrap();
    assert_eq!(put(&mut writer, "b", 1, 7).unwrap(), Outcome::Duplicate { of: 0, version: 1 });
    // The very same file elsewhere need not be hashed.
    let known = writer.source_by_file_digest(&file_digest(1, 0)).unwrap().unwrap();
    let outcome = writer.put_source(&source("c", 1, 0), known.model_id).unwrap();
    assert_eq!(outcome, Outcome::Duplicate { of: 0, version: 1 });
    writer.commit().unwrap();
    let reader = Reader::open(&temporary.path().join("db"), MMAP).unwrap();
    let model = reader.model(0).unwrap().unwrap();
    let labels: Vec<&str> = model.sources.iter().map(|source| source.label.as_str()).collect();
    assert_eq!((reader.model_count(), labels), (1, vec!["a", "b", "c"]));
    assert_eq!(model.tensors_skipped, [("integer".to_owned(), 1), ("too-small".to_owned(), 3)]);
    assert_eq!(reader.tensors(0).unwrap()[0].shape, [3, 4, 1]);
    assert!(reader.model(1).unwrap().is_none() && reader.tensors(1).unwrap().is_empty());
}

#[test]
fn pending_counts_what_a_commit_publishes_and_an_empty_commit_changes_nothing() {
    let (temporary, mut writer) = new_writer();
    writer.commit().unwrap();
    assert!(writer.pending().is_empty());
    put(&mut writer, "a", 2, 0).unwrap();
    put(&mut writer, "b", 2, 0).unwrap();
    let pending = writer.pending();
    assert_eq!((pending.models, pending.tensors, pending.sources), (1, 2, 2));
    let mut reader = Reader::open(&temporary.path().join("db"), MMAP).unwrap();
    assert_eq!((reader.model_count(), reader.generation()), (0, 0));
    writer.commit().unwrap();
    assert!(writer.pending().is_empty());
    assert_eq!(reader.model_count(), 0, "a snapshot moved by itself");
    assert!(reader.refresh().unwrap() && !reader.refresh().unwrap());
    assert_eq!((reader.model_count(), reader.generation()), (1, 1));
}

#[test]
fn refused_input_leaves_the_batch_as_it_was() {
    let (temporary, mut writer) = new_writer();
    put(&mut writer, "a", 1, 0).unwrap();
    let before = writer.pending();
    let code = [0; 32];
    let good = [ViewCode { bytes: Some(&code), features: 1 }, ViewCode { bytes: None, features: 0 }];
    let model = |views| NewModel {
        source: source("x", 9, 0),
        format: "safetensors",
        content_digest: content_digest(9),
        views,
        weak: false,
        tensors_used: 0,
        tensors_skipped: &[],
        tensors: &[],
    };
    let long = "x".repeat(70_000);
    let narrow = [ViewCode { bytes: Some(&code[..8]), ..good[0] }, good[1]];
    assert!(matches!(
        writer.put(&model(&narrow)),
        Err(Error::WidthMismatch { expected_bytes: 32, got_bytes: 8, .. })
    ));
    assert!(matches!(writer.put(&model(&good[..1])), Err(Error::InvalidInput { .. })));
    let refused = [
        NewModel { source: source("", 9, 0), ..model(&good) },
        NewModel { source: source(&long, 9, 0), ..model(&good) },
        NewModel { format: &long, ..model(&good) },
        NewModel { tensors_skipped: &[("a", 1), ("a", 2)], ..model(&good) },
        NewModel {
            source: phash_store::NewSource {
                stamp: Stamp { len_bytes: u64::MAX, mtime_ns: 0 },
                ..source("x", 9, 0)
            },
            ..model(&good)
        },
    ];
    for (number, model) in refused.iter().enumerate() {
        assert!(matches!(writer.put(model), Err(Error::InvalidInput { .. })), "{number}");
    }
    assert!(matches!(writer.put_source(&source("x", 9, 0), 1), Err(Error::InvalidInput { .. })));
    assert_eq!(writer.pending(), before);
    assert_eq!(writer.put(&model(&good)).unwrap(), Outcome::Ingested { id: 1, version: 1 });
    writer.commit().unwrap();
    let reader = Reader::open(&temporary.path().join("db"), MMAP).unwrap();
    assert_eq!(reader.model_count(), 2);
    assert!(reader.voids("blocks").unwrap().contains(1));
    assert!(matches!(reader.codes::<8>("energy"), Err(Error::WidthMismatch { .. })));
    assert!(matches!(reader.codes::<4>("colour"), Err(Error::UnknownView { .. })));
}

#[test]
fn a_database_of_other_parameters_is_refused() {
    let (temporary, writer) = new_writer();
    let dir = temporary.path().join("db");
    drop(writer);
    let mut other = schema();
    other.parameters[31] ^= 1;
    let error = Writer::open(&dir, &other).unwrap_err();
    assert!(
        matches!(&error, Error::ParametersDiffer { expected, found, .. } if expected != found),
        "{error}"
    );
    let mut fewer = schema();
    fewer.views.pop();
    assert!(matches!(Writer::open(&dir, &fewer), Err(Error::ParametersDiffer { .. })));
    assert_eq!(Reader::open(&dir, MMAP).unwrap().schema(), &schema());
}

#[test]
fn creation_refuses_a_directory_with_anything_in_it_but_its_own_leftovers() {
    let (temporary, mut writer) = new_writer();
    let dir = temporary.path().join("db");
    put(&mut writer, "a", 1, 0).unwrap();
    writer.commit().unwrap();
    drop(writer);
    assert!(matches!(Store::create(&dir, &schema()), Err(Error::AlreadyExists { .. })));
    // Codes whose catalog is lost are not overwritten.
    std::fs::remove_file(dir.join("catalog.sqlite")).unwrap();
    assert!(matches!(Store::create(&dir, &schema()), Err(Error::AlreadyExists { .. })));
    assert!(matches!(Writer::open_or_create(&dir, &schema()), Err(Error::AlreadyExists { .. })));
    let foreign = temporary.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("notes.txt"), "mine").unwrap();
    assert!(matches!(Store::create(&foreign, &schema()), Err(Error::AlreadyExists { .. })));
    let bad = Schema { views: Vec::new(), ..schema() };
    assert!(matches!(Store::create(&temporary.path().join("new"), &bad), Err(Error::InvalidInput { .. })));
    assert!(!temporary.path().join("new").exists());
}

#[test]
fn every_width_is_stored_and_read_back_mapped_and_not() {
    fn check<const W: usize>() {
        use phash_code::Codes;
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        let view = phash_store::ViewSpec { name: "v".to_owned(), words: u32::try_from(W).unwrap() };
        let mut writer =
            Writer::open_or_create(&dir, &Schema { parameters: [0; 32], views: vec![view], ..schema() })
                .unwrap();
        let code = |n: u64| [bytes32(8, n), bytes32(9, n)].concat()[..8 * W].to_vec();
        for n in 0..2100 {
            writer
                .put(&NewModel {
                    source: source(&n.to_string(), n, 0),
                    format: "",
                    content_digest: content_digest(n),
                    views: &[ViewCode { bytes: Some(&code(n)), features: 1 }],
                    weak: false,
                    tensors_used: 0,
                    tensors_skipped: &[],
                    tensors: &[],
                })
                .unwrap();
        }
        writer.commit().unwrap();
        for mmap in [true, false] {
            let codes = Reader::open(&dir, OpenOptions { mmap }).unwrap().codes::<W>("v").unwrap();
            assert_eq!(
                (codes.len(), codes.run(0).len(), codes.run(2047).len(), codes.run(2048).len()),
                (2100, 2048, 1, 52)
            );
            for (id, n) in (0..2100).zip(0..) {
                assert_eq!(codes.get(id).unwrap().as_bytes(), code(n), "W {W} id {id}");
            }
        }
    }
    check::<1>();
    check::<2>();
    check::<4>();
    check::<8>();
}
