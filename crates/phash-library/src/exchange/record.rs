//! Owns what goes from one database to another: a model with its sources, tensors and codes, or a raw code; and reading these
//! from a database. What must hold: every block of codes is checked before a code of it is given.

use phash_store::{CheckedCodes, Kind, Labels, ModelRow, Reader, Stamp};

use crate::error::Result;

/// The code of one view, and how much stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ViewRecord {
    /// The code's bytes; `None` for a void one.
    pub(crate) code: Option<Vec<u8>>,
    pub(crate) features: u32,
}

/// A version of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceRecord {
    pub(crate) label: String,
    pub(crate) version: u32,
    pub(crate) path: String,
    pub(crate) stamp: Stamp,
    pub(crate) file_digest: [u8; 32],
    pub(crate) recorded_at_ms: i64,
}

/// A tensor with its codes, one for each view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorRecord {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) views: Vec<ViewRecord>,
}

/// A model with all that is known of it, but for its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelRecord {
    pub(crate) content_digest: [u8; 32],
    pub(crate) format: String,
    pub(crate) weak: bool,
    pub(crate) tensors_used: u32,
    /// By reason, in the order of the reasons.
    pub(crate) tensors_skipped: Vec<(String, u32)>,
    pub(crate) ingested_at_ms: i64,
    pub(crate) views: Vec<ViewRecord>,
    /// In the order in which they were recorded; never empty in a database.
    pub(crate) sources: Vec<SourceRecord>,
    pub(crate) tensors: Vec<TensorRecord>,
}

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
        let source = |source: phash_store::Source| SourceRecord {
            label: source.label,
            version: source.version,
            path: source.path,
            stamp: source.stamp,
            file_digest: source.file_digest,
            recorded_at_ms: source.recorded_at_ms,
        };
        Ok(ModelRecord {
            content_digest: row.content_digest,
            format: row.format,
            weak: row.weak,
            tensors_used: row.tensors_used,
            tensors_skipped: row.tensors_skipped,
            ingested_at_ms: row.ingested_at_ms,
            views,
            sources: row.sources.into_iter().map(source).collect(),
            tensors: Vec::new(),
        })
    }

    /// The tensors of a model.
    pub(crate) fn tensors(&self, model_id: u32) -> Result<Vec<TensorRecord>> {
        let rows = self.reader.tensors(model_id)?;
        let tensor = |row: phash_store::TensorRow| -> Result<TensorRecord> {
            let views = views(&self.tensors, row.id, &row.features)?;
            Ok(TensorRecord { name: row.name, dtype: row.dtype, shape: row.shape, views })
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
