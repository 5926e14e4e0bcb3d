//! Owns [`salvage`]: a new database of all that is provably intact in a damaged one, and the list of the rest. What must
//! hold: nothing is written to the damaged one; nothing comes out that a checksum does not prove; what is proven comes out.

mod blocks;
mod codes;
mod evidence;
mod models;

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::clock::now_ms;
use crate::dir::Store;
use crate::error::{Error, Result};
use crate::lock::{LOCK_FILE, WriterLock};
use crate::schema::{Contents, Schema};
use crate::staging::Staging;
use crate::vfs::{OsVfs, Vfs};
use crate::writer::Writer;

pub(crate) use blocks::{Proof, ProvenFile, header_of};
use evidence::Evidence;

/// What was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossKind {
    /// Models: ids are theirs.
    Model,
    /// Versions of labels whose model may well be there under another one: ids are those of sources.
    Source,
    /// Raw codes.
    Code,
    /// Labels of raw codes, which are there without them.
    Label,
    /// Whole commits, the last ones.
    Commits,
    /// Not lost: what came out may be what was removed, or was never committed.
    Uncertain,
}

/// Something that did not come out of a salvage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What.
    pub kind: LossKind,
    /// The ids it had, if they are known.
    pub ids: Option<Range<u32>>,
    /// Its label, if that is proven.
    pub label: Option<String>,
    /// The path with which the file can be found again, if that is proven.
    pub path: Option<String>,
    /// The version of the label.
    pub version: Option<u32>,
    /// What is wrong with it.
    pub reason: String,
}

impl Loss {
    fn of(kind: LossKind, reason: impl Into<String>) -> Self {
        Self { kind, ids: None, label: None, path: None, version: None, reason: reason.into() }
    }
}

/// A new database of what was intact, not yet under its name.
#[derive(Debug)]
pub struct Salvaged {
    /// Where it is; [`Staging::publish`] gives it its name. Index segments can be built before.
    pub staging: Staging,
    /// Its schema.
    pub schema: Schema,
    /// Models, or raw codes, that came out.
    pub items: u32,
    /// How many losses were told.
    pub losses: u64,
}

/// What is told during a salvage.
#[derive(Debug)]
#[non_exhaustive]
pub enum SalvageEvent {
    /// Bytes, or their like, of so many in all.
    Progress {
        /// Done.
        done: u64,
        /// In all.
        all: u64,
    },
    /// Something is lost.
    Lost(Loss),
}

/// Copies all that is provably intact in the damaged database at `dir` to a new one, which [`Salvaged::staging`] publishes
/// at `out`: rows, codes and labels whose checksums hold, under new, dense ids in the same order. Index segments are not
/// needed and not copied. `events` is told what is lost, and of progress; `false` stops, and `None` comes back.
///
/// A model comes out whole or not at all. `expected` is the schema that a database of models should have: it helps if the
/// catalog cannot tell. Of raw codes the catalog is not needed at all: without it everything that the code files prove
/// comes out, removed codes, too, which is told.
///
/// Time linear in the database. Memory: 8 bytes a source; 2 bytes for 2048 codes; sets of removed and void ids. Space for a
/// copy of what is intact, and meanwhile one of the catalog.
///
/// # Errors
/// [`Error::AlreadyExists`] if something is at `out`, or `out` is or lies in the database; [`Error::Locked`] while a writer is
/// at work; [`Error::UnknownVersion`] if a newer build wrote it; [`Error::NothingToSalvage`] if nothing can be proven;
/// [`Error::DiskFull`], [`Error::Io`] and [`Error::Catalog`] of the new database.
pub fn salvage(
    dir: &Path,
    out: &Path,
    expected: Option<&Schema>,
    events: &mut dyn FnMut(SalvageEvent) -> bool,
) -> Result<Option<Salvaged>> {
    salvage_on(&(Arc::new(OsVfs) as Arc<dyn Vfs>), dir, out, expected, events)
}

/// The same through another file system than the operating system's; catalogs stay real files.
///
/// # Errors
/// As [`salvage`].
pub fn salvage_on(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    out: &Path,
    expected: Option<&Schema>,
    events: &mut dyn FnMut(SalvageEvent) -> bool,
) -> Result<Option<Salvaged>> {
    if !dir.is_dir() {
        let what = "there is no such directory".to_owned();
        return Err(Error::NotADatabase { path: dir.to_owned(), what });
    }
    let _lock = lock(dir)?;
    let staging = Staging::new(vfs, dir, out)?;
    let half = code_bytes(dir)?;
    let mut read = 0;
    let mut going_on = true;
    let mut evidence = Evidence::gather(&**vfs, dir, staging.scratch(), expected, &mut |bytes| {
        read += bytes;
        let progress = SalvageEvent::Progress { done: read.min(half), all: 2 * half };
        going_on = going_on && events(progress);
    })?;
    if !going_on {
        return Ok(None);
    }
    let schema = evidence.head.schema.clone();
    Store::create_on(vfs, staging.dir(), &schema, now_ms())?;
    let mut writer = Writer::open_on(Arc::clone(vfs), staging.dir(), &schema)?;
    let mut outlet = Outlet { writer: &mut writer, events, half, losses: 0 };
    let copied = outlet.copy(&mut evidence);
    let losses = outlet.losses;
    match copied {
        Err(Halt::Stopped) => return Ok(None),
        Err(Halt::Failed(error)) => return Err(error),
        Ok(()) => {}
    }
    writer.commit()?;
    let items = writer.model_count().max(writer.code_count());
    Ok(Some(Salvaged { staging, schema, items, losses }))
}

/// Why a salvage ends before its work is done.
enum Halt {
    Stopped,
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Step<T = ()> = Result<T, Halt>;

/// Where salvaged items and losses go.
struct Outlet<'a> {
    writer: &'a mut Writer,
    events: &'a mut dyn FnMut(SalvageEvent) -> bool,
    half: u64,
    losses: u64,
}

impl Outlet<'_> {
    fn copy(&mut self, evidence: &mut Evidence) -> Step {
        if let Some(flaw) = &evidence.flaw {
            let kind = if evidence.is_old { LossKind::Commits } else { LossKind::Uncertain };
            self.lose(Loss::of(kind, flaw.to_string()))?;
        }
        match evidence.head.schema.contents {
            Contents::Models => models::models(evidence, self),
            Contents::Codes => codes::codes(evidence, self),
        }
    }

    fn lose(&mut self, loss: Loss) -> Step {
        self.losses += 1;
        if (self.events)(SalvageEvent::Lost(loss)) { Ok(()) } else { Err(Halt::Stopped) }
    }

    /// So many ids of so many are done.
    fn at(&mut self, ids: u64, of: u64) -> Step {
        let part = u128::from(self.half) * u128::from(ids) / u128::from(of.max(1));
        let done = self.half + u64::try_from(part).unwrap_or(self.half);
        let going_on = (self.events)(SalvageEvent::Progress { done, all: 2 * self.half });
        if going_on { Ok(()) } else { Err(Halt::Stopped) }
    }
}

/// Keeps writers away, without writing: the lock is taken only if its file is there.
fn lock(dir: &Path) -> Result<Option<WriterLock>> {
    let path = dir.join(LOCK_FILE);
    match File::open(&path) {
        Ok(file) => WriterLock::of(file, &path).map(Some),
        Err(_) => Ok(None),
    }
}

/// Length of all code files there, in bytes.
fn code_bytes(dir: &Path) -> Result<u64> {
    let names = OsVfs.list(dir).map_err(|e| Error::io("list", dir, e))?;
    let files = names.iter().filter(|name| crate::schema::is_code_file_name(name));
    Ok(files.filter_map(|name| std::fs::metadata(dir.join(name)).ok()).map(|meta| meta.len()).sum())
}
