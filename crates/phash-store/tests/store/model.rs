//! Random operations against a model in plain maps, with reopening in between. proptest prints a failing case.

use std::collections::BTreeMap;
use std::path::Path;

use phash_code::Codes;
use phash_store::{Outcome, Reader, Writer};
use proptest::prelude::*;

use crate::common::*;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Put contents under a label, saved for the n-th time.
    Put {
        label: u8,
        content: u8,
        save: u8,
    },
    /// Look the label up and record it by file digest if that is known.
    PutByDigest {
        label: u8,
        content: u8,
        save: u8,
    },
    Commit,
    /// Drop the writer without a commit and open it again.
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0u8..6, 0u8..10, 0u8..2).prop_map(|(label, content, save)| Op::Put { label, content, save }),
        2 => (0u8..6, 0u8..10, 0u8..2).prop_map(|(label, content, save)| Op::PutByDigest { label, content, save }),
        2 => Just(Op::Commit),
        1 => Just(Op::Reopen),
    ]
}

/// What the store should hold.
#[derive(Clone, Debug, Default)]
struct Model {
    /// Contents by code id.
    contents: Vec<u8>,
    /// Versions of each label: contents and save.
    labels: BTreeMap<u8, Vec<(u8, u8)>>,
}

impl Model {
    fn id(&self, content: u8) -> Option<u32> {
        self.contents.iter().position(|&known| known == content).map(|at| u32::try_from(at).unwrap())
    }

    fn knows_file(&self, content: u8, save: u8) -> bool {
        self.labels.values().flatten().any(|&version| version == (content, save))
    }

    fn put(&mut self, label: u8, content: u8, save: u8) -> Outcome {
        let known = self.id(content);
        let versions = self.labels.entry(label).or_default();
        if let (Some(id), Some(&last)) = (known, versions.last())
            && last == (content, save)
        {
            return Outcome::Unchanged { id };
        }
        versions.push((content, save));
        let version = u32::try_from(versions.len()).unwrap();
        match known {
            Some(of) => Outcome::Duplicate { of, version },
            None => {
                self.contents.push(content);
                Outcome::Ingested { id: u32::try_from(self.contents.len() - 1).unwrap(), version }
            }
        }
    }

    fn check(&self, dir: &Path, mmap: bool) {
        let reader = Reader::open(dir, phash_store::OpenOptions { mmap }).unwrap();
        let codes = reader.codes::<4>("energy").unwrap();
        assert_eq!(codes.len() as usize, self.contents.len());
        for (id, &content) in (0u32..).zip(&self.contents) {
            assert_eq!(codes.get(id).unwrap().as_bytes(), energy(content.into()));
            let void = blocks(content.into()).is_none();
            assert_eq!(reader.voids("blocks").unwrap().contains(id), void);
            let row = reader.model(id).unwrap().unwrap();
            assert_eq!(row.content_digest, content_digest(content.into()));
            let names: Vec<String> =
                reader.tensors(id).unwrap().into_iter().map(|tensor| tensor.name).collect();
            let expected: Vec<String> = (0..content % 3).map(|t| format!("layer.{t}.weight")).collect();
            assert_eq!(names, expected);
            let of_model = self.labels.values().flatten().filter(|(known, _)| *known == content).count();
            assert_eq!(row.sources.len(), of_model);
            assert!(reader.label(id).unwrap().is_some());
        }
        for (label, versions) in &self.labels {
            let stored = reader.versions(&label.to_string()).unwrap();
            let digests: Vec<[u8; 32]> = stored.iter().map(|source| source.file_digest).collect();
            let expected: Vec<[u8; 32]> =
                versions.iter().map(|&(content, save)| file_digest(content.into(), save.into())).collect();
            assert_eq!(digests, expected, "label {label}");
            let current: Vec<bool> = stored.iter().map(|source| source.current).collect();
            assert!(current.iter().rev().skip(1).all(|&yes| !yes) && current.last() == Some(&true));
        }
        let info = reader.info().unwrap();
        assert_eq!(info.labels as usize, self.labels.len());
        assert_eq!(info.sources as usize, self.labels.values().map(Vec::len).sum::<usize>());
        assert_eq!(
            info.weak_models as usize,
            self.contents.iter().filter(|&&content| content % 7 == 0).count()
        );
        let report = reader.verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{report:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_agree_with_a_model_in_plain_maps(ops in prop::collection::vec(op(), 1..40)) {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        let mut writer = Some(Writer::open_or_create(&dir, &schema()).unwrap());
        let (mut working, mut committed) = (Model::default(), Model::default());
        for op in ops {
            let open = writer.as_mut().unwrap();
            match op {
                Op::Put { label, content, save } => {
                    let outcome = put(open, &label.to_string(), content.into(), save.into()).unwrap();
                    prop_assert_eq!(outcome, working.put(label, content, save));
                }
                Op::PutByDigest { label, content, save } => {
                    let digest = file_digest(content.into(), save.into());
                    let known = open.source_by_file_digest(&digest).unwrap();
                    prop_assert_eq!(known.is_some(), working.knows_file(content, save));
                    if let Some(known) = known {
                        let name = label.to_string();
                        let source = source(&name, content.into(), save.into());
                        let outcome = open.put_source(&source, known.model_id).unwrap();
                        prop_assert_eq!(outcome, working.put(label, content, save));
                    }
                }
                Op::Commit => {
                    open.commit().unwrap();
                    committed = working.clone();
                    committed.check(&dir, committed.contents.len() % 2 == 0);
                }
                Op::Reopen => {
                    writer = None;
                    committed.check(&dir, true);
                    writer = writer.or_else(|| Some(Writer::open(&dir, &schema()).unwrap()));
                    working = committed.clone();
                }
            }
        }
        drop(writer);
        committed.check(&dir, false);
    }
}
