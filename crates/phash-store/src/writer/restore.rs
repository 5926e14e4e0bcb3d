//! Owns the putting in of models as another database had them: rows, times and versions are taken over, ids are new.

use super::Writer;
use crate::error::{Error, Result};
use crate::records::{ModelRow, NewTensor, Source, TensorRow, ViewCode};
use crate::schema::{Contents, Kind};

/// A code in each view; `None` is void.
pub(crate) type RowCodes = Vec<Option<Vec<u8>>>;

/// A model with all that belongs to it.
#[derive(Debug)]
pub(crate) struct Restored {
    /// With its sources, at least one.
    pub(crate) model: ModelRow,
    pub(crate) codes: RowCodes,
    /// In the order of their ids.
    pub(crate) tensors: Vec<(TensorRow, RowCodes)>,
}

impl Writer {
    /// Puts a model in; returns its id. The caller has checked that neither its contents nor a version of a label of it
    /// is there.
    pub(crate) fn restore(&mut self, restored: &Restored) -> Result<u32> {
        self.check_sound()?;
        self.check_contents(Contents::Models)?;
        let result = self.try_restore(restored);
        self.poison_on_error(result)
    }

    fn try_restore(&mut self, restored: &Restored) -> Result<u32> {
        self.begin()?;
        let Restored { model, codes, tensors } = restored;
        let id = self.push_codes(Kind::Model, &views_of(codes, &model.features))?;
        let first = self.head.tensors;
        let count = u32::try_from(tensors.len()).unwrap_or(u32::MAX);
        let row = ModelRow { id, tensors: first..first.saturating_add(count), ..model.clone() };
        self.catalog.insert_model(&row)?;
        for (TensorRow { name, dtype, shape, features, .. }, codes) in tensors {
            let views = &views_of(codes, features)[..];
            let tensor_id = self.push_codes(Kind::Tensor, views)?;
            self.catalog.insert_tensor(tensor_id, id, &NewTensor { name, dtype, shape, views })?;
        }
        for source in &model.sources {
            self.head.labels += u32::from(self.catalog.source_by_label(&source.label)?.is_none());
            let full = || Error::InvalidInput { what: "more than 2^32 sources".to_owned() };
            let source = Source { id: self.head.sources, model_id: id, ..source.clone() };
            self.head.sources = source.id.checked_add(1).ok_or_else(full)?;
            self.catalog.insert_source(&source)?;
            self.pending.sources += 1;
        }
        self.count_model(model.weak, count);
        Ok(id)
    }
}

/// Codes with the features they were made of, view by view.
fn views_of<'a>(codes: &'a RowCodes, features: &[u32]) -> Vec<ViewCode<'a>> {
    let view = |(code, &features): (&'a Option<Vec<u8>>, _)| ViewCode { bytes: code.as_deref(), features };
    codes.iter().zip(features).map(view).collect()
}
