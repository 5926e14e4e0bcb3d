//! Owns the taking over of what another database recorded: models with the times and the versions of labels that they had
//! there. Identity is that of [`Writer::put`]: contents by their digest, a file by label and digest.

use std::collections::HashMap;

use super::Writer;
use super::put::check_source;
use crate::error::{Error, Result};
use crate::model_record::{ModelRecord, SourceRecord};
use crate::records::{NewModel, Source};
use crate::schema::Contents;

/// What became of a model that was taken over. Valid once the next commit returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// The code id of the stored model.
    pub id: u32,
    /// Whether its contents were not stored before.
    pub new: bool,
    /// Sources recorded, of those given.
    pub sources: u32,
}

impl Writer {
    /// Stores a model of another database with its time and with all its sources. If the contents are stored already, what is
    /// stored stays as it is, and only sources are added. A source is known, and nothing is done about it, if as many versions of its label
    /// have its file digest and stand for this model as there are given up to it: to take over the same model again changes
    /// nothing.
    ///
    /// # Errors
    /// As [`Writer::put`]; [`Error::InvalidInput`] also if no source is given.
    pub fn take_over(&mut self, model: &ModelRecord) -> Result<TakenOver> {
        self.check_sound()?;
        self.check_contents(Contents::Models)?;
        for source in &model.sources {
            check_source(&source.as_new())?;
            if source.version == 0 {
                let what = format!("{}: version 0; versions are from 1", source.label);
                return Err(Error::InvalidInput { what });
            }
        }
        let taken = model.lend(|new| {
            self.check_model(new)?;
            let result = self.try_take_over(new, model.ingested_at_ms, &model.sources);
            self.poison_on_error(result)
        });
        taken.unwrap_or_else(|| Err(Error::InvalidInput { what: "a model without a source".to_owned() }))
    }

    fn try_take_over(
        &mut self,
        model: &NewModel<'_>,
        ingested_at_ms: i64,
        sources: &[SourceRecord],
    ) -> Result<TakenOver> {
        self.begin()?;
        let known = self.catalog.model_by_content_digest(&model.content_digest)?;
        let id = match known {
            Some(id) => id,
            None => self.insert_model(model, ingested_at_ms)?,
        };
        let mut added = 0;
        let mut seen: HashMap<(&str, [u8; 32]), usize> = HashMap::new();
        for source in sources {
            let before = seen.entry((&source.label, source.file_digest)).or_default();
            added += u32::from(self.take_over_source(source, id, *before)?);
            *before += 1;
        }
        Ok(TakenOver { id, new: known.is_none(), sources: added })
    }

    /// Records a source unless it is known; whether it was not. `before` is how many of the given ones before it are the same
    /// but for their versions: a label may have come back to what it stood for.
    fn take_over_source(&mut self, source: &SourceRecord, model_id: u32, before: usize) -> Result<bool> {
        let versions = self.catalog.versions(&source.label)?;
        let same = |old: &Source| old.file_digest == source.file_digest && old.model_id == model_id;
        if versions.iter().filter(|old| same(old)).count() > before {
            return Ok(false);
        }
        let taken = versions.iter().any(|old| old.version == source.version);
        let last = versions.last().map_or(0, |old| old.version);
        let version = if taken { last.checked_add(1) } else { Some(source.version) };
        let full = || Error::InvalidInput { what: "more than 2^32 versions of a label".to_owned() };
        let version = version.ok_or_else(full)?;
        self.insert_version(&source.as_new(), model_id, version, last == 0, source.recorded_at_ms)?;
        Ok(true)
    }

    /// All versions of a label, oldest first, with what is pending.
    ///
    /// # Errors
    /// [`Error::Catalog`], [`Error::Corrupted`], [`Error::Poisoned`].
    pub fn versions(&self, label: &str) -> Result<Vec<Source>> {
        self.check_sound()?;
        self.catalog.versions(label)
    }
}
