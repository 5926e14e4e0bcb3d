//! Owns the deletion of rows, inside the transaction that the writer has begun.

use std::ops::Range;

use rusqlite::{Params, params};

use super::Catalog;
use crate::error::{Error, Result};

impl Catalog {
    /// Deletes a model with its skips and sources, and its tensors.
    pub(crate) fn delete_model(&self, id: u32, tensors: &Range<u32>) -> Result<()> {
        self.delete("tensors WHERE id >= ?1 AND id < ?2", params![tensors.start, tensors.end])?;
        self.delete("sources WHERE model_id = ?1", [id])?;
        self.delete("skips WHERE model_id = ?1", [id])?;
        self.delete("models WHERE id = ?1", [id])
    }

    /// Deletes a source.
    pub(crate) fn delete_source(&self, id: u32) -> Result<()> {
        self.delete("sources WHERE id = ?1", [id])
    }

    /// Takes an index segment out of the manifest.
    pub(crate) fn delete_segment(&self, id: u32) -> Result<()> {
        self.delete("segments WHERE id = ?1", [id])
    }

    fn delete(&self, what: &str, params: impl Params) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("delete from the catalog", e) };
        let sql = format!("DELETE FROM {what}");
        self.conn.prepare_cached(&sql).map_err(err)?.execute(params).map_err(err)?;
        Ok(())
    }
}
