//! Owns the rows of models, sources, tensors and index segments: their checksums, and reading them with these
//! checked. Every read of the catalog goes through here, so no changed row gets past.

use rusqlite::Row;

use super::Catalog;
use super::rowcheck::{Field, row_crc};
use crate::error::Result;
use crate::records::{ModelRow, Source, Stamp, TensorRow};

/// The columns of a source, in the order in which [`Catalog::read_source`] wants them. `?latest` is filled by SQL.
pub(super) const SOURCE_COLUMNS: &str =
    "s.id, s.label, s.version, s.path, s.len_bytes, s.mtime_ns, s.file_digest,
    s.model_id, s.recorded_at_ms, s.crc,
    NOT EXISTS (SELECT 1 FROM sources AS later WHERE later.label = s.label AND later.version > s.version)";
/// The columns of a model, for [`Catalog::read_model`], before [`Catalog::codes_crc_column`].
pub(super) const MODEL_COLUMNS: &str = "id, content_digest, format, weak, tensors_used, first_tensor, tensor_count, features, ingested_at_ms, crc";
/// The columns of a tensor, for [`Catalog::read_tensor`], before [`Catalog::codes_crc_column`].
pub(super) const TENSOR_COLUMNS: &str = "id, model_id, name, dtype, shape, features, crc";
/// The columns of an index segment, for [`Catalog::read_segment`].
pub(super) const SEGMENT_COLUMNS: &str = "id, view, first_id, end_id, len_bytes, crc32, crc";

/// A row of a model or tensor, with the checksum of its codes if rows of the version have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Coded<T> {
    pub(crate) row: T,
    pub(crate) codes_crc: Option<u32>,
}

/// An index segment as the catalog knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) id: u32,
    /// Number of the view.
    pub(crate) view: u32,
    pub(crate) first_id: u32,
    pub(crate) end_id: u32,
    pub(crate) len_bytes: u64,
    /// Checksum of the file.
    pub(crate) crc32: u32,
}

/// Feature counts as they are stored: little-endian, four bytes each.
pub(super) fn encode_features(features: &[u32]) -> Vec<u8> {
    features.iter().flat_map(|count| count.to_le_bytes()).collect()
}

fn decode_features(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|&count| u32::from_le_bytes(count)).collect()
}

/// A shape as it is stored: sizes in decimal with commas between; nothing for a scalar.
pub(super) fn encode_shape(shape: &[u64]) -> String {
    shape.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

fn decode_shape(text: &str) -> Option<Vec<u64>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|size| size.parse().ok()).collect()
}

/// The stored form of a path: nothing if it is the label.
pub(super) fn stored_path<'a>(label: &str, path: &'a str) -> Option<&'a str> {
    (path != label).then_some(path)
}

pub(super) fn source_crc(source: &Source) -> u32 {
    row_crc(
        "sources",
        &[
            Field::Int(source.id.into()),
            Field::Text(&source.label),
            Field::Int(source.version.into()),
            stored_path(&source.label, &source.path).map_or(Field::Null, Field::Text),
            Field::Int(source.stamp.len_bytes.cast_signed()),
            Field::Int(source.stamp.mtime_ns),
            Field::Blob(&source.file_digest),
            Field::Int(source.model_id.into()),
            Field::Int(source.recorded_at_ms),
        ],
    )
}

/// The checksum of a model covers its rows in `skips` too.
pub(super) fn model_crc(model: &ModelRow, codes_crc: Option<u32>) -> u32 {
    let features = encode_features(&model.features);
    let mut fields = vec![
        Field::Int(model.id.into()),
        Field::Blob(&model.content_digest),
        Field::Text(&model.format),
        Field::Int(model.weak.into()),
        Field::Int(model.tensors_used.into()),
        Field::Int(model.tensors.start.into()),
        Field::Int((model.tensors.end - model.tensors.start).into()),
        Field::Blob(&features),
        Field::Int(model.ingested_at_ms),
    ];
    fields.extend(codes_crc.map(|crc| Field::Int(crc.into())));
    for (reason, tensors) in &model.tensors_skipped {
        fields.extend([Field::Text(reason), Field::Int((*tensors).into())]);
    }
    row_crc("models", &fields)
}

/// Shape and features in their stored forms.
pub(super) fn tensor_crc(tensor: &TensorRow, shape: &str, features: &[u8], codes_crc: Option<u32>) -> u32 {
    let mut fields = vec![
        Field::Int(tensor.id.into()),
        Field::Int(tensor.model_id.into()),
        Field::Text(&tensor.name),
        Field::Text(&tensor.dtype),
        Field::Text(shape),
        Field::Blob(features),
    ];
    fields.extend(codes_crc.map(|crc| Field::Int(crc.into())));
    row_crc("tensors", &fields)
}

pub(super) fn segment_crc(segment: &SegmentRow) -> u32 {
    row_crc(
        "segments",
        &[
            Field::Int(segment.id.into()),
            Field::Int(segment.view.into()),
            Field::Int(segment.first_id.into()),
            Field::Int(segment.end_id.into()),
            Field::Int(segment.len_bytes.cast_signed()),
            Field::Int(segment.crc32.into()),
        ],
    )
}

impl Catalog {
    /// A source from [`SOURCE_COLUMNS`].
    pub(super) fn read_source(&self, row: &Row<'_>) -> Result<Source> {
        let (source, crc) = source_from(row).map_err(|e| self.err("read a source from the catalog", e))?;
        self.check_row("sources", source.id, source_crc(&source), crc)?;
        Ok(source)
    }

    /// The column that follows those of models and tensors.
    pub(super) fn codes_crc_column(&self) -> &'static str {
        if self.version.has_codes_crc { "codes_crc" } else { "NULL" }
    }

    /// A model from [`MODEL_COLUMNS`], still without skips and sources, and the checksum to compare when the skips
    /// are there.
    pub(super) fn read_model(&self, row: &Row<'_>) -> Result<(Coded<ModelRow>, u32)> {
        let (model, tensor_count, crc, codes_crc) =
            model_from(row).map_err(|e| self.err("read a model from the catalog", e))?;
        let Some(end) = model.tensors.start.checked_add(tensor_count) else {
            let what = format!("tensors of model {}", model.id);
            return Err(self.damaged(what, "ids of 32 bits", tensor_count));
        };
        Ok((Coded { row: ModelRow { tensors: model.tensors.start..end, ..model }, codes_crc }, crc))
    }

    /// A tensor from [`TENSOR_COLUMNS`].
    pub(super) fn read_tensor(&self, row: &Row<'_>) -> Result<Coded<TensorRow>> {
        let err = |e| self.err("read a tensor from the catalog", e);
        let (shape, features): (String, Vec<u8>) = (row.get(4).map_err(err)?, row.get(5).map_err(err)?);
        let tensor = TensorRow {
            id: row.get(0).map_err(err)?,
            model_id: row.get(1).map_err(err)?,
            name: row.get(2).map_err(err)?,
            dtype: row.get(3).map_err(err)?,
            shape: Vec::new(),
            features: decode_features(&features),
        };
        let codes_crc = row.get(7).map_err(err)?;
        let expected = tensor_crc(&tensor, &shape, &features, codes_crc);
        self.check_row("tensors", tensor.id, expected, row.get(6).map_err(err)?)?;
        let Some(sizes) = decode_shape(&shape) else {
            let what = format!("shape of tensor {}", tensor.id);
            return Err(self.damaged(what, "numbers with commas between", shape));
        };
        Ok(Coded { row: TensorRow { shape: sizes, ..tensor }, codes_crc })
    }

    /// An index segment from [`SEGMENT_COLUMNS`].
    pub(super) fn read_segment(&self, row: &Row<'_>) -> Result<SegmentRow> {
        let (segment, crc) = segment_from(row).map_err(|e| self.err("read a segment from the catalog", e))?;
        self.check_row("segments", segment.id, segment_crc(&segment), crc)?;
        Ok(segment)
    }

    pub(super) fn check_row(&self, table: &str, id: u32, computed: u32, stored: u32) -> Result<()> {
        if computed == stored {
            return Ok(());
        }
        let hex = crate::files::layout::hex32;
        Err(self.damaged(format!("checksum of row {id} of {table}"), hex(stored), hex(computed)))
    }
}

fn source_from(row: &Row<'_>) -> rusqlite::Result<(Source, u32)> {
    let label: String = row.get(1)?;
    let path: Option<String> = row.get(3)?;
    let source = Source {
        id: row.get(0)?,
        path: path.unwrap_or_else(|| label.clone()),
        label,
        version: row.get(2)?,
        stamp: Stamp { len_bytes: row.get::<_, i64>(4)?.cast_unsigned(), mtime_ns: row.get(5)? },
        file_digest: row.get(6)?,
        model_id: row.get(7)?,
        recorded_at_ms: row.get(8)?,
        current: row.get(10)?,
    };
    Ok((source, row.get(9)?))
}

fn model_from(row: &Row<'_>) -> rusqlite::Result<(ModelRow, u32, u32, Option<u32>)> {
    let first: u32 = row.get(5)?;
    let features: Vec<u8> = row.get(7)?;
    let model = ModelRow {
        id: row.get(0)?,
        content_digest: row.get(1)?,
        format: row.get(2)?,
        weak: row.get(3)?,
        tensors_used: row.get(4)?,
        tensors_skipped: Vec::new(),
        features: decode_features(&features),
        ingested_at_ms: row.get(8)?,
        tensors: first..first,
        sources: Vec::new(),
    };
    Ok((model, row.get(6)?, row.get(9)?, row.get(10)?))
}

fn segment_from(row: &Row<'_>) -> rusqlite::Result<(SegmentRow, u32)> {
    let segment = SegmentRow {
        id: row.get(0)?,
        view: row.get(1)?,
        first_id: row.get(2)?,
        end_id: row.get(3)?,
        len_bytes: row.get::<_, i64>(4)?.cast_unsigned(),
        crc32: row.get(5)?,
    };
    Ok((segment, row.get(6)?))
}
