//! What is known already: the program does the same as long as the file system answers the same. The calls of each check are
//! written down with digests of their answers; an image that would answer all of them alike need not be checked again, which
//! is found out in memory, without SQLite. Nor need work go on from a database that a writer has cleaned to the same bytes.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use phash_store::{StoreFile, Vfs};

use crate::fault_vfs::FaultVfs;
use crate::medium::{Image, digest_of};

/// A call; files are numbered as they were opened, paths begin at the root.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Create(PathBuf),
    OpenRead(PathBuf),
    OpenWrite(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    RemoveTree(PathBuf),
    CreateDir(PathBuf),
    SyncDir(PathBuf),
    List(PathBuf),
    Len { file: usize },
    Read { file: usize, len: usize, at: u64 },
    Write { file: usize, bytes: Vec<u8>, at: u64 },
    SetLen { file: usize, len: u64 },
    Sync { file: usize },
}

/// The digest of an answer.
fn answer<T>(result: &io::Result<T>, digest: impl FnOnce(&T) -> u64) -> u64 {
    match result {
        Ok(value) => digest(value),
        Err(error) => digest_of(format!("{:?}", error.kind()).as_bytes()),
    }
}

fn names_digest(vfs: &FaultVfs, dir: &Path) -> u64 {
    // The real files are the same ones wherever transcripts are compared.
    digest_of(vfs.names_in(dir).join("/").as_bytes())
}

/// Calls with their answers, while they are written down.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    calls: Mutex<Vec<(Call, u64)>>,
    files: AtomicUsize,
}

impl Transcript {
    fn note(&self, call: Call, answer: u64) {
        self.calls.lock().unwrap().push((call, answer));
    }

    /// That nothing below a folder was opened before it was removed.
    pub(crate) fn check_unread(&self, folder: &Path) {
        let calls = self.calls.lock().unwrap();
        let removed = |call: &Call| matches!(call, Call::RemoveTree(of) if of == folder);
        let end = calls.iter().position(|(call, _)| removed(call)).expect("it is removed");
        let opened =
            |call: &Call| matches!(call, Call::OpenRead(of) | Call::OpenWrite(of) if of.starts_with(folder));
        let read = calls[..end].iter().find(|(call, _)| opened(call));
        assert!(read.is_none(), "{read:?}");
    }
}

/// Passes everything on and writes it down.
pub(crate) struct Recorder {
    pub(crate) vfs: FaultVfs,
    pub(crate) transcript: Arc<Transcript>,
}

struct RecordedFile {
    file: Box<dyn StoreFile>,
    number: usize,
    transcript: Arc<Transcript>,
}

// In short: what a writer remembers is compared by what it shows of itself (`Known::is_new`).
impl Debug for Recorder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Debug for RecordedFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

impl Recorder {
    fn opened(&self, call: Call, file: io::Result<Box<dyn StoreFile>>) -> io::Result<Box<dyn StoreFile>> {
        self.transcript.note(call, answer(&file, |_| 0));
        let number = self.transcript.files.fetch_add(1, Ordering::Relaxed);
        let transcript = Arc::clone(&self.transcript);
        Ok(Box::new(RecordedFile { file: file?, number, transcript }))
    }

    fn done(&self, call: Call, result: io::Result<()>) -> io::Result<()> {
        self.transcript.note(call, answer(&result, |()| 0));
        result
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.vfs.relative(path)
    }
}

impl Vfs for Recorder {
    fn create(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.opened(Call::Create(self.path(path)), self.vfs.create(path))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.opened(Call::OpenRead(self.path(path)), self.vfs.open_read(path))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn StoreFile>> {
        self.opened(Call::OpenWrite(self.path(path)), self.vfs.open_write(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.done(Call::Rename(self.path(from), self.path(to)), self.vfs.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.done(Call::Remove(self.path(path)), self.vfs.remove(path))
    }

    fn remove_tree(&self, dir: &Path) -> io::Result<()> {
        self.done(Call::RemoveTree(self.path(dir)), self.vfs.remove_tree(dir))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.done(Call::CreateDir(self.path(dir)), self.vfs.create_dir(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.done(Call::SyncDir(self.path(dir)), self.vfs.sync_dir(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names = self.vfs.list(dir);
        self.transcript.note(Call::List(self.path(dir)), answer(&names, |_| names_digest(&self.vfs, dir)));
        names
    }
}

impl StoreFile for RecordedFile {
    fn len_bytes(&self) -> io::Result<u64> {
        let len = self.file.len_bytes();
        self.transcript.note(Call::Len { file: self.number }, answer(&len, |len| *len));
        len
    }

    fn read_at(&self, buf: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        let call = Call::Read { file: self.number, len: buf.len(), at: offset_bytes };
        let read = self.file.read_at(buf, offset_bytes);
        self.transcript.note(call, answer(&read, |n| digest_of(&buf[..*n])));
        read
    }

    fn write_at(&self, buf: &[u8], offset_bytes: u64) -> io::Result<usize> {
        let call = Call::Write { file: self.number, bytes: buf.to_vec(), at: offset_bytes };
        let written = self.file.write_at(buf, offset_bytes);
        self.transcript.note(call, answer(&written, |n| *n as u64));
        written
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        let done = self.file.set_len(len_bytes);
        self.transcript.note(Call::SetLen { file: self.number, len: len_bytes }, answer(&done, |()| 0));
        done
    }

    fn sync(&self) -> io::Result<()> {
        let done = self.file.sync();
        self.transcript.note(Call::Sync { file: self.number }, answer(&done, |()| 0));
        done
    }
}

/// Makes a call once more, on another image; returns the digest of its answer.
fn repeat(vfs: &FaultVfs, root: &Path, files: &mut Vec<Option<Box<dyn StoreFile>>>, call: &Call) -> u64 {
    let mut open = |file: io::Result<Box<dyn StoreFile>>| {
        let answer = answer(&file, |_| 0);
        files.push(file.ok());
        answer
    };
    let path = |path: &PathBuf| root.join(path);
    match call {
        Call::Create(at) => return open(vfs.create(&path(at))),
        Call::OpenRead(at) => return open(vfs.open_read(&path(at))),
        Call::OpenWrite(at) => return open(vfs.open_write(&path(at))),
        Call::Rename(from, to) => return answer(&vfs.rename(&path(from), &path(to)), |()| 0),
        Call::Remove(at) => return answer(&vfs.remove(&path(at)), |()| 0),
        Call::RemoveTree(at) => return answer(&vfs.remove_tree(&path(at)), |()| 0),
        Call::CreateDir(at) => return answer(&vfs.create_dir(&path(at)), |()| 0),
        Call::SyncDir(at) => return answer(&vfs.sync_dir(&path(at)), |()| 0),
        Call::List(at) => return names_digest(vfs, &path(at)),
        _ => {}
    }
    let file = |number: &usize| files[*number].as_deref().expect("a file that was opened");
    match call {
        Call::Len { file: number } => answer(&file(number).len_bytes(), |len| *len),
        Call::Read { file: number, len, at } => {
            let mut buf = vec![0; *len];
            let read = file(number).read_at(&mut buf, *at);
            answer(&read, |n| digest_of(&buf[..*n]))
        }
        Call::Write { file: number, bytes, at } => answer(&file(number).write_at(bytes, *at), |n| *n as u64),
        Call::SetLen { file: number, len } => answer(&file(number).set_len(*len), |()| 0),
        Call::Sync { file: number } => answer(&file(number).sync(), |()| 0),
        _ => unreachable!("calls on names are made above"),
    }
}

/// What is done next after the calls and answers on the way here.
#[derive(Debug, Default)]
struct Node {
    /// `None`: nothing more, and all was well, but for the state that this says.
    call: Option<Call>,
    state: u64,
    /// By answer. Nearly always one or two.
    next: Vec<(u64, Node)>,
}

/// Ways that are kept: some ten kilobytes each.
const WAYS: usize = 50_000;

/// The workload, and a digest of the real files, or of all.
pub(crate) type Key = (String, u64);

/// Checks that went well.
#[derive(Debug, Default)]
pub(crate) struct Known {
    begins: RwLock<HashMap<Key, Node>>,
    /// Databases as a writer found and cleaned them, and what it then remembered, from which work has gone on.
    cleaned: Mutex<HashSet<(String, u64, u64, u64)>>,
    /// Runs from the beginning.
    beginnings: Mutex<HashSet<Key>>,
    ways: AtomicUsize,
}

impl Known {
    /// How many checks there were.
    pub(crate) fn len(&self) -> usize {
        self.ways.load(Ordering::Relaxed)
    }

    /// The state of this image, if a check of it would go a way that is known.
    pub(crate) fn state(&self, key: &Key, image: &Image, root: &Path) -> Option<u64> {
        let begins = self.begins.read().unwrap();
        let mut node = begins.get(key)?;
        let (vfs, mut files) = (FaultVfs::in_memory(image, root), Vec::new());
        while let Some(call) = &node.call {
            let answer = repeat(&vfs, root, &mut files, call);
            node = &node.next.iter().find(|(known, _)| *known == answer)?.1;
        }
        Some(node.state)
    }

    /// Whether a run from the beginning went well with the same real files and the same others, but for those that are not read.
    pub(crate) fn begins_alike(&self, key: &Key) -> bool {
        self.beginnings.lock().unwrap().contains(key)
    }

    pub(crate) fn add_beginning(&self, key: Key) {
        self.ways.fetch_add(1, Ordering::Relaxed);
        self.beginnings.lock().unwrap().insert(key);
    }

    /// Whether this is a new one: what a workload's writer has cleaned, in a state, and the writer itself.
    pub(crate) fn is_new(&self, workload: &str, state: u64, vfs: &FaultVfs, writer: &impl Debug) -> bool {
        let memory = digest_of(format!("{writer:?}").as_bytes());
        self.cleaned.lock().unwrap().insert((workload.to_owned(), state, vfs.digest(), memory))
    }

    pub(crate) fn add(&self, key: Key, transcript: &Transcript, state: u64) {
        if self.ways.fetch_add(1, Ordering::Relaxed) >= WAYS {
            return;
        }
        let mut begins = self.begins.write().unwrap();
        let mut node = begins.entry(key).or_default();
        for (call, answer) in std::mem::take(&mut *transcript.calls.lock().unwrap()) {
            assert!(
                node.next.is_empty() || node.call.as_ref() == Some(&call),
                "the same answers, and then {call:?} instead of {:?}",
                node.call
            );
            node.call = Some(call);
            let at = node.next.iter().position(|(known, _)| *known == answer).unwrap_or_else(|| {
                node.next.push((answer, Node::default()));
                node.next.len() - 1
            });
            node = &mut node.next[at].1;
        }
        node.state = state;
    }
}
