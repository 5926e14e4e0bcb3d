//! A file system in memory that counts every call, can fail or die at the n-th, and writes down what changed. What a
//! power cut may leave follows from that record: see `medium`. SQLite's files are real ones: they are written down as
//! whole states, whenever they were changed between two calls.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use phash_store::{OsVfs, StoreFile, Vfs};

use crate::medium::{Image, Real, moved};
use crate::transcript::{Recorder, Transcript};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Call number n fails with an I/O error, those after it work.
    Once(u64),
    /// Call number n and all after it fail.
    Forever(u64),
    /// The disk is full from call number n on: a write takes half of its bytes, then nothing more is taken.
    Full(u64),
    /// The process dies in call number n: a write takes half of its bytes, and nothing happens afterwards.
    Die(u64),
    /// Call number n is interrupted by a signal, if it reads or writes: no error at all.
    Interrupted(u64),
}

/// One change, in the order of time. Files are numbered, since names come and go. Paths begin at the root.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Create {
        path: PathBuf,
        node: u64,
    },
    Write {
        node: u64,
        at: usize,
        bytes: Vec<u8>,
    },
    SetLen {
        node: u64,
        len: usize,
    },
    Sync {
        node: u64,
    },
    FailedSync {
        node: u64,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    /// With all that is in it.
    RenameDir {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    SyncDir {
        dir: PathBuf,
    },
    /// A real file was synced, or was not.
    SyncReal {
        failed: bool,
    },
    /// The real files have become these.
    Real(Arc<Real>),
    /// The workload is about to commit this state.
    Started(u64),
    /// The workload was told that this state is committed.
    Reported(u64),
}

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<PathBuf, u64>,
    nodes: BTreeMap<u64, Arc<Vec<u8>>>,
    next_node: u64,
    calls: u64,
    fault: Option<Fault>,
    log: Vec<String>,
    events: Vec<Event>,
    start: Image,
    /// Whether real files are looked at.
    recording: bool,
    real: Arc<Real>,
    /// The real files when the process died.
    real_at_death: Option<Arc<Real>>,
    /// Whether there are no real files.
    in_memory: bool,
    transcript: Option<Arc<Transcript>>,
}

/// The file system below a directory. Clones are the same one.
#[derive(Clone)]
pub(crate) struct FaultVfs {
    root: Arc<PathBuf>,
    state: Arc<Mutex<State>>,
}

struct MemFile {
    node: u64,
    vfs: FaultVfs,
    path: PathBuf,
}

/// A file of SQLite's, as far as the store handles it.
#[derive(Debug)]
struct RealFile {
    file: File,
    vfs: FaultVfs,
    path: PathBuf,
}

// In short, as in `transcript`.
impl Debug for FaultVfs {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("FaultVfs")
    }
}

impl Debug for MemFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl FaultVfs {
    /// An empty one for paths below `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: Arc::new(root.to_owned()), state: Arc::default() }
    }

    /// The machine after a start from this image: the files in memory, and the real ones below `root`, which is emptied
    /// first.
    pub(crate) fn boot(image: &Image, root: &Path) -> Self {
        image.real.write_below(root);
        let this = Self::in_memory(image, root);
        this.state.lock().unwrap().in_memory = false;
        this
    }

    /// The same without the real files.
    pub(crate) fn in_memory(image: &Image, root: &Path) -> Self {
        let this = Self::new(root);
        let mut state = this.state.lock().unwrap();
        for (number, (path, bytes)) in (0..).zip(&image.files) {
            state.names.insert(path.clone(), number);
            state.nodes.insert(number, Arc::clone(bytes));
        }
        state.next_node = image.files.len() as u64;
        state.start = image.clone();
        state.real = Arc::clone(&image.real);
        state.in_memory = true;
        drop(state);
        this
    }

    pub(crate) fn shared(&self) -> Arc<dyn Vfs> {
        match &self.state.lock().unwrap().transcript {
            None => Arc::new(self.clone()),
            Some(transcript) => Arc::new(Recorder { vfs: self.clone(), transcript: Arc::clone(transcript) }),
        }
    }

    /// From now on calls and their answers are written down.
    pub(crate) fn write_down(&self) -> Arc<Transcript> {
        let transcript = Arc::<Transcript>::default();
        self.state.lock().unwrap().transcript = Some(Arc::clone(&transcript));
        transcript
    }

    /// The names in a folder, but for those of real files.
    pub(crate) fn names_in(&self, dir: &Path) -> Vec<String> {
        let dir = self.relative(dir);
        let state = self.state.lock().unwrap();
        let here = state.names.keys().filter(|path| path.parent() == Some(&dir));
        here.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        self.state.lock().unwrap().fault = fault;
    }

    /// From now on real files are looked at before each change.
    pub(crate) fn record(&self) {
        self.state.lock().unwrap().recording = true;
    }

    /// What was there at the start and what happened since.
    pub(crate) fn history(&self) -> (Image, Vec<Event>) {
        self.look_at_real_files();
        let state = self.state.lock().unwrap();
        (state.start.clone(), state.events.clone())
    }

    /// Writes down a mark of the workload.
    pub(crate) fn mark(&self, event: Event) {
        self.look_at_real_files();
        self.state.lock().unwrap().events.push(event);
    }

    /// A new process on the same machine, after the death of the last one or an error: what was not synced still is not.
    pub(crate) fn revive(&self) {
        let mut state = self.state.lock().unwrap();
        state.fault = None;
        // What SQLite did when the writer was dropped has not happened.
        if let Some(real) = state.real_at_death.take() {
            real.write_below(&self.root);
            state.real = real;
        }
    }

    /// All files as they are now, in a number that is the same for the same.
    pub(crate) fn digest(&self) -> u64 {
        let real = Arc::new(Real::read_below(&self.root));
        Image { real, ..self.live() }.digest()
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.state.lock().unwrap().calls
    }

    /// Call number `n` (from 1) in words.
    pub(crate) fn call(&self, n: u64) -> String {
        let at = usize::try_from(n - 1).unwrap();
        self.state.lock().unwrap().log.get(at).cloned().unwrap_or_default()
    }

    /// What another process sees now, or after the death of this one: everything that was written.
    pub(crate) fn live(&self) -> Image {
        self.look_at_real_files();
        let state = self.state.lock().unwrap();
        let files =
            state.names.iter().map(|(path, node)| (path.clone(), Arc::clone(&state.nodes[node]))).collect();
        let real = state.real_at_death.as_ref().unwrap_or(&state.real);
        Image { files, real: Arc::clone(real) }
    }

    /// Whether any call from number `n` on takes space on the disk that the writer cannot do without.
    pub(crate) fn needs_space_from(&self, n: u64) -> bool {
        let needs =
            |call: String| call.split(' ').next().is_some_and(takes_space) && !call.ends_with(" published");
        (n..=self.calls()).any(|n| needs(self.call(n)))
    }

    pub(crate) fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&*self.root).unwrap_or_else(|_| panic!("{} is outside", path.display())).to_owned()
    }

    fn look_at_real_files(&self) {
        let mut state = self.state.lock().unwrap();
        if !state.recording || state.real_at_death.is_some() {
            return;
        }
        let now = Real::read_below(&self.root);
        if now != *state.real {
            let now = Arc::new(now);
            state.real = Arc::clone(&now);
            state.events.push(Event::Real(now));
        }
    }

    /// Counts a call; fails it if it is its turn. `Ok(true)`: a write takes half of its bytes.
    fn turn(&self, call: &str, path: &Path) -> io::Result<bool> {
        if matches!(
            call,
            "create"
                | "write"
                | "set_len"
                | "sync"
                | "rename"
                | "remove"
                | "remove_tree"
                | "sync_dir"
                | "create_dir"
        ) {
            self.look_at_real_files();
        }
        let dies = {
            let state = self.state.lock().unwrap();
            matches!(state.fault, Some(Fault::Die(at)) if state.calls + 1 == at)
        };
        if dies {
            self.look_at_real_files();
            let mut state = self.state.lock().unwrap();
            state.real_at_death = Some(Arc::clone(&state.real));
        }
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        state.log.push(format!("{call} {name}"));
        let now = state.calls;
        match state.fault {
            Some(Fault::Once(at)) if now == at => Err(io::Error::other("injected")),
            Some(Fault::Forever(at)) if now >= at => Err(io::Error::other("injected")),
            Some(Fault::Full(at) | Fault::Die(at)) if now == at && call == "write" => Ok(true),
            Some(Fault::Full(at)) if now >= at && takes_space(call) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Die(at)) if now >= at => Err(io::Error::other("dead")),
            Some(Fault::Interrupted(at)) if now == at && matches!(call, "read" | "write") => {
                Err(io::ErrorKind::Interrupted.into())
            }
            _ => Ok(false),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        let (vfs, path) = (self.clone(), path.to_owned());
        let node = self.state.lock().unwrap().names.get(&self.relative(&path)).copied();
        match node {
            Some(node) => Ok(Box::new(MemFile { node, vfs, path })),
            None if self.state.lock().unwrap().in_memory => Err(io::ErrorKind::NotFound.into()),
            None => Ok(Box::new(RealFile {
                file: File::options().read(true).write(true).open(&path)?,
                vfs,
                path,
            })),
        }
    }
}

/// Whether a call needs space that may not be there.
pub(crate) fn takes_space(call: &str) -> bool {
    matches!(call, "create" | "create_dir" | "write" | "rename")
}

/// Writes into bytes that grow as needed.
pub(crate) fn write(image: &mut Vec<u8>, bytes: &[u8], at: usize) {
    if image.len() < at + bytes.len() {
        image.resize(at + bytes.len(), 0);
    }
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Vfs for FaultVfs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.turn("create", path)?;
        let relative = self.relative(path);
        if !path.parent().is_some_and(Path::is_dir) && !self.state.lock().unwrap().in_memory {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut state = self.state.lock().unwrap();
        let node = state.next_node;
        state.next_node += 1;
        state.names.insert(relative.clone(), node);
        state.nodes.insert(node, Arc::default());
        state.events.push(Event::Create { path: relative, node });
        drop(state);
        Ok(Box::new(MemFile { node, vfs: self.clone(), path: path.to_owned() }))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.turn("open_read", path)?;
        self.open(path)
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.turn("open_write", path)?;
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.turn("rename", to)?;
        let real = (from, to);
        let (from, to) = (self.relative(from), self.relative(to));
        let mut state = self.state.lock().unwrap();
        if !state.names.contains_key(&from) {
            let is_dir = real.0.is_dir();
            fs::rename(real.0, real.1)?;
            if is_dir {
                state.names = moved(std::mem::take(&mut state.names), &from, &to);
                state.events.push(Event::RenameDir { from, to });
                if state.recording {
                    state.real = Arc::new(Real::read_below(&self.root));
                }
            }
            return Ok(());
        }
        let node = state.names.remove(&from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.clone(), node);
        state.events.push(Event::Rename { from, to });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.turn("remove", path)?;
        let (real, path) = (path, self.relative(path));
        let mut state = self.state.lock().unwrap();
        if state.names.remove(&path).is_none() {
            if state.in_memory {
                return Err(io::ErrorKind::NotFound.into());
            }
            return fs::remove_file(real);
        }
        state.events.push(Event::Remove { path });
        Ok(())
    }

    fn remove_tree(&self, dir: &Path) -> io::Result<()> {
        self.turn("remove_tree", dir)?;
        let below = self.relative(dir);
        let mut state = self.state.lock().unwrap();
        let gone: Vec<PathBuf> =
            state.names.keys().filter(|path| path.starts_with(&below)).cloned().collect();
        for path in gone {
            state.names.remove(&path);
            state.events.push(Event::Remove { path });
        }
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.turn("sync_dir", dir)?;
        let dir = self.relative(dir);
        self.state.lock().unwrap().events.push(Event::SyncDir { dir });
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.turn("list", dir)?;
        let mut names = OsVfs.list(dir)?;
        names.extend(self.names_in(dir));
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.turn("create_dir", dir)?;
        fs::create_dir(dir)
    }
}

impl StoreFile for MemFile {
    fn len_bytes(&self) -> io::Result<u64> {
        self.vfs.turn("len", &self.path)?;
        Ok(self.vfs.state.lock().unwrap().nodes[&self.node].len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        self.vfs.turn("read", &self.path)?;
        let state = self.vfs.state.lock().unwrap();
        let live = &state.nodes[&self.node];
        let at = usize::try_from(offset_bytes).unwrap().min(live.len());
        // Short reads, to see that callers go on: pieces of at most 20,000 bytes.
        let n = buf.len().min(live.len() - at).min(20_000);
        buf[..n].copy_from_slice(&live[at..at + n]);
        Ok(n)
    }

    fn write_at(&self, buf: &[u8], offset_bytes: u64) -> io::Result<usize> {
        let half = self.vfs.turn("write", &self.path)?;
        let at = usize::try_from(offset_bytes).unwrap();
        // Short writes too: pieces of at most 30,000 bytes.
        let n = if half { buf.len() / 2 } else { buf.len().min(30_000) };
        let mut state = self.vfs.state.lock().unwrap();
        if n > 0 {
            write(Arc::make_mut(state.nodes.get_mut(&self.node).unwrap()), &buf[..n], at);
            state.events.push(Event::Write { node: self.node, at, bytes: buf[..n].to_vec() });
        }
        // A process that died does not hear how far it came.
        if half && matches!(state.fault, Some(Fault::Die(_))) { Err(io::Error::other("dead")) } else { Ok(n) }
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.vfs.turn("set_len", &self.path)?;
        let len = usize::try_from(len_bytes).unwrap();
        let mut state = self.vfs.state.lock().unwrap();
        Arc::make_mut(state.nodes.get_mut(&self.node).unwrap()).resize(len, 0);
        state.events.push(Event::SetLen { node: self.node, len });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let turn = self.vfs.turn("sync", &self.path);
        let node = self.node;
        let event = if turn.is_ok() { Event::Sync { node } } else { Event::FailedSync { node } };
        self.vfs.state.lock().unwrap().events.push(event);
        turn.map(drop)
    }
}

impl StoreFile for RealFile {
    fn len_bytes(&self) -> io::Result<u64> {
        self.vfs.turn("len", &self.path)?;
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        self.vfs.turn("read", &self.path)?;
        self.file.read_at(buf, offset_bytes)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        panic!("{}: only SQLite writes there", self.path.display())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        panic!("{}: only SQLite writes there", self.path.display())
    }

    fn sync(&self) -> io::Result<()> {
        let turn = self.vfs.turn("sync", &self.path);
        self.vfs.state.lock().unwrap().events.push(Event::SyncReal { failed: turn.is_err() });
        turn.map(drop)
    }
}
