//! Owns the reading of what goes from one database to another: models with their sources, tensors and codes, and raw codes. What
//! must hold: every block of codes is checked before a code of it is given.

use phash_store::{
    CheckedCodes, Kind, Labels, ModelRecord, ModelRow, Reader, TensorRecord, TensorRow, ViewRecord,
};

use crate::error::Result;

/// The models of a database, to be read as records.
#[derive(Debug)]
pub(crate) struct StoredModels<'r> {
    reader: &'r Reader,
    models: Vec<CheckedCodes>,
    tensors: Vec<CheckedCodes>,
}

impl<'r> StoredModels<'r> {
    pub(crate) fn open(reader: &'r Reader) -> Result<Self> {
        let codes = |kind| -> Result<Vec<CheckedCodes>> {
            let views = reader.schema().views.iter();
            views.map(|view| Ok(reader.checked_codes(&view.name, kind)?)).collect()
        };
        Ok(Self { reader, models: codes(Kind::Model)?, tensors: codes(Kind::Tensor)? })
    }

    /// All of a model but its tensors.
    pub(crate) fn head(&self, row: ModelRow) -> Result<ModelRecord> {
        let views = views(&self.models, row.id, &row.features)?;
        Ok(ModelRecord::new(row, views, Vec::new()))
    }

    /// The tensors of a model.
    pub(crate) fn tensors(&self, model_id: u32) -> Result<Vec<TensorRecord>> {
        let rows = self.reader.tensors(model_id)?;
        let tensor = |row: TensorRow| -> Result<TensorRecord> {
            let views = views(&self.tensors, row.id, &row.features)?;
            Ok(TensorRecord::new(row, views))
        };
        rows.into_iter().map(tensor).collect()
    }
}

fn views(codes: &[CheckedCodes], id: u32, features: &[u32]) -> Result<Vec<ViewRecord>> {
    let view = |(number, codes): (usize, &CheckedCodes)| -> Result<ViewRecord> {
        let features = features.get(number).copied().unwrap_or_default();
        Ok(ViewRecord { code: codes.get(id)?.map(<[u8]>::to_vec), features })
    };
    codes.iter().enumerate().map(view).collect()
}

/// What takes raw codes: id, bytes, label.
type EachCode<'e> = dyn FnMut(u32, &[u8], Option<&str>) -> Result<()> + 'e;

/// The raw codes of a database, to be read one by one.
#[derive(Debug)]
pub(crate) struct StoredCodes<'r> {
    reader: &'r Reader,
    codes: CheckedCodes,
    labels: Labels,
}

impl<'r> StoredCodes<'r> {
    pub(crate) fn open(reader: &'r Reader) -> Result<Self> {
        let view = reader.schema().views.first().map(|view| view.name.clone()).unwrap_or_default();
        Ok(Self { reader, codes: reader.checked_codes(&view, Kind::Raw)?, labels: reader.code_labels()? })
    }

    /// Hands all codes with their ids and labels to `each`, in order, but for removed ones.
    pub(crate) fn for_each(&self, each: &mut EachCode<'_>) -> Result<()> {
        let removed = self.reader.removed()?;
        for id in (0..self.reader.code_count()).filter(|&id| !removed.contains(id)) {
            let label = self.labels.get(id)?;
            if let Some(code) = self.codes.get(id)? {
                each(id, code, label.as_deref())?;
            }
        }
        Ok(())
    }
}
