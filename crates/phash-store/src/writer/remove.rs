//! Owns removal: rows of models go at once, codes and raw codes stay where they are, and the sets of removed ids tell
//! readers to leave them out. What must hold: all of it is published by the one commit that publishes everything else.

use std::collections::BTreeSet;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::Writer;
use crate::catalog::head::file_number;
use crate::catalog::id_sets::IdSet;
use crate::error::{Error, Result};
use crate::files::labels::Labels;
use crate::files::view::CodeFile;
use crate::records::{ModelRow, Removed};
use crate::schema::{Contents, Kind};

/// Removed ids that the next commit publishes.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// Models or raw codes.
    pub(super) items: RoaringBitmap,
    pub(super) tensors: RoaringBitmap,
}

impl Removals {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Writer {
    /// Removes models with all their sources and tensors, or raw codes. Ids that are removed already are passed over. After
    /// the next commit no reader finds them; their ids are not given again before a compaction
    /// ([`Writer::compact`]), which is also what frees their space. If the current version of a label is removed, the
    /// version before it is current again. O(rows of the models); raw codes: O(removed codes ever).
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if an id was never given, or is that of a raw code that is not committed, leaves the batch as
    /// it was; any other error poisons the writer.
    pub fn remove(&mut self, ids: &RoaringBitmap) -> Result<Removed> {
        self.check_sound()?;
        let end = match self.head.schema.contents {
            Contents::Models => self.head.models,
            Contents::Codes => self.head.indexable(),
        };
        if let Some(id) = ids.max().filter(|&id| id >= end) {
            let what = format!("cannot remove id {id}: ids are below {end}");
            return Err(Error::InvalidInput { what });
        }
        let result = match self.head.schema.contents {
            Contents::Models => self.remove_models(ids),
            Contents::Codes => self.remove_codes(ids),
        };
        self.poison_on_error(result)
    }

    /// Removes a label with all its versions, and the models that stand under no other label. Nothing if there is no such
    /// label.
    ///
    /// # Errors
    /// [`Error::OtherContents`]: labels of raw codes are no keys; remove the ids. Any other error poisons the writer.
    pub fn remove_label(&mut self, label: &str) -> Result<Removed> {
        self.check_sound()?;
        self.check_contents(Contents::Models)?;
        let result = self.try_remove_label(label);
        self.poison_on_error(result)
    }

    /// Removed models or raw codes, with those pending: what a compaction would free.
    pub fn removed_count(&self) -> u32 {
        self.head.upkeep.removed
    }

    fn try_remove_label(&mut self, label: &str) -> Result<Removed> {
        let mut removed = Removed::default();
        let versions = self.catalog.versions(label)?;
        if versions.is_empty() {
            return Ok(removed);
        }
        self.begin()?;
        let models: BTreeSet<u32> = versions.iter().map(|source| source.model_id).collect();
        for id in models {
            let Some(model) = self.catalog.models(id..id.saturating_add(1))?.pop() else { continue };
            if model.sources.iter().all(|source| source.label == label) {
                self.remove_model(&model, &mut removed)?;
                continue;
            }
            for source in model.sources.iter().filter(|source| source.label == label) {
                self.catalog.delete_source(source.id)?;
                self.head.upkeep.removed_sources += 1;
                self.pending.changes += 1;
                removed.sources += 1;
            }
            removed.kept.insert(id);
        }
        self.head.labels -= 1;
        Ok(removed)
    }

    fn remove_models(&mut self, ids: &RoaringBitmap) -> Result<Removed> {
        let mut removed = Removed::default();
        let mut labels = BTreeSet::new();
        for id in ids {
            let Some(model) = self.catalog.models(id..id.saturating_add(1))?.pop() else { continue };
            self.begin()?;
            self.remove_model(&model, &mut removed)?;
            labels.extend(model.sources.into_iter().map(|source| source.label));
        }
        for label in labels {
            let gone = self.catalog.source_by_label(&label)?.is_none();
            self.head.labels -= u32::from(gone);
        }
        Ok(removed)
    }

    /// Removes all that is recorded of a model; the count of labels is the caller's.
    fn remove_model(&mut self, model: &ModelRow, removed: &mut Removed) -> Result<()> {
        self.catalog.delete_model(model.id, &model.tensors)?;
        let tensors = model.tensors.end - model.tensors.start;
        let sources = u32::try_from(model.sources.len()).unwrap_or(u32::MAX);
        self.removals.items.insert(model.id);
        self.removals.tensors.insert_range(model.tensors.clone());
        let upkeep = &mut self.head.upkeep;
        upkeep.removed += 1;
        upkeep.removed_tensors += tensors;
        upkeep.removed_sources += sources;
        self.head.weak_models -= u32::from(model.weak);
        self.pending.removed += 1;
        removed.ids.insert(model.id);
        removed.tensors += tensors;
        removed.sources += sources;
        Ok(())
    }

    fn remove_codes(&mut self, ids: &RoaringBitmap) -> Result<Removed> {
        let before = self.catalog.id_set(IdSet::Removed(Kind::Raw), self.head.indexable())?;
        let new = ids - before - &self.removals.items;
        if new.is_empty() {
            return Ok(Removed::default());
        }
        self.begin()?;
        let labels = self.committed_labels()?;
        for id in &new {
            self.head.labels -= u32::from(labels.len_bytes(id)? > 0);
        }
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
        self.head.upkeep.removed += count;
        self.pending.removed += count;
        self.removals.items |= &new;
        Ok(Removed { ids: new, ..Removed::default() })
    }

    /// A code file as of the last commit, for reading.
    pub(super) fn committed_file(&self, number: usize) -> Result<Arc<CodeFile>> {
        let path = self.dir.join(self.head.file(number).name());
        let (header, tail) = (self.head.file_header(number), self.head.tails[number]);
        Ok(Arc::new(CodeFile::open(&*self.vfs, &path, header, tail, true)?))
    }

    /// The labels of raw codes as of the last commit.
    pub(super) fn committed_labels(&self) -> Result<Labels> {
        let file = |kind| self.committed_file(file_number(0, kind));
        Ok(Labels::new(&file(Kind::LabelPlace)?, &file(Kind::LabelText)?))
    }

    /// Writes the sets of removed ids, for a commit.
    pub(super) fn finish_removals(&self) -> Result<()> {
        let items = match self.head.schema.contents {
            Contents::Models => Kind::Model,
            Contents::Codes => Kind::Raw,
        };
        self.catalog.add_ids(IdSet::Removed(items), &self.removals.items)?;
        self.catalog.add_ids(IdSet::Removed(Kind::Tensor), &self.removals.tensors)
    }
}
