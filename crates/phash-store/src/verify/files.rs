//! Owns the check of the code files: which of them are looked at, and each against its checksums.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::report::{Damage, VerifyReport};
use super::{Verify, affected};
use crate::catalog::head::Head;
use crate::catalog::id_sets::IdSet;
use crate::dir::catalog_path;
use crate::error::Error;
use crate::files::verify::{Check, code_file};
use crate::files::view::CodeFile;
use crate::schema::Kind;
use crate::vfs::{StoreFile, Vfs};

/// A code file that is to be checked.
pub(super) enum Handle<'a> {
    Opened(Box<dyn StoreFile>),
    /// As a snapshot has it; the name is another one's, or none's.
    Held(&'a dyn StoreFile),
    Missing(Error),
}

impl Handle<'_> {
    /// The file, or why there is none.
    pub(super) fn file(&self) -> Result<&dyn StoreFile, &Error> {
        match self {
            Self::Opened(file) => Ok(&**file),
            Self::Held(file) => Ok(*file),
            Self::Missing(error) => Err(error),
        }
    }
}

/// The code files in the order of their numbers, with their paths.
pub(crate) struct CodeFiles<'a>(pub(super) Vec<(PathBuf, Handle<'a>)>);

impl<'a> CodeFiles<'a> {
    /// By their names.
    pub(super) fn by_name(vfs: &dyn Vfs, dir: &Path, head: &Head) -> Self {
        let one = |number| {
            let path = dir.join(head.file(number).name());
            let file = match vfs.open_read(&path) {
                Ok(file) => Handle::Opened(file),
                Err(error) => Handle::Missing(Error::io("open", &path, error)),
            };
            (path, file)
        };
        Self((0..head.tails.len()).map(one).collect())
    }

    /// By their names, as whoever opens the database next will find them; if a compaction has removed them since the
    /// snapshot, as that has them open.
    pub(crate) fn of_snapshot(
        vfs: &dyn Vfs,
        files: &'a [Arc<CodeFile>],
        is_stale: &dyn Fn() -> bool,
    ) -> Self {
        let one = |of: &'a Arc<CodeFile>| {
            let file = match vfs.open_read(&of.path) {
                Ok(file) => Handle::Opened(file),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_stale() => {
                    Handle::Held(&*of.file)
                }
                Err(error) => Handle::Missing(Error::io("open", &of.path, error)),
            };
            (of.path.clone(), file)
        };
        Self(files.iter().map(one).collect())
    }
}

impl Verify<'_> {
    /// `false` if it was stopped.
    pub(super) fn code_files(&self, report: &mut VerifyReport, advance: &mut dyn FnMut(u64) -> bool) -> bool {
        let place = catalog_path(self.dir);
        let mut going_on = true;
        for (number, (path, handle)) in self.files.0.iter().enumerate() {
            let (kind, tail) = (self.head.file(number).kind, self.head.tails[number]);
            let whole = (tail.count > 0).then(|| affected(kind, 0..tail.count)).flatten();
            let damages = &mut report.damages;
            let voids = self.catalog().id_set(IdSet::Voids(number), tail.count).unwrap_or_else(|error| {
                damages.push(Damage::from_error(error, &place));
                RoaringBitmap::new()
            });
            // A fresh look at the catalog, to tell what the writer has done since the snapshot from damage.
            let newest = || {
                let head = Head::newest(self.dir)?;
                Ok((head.generation, head.tails.get(number).copied().unwrap_or_default()))
            };
            let file = match handle.file() {
                Ok(file) => file,
                Err(error) => {
                    let got = error.to_string();
                    let error = Error::corrupted(path, 0, "the file", "a file that can be opened", got);
                    damages.push(Damage { affected: whole, ..Damage::from_error(error, path) });
                    continue;
                }
            };
            let mut damage = |error, ids: Option<std::ops::Range<u32>>| {
                let affected = ids.and_then(|ids| affected(kind, ids));
                damages.push(Damage { affected, ..Damage::from_error(error, path) });
            };
            let mut progress = |bytes| going_on = advance(bytes) && going_on;
            let mut check = Check { file, newest: &newest, damage: &mut damage, progress: &mut progress };
            match code_file(path, &self.head.file_header(number), tail, &voids, &mut check) {
                Ok(checked) => {
                    let codes = !matches!(kind, Kind::LabelPlace | Kind::LabelText);
                    report.checked_codes += if codes { checked.codes } else { 0 };
                    report.uncommitted_bytes += checked.uncommitted_bytes;
                }
                Err(error) => damages.push(Damage { affected: whole, ..Damage::from_error(error, path) }),
            }
            if !going_on {
                return false;
            }
        }
        true
    }
}
