//! Random operations against a model in plain maps, with reopening, crashes and power cuts in between. proptest prints a
//! failing case. `PHASH_STORE_SEQUENCES` is the number of sequences.

use std::collections::BTreeMap;
use std::path::Path;

use phash_code::Codes;
use phash_store::{Outcome, Reader, Store, Writer};
use proptest::prelude::*;

use crate::common::*;
use crate::fault_vfs::FaultVfs;
use crate::medium::Medium;
use crate::power_cuts::{Random, given};

/// Sequences of the suite.
const SEQUENCES: u64 = 2000;

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
    /// The process dies: what it wrote is there, SQLite's log is not tidied up.
    Crash,
    /// The power fails: of what was not synced, anything may be there.
    PowerCut(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0u8..6, 0u8..10, 0u8..2).prop_map(|(label, content, save)| Op::Put { label, content, save }),
        2 => (0u8..6, 0u8..10, 0u8..2).prop_map(|(label, content, save)| Op::PutByDigest { label, content, save }),
        2 => Just(Op::Commit),
        1 => Just(Op::Reopen),
        1 => Just(Op::Crash),
        1 => any::<u64>().prop_map(Op::PowerCut),
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

    fn check(&self, vfs: &FaultVfs, dir: &Path) {
        let reader = Reader::open_on(vfs.shared(), dir, NO_MMAP).unwrap();
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

/// The machine after the death of the writer, or after a power cut with these dice, under the same root.
fn restarted(vfs: &FaultVfs, writer: Option<Writer>, root: &Path, dice: Option<u64>) -> FaultVfs {
    let image = match dice {
        None => vfs.live(),
        Some(seed) => {
            let (start, events) = vfs.history();
            let (mut medium, mut random) = (Medium::new(&start), Random(seed));
            events.iter().for_each(|event| medium.apply(event));
            medium.power_cut(512, &mut |n| random.below(n))
        }
    };
    // Dropping it tidies up SQLite's files; the image was taken before.
    drop(writer);
    let vfs = FaultVfs::boot(&image, root);
    vfs.record();
    vfs
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: u32::try_from(given("PHASH_STORE_SEQUENCES", SEQUENCES)).unwrap(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_operations_agree_with_a_model_in_plain_maps(ops in prop::collection::vec(op(), 1..24)) {
        let temporary = temp_dir();
        let (root, dir) = (temporary.path().join("root"), temporary.path().join("root/db"));
        let mut vfs = FaultVfs::new(&root);
        vfs.record();
        Store::create_on(&vfs.shared(), &dir, &schema(), clock()).unwrap();
        let open = |vfs: &FaultVfs| Some(Writer::open_on(vfs.shared(), &dir, &schema()).unwrap());
        let mut writer = open(&vfs);
        let (mut working, mut committed) = (Model::default(), Model::default());
        for op in ops {
            let now = writer.as_mut().unwrap();
            match op {
                Op::Put { label, content, save } => {
                    let outcome = put(now, &label.to_string(), content.into(), save.into()).unwrap();
                    prop_assert_eq!(outcome, working.put(label, content, save));
                }
                Op::PutByDigest { label, content, save } => {
                    let digest = file_digest(content.into(), save.into());
                    let known = now.source_by_file_digest(&digest).unwrap();
                    prop_assert_eq!(known.is_some(), working.knows_file(content, save));
                    if let Some(known) = known {
                        let name = label.to_string();
                        let source = source(&name, content.into(), save.into());
                        let outcome = now.put_source(&source, known.model_id).unwrap();
                        prop_assert_eq!(outcome, working.put(label, content, save));
                    }
                }
                Op::Commit => {
                    now.commit().unwrap();
                    committed = working.clone();
                }
                Op::Reopen | Op::Crash | Op::PowerCut(_) => {
                    match op {
                        Op::Crash => vfs = restarted(&vfs, writer.take(), &root, None),
                        Op::PowerCut(seed) => vfs = restarted(&vfs, writer.take(), &root, Some(seed)),
                        _ => drop(writer.take()),
                    }
                    writer = open(&vfs);
                    committed.check(&vfs, &dir);
                    working = committed.clone();
                }
            }
        }
        drop(writer.take());
        committed.check(&vfs, &dir);
    }
}
