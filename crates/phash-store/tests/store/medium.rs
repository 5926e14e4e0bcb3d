//! What is on the medium at a moment of a recorded history, and what a power cut at that moment may leave: any part of
//! what was not synced, in pieces of a sector or a page, lengths and names kept or lost each for itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fault_vfs::{Event, write};

/// SQLite's files and the folders, by path below the root; a folder has no bytes. Locks and shared memory do not survive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Real(BTreeMap<PathBuf, Option<Vec<u8>>>);

impl Real {
    pub(crate) fn read_below(root: &Path) -> Self {
        let mut all = Self::default();
        all.read_folder(root, Path::new(""));
        all
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
        for entry in entries {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let name = path.to_string_lossy();
            if entry.file_type().unwrap().is_dir() {
                self.0.insert(path.clone(), None);
                self.read_folder(root, &path);
            } else if !name.ends_with("-shm") && !name.ends_with(".lock") {
                self.0.insert(path, Some(fs::read(entry.path()).unwrap()));
            }
        }
    }

    /// Makes `root` contain these files and no others.
    pub(crate) fn write_below(&self, root: &Path) {
        let _ = fs::remove_dir_all(root);
        fs::create_dir_all(root).unwrap();
        for (path, bytes) in &self.0 {
            match bytes {
                None => fs::create_dir(root.join(path)).unwrap(),
                Some(bytes) => fs::write(root.join(path), bytes).unwrap(),
            }
        }
    }

    /// The catalogs that are there, by folder.
    fn catalogs(&self) -> Vec<&Path> {
        self.0.keys().filter(|path| path.ends_with("catalog.sqlite")).map(PathBuf::as_path).collect()
    }
}

/// All files of a machine that is off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// Those of the file system in memory.
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    pub(crate) real: Arc<Real>,
}

impl Image {
    /// A number that is the same for equal images of one recorded run, and hardly ever for others. Real files are told
    /// apart by their address: the run holds each state of them once.
    pub(crate) fn digest(&self) -> u64 {
        let mut digest = Arc::as_ptr(&self.real) as u64;
        let mut mix =
            |word: u64| digest = (digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        for (path, bytes) in &self.files {
            for bytes in [path.as_os_str().as_encoded_bytes(), bytes] {
                mix(bytes.len() as u64);
                for chunk in bytes.chunks(8) {
                    let mut word = [0; 8];
                    word[..chunk.len()].copy_from_slice(chunk);
                    mix(u64::from_le_bytes(word));
                }
            }
        }
        digest
    }
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

/// How far a change has come since the last sync that took everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It may be on the medium.
    Open,
    /// A sync of it failed: the system has forgotten that it is not on the medium, and no later sync will write it.
    Forgotten,
    /// It is on the medium.
    There,
}

#[derive(Clone, Debug, Default)]
struct Node {
    durable: Vec<u8>,
    changes: Vec<(Change, Way)>,
}

/// The medium, and what is on its way there.
#[derive(Clone, Debug)]
pub(crate) struct Medium {
    live: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    nodes: BTreeMap<u64, Node>,
    real: Arc<Real>,
    /// The real files before a catalog came or went, until its folder is synced.
    real_before: Option<Arc<Real>>,
}

impl Medium {
    pub(crate) fn new(start: &Image) -> Self {
        let (mut names, mut nodes) = (BTreeMap::new(), BTreeMap::new());
        for (number, (path, bytes)) in (0..).zip(&start.files) {
            names.insert(path.clone(), number);
            nodes.insert(number, Node { durable: bytes.clone(), changes: Vec::new() });
        }
        let real = Arc::clone(&start.real);
        Self { live: names.clone(), durable: names, nodes, real, real_before: None }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Create { path, node } => {
                self.live.insert(path.clone(), *node);
                self.nodes.insert(*node, Node::default());
            }
            Event::Write { node, at, bytes } => {
                self.change(*node, Change::Write { at: *at, bytes: bytes.clone() })
            }
            Event::SetLen { node, len } => self.change(*node, Change::SetLen(*len)),
            Event::Sync { node } => self.nodes.get_mut(node).unwrap().sync(),
            Event::FailedSync { node } => {
                for (_, way) in &mut self.nodes.get_mut(node).unwrap().changes {
                    if *way == Way::Open {
                        *way = Way::Forgotten;
                    }
                }
            }
            Event::Rename { from, to } => {
                let node = self.live.remove(from).unwrap();
                self.live.insert(to.clone(), node);
            }
            Event::Remove { path } => drop(self.live.remove(path)),
            Event::SyncDir { dir } => {
                self.durable.retain(|path, _| path.parent() != Some(dir));
                let here = self.live.iter().filter(|(path, _)| path.parent() == Some(dir));
                self.durable.extend(here.map(|(path, node)| (path.clone(), *node)));
                self.real_before = None;
            }
            Event::Real(now) => {
                if now.catalogs() != self.real.catalogs() {
                    self.real_before = Some(Arc::clone(&self.real));
                }
                self.real = Arc::clone(now);
            }
            Event::Started(_) | Event::Reported(_) => {}
        }
    }

    fn change(&mut self, node: u64, change: Change) {
        self.nodes.get_mut(&node).unwrap().changes.push((change, Way::Open));
    }

    /// One thing that a power cut may leave. `pick(n)` chooses one of n ways, of which 0 is always "not there".
    pub(crate) fn power_cut(&self, grain: usize, pick: &mut dyn FnMut(usize) -> usize) -> Image {
        let real = match &self.real_before {
            Some(before) if pick(2) == 0 => before,
            _ => &self.real,
        };
        let mut files = BTreeMap::new();
        let names: std::collections::BTreeSet<&PathBuf> =
            self.live.keys().chain(self.durable.keys()).collect();
        let mut named = Vec::new();
        for path in names {
            let (live, durable) = (self.live.get(path), self.durable.get(path));
            let node = if live == durable || pick(2) == 0 { durable } else { live };
            named.extend(node.map(|node| (path, node)));
        }
        for (path, node) in named {
            files.insert(path.clone(), self.nodes[node].power_cut(grain, pick));
        }
        Image { files, real: Arc::clone(real) }
    }
}

impl Node {
    fn sync(&mut self) {
        for (_, way) in &mut self.changes {
            if *way == Way::Open {
                *way = Way::There;
            }
        }
        if self.changes.iter().all(|(_, way)| *way == Way::There) {
            for (change, _) in std::mem::take(&mut self.changes) {
                match change {
                    Change::Write { at, bytes } => write(&mut self.durable, &bytes, at),
                    Change::SetLen(len) => self.durable.resize(len, 0),
                }
            }
        }
    }

    fn power_cut(&self, grain: usize, pick: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
        let mut image = self.durable.clone();
        // The lengths that the file has had since it was synced.
        let mut lens = vec![self.durable.len()];
        for (change, way) in &self.changes {
            let last = lens[lens.len() - 1];
            if *way == Way::There {
                lens.clear();
            }
            match change {
                Change::SetLen(len) => {
                    if *way == Way::There || pick(2) == 1 {
                        image.resize(*len, 0);
                    }
                    lens.push(*len);
                }
                Change::Write { at, bytes } => {
                    let mut from = 0;
                    while from < bytes.len() {
                        let piece_end = (at + from) / grain * grain + grain;
                        let to = (piece_end - at).min(bytes.len());
                        if *way == Way::There || pick(2) == 1 {
                            write(&mut image, &bytes[from..to], at + from);
                        }
                        from = to;
                    }
                    lens.push(last.max(at + bytes.len()));
                }
            }
        }
        lens.dedup();
        if lens.len() > 1 {
            // Left as the writes made it, or any of those lengths; what is longer than the data reads as zeros or as what
            // lay there before.
            let filler = if pick(2) == 0 { 0 } else { 0xd5 };
            match pick(lens.len() + 1) {
                0 => {}
                n => image.resize(lens[n - 1], filler),
            }
        }
        image
    }
}
