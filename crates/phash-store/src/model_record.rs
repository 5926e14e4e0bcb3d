//! Owns [`ModelRecord`]: a model with all that is recorded of it but its ids, which every database gives anew. It is what goes from
//! one database to another: by a merge, through an exported file, by a salvage. No behaviour beyond small conversions.

use crate::records::{ModelRow, NewModel, NewSource, NewTensor, Source, Stamp, TensorRow, ViewCode};

/// The code of one view, and how much stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRecord {
    /// The code's bytes; `None` for a void one.
    pub code: Option<Vec<u8>>,
    /// How many features are behind it.
    pub features: u32,
}

/// A version of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// The label.
    pub label: String,
    /// The version of the label, from 1; if that is taken where it goes to, it gets the one behind the last there.
    pub version: u32,
    /// The path with which the file could be found.
    pub path: String,
    /// Size and time of the file.
    pub stamp: Stamp,
    /// Digest of the file (set).
    pub file_digest: [u8; 32],
    /// When it was recorded, milliseconds since 1970.
    pub recorded_at_ms: i64,
}

/// A tensor with its codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorRecord {
    /// Name in the file.
    pub name: String,
    /// Element type, as the format spells it.
    pub dtype: String,
    /// Sizes of the axes.
    pub shape: Vec<u64>,
    /// One for each view, in the schema's order.
    pub views: Vec<ViewRecord>,
}

/// A model with its sources, codes and tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRecord {
    /// Digest of the tensors' contents.
    pub content_digest: [u8; 32],
    /// Name of the file format it was read from first.
    pub format: String,
    /// Whether there are too few features to be sure of anything.
    pub weak: bool,
    /// Tensors that were hashed.
    pub tensors_used: u32,
    /// Tensors that were not, by reason, in the order of the reasons.
    pub tensors_skipped: Vec<(String, u32)>,
    /// When it was stored first, milliseconds since 1970.
    pub ingested_at_ms: i64,
    /// One for each view, in the schema's order.
    pub views: Vec<ViewRecord>,
    /// In the order in which they were recorded; never empty in a database.
    pub sources: Vec<SourceRecord>,
    /// In the order of their ids.
    pub tensors: Vec<TensorRecord>,
}

impl From<Source> for SourceRecord {
    fn from(source: Source) -> Self {
        let Source { label, version, path, stamp, file_digest, recorded_at_ms, .. } = source;
        Self { label, version, path, stamp, file_digest, recorded_at_ms }
    }
}

impl SourceRecord {
    pub(crate) fn as_new(&self) -> NewSource<'_> {
        let Self { label, path, stamp, file_digest, .. } = self;
        NewSource { label, path, stamp: *stamp, file_digest: *file_digest }
    }
}

impl TensorRecord {
    /// A stored tensor with its codes.
    pub fn new(row: TensorRow, views: Vec<ViewRecord>) -> Self {
        Self { name: row.name, dtype: row.dtype, shape: row.shape, views }
    }
}

impl ModelRecord {
    /// A stored model with its codes and tensors.
    pub fn new(row: ModelRow, views: Vec<ViewRecord>, tensors: Vec<TensorRecord>) -> Self {
        Self {
            content_digest: row.content_digest,
            format: row.format,
            weak: row.weak,
            tensors_used: row.tensors_used,
            tensors_skipped: row.tensors_skipped,
            ingested_at_ms: row.ingested_at_ms,
            views,
            sources: row.sources.into_iter().map(SourceRecord::from).collect(),
            tensors,
        }
    }

    /// Lends it as a model to be stored, from its first source; `None` if it has none.
    pub(crate) fn lend<R>(&self, to: impl FnOnce(&NewModel<'_>) -> R) -> Option<R> {
        let source = self.sources.first()?.as_new();
        let tensor_views: Vec<_> = self.tensors.iter().map(|tensor| view_codes(&tensor.views)).collect();
        let tensor = |(tensor, views)| {
            let TensorRecord { name, dtype, shape, .. }: &TensorRecord = tensor;
            let views: &Vec<ViewCode<'_>> = views;
            NewTensor { name, dtype, shape, views }
        };
        let tensors: Vec<NewTensor<'_>> = self.tensors.iter().zip(&tensor_views).map(tensor).collect();
        let skipped: Vec<(&str, u32)> =
            self.tensors_skipped.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
        Some(to(&NewModel {
            source,
            format: &self.format,
            content_digest: self.content_digest,
            views: &view_codes(&self.views),
            weak: self.weak,
            tensors_used: self.tensors_used,
            tensors_skipped: &skipped,
            tensors: &tensors,
        }))
    }
}

fn view_codes(views: &[ViewRecord]) -> Vec<ViewCode<'_>> {
    views.iter().map(|view| ViewCode { bytes: view.code.as_deref(), features: view.features }).collect()
}
