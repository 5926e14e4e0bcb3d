//! Owns the rule that keeps an index from reaching outside its model. Names are confined lexically; links are followed,
//! but may lead only inside the index's own folder or, in a Hugging Face cache (`models--x/snapshots/rev/`), inside that
//! model's cache folder `models--x`, where `blobs/` holds the bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;

/// The folder of one index, with links resolved.
pub(super) struct Folder<'a> {
    index: &'a Path,
    /// As given.
    shown: &'a Path,
    /// Links resolved.
    real: PathBuf,
    /// The model's folder in a Hugging Face cache, if the index lies in one; links resolved.
    cache: Option<PathBuf>,
}

/// A shard that may be opened.
pub(super) struct Found {
    /// Path to show: the index's folder as given, and the shard's name.
    pub(super) shown: PathBuf,
    /// Where it really is, links resolved.
    pub(super) location: PathBuf,
}

impl<'a> Folder<'a> {
    pub(super) fn of(index: &'a Path) -> Result<Folder<'a>, Error> {
        let shown = index.parent().unwrap_or(Path::new(""));
        let start = if shown.as_os_str().is_empty() { Path::new(".") } else { shown };
        let real = fs::canonicalize(start).map_err(|source| Error::from_io(start, 0, source))?;
        let cache = cache_folder(&real).map(Path::to_path_buf);
        Ok(Folder { index, shown, real, cache })
    }

    /// Where the shard really is. Its name was checked by [`check_name`] when the index was parsed.
    pub(super) fn resolve(&self, shard: &str) -> Result<Found, Error> {
        let shown = self.shown.join(shard);
        let location = fs::canonicalize(self.real.join(shard)).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Error::ShardMissing { path: self.index.to_path_buf(), shard: shard.to_owned() }
            }
            _ => Error::from_io(&shown, 0, source),
        })?;
        let inside = |folder: &Path| location.starts_with(folder);
        if !inside(&self.real) && !self.cache.as_deref().is_some_and(inside) {
            return Err(Error::ShardEscapes {
                path: self.index.to_path_buf(),
                shard: shard.to_owned(),
                target: location,
            });
        }
        Ok(Found { shown, location })
    }
}

/// `models--x` above `models--x/snapshots/rev` or any folder in that.
fn cache_folder(folder: &Path) -> Option<&Path> {
    folder.ancestors().find_map(|revision| {
        let snapshots = revision.parent()?;
        let model = snapshots.parent()?;
        let is_model = model.file_name()?.to_str()?.starts_with("models--");
        (is_model && snapshots.file_name()? == "snapshots").then_some(model)
    })
}

/// Refuses a shard's name that is not a plain relative path with forward slashes.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.starts_with('/') {
        return Err("is an absolute path");
    }
    if name.contains('\0') {
        return Err("contains a NUL");
    }
    if name.contains('\\') {
        return Err("contains a backslash");
    }
    if name.contains(':') {
        return Err("contains a colon (a drive or stream on Windows)");
    }
    for component in name.split('/') {
        match component {
            "" => return Err("has an empty component"),
            "." => return Err("contains '.' as a component"),
            ".." => return Err("contains '..'"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_pass_and_all_others_say_why_not() {
        for name in ["model-00001-of-00002.safetensors", "sub/a.safetensors", "..a", "a..b/.c", "é"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "/a", "a/", "a//b", ".", "./a", "..", "../a", "a/..", "a\\b", "c:a", "a\0b"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_cache_is_recognised_at_any_depth_below_a_revision_only() {
        let cache = |path: &'static str| cache_folder(Path::new(path)).map(|path| path.to_str().unwrap());
        assert_eq!(cache("/c/models--a--b/snapshots/0a"), Some("/c/models--a--b"));
        assert_eq!(cache("/c/models--a--b/snapshots/0a/unet"), Some("/c/models--a--b"));
        assert_eq!(cache("/c/models--a--b/snapshots"), None);
        assert_eq!(cache("/c/other/snapshots/0a"), None);
        assert_eq!(cache("/c/models--a--b/refs/0a"), None);
    }
}
