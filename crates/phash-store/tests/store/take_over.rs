//! Taking over what another database recorded: a label that came back to earlier contents keeps all its versions, and doing it
//! again changes nothing.

use phash_store::{ModelRecord, Reader, SourceRecord, ViewRecord, Writer};

use crate::common::*;

/// Takes over contents with the versions that a label `x` had for them.
fn take(writer: &mut Writer, content: u64, versions: &[u32]) -> u32 {
    let source = |&version: &u32| SourceRecord {
        label: "x".to_owned(),
        version,
        path: "x".to_owned(),
        stamp: stamp(content),
        file_digest: file_digest(content, 0),
        recorded_at_ms: 7,
    };
    let view = |code, features| ViewRecord { code, features };
    let model = ModelRecord {
        content_digest: content_digest(content),
        format: "safetensors".to_owned(),
        weak: false,
        tensors_used: 2,
        tensors_skipped: Vec::new(),
        ingested_at_ms: 7,
        views: vec![view(Some(energy(content).to_vec()), 100), view(None, 0)],
        sources: versions.iter().map(source).collect(),
        tensors: Vec::new(),
    };
    writer.take_over(&model).unwrap().sources
}

#[test]
fn a_label_that_came_back_to_earlier_contents_keeps_its_versions() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    let mut writer = Writer::open_or_create(&dir, &schema()).unwrap();
    // It stood for 1, then for 2, then for 1 again.
    assert_eq!([take(&mut writer, 1, &[1, 3]), take(&mut writer, 2, &[2])], [2, 1]);
    assert_eq!([take(&mut writer, 1, &[1, 3]), take(&mut writer, 2, &[2])], [0, 0]);
    writer.commit().unwrap();
    let of = |source: phash_store::Source| (source.version, source.model_id);
    let reader = Reader::open(&dir, MMAP).unwrap();
    let versions: Vec<_> = reader.versions("x").unwrap().into_iter().map(of).collect();
    assert_eq!(versions, [(1, 0), (2, 1), (3, 0)]);
    assert_eq!(reader.source_by_label("x").unwrap().map(of), Some((3, 0)));
    assert!(reader.verify(&mut |_, _| {}).unwrap().is_sound());
}
