//! Owns [`remove`]: taking models or raw codes out of a database, by label or id. What must hold: all of one call is
//! published by one commit, and what is told was published.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use phash_store::{Contents, OpenOptions, Reader, Writer};
use roaring::RoaringBitmap;

use crate::error::Result;

/// What is to be removed; what is named twice is removed once.
#[derive(Clone, Copy, Debug)]
pub enum RemovalTargets<'a> {
    /// Labels with all their versions, and the models that stand under no other label; all raw codes of these labels.
    Labels(&'a [String]),
    /// Models, whatever their labels; raw codes.
    Ids(&'a [u32]),
}

/// What became of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalKind {
    /// The model or raw code is no more.
    Removed,
    /// The label is no more; the model stands under another one still.
    Unlabelled,
    /// There was nothing of this label or id.
    Missing,
}

/// One thing that was removed, or was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// What became of it.
    pub kind: RemovalKind,
    /// The id; `None` for a label that was not there.
    pub id: Option<u32>,
    /// The label, if there is one.
    pub label: Option<String>,
}

/// What [`remove`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removals {
    /// In the order of the targets, then of ids.
    pub removals: Vec<Removal>,
    /// Models or raw codes removed.
    pub removed: u32,
    /// Labels removed whose models stay.
    pub unlabelled: u32,
    /// Targets of which there was nothing.
    pub missing: u32,
}

impl Removals {
    fn add(&mut self, kind: RemovalKind, id: Option<u32>, label: Option<String>) {
        *match kind {
            RemovalKind::Removed => &mut self.removed,
            RemovalKind::Unlabelled => &mut self.unlabelled,
            RemovalKind::Missing => &mut self.missing,
        } += 1;
        self.removals.push(Removal { kind, id, label });
    }
}

/// Removes models or raw codes from the database at `dir`, durably when it returns; with `dry_run` it finds out what would
/// be removed and changes nothing. Searches do not find them any more; [`crate::compact`] frees their space.
///
/// By id: a look into the catalog each. By label: the same for models; raw codes have no index of labels, so all of them
/// are read once.
///
/// # Errors
/// [`crate::Error::Store`], among others because another process is writing; nothing is removed then.
pub fn remove(dir: &Path, targets: RemovalTargets<'_>, dry_run: bool) -> Result<Removals> {
    let schema = Reader::open(dir, OpenOptions::default())?.schema().clone();
    // The writer before the reader: nothing changes in between. Without its commit it leaves nothing.
    let writer = Writer::open(dir, &schema)?;
    let reader = Reader::open(dir, OpenOptions::default())?;
    let mut run = Run { writer, reader, done: Removals::default() };
    match (schema.contents, targets) {
        (Contents::Models, RemovalTargets::Labels(labels)) => run.labels_of_models(labels)?,
        (Contents::Codes, RemovalTargets::Labels(labels)) => run.labels_of_codes(labels)?,
        (_, RemovalTargets::Ids(ids)) => run.ids(ids)?,
    }
    if !dry_run {
        run.writer.commit()?;
    }
    Ok(run.done)
}

struct Run {
    /// Let go before the writer, so that SQLite empties its log: with a log that holds commits a database cannot be opened
    /// in a directory that cannot be written.
    reader: Reader,
    writer: Writer,
    done: Removals,
}

impl Run {
    fn labels_of_models(&mut self, labels: &[String]) -> Result<()> {
        for label in distinct(labels) {
            let removed = self.writer.remove_label(label)?;
            if removed.sources == 0 {
                self.done.add(RemovalKind::Missing, None, Some(label.clone()));
            }
            for id in &(&removed.ids | &removed.kept) {
                let gone = removed.ids.contains(id);
                let kind = if gone { RemovalKind::Removed } else { RemovalKind::Unlabelled };
                self.done.add(kind, Some(id), Some(label.clone()));
            }
        }
        Ok(())
    }

    fn labels_of_codes(&mut self, labels: &[String]) -> Result<()> {
        let mut found: BTreeMap<&str, Vec<u32>> =
            labels.iter().map(|label| (label.as_str(), Vec::new())).collect();
        let (stored, removed) = (self.reader.code_labels()?, self.reader.removed()?.clone());
        for id in (0..self.reader.code_count()).filter(|&id| !removed.contains(id)) {
            if let Some(label) = stored.get(id)?
                && let Some(ids) = found.get_mut(label.as_str())
            {
                ids.push(id);
            }
        }
        let all: RoaringBitmap = found.values().flatten().copied().collect();
        self.writer.remove(&all)?;
        for label in distinct(labels) {
            let ids = found.get(label.as_str()).map_or(&[][..], Vec::as_slice);
            for &id in ids {
                self.done.add(RemovalKind::Removed, Some(id), Some(label.clone()));
            }
            if ids.is_empty() {
                self.done.add(RemovalKind::Missing, None, Some(label.clone()));
            }
        }
        Ok(())
    }

    fn ids(&mut self, ids: &[u32]) -> Result<()> {
        let end = self.reader.model_count().max(self.reader.code_count());
        let known: RoaringBitmap = ids.iter().copied().filter(|&id| id < end).collect();
        let removed = self.writer.remove(&known)?;
        for &id in distinct(ids) {
            if !removed.ids.contains(id) {
                self.done.add(RemovalKind::Missing, Some(id), None);
                continue;
            }
            let label = match self.reader.contents() {
                Contents::Models => self.reader.label(id)?,
                Contents::Codes => self.reader.code_labels()?.get(id)?,
            };
            self.done.add(RemovalKind::Removed, Some(id), label);
        }
        Ok(())
    }
}

/// The items in their order, each once.
fn distinct<T: Ord>(items: &[T]) -> impl Iterator<Item = &T> {
    let mut seen = BTreeSet::new();
    items.iter().filter(move |item| seen.insert(*item))
}
