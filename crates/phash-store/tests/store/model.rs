//! Random operations, removals and compactions among them, against a model in plain maps, with reopening, crashes and power
//! cuts in between. proptest prints a
//! failing case. `PHASH_STORE_SEQUENCES` is the number of sequences, `PHASH_STORE_SEED` the seed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use phash_code::Codes;
use phash_store::{Outcome, Reader, Store, Writer};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::common::*;
use crate::fault_vfs::FaultVfs;
use crate::medium::{Image, Medium};
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
    /// Remove a label with all its versions.
    RemoveLabel(u8),
    /// Remove the model with these contents.
    RemoveContent(u8),
    Compact,
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
        1 => (0u8..6).prop_map(Op::RemoveLabel),
        1 => (0u8..10).prop_map(Op::RemoveContent),
        1 => Just(Op::Compact),
        2 => Just(Op::Commit),
        1 => Just(Op::Reopen),
        1 => Just(Op::Crash),
        1 => any::<u64>().prop_map(Op::PowerCut),
    ]
}

/// What the store should hold.
#[derive(Clone, Debug, Default)]
struct Model {
    /// Contents by code id; `None` is removed.
    contents: Vec<Option<u8>>,
    /// Versions of each label: number, contents and save.
    labels: BTreeMap<u8, Vec<(u32, u8, u8)>>,
}

impl Model {
    fn id(&self, content: u8) -> Option<u32> {
        let at = self.contents.iter().position(|&known| known == Some(content));
        at.map(|at| u32::try_from(at).unwrap())
    }

    fn live(&self) -> impl Iterator<Item = (u32, u8)> {
        (0u32..).zip(&self.contents).filter_map(|(id, content)| Some((id, (*content)?)))
    }

    fn knows_file(&self, content: u8, save: u8) -> bool {
        self.labels.values().flatten().any(|version| (version.1, version.2) == (content, save))
    }

    fn put(&mut self, label: u8, content: u8, save: u8) -> Outcome {
        let known = self.id(content);
        let versions = self.labels.entry(label).or_default();
        if let (Some(id), Some(last)) = (known, versions.last())
            && (last.1, last.2) == (content, save)
        {
            return Outcome::Unchanged { id };
        }
        let version = versions.last().map_or(1, |last| last.0 + 1);
        versions.push((version, content, save));
        match known {
            Some(of) => Outcome::Duplicate { of, version },
            None => {
                self.contents.push(Some(content));
                Outcome::Ingested { id: u32::try_from(self.contents.len() - 1).unwrap(), version }
            }
        }
    }

    fn remove_label(&mut self, label: u8) {
        self.labels.remove(&label);
        self.settle();
    }

    fn remove_content(&mut self, content: u8) {
        for versions in self.labels.values_mut() {
            versions.retain(|version| version.1 != content);
        }
        self.settle();
    }

    /// Models without a source are no more, and labels without a version are none.
    fn settle(&mut self) {
        self.labels.retain(|_, versions| !versions.is_empty());
        let stands = |content: &u8| self.labels.values().flatten().any(|version| version.1 == *content);
        for content in &mut self.contents {
            *content = content.take().filter(stands);
        }
    }

    fn check(&self, vfs: &FaultVfs, dir: &Path) {
        let reader = Reader::open_on(vfs.shared(), dir, NO_MMAP).unwrap();
        let codes = reader.codes::<4>("energy").unwrap();
        assert_eq!(codes.len() as usize, self.contents.len());
        let (voids, tensor_codes) =
            (reader.voids("blocks").unwrap(), reader.tensor_codes::<4>("energy").unwrap());
        let removed_tensors = reader.removed_tensors().unwrap();
        for (id, content) in self.live() {
            assert_eq!(codes.get(id).unwrap().as_bytes(), energy(content.into()));
            assert_eq!(voids.contains(id), blocks(content.into()).is_none());
            let row = reader.model(id).unwrap().unwrap();
            assert_eq!(row.content_digest, content_digest(content.into()));
            let skipped = [("integer".to_owned(), 1), ("too-small".to_owned(), 3)];
            assert_eq!(row.tensors_skipped, skipped);
            let tensors = reader.tensors(id).unwrap();
            assert_eq!(tensors.len(), usize::from(content % 3));
            for (t, tensor) in (0..).zip(tensors) {
                assert_eq!(tensor.name, format!("layer.{t}.weight"));
                let code = tensor_codes.get(tensor.id).unwrap();
                assert_eq!(code.as_bytes(), bytes32(5, u64::from(content) * 3 + t));
                assert!(!removed_tensors.contains(tensor.id));
            }
            let of_model = self.labels.values().flatten().filter(|version| version.1 == content).count();
            assert_eq!(row.sources.len(), of_model);
            assert!(reader.label(id).unwrap().is_some());
        }
        let live: Vec<u32> = self.live().map(|(id, _)| id).collect();
        assert_eq!(reader.models().map(|model| model.unwrap().id).collect::<Vec<u32>>(), live);
        let removed = reader.removed().unwrap();
        assert!((0..codes.len()).all(|id| removed.contains(id) == (self.contents[id as usize].is_none())));
        for label in 0..6u8 {
            let versions = self.labels.get(&label).cloned().unwrap_or_default();
            let stored = reader.versions(&label.to_string()).unwrap();
            let found: Vec<(u32, [u8; 32])> =
                stored.iter().map(|source| (source.version, source.file_digest)).collect();
            let expected: Vec<(u32, [u8; 32])> = versions
                .iter()
                .map(|&(number, content, save)| (number, file_digest(content.into(), save.into())))
                .collect();
            assert_eq!(found, expected, "label {label}");
            let current: Vec<bool> = stored.iter().map(|source| source.current).collect();
            assert!(current.iter().rev().skip(1).all(|&yes| !yes));
            assert!(current.is_empty() || current.last() == Some(&true));
        }
        let info = reader.info().unwrap();
        assert_eq!(info.labels as usize, self.labels.len());
        assert_eq!(info.sources as usize, self.labels.values().map(Vec::len).sum::<usize>());
        assert_eq!(info.weak_models as usize, self.live().filter(|(_, content)| content % 7 == 0).count());
        let report = reader.verify(&mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "{report:?}");
    }
}

/// A new database, the same one each time.
fn created(root: &Path) -> Image {
    static CREATED: OnceLock<Image> = OnceLock::new();
    let create = || {
        let vfs = FaultVfs::boot(&Image::default(), root);
        vfs.record();
        Store::create_on(&vfs.shared(), &root.join("db"), &schema(), clock()).unwrap();
        vfs.live()
    };
    CREATED.get_or_init(create).clone()
}

fn seed() -> u64 {
    let seed = given("PHASH_STORE_SEED", u64::from(std::process::id()));
    println!("PHASH_STORE_SEED={seed}");
    seed
}

/// Says in a long run how many sequences are done.
fn count_sequence() {
    static DONE: AtomicU64 = AtomicU64::new(0);
    let done = DONE.fetch_add(1, Ordering::Relaxed) + 1;
    if done.is_multiple_of(25_000) {
        println!("{done} sequences");
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
        rng_seed: RngSeed::Fixed(seed()),
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_operations_agree_with_a_model_in_plain_maps(ops in prop::collection::vec(op(), 1..24)) {
        let temporary = temp_dir();
        let (root, dir) = (temporary.path().join("root"), temporary.path().join("root/db"));
        let mut vfs = FaultVfs::boot(&created(&root), &root);
        vfs.record();
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
                Op::RemoveLabel(label) => {
                    now.remove_label(&label.to_string()).unwrap();
                    working.remove_label(label);
                }
                Op::RemoveContent(content) => {
                    let id = now.model_by_content_digest(&content_digest(content.into())).unwrap();
                    prop_assert_eq!(id, working.id(content));
                    now.remove(&id.into_iter().collect()).unwrap();
                    working.remove_content(content);
                }
                Op::Compact => {
                    now.compact(&mut |_, _| true).unwrap().unwrap().publish().unwrap();
                    working.contents.retain(Option::is_some);
                    committed = working.clone();
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
        count_sequence();
    }
}
