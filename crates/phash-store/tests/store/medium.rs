//! What is on the medium at a moment of a recorded history, and what a power cut at that moment may leave: any part of
//! what was not synced, in pieces of a sector or a page, lengths and names kept or lost each for itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::fault_vfs::{Event, write};

/// A number that is the same for the same bytes, and hardly ever for others.
pub(crate) fn digest_of(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    // Four lanes, since each step waits for the one before.
    let mut lanes = [1u64, 2, 3, bytes.len() as u64];
    for chunk in bytes.chunks(32) {
        let mut words = [[0; 8]; 4];
        words.as_flattened_mut()[..chunk.len()].copy_from_slice(chunk);
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = (*lane ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR).rotate_left(29);
        }
    }
    lanes.into_iter().fold(0, |all, lane| (all ^ lane).wrapping_mul(FACTOR).rotate_left(31))
}

/// SQLite's files and the folders, by path below the root; a folder has no bytes. Locks and shared memory do not survive.
#[derive(Debug, Default)]
pub(crate) struct Real {
    files: BTreeMap<PathBuf, Option<Vec<u8>>>,
    /// Kept, as the same files are in a hundred thousand images; not by clones, which are made to be changed.
    digest: OnceLock<u64>,
}

impl From<BTreeMap<PathBuf, Option<Vec<u8>>>> for Real {
    fn from(files: BTreeMap<PathBuf, Option<Vec<u8>>>) -> Self {
        Self { files, digest: OnceLock::new() }
    }
}

impl Clone for Real {
    fn clone(&self) -> Self {
        self.files.clone().into()
    }
}

impl Eq for Real {}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl Real {
    pub(crate) fn read_below(root: &Path) -> Self {
        let mut all = Self::default();
        all.read_folder(root, Path::new(""));
        all
    }

    /// Equal contents have equal digests.
    pub(crate) fn digest(&self) -> u64 {
        *self.digest.get_or_init(|| {
            self.files.iter().fold(0, |all, (path, bytes)| {
                let bytes = bytes.as_deref().map_or(1, digest_of);
                (all ^ digest_of(path.as_os_str().as_encoded_bytes())).rotate_left(17).wrapping_add(bytes)
            })
        })
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) {
        let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
        for entry in entries {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let name = path.to_string_lossy();
            if entry.file_type().unwrap().is_dir() {
                self.files.insert(path.clone(), None);
                self.read_folder(root, &path);
            } else if !name.ends_with("-shm") && !name.ends_with(".lock") {
                self.files.insert(path, Some(fs::read(entry.path()).unwrap()));
            }
        }
    }

    /// Makes `root` contain these files and no others.
    pub(crate) fn write_below(&self, root: &Path) {
        let _ = fs::remove_dir_all(root);
        fs::create_dir_all(root).unwrap();
        for (path, bytes) in &self.files {
            match bytes {
                None => fs::create_dir(root.join(path)).unwrap(),
                Some(bytes) => fs::write(root.join(path), bytes).unwrap(),
            }
        }
    }

    /// What the store itself makes, and must make durable: the folders, and the catalog with its first name and its last.
    fn names(&self) -> BTreeMap<&PathBuf, &Option<Vec<u8>>> {
        let ours =
            |path: &Path| NEW_CATALOG == path.file_name().unwrap_or_default() || path.ends_with(CATALOG);
        self.files.iter().filter(|(path, bytes)| bytes.is_none() || ours(path)).collect()
    }

    /// The catalog that is being made in a folder, or was made there.
    fn new_catalog(&self, folder: &Path) -> Option<PathBuf> {
        let paths = [NEW_CATALOG, CATALOG].map(|name| folder.join(name));
        paths.into_iter().find(|path| self.files.contains_key(path))
    }

    /// Whether there is a database in a folder.
    pub(crate) fn has_catalog(&self, folder: &Path) -> bool {
        self.files.contains_key(&folder.join(CATALOG))
    }

    pub(crate) fn has_folder(&self, folder: &Path) -> bool {
        folder.as_os_str().is_empty() || self.files.get(folder).is_some_and(Option::is_none)
    }

    /// Makes a name what it was before; a folder that was not there takes all that is in it along.
    fn revert(&mut self, path: &Path, before: Option<&Option<Vec<u8>>>) {
        match before {
            Some(_) if !self.has_folder(path.parent().unwrap_or(Path::new(""))) => {}
            Some(entry) => drop(self.files.insert(path.to_owned(), entry.clone())),
            None => self.files.retain(|other, _| !other.starts_with(path)),
        }
    }
}

/// Entries by path after a folder was renamed.
pub(crate) fn moved<T>(entries: BTreeMap<PathBuf, T>, from: &Path, to: &Path) -> BTreeMap<PathBuf, T> {
    let new = |path: PathBuf| match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => path,
    };
    entries.into_iter().map(|(path, entry)| (new(path), entry)).collect()
}

const CATALOG: &str = "catalog.sqlite";
/// The catalog until it is renamed.
const NEW_CATALOG: &str = "catalog.sqlite.new";

/// All files of a machine that is off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// Those of the file system in memory.
    pub(crate) files: BTreeMap<PathBuf, Arc<Vec<u8>>>,
    pub(crate) real: Arc<Real>,
}

impl Image {
    /// A number that is the same for equal images, and hardly ever for others.
    pub(crate) fn digest(&self) -> u64 {
        self.digest_but_for(None)
    }

    /// The same, but without the bytes of files below a folder.
    pub(crate) fn digest_but_for(&self, folder: Option<&Path>) -> u64 {
        self.files.iter().fold(self.real.digest(), |all, (path, bytes)| {
            let counts = folder.is_none_or(|folder| !path.starts_with(folder));
            let path = digest_of(path.as_os_str().as_encoded_bytes());
            (all ^ path).rotate_left(17).wrapping_add(if counts { digest_of(bytes) } else { 0 })
        })
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
    durable: Arc<Vec<u8>>,
    changes: Vec<(Change, Way)>,
}

/// The medium, and what is on its way there.
#[derive(Clone, Debug)]
pub(crate) struct Medium {
    live: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    nodes: BTreeMap<u64, Node>,
    real: Arc<Real>,
    /// Names of the store's own among the real files that have come or gone since their folder was synced, with what was
    /// there before.
    unsynced: BTreeMap<PathBuf, Option<Option<Vec<u8>>>>,
    /// How far the contents of a new catalog have come, which the store syncs once before it is renamed.
    new_catalog: Way,
    /// Where that is.
    new_catalog_in: PathBuf,
    /// A folder that was renamed since the one above its new name was synced: happened or not, as a whole.
    renamed: Option<(PathBuf, PathBuf)>,
}

impl Medium {
    pub(crate) fn new(start: &Image) -> Self {
        let (mut names, mut nodes) = (BTreeMap::new(), BTreeMap::new());
        for (number, (path, bytes)) in (0..).zip(&start.files) {
            names.insert(path.clone(), number);
            nodes.insert(number, Node { durable: Arc::clone(bytes), changes: Vec::new() });
        }
        let real = Arc::clone(&start.real);
        Self {
            live: names.clone(),
            durable: names,
            nodes,
            real,
            unsynced: BTreeMap::new(),
            new_catalog: Way::There,
            new_catalog_in: PathBuf::new(),
            renamed: None,
        }
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
            Event::RenameDir { from, to } => {
                assert!(self.renamed.is_none(), "one at a time");
                self.move_dir(from, to);
                self.renamed = Some((from.clone(), to.clone()));
            }
            Event::Remove { path } => drop(self.live.remove(path)),
            Event::SyncDir { dir } => {
                self.durable.retain(|path, _| path.parent() != Some(dir));
                let here = self.live.iter().filter(|(path, _)| path.parent() == Some(dir));
                self.durable.extend(here.map(|(path, node)| (path.clone(), *node)));
                self.unsynced.retain(|path, _| path.parent() != Some(dir));
                self.renamed.take_if(|(_, to)| to.parent() == Some(dir));
            }
            Event::Real(now) => self.real_is(now),
            Event::SyncReal { failed } => {
                if self.new_catalog == Way::Open {
                    self.new_catalog = if *failed { Way::Forgotten } else { Way::There };
                }
            }
            Event::Started(_) | Event::Reported(_) => {}
        }
    }

    /// All below a folder is below another name. What becomes of the name itself is told by `renamed`.
    fn move_dir(&mut self, from: &Path, to: &Path) {
        self.live = moved(std::mem::take(&mut self.live), from, to);
        self.durable = moved(std::mem::take(&mut self.durable), from, to);
        let own = self.unsynced.remove_entry(from);
        self.unsynced = moved(std::mem::take(&mut self.unsynced), from, to);
        self.unsynced.extend(own);
        if self.new_catalog_in == from {
            self.new_catalog_in = to.to_owned();
        }
        self.real = Arc::new(moved(self.real.files.clone(), from, to).into());
    }

    fn real_is(&mut self, now: &Arc<Real>) {
        let (before, after) = (self.real.names(), now.names());
        let mut changed: Vec<(&PathBuf, Option<&Option<Vec<u8>>>)> = Vec::new();
        changed.extend(
            before.iter().filter(|(path, _)| !after.contains_key(*path)).map(|(p, e)| (*p, Some(*e))),
        );
        changed.extend(after.keys().filter(|path| !before.contains_key(*path)).map(|path| (*path, None)));
        for (path, entry) in changed {
            self.unsynced.entry(path.clone()).or_insert_with(|| entry.cloned());
        }
        // Until it is renamed: after that, its contents are SQLite's business.
        let of = |names: &BTreeMap<&PathBuf, &Option<Vec<u8>>>| {
            let new = names.iter().find(|(path, _)| path.ends_with(NEW_CATALOG));
            new.map(|(path, bytes)| (path.parent().unwrap_or(Path::new("")).to_owned(), (*bytes).clone()))
        };
        match (of(&before), of(&after)) {
            (None, Some((folder, _))) => (self.new_catalog, self.new_catalog_in) = (Way::Open, folder),
            (Some((_, one)), Some((_, other))) if one != other && self.new_catalog == Way::There => {
                self.new_catalog = Way::Open;
            }
            _ => {}
        }
        self.real = Arc::clone(now);
    }

    /// The real files after a power cut.
    fn real_after(&self, pick: &mut dyn FnMut(usize) -> usize) -> Arc<Real> {
        let cut_new = self.new_catalog != Way::There && pick(2) == 0;
        let lost: Vec<&PathBuf> = self.unsynced.keys().filter(|_| pick(2) == 0).collect();
        if !cut_new && lost.is_empty() {
            return Arc::clone(&self.real);
        }
        let mut real = Real::clone(&self.real);
        if let Some(path) = real.new_catalog(&self.new_catalog_in).filter(|_| cut_new) {
            real.files.insert(path, Some(Vec::new()));
        }
        for path in lost {
            real.revert(path, self.unsynced[path].as_ref());
        }
        Arc::new(real)
    }

    fn change(&mut self, node: u64, change: Change) {
        self.nodes.get_mut(&node).unwrap().changes.push((change, Way::Open));
    }

    /// One thing that a power cut may leave. `pick(n)` chooses one of n ways, of which 0 is always "not there".
    pub(crate) fn power_cut(&self, grain: usize, pick: &mut dyn FnMut(usize) -> usize) -> Image {
        if let Some((from, to)) = &self.renamed
            && pick(2) == 0
        {
            let mut before = self.clone();
            before.renamed = None;
            before.move_dir(to, from);
            // The folder that it was in cannot have been removed without it.
            let parent = from.parent().unwrap_or(Path::new("")).to_owned();
            Arc::make_mut(&mut before.real).files.entry(parent).or_insert(None);
            return before.power_cut(grain, pick);
        }
        let real = self.real_after(pick);
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
            if real.has_folder(path.parent().unwrap_or(Path::new(""))) {
                files.insert(path.clone(), self.nodes[node].power_cut(grain, pick));
            }
        }
        Image { files, real }
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
            if self.changes.is_empty() {
                return;
            }
            let durable = Arc::make_mut(&mut self.durable);
            for (change, _) in std::mem::take(&mut self.changes) {
                match change {
                    Change::Write { at, bytes } => write(durable, &bytes, at),
                    Change::SetLen(len) => durable.resize(len, 0),
                }
            }
        }
    }

    fn power_cut(&self, grain: usize, pick: &mut dyn FnMut(usize) -> usize) -> Arc<Vec<u8>> {
        if self.changes.is_empty() {
            return Arc::clone(&self.durable);
        }
        let mut image = Vec::clone(&self.durable);
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
        Arc::new(image)
    }
}
