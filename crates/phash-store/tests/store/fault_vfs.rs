//! A file system in memory that remembers what is durable: it can fail or die at the n-th operation, and then show
//! what a power cut may leave. Writes are torn at sectors of 512 bytes; names are lost unless the directory was synced.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use phash_store::{StoreFile, Vfs};

const SECTOR: usize = 512;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Operation number n fails with an I/O error, those after it work.
    Once(u64),
    /// Operation number n and all after it fail: the process is dead.
    Die(u64),
    /// Operation number n fails because the disk is full (a write leaves half of its bytes).
    Full(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone, Debug, Default)]
struct Node {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync.
    changes: Vec<Change>,
}

type Names = BTreeMap<PathBuf, Arc<Mutex<Node>>>;

#[derive(Debug, Default)]
struct State {
    live: Names,
    durable: Names,
    ops: u64,
    fault: Option<Fault>,
    log: Vec<String>,
}

/// The file system. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultVfs(Arc<Mutex<State>>);

#[derive(Debug)]
struct MemFile {
    node: Arc<Mutex<Node>>,
    vfs: FaultVfs,
    path: PathBuf,
}

impl FaultVfs {
    pub(crate) fn shared(&self) -> Arc<dyn Vfs> {
        Arc::new(self.clone())
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        self.0.lock().unwrap().fault = fault;
    }

    /// Changing operations so far.
    pub(crate) fn ops(&self) -> u64 {
        self.0.lock().unwrap().ops
    }

    /// Operation number `n` (from 1) in words.
    pub(crate) fn op(&self, n: u64) -> String {
        let at = usize::try_from(n - 1).unwrap();
        self.0.lock().unwrap().log.get(at).cloned().unwrap_or_default()
    }

    /// A copy whose files lie under another directory; everything in it is durable, nothing counted.
    pub(crate) fn moved(&self, from: &Path, to: &Path) -> Self {
        let copy = self.process_death();
        let mut state = copy.0.lock().unwrap();
        let move_all = |names: &Names| {
            let moved = |path: &Path| to.join(path.strip_prefix(from).unwrap());
            names.iter().map(|(path, node)| (moved(path), Arc::clone(node))).collect()
        };
        state.live = move_all(&state.live);
        state.durable = move_all(&state.durable);
        drop(state);
        copy
    }

    /// What the medium may hold after a power cut now. `pick` says of each piece not yet synced whether it got there.
    pub(crate) fn power_cut(&self, pick: &mut dyn FnMut() -> bool) -> FaultVfs {
        let state = self.0.lock().unwrap();
        let mut names: Names = BTreeMap::new();
        let all: std::collections::BTreeSet<&PathBuf> =
            state.live.keys().chain(state.durable.keys()).collect();
        for path in all {
            let node = match (state.live.get(path), state.durable.get(path)) {
                (Some(live), Some(durable)) if Arc::ptr_eq(live, durable) => Some(live),
                (live, durable) => {
                    if pick() {
                        live
                    } else {
                        durable
                    }
                }
            };
            let Some(node) = node else { continue };
            let node = node.lock().unwrap();
            let mut image = node.durable.clone();
            for change in &node.changes {
                match change {
                    Change::SetLen(len) => {
                        if pick() {
                            image.resize(*len, 0)
                        }
                    }
                    Change::Write { at, bytes } => {
                        let mut from = 0;
                        while from < bytes.len() {
                            let sector_end = (at + from) / SECTOR * SECTOR + SECTOR;
                            let to = (sector_end - at).min(bytes.len());
                            if pick() {
                                write(&mut image, &bytes[from..to], at + from);
                            }
                            from = to;
                        }
                    }
                }
            }
            let node = Node { live: image.clone(), durable: image, changes: Vec::new() };
            names.insert(path.clone(), Arc::new(Mutex::new(node)));
        }
        let state = State { live: names.clone(), durable: names, ..State::default() };
        FaultVfs(Arc::new(Mutex::new(state)))
    }

    /// What is left when only the process dies: everything it wrote.
    pub(crate) fn process_death(&self) -> FaultVfs {
        self.power_cut(&mut || true)
    }

    /// Counts a changing operation; fails it if it is its turn. `Ok(true)` asks for half a write and then an error.
    fn turn(&self, op: &str, path: &Path) -> io::Result<bool> {
        let mut state = self.0.lock().unwrap();
        state.ops += 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        state.log.push(format!("{op} {name}"));
        let now = state.ops;
        match state.fault {
            Some(Fault::Once(at)) if now == at => Err(io::Error::other("injected")),
            Some(Fault::Die(at)) if now >= at => Err(io::Error::other("dead")),
            Some(Fault::Full(at)) if now == at && op == "write" => Ok(true),
            Some(Fault::Full(at)) if now == at => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(false),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        let state = self.0.lock().unwrap();
        let node = state.live.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(MemFile { node: Arc::clone(node), vfs: self.clone(), path: path.to_owned() }))
    }
}

fn write(image: &mut Vec<u8>, bytes: &[u8], at: usize) {
    if image.len() < at + bytes.len() {
        image.resize(at + bytes.len(), 0);
    }
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Vfs for FaultVfs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.turn("create", path)?;
        self.0.lock().unwrap().live.insert(path.to_owned(), Arc::default());
        self.open(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.open(path)
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.turn("rename", to)?;
        let mut state = self.0.lock().unwrap();
        let node = state.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.live.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.turn("remove", path)?;
        self.0.lock().unwrap().live.remove(path).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.turn("syncdir", dir)?;
        let mut state = self.0.lock().unwrap();
        let State { live, durable, .. } = &mut *state;
        durable.retain(|path, _| path.parent() != Some(dir));
        for (path, node) in live.iter().filter(|(path, _)| path.parent() == Some(dir)) {
            durable.insert(path.clone(), Arc::clone(node));
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock().unwrap();
        let here = state.live.keys().filter(|path| path.parent() == Some(dir));
        Ok(here.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }
}

impl StoreFile for MemFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.node.lock().unwrap().live.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        let node = self.node.lock().unwrap();
        let at = usize::try_from(offset_bytes).unwrap().min(node.live.len());
        // Short reads, to see that callers go on.
        let n = buf.len().min(node.live.len() - at).min(5000);
        buf[..n].copy_from_slice(&node.live[at..at + n]);
        Ok(n)
    }

    fn write_at(&self, buf: &[u8], offset_bytes: u64) -> io::Result<usize> {
        let half = self.vfs.turn("write", &self.path)?;
        let at = usize::try_from(offset_bytes).unwrap();
        // Short writes too: pieces of at most 30,000 bytes.
        let n = if half { buf.len() / 2 } else { buf.len().min(30_000) };
        let mut node = self.node.lock().unwrap();
        write(&mut node.live, &buf[..n], at);
        node.changes.push(Change::Write { at, bytes: buf[..n].to_vec() });
        if half { Err(io::ErrorKind::StorageFull.into()) } else { Ok(n) }
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.vfs.turn("setlen", &self.path)?;
        let len = usize::try_from(len_bytes).unwrap();
        let mut node = self.node.lock().unwrap();
        node.live.resize(len, 0);
        node.changes.push(Change::SetLen(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.vfs.turn("sync", &self.path)?;
        let mut node = self.node.lock().unwrap();
        node.durable = node.live.clone();
        node.changes.clear();
        Ok(())
    }
}
