//! Owns the rules by which a file becomes a new model, a duplicate or nothing new. Input is checked in full before
//! anything changes, so that an error about the input leaves the batch as it was.

use super::Writer;
use crate::catalog::head::file_number;
use crate::codes_crc::codes_crc;
use crate::error::{Error, Result};
use crate::records::{ModelRow, NewModel, NewSource, Outcome, Source, TensorRow, ViewCode};
use crate::schema::{Contents, Kind};

/// The greatest length of a label, path, name or reason in bytes.
const MAX_TEXT_BYTES: usize = 1 << 16;
/// The greatest number of axes of a tensor.
const MAX_AXES: usize = 1 << 10;

impl Writer {
    /// Stores a hashed model, or records its file as a duplicate of one with the same contents.
    ///
    /// * The label is recorded with this very file: [`Outcome::Unchanged`]; a new stamp is taken over.
    /// * The contents are stored: [`Outcome::Duplicate`]; the label gets a (new) version that stands for that model.
    /// * Else [`Outcome::Ingested`]: a new code id, and a (new) version of the label.
    ///
    /// # Errors
    /// [`Error::InvalidInput`], [`Error::WidthMismatch`] and [`Error::TooManyCodes`] leave the batch as it was; any
    /// other error poisons the writer.
    pub fn put(&mut self, model: &NewModel<'_>) -> Result<Outcome> {
        self.check_sound()?;
        self.check_contents(Contents::Models)?;
        self.check_model(model)?;
        let result = self.try_put(model);
        self.poison_on_error(result)
    }

    /// Records a file whose model is stored already, found by [`Writer::source_by_file_digest`] or by its label:
    /// [`Outcome::Unchanged`] or [`Outcome::Duplicate`], as [`Writer::put`] would without hashing it.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is no such model (any more); otherwise as [`Writer::put`].
    pub fn put_source(&mut self, source: &NewSource<'_>, model_id: u32) -> Result<Outcome> {
        self.check_sound()?;
        self.check_contents(Contents::Models)?;
        check_source(source)?;
        if model_id >= self.head.models {
            return invalid(format!("a source of model {model_id}: ids are below {}", self.head.models));
        }
        if self.head.upkeep.removed > 0
            && self.catalog.models(model_id..model_id.saturating_add(1))?.is_empty()
        {
            return invalid(format!("a source of model {model_id}, which was removed"));
        }
        let result = self.try_put_source(source, model_id);
        self.poison_on_error(result)
    }

    fn try_put(&mut self, model: &NewModel<'_>) -> Result<Outcome> {
        self.begin()?;
        if let Some(id) = self.catalog.model_by_content_digest(&model.content_digest)? {
            return self.try_put_source(&model.source, id);
        }
        let id = self.insert_model(model, (self.clock)())?;
        let version = self.insert_source(&model.source, id)?;
        Ok(Outcome::Ingested { id, version })
    }

    fn try_put_source(&mut self, source: &NewSource<'_>, model_id: u32) -> Result<Outcome> {
        self.begin()?;
        let current = self.catalog.source_by_label(source.label)?;
        if let Some(old) =
            current.filter(|old| old.file_digest == source.file_digest && old.model_id == model_id)
        {
            self.update_stamp(old, source)?;
            return Ok(Outcome::Unchanged { id: model_id });
        }
        let version = self.insert_source(source, model_id)?;
        Ok(Outcome::Duplicate { of: model_id, version })
    }

    /// Takes over a new stamp and path, and the time: a later stamp check can then trust what it finds.
    fn update_stamp(&mut self, old: Source, new: &NewSource<'_>) -> Result<()> {
        let recorded_at_ms = (self.clock)();
        if old.stamp == new.stamp && old.path == new.path && old.recorded_at_ms == recorded_at_ms {
            return Ok(());
        }
        self.pending.changes += 1;
        self.catalog.update_source(&Source {
            stamp: new.stamp,
            path: new.path.to_owned(),
            recorded_at_ms,
            ..old
        })
    }

    /// Records a new version of the label; returns its number.
    fn insert_source(&mut self, new: &NewSource<'_>, model_id: u32) -> Result<u32> {
        let full = || Error::InvalidInput { what: "more than 2^32 versions of a label".to_owned() };
        let last = self.catalog.source_by_label(new.label)?.map_or(0, |old| old.version);
        let version = last.checked_add(1).ok_or_else(full)?;
        self.insert_version(new, model_id, version, last == 0, (self.clock)())?;
        Ok(version)
    }

    /// Records a version of a label that it does not have; `first` says that it has none at all.
    pub(super) fn insert_version(
        &mut self,
        new: &NewSource<'_>,
        model_id: u32,
        version: u32,
        first: bool,
        recorded_at_ms: i64,
    ) -> Result<()> {
        let full = || Error::InvalidInput { what: "more than 2^32 sources".to_owned() };
        let id = self.head.sources;
        self.head.sources = id.checked_add(1).ok_or_else(full)?;
        self.head.labels += u32::from(first);
        self.pending.sources += 1;
        self.catalog.insert_source(&Source {
            id,
            label: new.label.to_owned(),
            version,
            path: new.path.to_owned(),
            stamp: new.stamp,
            file_digest: new.file_digest,
            model_id,
            current: true,
            recorded_at_ms,
        })
    }

    /// Appends the codes of the model and its tensors and adds their rows; returns the code id.
    pub(super) fn insert_model(&mut self, model: &NewModel<'_>, ingested_at_ms: i64) -> Result<u32> {
        let (id, model_crc) = self.push_codes(Kind::Model, model.views)?;
        let first = self.head.tensors;
        let mut skipped: Vec<(String, u32)> =
            model.tensors_skipped.iter().map(|&(reason, tensors)| (reason.to_owned(), tensors)).collect();
        skipped.sort_unstable();
        let count = u32::try_from(model.tensors.len()).unwrap_or(u32::MAX);
        let row = ModelRow {
            id,
            content_digest: model.content_digest,
            format: model.format.to_owned(),
            weak: model.weak,
            tensors_used: model.tensors_used,
            tensors_skipped: skipped,
            features: model.views.iter().map(|view| view.features).collect(),
            ingested_at_ms,
            tensors: first..first.saturating_add(count),
            sources: Vec::new(),
        };
        self.catalog.insert_model(&row, model_crc)?;
        for tensor in model.tensors {
            let (tensor_id, tensor_crc) = self.push_codes(Kind::Tensor, tensor.views)?;
            let row = TensorRow {
                id: tensor_id,
                model_id: id,
                name: tensor.name.to_owned(),
                dtype: tensor.dtype.to_owned(),
                shape: tensor.shape.to_vec(),
                features: tensor.views.iter().map(|view| view.features).collect(),
            };
            self.catalog.insert_tensor(&row, tensor_crc)?;
        }
        self.head.models += 1;
        self.head.weak_models += u32::from(model.weak);
        self.head.tensors += count;
        self.pending.models += 1;
        self.pending.tensors += count;
        Ok(id)
    }

    /// Appends one code to each view's file; returns the id, the same in all of them, and the checksum of the codes.
    fn push_codes(&mut self, kind: Kind, views: &[ViewCode<'_>]) -> Result<(u32, u32)> {
        let generation = self.next_generation();
        let mut id = 0;
        for (view, code) in views.iter().enumerate() {
            let number = file_number(view, kind);
            id = self.files[number].push(code.bytes, generation)?;
            if code.bytes.is_none() {
                self.voids.entry(number).or_default().insert(id);
            }
        }
        Ok((id, codes_crc(views.iter().map(|view| view.bytes))))
    }

    pub(super) fn check_model(&self, model: &NewModel<'_>) -> Result<()> {
        check_source(&model.source)?;
        check_text("format", model.format)?;
        self.check_views(model.views)?;
        for (number, &(reason, _)) in model.tensors_skipped.iter().enumerate() {
            check_text("reason", reason)?;
            if model.tensors_skipped[..number].iter().any(|&(other, _)| other == reason) {
                return invalid(format!("reason {reason:?} is there twice"));
            }
        }
        for tensor in model.tensors {
            check_text("name of a tensor", tensor.name)?;
            check_text("dtype", tensor.dtype)?;
            if tensor.shape.len() > MAX_AXES {
                return invalid(format!(
                    "tensor {:?} has {} axes, at most {MAX_AXES}",
                    tensor.name,
                    tensor.shape.len()
                ));
            }
            self.check_views(tensor.views)?;
        }
        let tensors = u32::try_from(model.tensors.len()).unwrap_or(u32::MAX);
        for view in 0..self.head.schema.views.len() {
            self.files[file_number(view, Kind::Model)].check_room(1)?;
            self.files[file_number(view, Kind::Tensor)].check_room(tensors)?;
        }
        Ok(())
    }

    fn check_views(&self, views: &[ViewCode<'_>]) -> Result<()> {
        let specs = &self.head.schema.views;
        if views.len() != specs.len() {
            return invalid(format!("{} codes given for {} views", views.len(), specs.len()));
        }
        for (spec, code) in specs.iter().zip(views) {
            if let Some(bytes) = code.bytes
                && bytes.len() != spec.code_bytes()
            {
                return Err(Error::WidthMismatch {
                    view: spec.name.clone(),
                    expected_bytes: spec.code_bytes(),
                    got_bytes: bytes.len(),
                });
            }
        }
        Ok(())
    }
}

pub(super) fn check_source(source: &NewSource<'_>) -> Result<()> {
    check_text("label", source.label)?;
    check_text("path", source.path)?;
    if source.label.is_empty() {
        return invalid("the label is empty".to_owned());
    }
    if i64::try_from(source.stamp.len_bytes).is_err() {
        return invalid(format!("{}: a length of {} bytes", source.label, source.stamp.len_bytes));
    }
    Ok(())
}

fn check_text(what: &str, text: &str) -> Result<()> {
    if text.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    invalid(format!("a {what} of {} bytes, at most {MAX_TEXT_BYTES}", text.len()))
}

fn invalid<T>(what: String) -> Result<T> {
    Err(Error::InvalidInput { what })
}
