//! Owns the queries: one function a question, each by an index. Rows come checked (see `rows`).

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::{Params, params};

use super::Catalog;
use super::head::Head;
use super::rows::{
    Coded, MODEL_COLUMNS, SEGMENT_COLUMNS, SOURCE_COLUMNS, SegmentRow, TENSOR_COLUMNS, model_crc,
};
use crate::error::Result;
use crate::records::{ModelRow, Source, TensorRow};

const OP: &str = "read the catalog";
/// For [`Catalog::models_by`].
pub(super) const MODELS_BY_ID: &str = "WHERE id >= ?1 AND id < ?2 ORDER BY id";

impl Catalog {
    /// The current version of a label.
    pub(crate) fn source_by_label(&self, label: &str) -> Result<Option<Source>> {
        let found = self.sources("s.label = ?1 ORDER BY s.version DESC LIMIT 1", [label])?.pop();
        self.check_key(found.as_ref().is_none_or(|source| source.label == label), "label")?;
        Ok(found)
    }

    /// All versions of a label, oldest first.
    pub(crate) fn versions(&self, label: &str) -> Result<Vec<Source>> {
        let found = self.sources("s.label = ?1 ORDER BY s.version", [label])?;
        self.check_key(found.iter().all(|source| source.label == label), "label")?;
        Ok(found)
    }

    /// The first source with this file digest.
    pub(crate) fn source_by_file_digest(&self, digest: &[u8; 32]) -> Result<Option<Source>> {
        let found = self.sources("s.file_digest = ?1 ORDER BY s.id LIMIT 1", [digest])?.pop();
        self.check_key(found.as_ref().is_none_or(|source| source.file_digest == *digest), "file digest")?;
        Ok(found)
    }

    /// One label of a model: the first that is current, else the last.
    pub(crate) fn label(&self, model_id: u32) -> Result<Option<String>> {
        let mut sources = self.sources("s.model_id = ?1 ORDER BY s.id", [model_id])?;
        self.check_key(sources.iter().all(|source| source.model_id == model_id), "model")?;
        let best = sources.iter().position(|source| source.current).or(sources.len().checked_sub(1));
        Ok(best.map(|at| sources.swap_remove(at).label))
    }

    /// The model with these contents.
    pub(crate) fn model_by_content_digest(&self, digest: &[u8; 32]) -> Result<Option<u32>> {
        let found = self.models_by("WHERE content_digest = ?1", [digest])?.pop().map(|model| model.row);
        self.check_key(found.as_ref().is_none_or(|model| model.content_digest == *digest), "content digest")?;
        Ok(found.map(|model| model.id))
    }

    /// The models with ids in `ids`, with skips and sources.
    pub(crate) fn models(&self, ids: Range<u32>) -> Result<Vec<ModelRow>> {
        Ok(self.coded_models(ids)?.into_iter().map(|model| model.row).collect())
    }

    /// The same, with the checksums of their codes.
    pub(crate) fn coded_models(&self, ids: Range<u32>) -> Result<Vec<Coded<ModelRow>>> {
        let mut models = self.models_by(MODELS_BY_ID, params![ids.start, ids.end])?;
        let by_id: BTreeMap<u32, usize> =
            models.iter().enumerate().map(|(at, model)| (model.row.id, at)).collect();
        let condition = "s.model_id >= ?1 AND s.model_id < ?2 ORDER BY s.model_id, s.id";
        for source in self.sources(condition, params![ids.start, ids.end])? {
            self.check_key(ids.contains(&source.model_id), "model")?;
            if let Some(&at) = by_id.get(&source.model_id) {
                models[at].row.sources.push(source);
            }
        }
        if let Some(model) = models.iter().find(|model| model.row.sources.is_empty()) {
            return Err(self.damaged(format!("sources of model {}", model.row.id), "at least one", "none"));
        }
        Ok(models)
    }

    /// That a row found by one of SQLite's indexes is the one that was asked for: the indexes have no checksums, and one that
    /// is damaged may lead to another row.
    fn check_key(&self, is_same: bool, key: &str) -> Result<()> {
        if is_same {
            return Ok(());
        }
        Err(self.damaged(format!("index by {key}"), "the row that was asked for", "another one"))
    }

    /// Models by what follows `FROM models`, without sources.
    pub(super) fn models_by(&self, which: &str, params: impl Params) -> Result<Vec<Coded<ModelRow>>> {
        let err = |e| self.err(OP, e);
        let sql = format!("SELECT {MODEL_COLUMNS}, {} FROM models {which}", self.codes_crc_column());
        let mut statement = self.conn.prepare_cached(&sql).map_err(err)?;
        let mut rows = statement.query(params).map_err(err)?;
        let mut models = Vec::new();
        while let Some(row) = rows.next().map_err(err)? {
            let (mut model, crc) = self.read_model(row)?;
            model.row.tensors_skipped = self.skips(model.row.id)?;
            self.check_row("models", model.row.id, model_crc(&model.row, model.codes_crc), crc)?;
            models.push(model);
        }
        Ok(models)
    }

    pub(super) fn skips(&self, model_id: u32) -> Result<Vec<(String, u32)>> {
        let err = |e| self.err(OP, e);
        let sql = "SELECT reason, tensors FROM skips WHERE model_id = ?1 ORDER BY reason";
        let mut statement = self.conn.prepare_cached(sql).map_err(err)?;
        let skips = statement.query_map([model_id], |row| Ok((row.get(0)?, row.get(1)?))).map_err(err)?;
        skips.collect::<rusqlite::Result<_>>().map_err(err)
    }

    /// Sources by a condition on `sources AS s`.
    fn sources(&self, condition: &str, params: impl Params) -> Result<Vec<Source>> {
        let err = |e| self.err(OP, e);
        let sql = format!("SELECT {SOURCE_COLUMNS} FROM sources AS s WHERE {condition}");
        let mut statement = self.conn.prepare_cached(&sql).map_err(err)?;
        let mut rows = statement.query(params).map_err(err)?;
        let mut sources = Vec::new();
        while let Some(row) = rows.next().map_err(err)? {
            sources.push(self.read_source(row)?);
        }
        Ok(sources)
    }

    /// The sources with numbers in `ids`.
    pub(crate) fn sources_by_id(&self, ids: Range<u32>) -> Result<Vec<Source>> {
        self.sources("s.id >= ?1 AND s.id < ?2 ORDER BY s.id", params![ids.start, ids.end])
    }

    /// The tensors with ids in `ids`.
    pub(crate) fn tensors(&self, ids: Range<u32>) -> Result<Vec<TensorRow>> {
        Ok(self.coded_tensors(ids)?.into_iter().map(|tensor| tensor.row).collect())
    }

    /// The same, with the checksums of their codes.
    pub(crate) fn coded_tensors(&self, ids: Range<u32>) -> Result<Vec<Coded<TensorRow>>> {
        let err = |e| self.err(OP, e);
        let crc = self.codes_crc_column();
        let sql =
            format!("SELECT {TENSOR_COLUMNS}, {crc} FROM tensors WHERE id >= ?1 AND id < ?2 ORDER BY id");
        let mut statement = self.conn.prepare_cached(&sql).map_err(err)?;
        let mut rows = statement.query(params![ids.start, ids.end]).map_err(err)?;
        let mut tensors = Vec::new();
        while let Some(row) = rows.next().map_err(err)? {
            tensors.push(self.read_tensor(row)?);
        }
        Ok(tensors)
    }

    /// All index segments, by view and first id; disjoint, and over codes that there are.
    pub(crate) fn segments(&self, head: &Head) -> Result<Vec<SegmentRow>> {
        let err = |e| self.err(OP, e);
        let sql = format!("SELECT {SEGMENT_COLUMNS} FROM segments ORDER BY view, first_id, id");
        let mut statement = self.conn.prepare_cached(&sql).map_err(err)?;
        let mut rows = statement.query([]).map_err(err)?;
        let mut segments: Vec<SegmentRow> = Vec::new();
        while let Some(row) = rows.next().map_err(err)? {
            let segment = self.read_segment(row)?;
            let after =
                segments.last().filter(|last| last.view == segment.view).map_or(0, |last| last.end_id);
            let known_view = (segment.view as usize) < head.schema.views.len();
            if !known_view || segment.first_id < after || segment.end_id > head.indexable() {
                let what = format!("segment {} of view {}", segment.id, segment.view);
                let got = format!("{}..{}", segment.first_id, segment.end_id);
                return Err(self.damaged(what, format!("ids within {after}..{}", head.indexable()), got));
            }
            segments.push(segment);
        }
        Ok(segments)
    }
}
