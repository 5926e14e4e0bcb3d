//! Owns the renumbering of a compaction: ids of models, tensors and sources become dense again, in the order they had,
//! inside the transaction that the writer has begun. What must hold: rows move in ascending order to ids at or below
//! their own, so that no row is ever in the way of another; checksums of codes are carried along, never made anew.

use roaring::RoaringBitmap;
use rusqlite::params;

use super::Catalog;
use super::head::Head;
use super::read::MODELS_BY_ID;
use super::rows::{Coded, encode_features, encode_shape, model_crc, source_crc, tensor_crc};
use crate::error::{Error, Result};
use crate::records::{ModelRow, Source, TensorRow};

/// Rows fetched at once.
const PAGE: u32 = 1024;

/// The id that a row which is not removed gets.
pub(crate) fn new_id(old: u32, removed: &RoaringBitmap) -> u32 {
    // At most `old` ids lie below.
    old - u32::try_from(removed.rank(old)).unwrap_or(old)
}

impl Catalog {
    /// Renumbers all rows; `removed` are the models of which there are none any more. Every row is checked as it is
    /// read. O(rows), memory bounded.
    pub(crate) fn renumber(&self, head: &Head, removed: &RoaringBitmap) -> Result<()> {
        self.renumber_models(head, removed)?;
        self.renumber_tensors(head, removed)?;
        self.renumber_sources(head, removed)
    }

    fn renumber_models(&self, head: &Head, removed: &RoaringBitmap) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("renumber the models in the catalog", e) };
        let mut next_tensor = 0;
        for from in (0..head.models).step_by(PAGE as usize) {
            for Coded { row: old, codes_crc } in
                self.models_by(MODELS_BY_ID, params![from, from.saturating_add(PAGE)])?
            {
                let tensors = next_tensor..next_tensor + (old.tensors.end - old.tensors.start);
                next_tensor = tensors.end;
                let old_id = old.id;
                let new = ModelRow { id: new_id(old_id, removed), tensors, ..old };
                let row = params![old_id, new.id, new.tensors.start, model_crc(&new, codes_crc)];
                let sql = "UPDATE models SET id = ?2, first_tensor = ?3, crc = ?4 WHERE id = ?1";
                self.conn.prepare_cached(sql).map_err(err)?.execute(row).map_err(err)?;
                if new.id != old_id {
                    let sql = "UPDATE skips SET model_id = ?2 WHERE model_id = ?1";
                    self.conn
                        .prepare_cached(sql)
                        .map_err(err)?
                        .execute(params![old_id, new.id])
                        .map_err(err)?;
                }
            }
        }
        Ok(())
    }

    fn renumber_tensors(&self, head: &Head, removed: &RoaringBitmap) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("renumber the tensors in the catalog", e) };
        let mut next = 0u32;
        for from in (0..head.tensors).step_by(PAGE as usize) {
            for Coded { row: old, codes_crc } in self.coded_tensors(from..from.saturating_add(PAGE))? {
                let (id, model_id) = (next, new_id(old.model_id, removed));
                next += 1;
                if (id, model_id) == (old.id, old.model_id) {
                    continue;
                }
                let (shape, features) = (encode_shape(&old.shape), encode_features(&old.features));
                let old_id = old.id;
                let crc = tensor_crc(&TensorRow { id, model_id, ..old }, &shape, &features, codes_crc);
                let sql = "UPDATE tensors SET id = ?2, model_id = ?3, crc = ?4 WHERE id = ?1";
                let row = params![old_id, id, model_id, crc];
                self.conn.prepare_cached(sql).map_err(err)?.execute(row).map_err(err)?;
            }
        }
        Ok(())
    }

    fn renumber_sources(&self, head: &Head, removed: &RoaringBitmap) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("renumber the sources in the catalog", e) };
        let mut next = 0u32;
        for from in (0..head.sources).step_by(PAGE as usize) {
            for old in self.sources_by_id(from..from.saturating_add(PAGE))? {
                let (old_id, id, model_id) = (old.id, next, new_id(old.model_id, removed));
                next += 1;
                if (id, model_id) == (old_id, old.model_id) {
                    continue;
                }
                let crc = source_crc(&Source { id, model_id, ..old });
                let sql = "UPDATE sources SET id = ?2, model_id = ?3, crc = ?4 WHERE id = ?1";
                let row = params![old_id, id, model_id, crc];
                self.conn.prepare_cached(sql).map_err(err)?.execute(row).map_err(err)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_dense_and_in_order() {
        let removed: RoaringBitmap = [0, 1, 5, 70_000].into_iter().collect();
        let kept: Vec<u32> =
            (0..70_010).filter(|&id| !removed.contains(id)).map(|id| new_id(id, &removed)).collect();
        assert!(kept.iter().copied().eq(0..70_006));
    }
}
