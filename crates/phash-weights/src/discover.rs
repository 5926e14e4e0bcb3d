//! Owns the walk: which files below a directory are models. What must hold: the order is the same on every machine
//! (by name, byte by byte), a directory reached through a symbolic link is not entered (so nothing loops), and an
//! unreadable directory is an error in the sequence, not the end of it.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use crate::format::{ShardNames, shard_names};
use crate::{Error, format};

/// A file that is a model, or claims to be one by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// Path to give to [`crate::WeightsFile::open`]: the root as given, and the way down from it.
    pub path: PathBuf,
    /// What it is, by its name.
    pub kind: Kind,
}

/// What a discovered file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A model in a single file.
    File,
    /// The index of a sharded model.
    Index,
}

/// Finds the models at and below `root`, in the order of their names, each directory's files before its folders.
///
/// A `root` that is a file is given back as it is, whatever its name. In a directory, models are `*.safetensors` and
/// `*.safetensors.index.json` (also with a variant, `*.safetensors.index.fp16.json`), in letters of either case. Not models of their own are the
/// shards that an index names, and files numbered like shards (`<stem>-00001-of-00002.safetensors`) beside an index of
/// their stem, which are stale if it does not name them. Left out are the folders `.locks` and `.no_exist` of a Hugging
/// Face cache and everything that ends in `.incomplete`.
///
/// Memory: the names of one directory, and the paths of the folders still to be visited.
///
/// # Errors
/// An item is an error if a directory or an entry of it cannot be read, or if a link that is named like a model leads
/// nowhere; the walk goes on behind it. A damaged index is no error here but when it is opened.
pub fn discover(root: &Path) -> Discover {
    let mut walk = Discover { folders: Vec::new(), ready: VecDeque::new(), shards: HashSet::new() };
    match fs::metadata(root) {
        Err(source) => walk.ready.push_back(Err(Error::from_io(root, 0, source))),
        Ok(metadata) if metadata.is_dir() => walk.folders.push(root.to_path_buf()),
        Ok(_) => {
            let kind = kind(&file_name(root)).unwrap_or(Kind::File);
            walk.ready.push_back(Ok(Discovered { path: root.to_path_buf(), kind }));
        }
    }
    walk
}

/// The walk of [`discover`].
#[derive(Debug)]
pub struct Discover {
    /// Still to be visited, the next one last.
    folders: Vec<PathBuf>,
    /// Found in the folder visited last.
    ready: VecDeque<Result<Discovered, Error>>,
    /// Shards that an index places in folders below its own.
    shards: HashSet<PathBuf>,
}

impl Iterator for Discover {
    type Item = Result<Discovered, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let folder = self.folders.pop()?;
            self.visit(&folder);
        }
    }
}

impl Discover {
    fn visit(&mut self, folder: &Path) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(source) => return self.ready.push_back(Err(Error::from_io(folder, 0, source))),
        };
        let (mut folders, mut candidates) = (Vec::new(), Vec::new());
        for entry in entries {
            let sorted = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
            let (path, file_type) = match sorted {
                Ok(found) => found,
                Err(source) => {
                    self.ready.push_back(Err(Error::from_io(folder, 0, source)));
                    continue;
                }
            };
            let name = file_name(&path);
            if file_type.is_dir() {
                if name != ".locks" && name != ".no_exist" && !name.ends_with(".incomplete") {
                    folders.push(path);
                }
            } else if let Some(kind) = kind(&name) {
                candidates.push((path, name, kind));
            }
        }
        candidates.sort_unstable();
        let beside: Vec<ShardNames> = candidates
            .iter()
            .filter(|(_, _, kind)| *kind == Kind::Index)
            .map(|(path, name, _)| shard_names(path, name))
            .collect();
        for below in beside.iter().flat_map(ShardNames::below) {
            self.shards.insert(folder.join(below));
        }
        for (path, name, kind) in candidates {
            let is_shard = kind == Kind::File
                && (self.shards.remove(&path) || beside.iter().any(|names| names.contains(&name)));
            if !is_shard && let Some(item) = model(path, kind) {
                self.ready.push_back(item);
            }
        }
        folders.sort_unstable_by(|a, b| b.cmp(a));
        self.folders.append(&mut folders);
    }
}

/// The candidate, unless it is a link to a directory.
fn model(path: PathBuf, kind: Kind) -> Option<Result<Discovered, Error>> {
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => None,
        Ok(_) => Some(Ok(Discovered { path, kind })),
        Err(source) => Some(Err(Error::from_io(&path, 0, source))),
    }
}

fn kind(name: &str) -> Option<Kind> {
    if format::is_index_name(name) {
        Some(Kind::Index)
    } else {
        format::safetensors_stem(name).map(|_| Kind::File)
    }
}

/// The last component; what is not UTF-8 in it cannot matter, since the names we look for are ASCII at the end.
fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
