//! Owns [`merge`]: the union of databases. What must hold: nothing is written before all of them are found to fit; memory does
//! not grow with them; an interrupted merge keeps what it committed, and doing it again completes it.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use phash_core::Digest;
use phash_store::{Contents, OpenOptions, Reader, Schema, SourceRecord, Store, Writer};

use crate::error::{Error, Result};
use crate::exchange::{Intake, StoredCodes, StoredModels, TransferCounts, TransferEvent, duplicates};

/// What a merge did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// What became of the models or raw codes of each database, in the order named; those that were reached.
    pub databases: Vec<TransferCounts>,
    /// Whether the cancel flag ended it early; what was told until then is stored.
    pub cancelled: bool,
}

/// Puts all that is in `databases` into the one at `out`, which is created if there is none; what it holds counts as first.
///
/// * A model whose contents are there already is a duplicate: the first one stays as it is, with its codes, format and time, and
///   the labels of the other are added to it. A label that stands for other contents in a later database gets further versions, as
///   if these had been ingested next: the last named is current.
/// * A raw code is a duplicate if one with the same label (or none) and the same bits is there. One that a database has several
///   times is there as often afterwards as in the database that has it most often.
/// * What was removed does not come along. Times, digests, versions and features do. Index segments are built at the end.
///
/// `reading` says how the databases are read. Time linear in them (raw codes: for each 4 million codes at `out`); memory of some
/// models, or 200 MB at most, and a bit for each duplicate, besides what is mapped.
///
/// # Errors
/// [`Error::NotMergeable`] if contents, widths, views or hash parameters differ, or `out` is one of them, and [`Error::Store`] if
/// one of them cannot be opened: nothing is written. Later errors, of damage among others, leave what was told as committed.
pub fn merge(
    out: &Path,
    databases: &[PathBuf],
    reading: OpenOptions,
    cancel: &AtomicBool,
    events: &mut dyn FnMut(TransferEvent<'_>),
) -> Result<Merged> {
    let mut readers = Vec::with_capacity(databases.len());
    for dir in databases {
        if std::fs::canonicalize(dir).ok().is_some_and(|dir| std::fs::canonicalize(out).ok() == Some(dir)) {
            let (other, differs) =
                (out.to_owned(), "it is the database that is written; leave it out".to_owned());
            return Err(Error::NotMergeable { path: dir.clone(), other, differs });
        }
        readers.push(Reader::open(dir, reading)?);
    }
    let existing = Store::exists(out).then(|| Reader::open(out, OpenOptions::default())).transpose()?;
    let first = existing.as_ref().map(|reader| (out, reader));
    let mut all = first.into_iter().chain(databases.iter().map(PathBuf::as_path).zip(&readers));
    let Some((first_dir, first)) = all.next() else {
        return Ok(Merged { databases: Vec::new(), cancelled: false });
    };
    for (dir, reader) in all {
        if let Some(differs) = difference(first.schema(), reader.schema()) {
            let (path, other) = (dir.to_owned(), first_dir.to_owned());
            return Err(Error::NotMergeable { path, other, differs });
        }
    }
    let schema = first.schema().clone();
    drop(existing);
    events(TransferEvent::Planned {
        items: readers.iter().map(|reader| u64::from(reader.live_count())).sum(),
    });
    let mut intake = Intake::open(out, &schema, cancel, events)?;
    let mut merged = Merged { databases: Vec::with_capacity(readers.len()), cancelled: false };
    for reader in &readers {
        let run = intake.check().and_then(|()| match schema.contents {
            Contents::Models => models(reader, &mut intake),
            Contents::Codes => codes(out, reader, &mut intake),
        });
        match run {
            Ok(()) => {}
            Err(Error::Cancelled) => merged.cancelled = true,
            Err(error) => return Err(error),
        }
        merged.databases.push(intake.next_input()?);
        if merged.cancelled {
            return Ok(merged);
        }
    }
    match intake.index() {
        Err(Error::Cancelled) => merged.cancelled = true,
        indexed => indexed?,
    }
    Ok(merged)
}

/// In what two schemas differ, if they do: theirs first.
fn difference(ours: &Schema, theirs: &Schema) -> Option<String> {
    if ours == theirs {
        return None;
    }
    if ours.contents != theirs.contents {
        return Some(format!(
            "it holds {}, the other {}; merge each kind by itself",
            theirs.contents, ours.contents
        ));
    }
    let views = |schema: &Schema| {
        let view = |view: &phash_store::ViewSpec| format!("{} of {} bits", view.name, view.words * 64);
        schema.views.iter().map(view).collect::<Vec<_>>().join(", ")
    };
    if ours.contents == Contents::Codes {
        let bits = |schema: &Schema| schema.views.first().map_or(0, |view| view.words * 64);
        return Some(format!(
            "its codes have {} bits, those of the other {}; merge each width by itself",
            bits(theirs),
            bits(ours)
        ));
    }
    if ours.views != theirs.views {
        return Some(format!(
            "its views are {}, those of the other {}; ingest the files of one of them anew",
            views(theirs),
            views(ours)
        ));
    }
    let [ours, theirs] = [ours, theirs].map(|schema| Digest(schema.parameters).to_string());
    Some(format!(
        "its hash parameters are {}..., those of the other {}...; ingest the files of one of them anew",
        &theirs[..16],
        &ours[..16]
    ))
}

fn models(reader: &Reader, intake: &mut Intake<'_>) -> Result<()> {
    let stored = StoredModels::open(reader)?;
    for row in reader.models() {
        let row = row?;
        let id = row.id;
        let mut model = stored.head(row)?;
        // Of known contents the tensors are not needed.
        if intake.writer.model_by_content_digest(&model.content_digest)?.is_none() {
            model.tensors = stored.tensors(id)?;
        }
        for source in &mut model.sources {
            source.version = version(&intake.writer, reader, source)?;
        }
        intake.model(id, &model)?;
    }
    Ok(())
}

/// The version that a label gets: behind those that it has from elsewhere, in the order that its versions have in its database.
fn version(writer: &Writer, reader: &Reader, source: &SourceRecord) -> Result<u32> {
    let there = writer.versions(&source.label)?;
    if there.is_empty() {
        return Ok(source.version);
    }
    let own = reader.versions(&source.label)?;
    let elsewhere = there.iter().filter(|old| own.iter().all(|own| own.file_digest != old.file_digest));
    let last = elsewhere.map(|old| old.version).max().unwrap_or_default();
    Ok(last.saturating_add(source.version))
}

fn codes(out: &Path, reader: &Reader, intake: &mut Intake<'_>) -> Result<()> {
    // As of the last commit: the database before this one.
    let there = Reader::open(out, OpenOptions::default())?;
    let stored = StoredCodes::open(reader)?;
    let known = duplicates(&stored, &StoredCodes::open(&there)?, there.live_count(), &mut || intake.check())?;
    drop(there);
    stored.for_each(&mut |id, code, label| intake.code(id, code, label, known.contains(id)))
}
