//! Owns the full check of the catalog: SQLite's own, then every row with its checksum, then that ids are dense but for the
//! removed ones, and that counts and references agree. Reports and goes on.

use roaring::RoaringBitmap;

use super::Catalog;
use super::head::Head;
use crate::error::{Error, Result};
use crate::schema::{Contents, Kind};

/// Rows fetched at once.
const PAGE: u32 = 1024;

impl Catalog {
    /// Checks everything in the catalog that does not concern other files.
    pub(crate) fn verify(&self, head: &Head, damage: &mut dyn FnMut(Error)) {
        for (pragma, ok) in [("integrity_check", Some("ok")), ("foreign_key_check", None)] {
            match self.pragma_lines(pragma) {
                Ok(lines) => {
                    for line in lines.iter().filter(|line| Some(line.as_str()) != ok) {
                        damage(self.damaged(pragma, ok.unwrap_or("no row"), line));
                    }
                }
                Err(error) => damage(error),
            }
        }
        let models = head.schema.contents == Contents::Models;
        let (kind, upkeep) = (if models { Kind::Model } else { Kind::Raw }, head.upkeep);
        let mut set = |kind, end, count| match self.removed(kind, end, count) {
            Ok(ids) => ids,
            Err(error) => {
                damage(error);
                RoaringBitmap::new()
            }
        };
        let removed = set(kind, head.indexable(), upkeep.removed);
        let removed_tensors = set(Kind::Tensor, head.tensors, upkeep.removed_tensors);
        // `removed` is not there where only the number of those ids is known.
        let mut page = |what: &str,
                        (end, removed_count): (u32, u32),
                        removed: Option<&RoaringBitmap>,
                        fetch: &dyn Fn(u32, u32) -> Result<Vec<u32>>| {
            let mut from = 0;
            while from < end {
                let to = from.saturating_add(PAGE).min(end);
                let there = |id: &u32| removed.is_none_or(|removed| !removed.contains(*id));
                match fetch(from, to) {
                    Err(error) => damage(error),
                    Ok(_) if removed.is_none() && removed_count > 0 => {}
                    Ok(ids) if ids.iter().copied().eq((from..to).filter(there)) => {}
                    Ok(ids) => {
                        let wrong = |id: &u32| there(id) != ids.contains(id);
                        let first = (from..to).find(wrong).unwrap_or(to);
                        let (row, none) = (format!("a row {first}"), "none".to_owned());
                        let (expected, got) = if there(&first) { (row, none) } else { (none, row) };
                        damage(self.damaged(format!("table {what}"), expected, got));
                    }
                }
                from = to;
            }
            let count = end.saturating_sub(removed_count);
            match self.count(what) {
                Ok(rows) if rows == i64::from(count) => {}
                Ok(rows) => damage(self.damaged(format!("number of rows of {what}"), count, rows)),
                Err(error) => damage(error),
            }
        };
        let items = (head.models, if models { upkeep.removed } else { 0 });
        page("models", items, Some(&removed), &|from, to| self.verify_models(head, from, to));
        page("sources", (head.sources, upkeep.removed_sources), None, &|from, to| {
            Ok(self.sources_by_id(from..to)?.iter().map(|source| source.id).collect())
        });
        let tensors = (head.tensors, upkeep.removed_tensors);
        page("tensors", tensors, Some(&removed_tensors), &|from, to| {
            let tensors = self.tensors(from..to)?;
            for tensor in &tensors {
                self.check_features(&format!("tensor {}", tensor.id), head, tensor.features.len())?;
            }
            Ok(tensors.iter().map(|tensor| tensor.id).collect())
        });
        // Labels of raw codes are in their own files.
        let labels = if models { head.labels } else { 0 };
        for (what, sql, expected) in [
            ("number of weak models", "SELECT count(*) FROM models WHERE weak", head.weak_models),
            ("number of labels", "SELECT count(DISTINCT label) FROM sources", labels),
            (
                "tensors that are not their model's",
                "SELECT count(*) FROM tensors AS t LEFT JOIN models AS m ON m.id = t.model_id WHERE m.id IS NULL
                 OR t.id < m.first_tensor OR t.id >= m.first_tensor + m.tensor_count",
                0,
            ),
            (
                "sources beyond the ids that were given",
                &format!("SELECT count(*) FROM sources WHERE id < 0 OR id >= {}", head.sources),
                0,
            ),
            (
                "skips of models that are not there",
                "SELECT count(*) FROM skips WHERE model_id NOT IN (SELECT id FROM models)",
                0,
            ),
        ] {
            match self.number(sql) {
                Ok(got) if got == i64::from(expected) => {}
                Ok(got) => damage(self.damaged(what, expected, got)),
                Err(error) => damage(error),
            }
        }
    }

    fn verify_models(&self, head: &Head, from: u32, to: u32) -> Result<Vec<u32>> {
        let models = self.models(from..to)?;
        for model in &models {
            self.check_features(&format!("model {}", model.id), head, model.features.len())?;
            if model.sources.is_empty() {
                return Err(self.damaged(format!("sources of model {}", model.id), "at least one", "none"));
            }
            if model.tensors.end > head.tensors {
                let what = format!("tensors of model {}", model.id);
                return Err(self.damaged(what, format!("ids below {}", head.tensors), model.tensors.end));
            }
        }
        Ok(models.iter().map(|model| model.id).collect())
    }

    fn check_features(&self, of: &str, head: &Head, got: usize) -> Result<()> {
        let views = head.schema.views.len();
        if got == views {
            return Ok(());
        }
        Err(self.damaged(format!("features of {of}"), format!("{views} numbers"), got))
    }

    fn count(&self, table: &str) -> Result<i64> {
        self.number(&format!("SELECT count(*) FROM {table}"))
    }

    fn number(&self, sql: &str) -> Result<i64> {
        self.conn.query_row(sql, [], |row| row.get(0)).map_err(|e| self.err("verify the catalog", e))
    }

    /// What a checking pragma says, its columns joined.
    fn pragma_lines(&self, pragma: &str) -> Result<Vec<String>> {
        let err = |e| self.err("verify the catalog", e);
        let mut statement = self.conn.prepare(&format!("PRAGMA {pragma}")).map_err(err)?;
        let columns = statement.column_count();
        let mut rows = statement.query([]).map_err(err)?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next().map_err(err)? {
            let mut cells = Vec::new();
            for column in 0..columns {
                let value: rusqlite::types::Value = row.get(column).map_err(err)?;
                cells.push(match value {
                    rusqlite::types::Value::Text(text) => text,
                    other => format!("{other:?}"),
                });
            }
            lines.push(cells.join(" "));
        }
        Ok(lines)
    }
}
