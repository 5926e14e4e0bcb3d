//! Owns the inserts and updates, inside the transaction that the writer has begun.

use rusqlite::params;

use super::Catalog;
use super::rows::{
    SegmentRow, encode_features, encode_shape, model_crc, segment_crc, source_crc, stored_path, tensor_crc,
};
use crate::error::{Error, Result};
use crate::records::{ModelRow, Source, TensorRow};

impl Catalog {
    /// Adds a model with its skips (not its sources and tensors).
    pub(crate) fn insert_model(&self, model: &ModelRow, codes_crc: u32) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("add a model to the catalog", e) };
        let sql = "INSERT INTO models VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let mut statement = self.conn.prepare_cached(sql).map_err(err)?;
        let row = params![
            model.id,
            model.content_digest,
            model.format,
            model.weak,
            model.tensors_used,
            model.tensors.start,
            model.tensors.end - model.tensors.start,
            encode_features(&model.features),
            model.ingested_at_ms,
            model_crc(model, Some(codes_crc)),
            codes_crc,
        ];
        statement.execute(row).map_err(err)?;
        for (reason, tensors) in &model.tensors_skipped {
            let mut statement =
                self.conn.prepare_cached("INSERT INTO skips VALUES (?1, ?2, ?3)").map_err(err)?;
            statement.execute(params![model.id, reason, tensors]).map_err(err)?;
        }
        Ok(())
    }

    /// Adds a tensor of a model.
    pub(crate) fn insert_tensor(&self, tensor: &TensorRow, codes_crc: u32) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("add a tensor to the catalog", e) };
        let (shape, features) = (encode_shape(&tensor.shape), encode_features(&tensor.features));
        let crc = tensor_crc(tensor, &shape, &features, Some(codes_crc));
        let TensorRow { id, model_id, name, dtype, .. } = tensor;
        let sql = "INSERT INTO tensors VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut statement = self.conn.prepare_cached(sql).map_err(err)?;
        let row = params![id, model_id, name, dtype, shape, features, crc, codes_crc];
        statement.execute(row).map_err(err)?;
        Ok(())
    }

    /// Adds a source.
    pub(crate) fn insert_source(&self, source: &Source) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("add a source to the catalog", e) };
        let sql = "INSERT INTO sources VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let mut statement = self.conn.prepare_cached(sql).map_err(err)?;
        let row = params![
            source.id,
            source.label,
            source.version,
            stored_path(&source.label, &source.path),
            source.stamp.len_bytes.cast_signed(),
            source.stamp.mtime_ns,
            source.file_digest,
            source.model_id,
            source.recorded_at_ms,
            source_crc(source),
        ];
        statement.execute(row).map_err(err)?;
        Ok(())
    }

    /// Brings path, stamp and time of a source up to date.
    pub(crate) fn update_source(&self, source: &Source) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("update a source in the catalog", e) };
        let sql = "UPDATE sources SET path = ?2, len_bytes = ?3, mtime_ns = ?4, recorded_at_ms = ?5, crc = ?6
                   WHERE id = ?1";
        let mut statement = self.conn.prepare_cached(sql).map_err(err)?;
        let row = params![
            source.id,
            stored_path(&source.label, &source.path),
            source.stamp.len_bytes.cast_signed(),
            source.stamp.mtime_ns,
            source.recorded_at_ms,
            source_crc(source),
        ];
        statement.execute(row).map_err(err)?;
        Ok(())
    }

    /// Adds an index segment to the manifest.
    pub(crate) fn insert_segment(&self, segment: &SegmentRow) -> Result<()> {
        let row = params![
            segment.id,
            segment.view,
            segment.first_id,
            segment.end_id,
            segment.len_bytes.cast_signed(),
            segment.crc32,
            segment_crc(segment),
        ];
        self.conn
            .execute("INSERT INTO segments VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", row)
            .map_err(|e| self.err("add a segment to the catalog", e))?;
        Ok(())
    }
}
