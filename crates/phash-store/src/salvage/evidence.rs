//! Owns [`Evidence`]: what can still be known of a damaged database as a whole. Each fact is taken from whatever proves it:
//! the catalog's rows, else the headers of the code files, else what the caller expects the schema to be.

use std::fs;
use std::path::{Path, PathBuf};

use super::blocks::{Proof, ProvenFile, header_of};
use crate::catalog::Catalog;
use crate::catalog::damaged::FileRow;
use crate::catalog::head::Head;
use crate::catalog::upkeep::Upkeep;
use crate::dir::{CATALOG_FILE, catalog_path};
use crate::error::{Error, Result};
use crate::files::Tail;
use crate::files::layout::FileHeader;
use crate::published::Published;
use crate::schema::{Contents, Kind, Schema, ViewSpec, is_code_file_name};
use crate::vfs::Vfs;

/// What is known.
#[derive(Debug)]
pub(super) struct Evidence {
    /// A copy of the catalog, if SQLite can read it.
    pub(super) catalog: Option<Catalog>,
    /// Why it cannot be read as a whole, or is not of the last commit.
    pub(super) flaw: Option<Error>,
    /// Database id, schema and edition, proven; counts only if `has_meta`.
    pub(super) head: Head,
    /// Whether the counts in `head` are proven.
    pub(super) has_meta: bool,
    /// Whether the rows of the catalog are about the code files that are there.
    pub(super) applies: bool,
    /// Whether commits are lost that were reported.
    pub(super) is_old: bool,
    /// The code files, in the order of their numbers.
    pub(super) files: Vec<ProvenFile>,
}

/// All that says something of the database as a whole, as far as it can be read.
struct Clues<'a> {
    vfs: &'a dyn Vfs,
    dir: &'a Path,
    headers: Vec<(PathBuf, FileHeader)>,
    catalog: Option<Catalog>,
    flaw: Option<Error>,
    meta: Option<Head>,
    upkeep: Option<Upkeep>,
    rows: Vec<FileRow>,
    /// Whose last commit was reported, and its generation.
    published: Option<([u8; 16], u64)>,
}

impl Evidence {
    /// Gathers it. `scratch` is a folder for copies of the catalog, so that nothing is ever written beside the original.
    pub(super) fn gather(
        vfs: &dyn Vfs,
        dir: &Path,
        scratch: &Path,
        expected: Option<&Schema>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let clues = Clues::read(vfs, dir, scratch)?;
        let Some(database_id) = clues.database_id() else { return Err(nothing(dir, clues.flaw)) };
        let schemas = clues.schemas(expected);
        if schemas.is_empty() {
            return Err(nothing(dir, clues.flaw));
        }
        let is_sure = schemas.len() == 1;
        let mut best: Option<Self> = None;
        let proven = |of: &Self| of.files.iter().map(ProvenFile::proven_codes).sum::<u64>();
        for schema in schemas {
            let this = clues.examine(database_id, schema, progress)?;
            if best.as_ref().is_none_or(|best| proven(best) < proven(&this)) {
                best = Some(this);
            }
        }
        // If no width proves a single code, the width is not known.
        let best = best.filter(|best| is_sure || best.files[0].proven_codes() > 0);
        let mut best = best.ok_or_else(|| nothing(dir, None))?;
        best.catalog = clues.catalog;
        best.flaw = clues.flaw.or(best.flaw);
        Ok(best)
    }
}

impl<'a> Clues<'a> {
    fn read(vfs: &'a dyn Vfs, dir: &'a Path, scratch: &Path) -> Result<Self> {
        let headers = headers(vfs, dir)?;
        let (catalog, mut flaw) = match open_copy(dir, scratch) {
            Ok(catalog) => (Some(catalog), None),
            Err(error @ Error::UnknownVersion { .. }) => return Err(error),
            Err(error) => (None, Some(error)),
        };
        let meta = catalog.as_ref().and_then(|catalog| catalog.meta().ok());
        let upkeep = catalog.as_ref().and_then(|catalog| catalog.upkeep().ok());
        let rows = catalog.as_ref().map_or_else(Vec::new, Catalog::file_rows);
        if let Some(Err(error)) = catalog.as_ref().map(Catalog::head) {
            flaw = Some(error);
        }
        let published = Published::read(vfs, dir).known();
        Ok(Self { vfs, dir, headers, catalog, flaw, meta, upkeep, rows, published })
    }

    fn database_id(&self) -> Option<[u8; 16]> {
        let of_meta = self.meta.as_ref().map(|meta| meta.database_id);
        let of_headers = || self.headers.first().map(|(_, header)| header.database_id);
        of_meta.or_else(of_headers).or_else(|| self.published.map(|(id, _)| id))
    }

    /// The schemas that the database may have; none if nothing can be proven.
    fn schemas(&self, expected: Option<&Schema>) -> Vec<Schema> {
        let of_catalog = self.catalog.as_ref().map(|catalog| catalog.version().contents);
        let of_headers = || self.headers.first().map(|(_, header)| header.kind.contents());
        match of_catalog.or_else(of_headers) {
            Some(Contents::Models) if self.catalog.is_none() => Vec::new(),
            Some(Contents::Models) => {
                schema_of_models(&self.rows, self.meta.as_ref(), &self.headers, expected)
                    .into_iter()
                    .collect()
            }
            _ => schemas_of_codes(&self.rows, &self.headers),
        }
    }

    /// What the code files prove if the database has this schema; without the catalog.
    fn examine(
        &self,
        database_id: [u8; 16],
        schema: Schema,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Evidence> {
        let has_meta = self.meta.is_some();
        let mut head = match &self.meta {
            Some(meta) => Head { schema, ..meta.clone() },
            None => Head::empty(database_id, schema, 0),
        };
        head.tails = vec![Tail::default(); head.schema.contents.kinds().len() * head.schema.views.len()];
        let known = self.upkeep.map(|upkeep| upkeep.edition);
        let (edition, same) = edition(self.vfs, self.dir, &head, known)?;
        head.upkeep = self.upkeep.filter(|_| same == Some(true)).unwrap_or_default();
        head.upkeep.edition = edition;
        let tails = tails(&self.rows);
        let mut examine = |newest: u64| -> Vec<ProvenFile> {
            let one = |number: usize| {
                let tail = tails.get(number).copied().flatten().filter(|_| same == Some(true));
                let path = self.dir.join(head.file(number).name());
                let header = head.file_header(number);
                ProvenFile::examine(self.vfs, &path, &header, Proof { tail, newest }, progress)
            };
            (0..head.tails.len()).map(one).collect()
        };
        let published = self.published.filter(|(id, _)| *id == database_id);
        let mut later = published.map_or(0, |(_, generation)| generation);
        let reported = later.max(head.generation);
        let knows = has_meta && same == Some(true);
        let mut files = examine(if knows { reported } else { u64::MAX });
        // A commit begins when the one before it was reported: only the last one that slots tell of may not have been.
        let begun = files.iter().map(|file| file.newest).max().unwrap_or(0);
        if knows && begun.saturating_sub(1) > reported {
            later = begun - 1;
            files = examine(later);
        }
        let is_old = has_meta && later > head.generation;
        let flaw = is_old.then(|| {
            let what =
                "last commit (the catalog's log is damaged or was removed, or the catalog is an older copy)";
            Error::corrupted(&catalog_path(self.dir), 0, what, later, head.generation)
        });
        // Where the edition is not proven, slots of later commits than the catalog's tell that another one is meant.
        let later_slots = || files.iter().any(|file| file.newest > head.generation);
        let applies = same.unwrap_or_else(|| has_meta && !later_slots());
        Ok(Evidence { catalog: None, flaw, head, has_meta, applies, is_old, files })
    }
}

fn nothing(dir: &Path, flaw: Option<Error>) -> Error {
    let what = flaw.map_or_else(|| "no code file says what it is".to_owned(), |flaw| flaw.to_string());
    Error::NothingToSalvage { path: dir.to_owned(), what }
}

/// Opens a copy of the catalog with its log.
fn open_copy(dir: &Path, scratch: &Path) -> Result<Catalog> {
    let copy = scratch.join(CATALOG_FILE);
    for ending in ["", "-wal"] {
        let name = format!("{CATALOG_FILE}{ending}");
        let (from, to) = (dir.join(&name), scratch.join(&name));
        match fs::copy(&from, &to) {
            Err(e) if ending == "-wal" && e.kind() == std::io::ErrorKind::NotFound => {}
            copied => drop(copied.map_err(|e| Error::io("copy", &from, e))?),
        }
    }
    Catalog::open_damaged(&copy).map_err(|error| named(error, &copy, &catalog_path(dir)))
}

/// The error with the name of the catalog itself instead of its copy's.
fn named(error: Error, copy: &Path, original: &Path) -> Error {
    match error {
        Error::Corrupted { file, offset_bytes, what, expected, got } if file == copy => {
            Error::Corrupted { file: original.to_owned(), offset_bytes, what, expected, got }
        }
        Error::NotADatabase { path, what } if path == copy => {
            Error::NotADatabase { path: original.to_owned(), what }
        }
        Error::UnknownVersion { path, found, supported } if path == copy => {
            Error::UnknownVersion { path: original.to_owned(), found, supported }
        }
        other => other,
    }
}

/// The code files whose headers are sound, and these.
fn headers(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<(PathBuf, FileHeader)>> {
    let mut headers = Vec::new();
    for name in vfs.list(dir).map_err(|e| Error::io("list", dir, e))? {
        let path = dir.join(&name);
        if is_code_file_name(&name)
            && let Some(header) = header_of(vfs, &path)
        {
            headers.push((path, header));
        }
    }
    Ok(headers)
}

/// The tails that the catalog's rows prove, by number.
fn tails(rows: &[FileRow]) -> Vec<Option<Tail>> {
    let end = rows.iter().map(|row| row.number + 1).max().unwrap_or(0);
    (0..end).map(|number| rows.iter().find(|row| row.number == number).map(|row| row.tail)).collect()
}

/// The schema of a database of models: by the rows of its code files, or as expected if nothing speaks against that.
fn schema_of_models(
    rows: &[FileRow],
    meta: Option<&Head>,
    headers: &[(PathBuf, FileHeader)],
    expected: Option<&Schema>,
) -> Option<Schema> {
    let parameters = meta
        .map(|meta| meta.schema.parameters)
        .or_else(|| headers.first().map(|(_, header)| header.parameters))?;
    let mut views: Vec<ViewSpec> = Vec::new();
    let kinds = Contents::Models.kinds().len();
    while let Some(row) = rows.iter().find(|row| row.number / kinds == views.len()) {
        views.push(ViewSpec { name: row.view.clone(), words: row.words });
    }
    let is_there = |views: &[ViewSpec], name: &str| views.iter().any(|view| view.name == name);
    let complete = |views: &[ViewSpec]| {
        rows.iter().all(|row| views.get(row.number / kinds).is_some_and(|view| view.name == row.view))
            && headers.iter().all(|(_, header)| is_there(views, &header.view))
    };
    let schema = Schema { contents: Contents::Models, parameters, views };
    if schema.validate().is_ok() && complete(&schema.views) {
        return Some(schema);
    }
    expected.filter(|schema| schema.parameters == parameters && complete(&schema.views)).cloned()
}

/// The schemas that a database of raw codes may have: one for each width that is possible.
fn schemas_of_codes(rows: &[FileRow], headers: &[(PathBuf, FileHeader)]) -> Vec<Schema> {
    let of_row = rows.iter().find(|row| row.kind == Kind::Raw.number()).map(|row| row.words);
    let of_header =
        headers.iter().find(|(_, header)| header.kind == Kind::Raw).map(|(_, header)| header.words);
    match of_row.or(of_header) {
        Some(words) => vec![Schema::codes(words)],
        None => [1, 2, 4, 8].map(Schema::codes).into(),
    }
}

/// The edition of the code files to be read, and whether the catalog is about it, if that is known.
fn edition(vfs: &dyn Vfs, dir: &Path, head: &Head, known: Option<u32>) -> Result<(u32, Option<bool>)> {
    let names = vfs.list(dir).map_err(|e| Error::io("list", dir, e))?;
    // Old files are removed from the first on: where that one is missing, the next edition is complete.
    let first = head.file(0);
    let mut all: Vec<u32> = Vec::new();
    let mut of_first: Vec<u32> = Vec::new();
    for name in &names {
        of_first.extend(first.kind.edition_of(first.view, name));
        all.extend((0..head.tails.len()).find_map(|number| {
            let file = head.file(number);
            file.kind.edition_of(file.view, name)
        }));
    }
    let least = of_first.iter().min().or_else(|| all.iter().min()).copied();
    Ok(match known {
        Some(known) if all.contains(&known) || all.is_empty() => (known, Some(true)),
        Some(known) => (least.unwrap_or(known), Some(false)),
        None => (least.unwrap_or(0), None),
    })
}
