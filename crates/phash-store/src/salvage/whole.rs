//! Owns [`Whole`]: a salvaged model with all that belongs to it, and how it is put into the new database: as a model of another
//! database is taken over, with the times and versions that it had.

use crate::error::{Error, Result};
use crate::records::{ModelRow, NewModel, NewSource, NewTensor, TensorRow, ViewCode};
use crate::writer::{RecordedSource, Writer};

/// A code in each view; `None` is void.
pub(super) type RowCodes = Vec<Option<Vec<u8>>>;

/// A model with all that belongs to it.
pub(super) struct Whole {
    /// With its sources, at least one.
    pub(super) model: ModelRow,
    pub(super) codes: RowCodes,
    /// In the order of their ids.
    pub(super) tensors: Vec<(TensorRow, RowCodes)>,
}

impl Whole {
    /// Puts it in. No version of a label of it is there, so that each keeps its number.
    pub(super) fn put_into(&self, writer: &mut Writer) -> Result<()> {
        let Self { model, codes, tensors } = self;
        let sources: Vec<RecordedSource<'_>> = model
            .sources
            .iter()
            .map(|source| RecordedSource {
                source: NewSource {
                    label: &source.label,
                    path: &source.path,
                    stamp: source.stamp,
                    file_digest: source.file_digest,
                },
                version: source.version,
                recorded_at_ms: source.recorded_at_ms,
            })
            .collect();
        let Some(first) = sources.first() else {
            return Err(Error::InvalidInput { what: "a model without a source".to_owned() });
        };
        let tensor_views: Vec<_> =
            tensors.iter().map(|(row, codes)| views_of(codes, &row.features)).collect();
        let tensors: Vec<NewTensor<'_>> = tensors
            .iter()
            .zip(&tensor_views)
            .map(|((TensorRow { name, dtype, shape, .. }, _), views)| NewTensor { name, dtype, shape, views })
            .collect();
        let skipped: Vec<(&str, u32)> =
            model.tensors_skipped.iter().map(|(reason, tensors)| (reason.as_str(), *tensors)).collect();
        let new = NewModel {
            source: first.source,
            format: &model.format,
            content_digest: model.content_digest,
            views: &views_of(codes, &model.features),
            weak: model.weak,
            tensors_used: model.tensors_used,
            tensors_skipped: &skipped,
            tensors: &tensors,
        };
        writer.take_over(&new, model.ingested_at_ms, &sources).map(drop)
    }
}

/// Codes with the features they were made of, view by view.
fn views_of<'a>(codes: &'a RowCodes, features: &[u32]) -> Vec<ViewCode<'a>> {
    let view = |(code, &features): (&'a Option<Vec<u8>>, _)| ViewCode { bytes: code.as_deref(), features };
    codes.iter().zip(features).map(view).collect()
}
