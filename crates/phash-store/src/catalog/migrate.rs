//! Owns the making of a catalog of the newest version out of an older one, inside the transaction that the writer has begun.
//! What must hold: each row is checked by its old checksum before it gets a new one.

use rusqlite::params;

use super::Catalog;
use super::ddl;
use super::read::MODELS_BY_ID;
use super::rows::{encode_features, encode_shape, model_crc, tensor_crc};
use crate::error::{Error, Result};
use crate::schema::Kind;
use crate::version::Version;

/// Rows fetched at once.
const PAGE: u32 = 1024;
const OP: &str = "migrate the catalog";

/// Gives the checksum of the codes of a model or tensor.
pub(crate) type CrcOf<'c> = &'c mut dyn FnMut(Kind, u32) -> Result<u32>;

impl Catalog {
    /// Adds the tables and columns that the newest version has, and the checksums of the codes of all models and tensors below
    /// these ends of ids. `progress` is told of rows; `false` (also returned) stops, and the transaction must then be given up.
    /// O(rows), memory bounded.
    pub(crate) fn migrate(
        &mut self,
        [models, tensors]: [u32; 2],
        crc_of: CrcOf<'_>,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<bool> {
        let newest = Version::newest(self.version.contents);
        if newest.has_upkeep && !self.version.has_upkeep {
            self.run(OP, ddl::UPKEEP_TABLES)?;
        }
        if newest.has_codes_crc && !self.version.has_codes_crc {
            self.run(OP, ddl::CODES_CRC_COLUMNS)?;
            for from in (0..models).step_by(PAGE as usize) {
                let rows = self.add_to_models(from, crc_of)?;
                if !progress(rows) {
                    return Ok(false);
                }
            }
            for from in (0..tensors).step_by(PAGE as usize) {
                let rows = self.add_to_tensors(from, crc_of)?;
                if !progress(rows) {
                    return Ok(false);
                }
            }
        }
        self.run(OP, &format!("PRAGMA user_version = {};", newest.number))?;
        self.version = newest;
        Ok(true)
    }

    fn add_to_models(&self, from: u32, crc_of: CrcOf<'_>) -> Result<u64> {
        let err = |e: rusqlite::Error| -> Error { self.err(OP, e) };
        let models = self.models_by(MODELS_BY_ID, params![from, from.saturating_add(PAGE)])?;
        let sql = "UPDATE models SET crc = ?2, codes_crc = ?3 WHERE id = ?1";
        let mut statement = self.conn.prepare_cached(sql).map_err(err)?;
        for model in &models {
            let codes_crc = crc_of(Kind::Model, model.row.id)?;
            let row = params![model.row.id, model_crc(&model.row, Some(codes_crc)), codes_crc];
            statement.execute(row).map_err(err)?;
        }
        Ok(models.len() as u64)
    }

    fn add_to_tensors(&self, from: u32, crc_of: CrcOf<'_>) -> Result<u64> {
        let err = |e: rusqlite::Error| -> Error { self.err(OP, e) };
        let tensors = self.tensors(from..from.saturating_add(PAGE))?;
        let sql = "UPDATE tensors SET crc = ?2, codes_crc = ?3 WHERE id = ?1";
        let mut statement = self.conn.prepare_cached(sql).map_err(err)?;
        for tensor in &tensors {
            let codes_crc = crc_of(Kind::Tensor, tensor.id)?;
            let (shape, features) = (encode_shape(&tensor.shape), encode_features(&tensor.features));
            let crc = tensor_crc(tensor, &shape, &features, Some(codes_crc));
            statement.execute(params![tensor.id, crc, codes_crc]).map_err(err)?;
        }
        Ok(tensors.len() as u64)
    }
}
