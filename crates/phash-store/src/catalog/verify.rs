//! Owns the full check of the catalog: SQLite's own, then every row with its checksum, then that ids are dense but for the
//! removed ones, and that counts and references agree. Reports and goes on.

use std::ops::Range;

use roaring::RoaringBitmap;

use super::Catalog;
use super::head::Head;
use super::pieces::{add_to_runs, gaps};
use crate::error::{Error, Result};
use crate::schema::{Contents, Kind};

/// Whose rows: the ids of a table, how many of them were removed, which ones if that is known, and what the ids are of.
struct Ids<'a> {
    table: &'static str,
    end: u32,
    removed_count: u32,
    removed: Option<&'a RoaringBitmap>,
    kind: Option<Kind>,
}

/// Called with each damage, and the ids of which it is, if it is of such.
pub(crate) type OnDamage<'a> = &'a mut dyn FnMut(Error, Option<(Kind, Range<u32>)>);

impl Catalog {
    /// Checks everything in the catalog that does not concern other files.
    pub(crate) fn verify(&self, head: &Head, damage: OnDamage<'_>) {
        self.verify_structure(damage);
        let models = head.schema.contents == Contents::Models;
        let (kind, upkeep) = (if models { Kind::Model } else { Kind::Raw }, head.upkeep);
        let mut set = |kind, end, count| match self.removed(kind, end, count) {
            Ok(ids) => ids,
            Err(error) => {
                damage(error, None);
                RoaringBitmap::new()
            }
        };
        let removed = set(kind, head.indexable(), upkeep.removed);
        let removed_tensors = set(Kind::Tensor, head.tensors, upkeep.removed_tensors);
        let removed_models = if models { upkeep.removed } else { 0 };
        let ids = |table, end, removed_count| Ids { table, end, removed_count, removed: None, kind: None };
        let of = Ids {
            removed: Some(&removed),
            kind: Some(Kind::Model),
            ..ids("models", head.models, removed_models)
        };
        self.verify_rows(&of, &|ids| self.verify_models(head, ids), damage);
        // Of removed sources only the number is known.
        let of = ids("sources", head.sources, upkeep.removed_sources);
        let number = |source: &crate::records::Source| source.id;
        self.verify_rows(&of, &|ids| Ok(self.sources_by_id(ids)?.iter().map(number).collect()), damage);
        let of = ids("tensors", head.tensors, upkeep.removed_tensors);
        let of = Ids { removed: Some(&removed_tensors), kind: Some(Kind::Tensor), ..of };
        let tensors = |ids: Range<u32>| {
            let tensors = self.tensors(ids)?;
            for tensor in &tensors {
                self.check_features(&format!("tensor {}", tensor.id), head, tensor.features.len())?;
            }
            Ok(tensors.iter().map(|tensor| tensor.id).collect())
        };
        self.verify_rows(&of, &tensors, damage);
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
                Ok(got) => damage(self.damaged(what, expected, got), None),
                Err(error) => damage(error, None),
            }
        }
    }

    /// SQLite's own checks.
    pub(crate) fn verify_structure(&self, damage: OnDamage<'_>) {
        for (pragma, ok) in [("integrity_check", Some("ok")), ("foreign_key_check", None)] {
            match self.pragma_lines(pragma) {
                Ok(lines) => {
                    for line in lines.iter().filter(|line| Some(line.as_str()) != ok) {
                        damage(self.damaged(pragma, ok.unwrap_or("no row"), line), None);
                    }
                }
                Err(error) => damage(error, None),
            }
        }
    }

    /// That the rows of a table are there, each with its checksum, and no others.
    fn verify_rows(
        &self,
        of: &Ids<'_>,
        fetch: &dyn Fn(Range<u32>) -> Result<Vec<u32>>,
        damage: OnDamage<'_>,
    ) {
        let named = |ids| of.kind.map(|kind| (kind, ids));
        let none_removed = RoaringBitmap::new();
        let removed = of.removed.unwrap_or(&none_removed);
        let _: Result<()> = self.by_pieces(of.table, of.end, fetch, &mut |(ids, rows)| {
            match rows {
                Err(error) => damage(error, named(ids)),
                Ok(_) if of.removed.is_none() && of.removed_count > 0 => {}
                Ok(rows) => {
                    let found: RoaringBitmap = rows.into_iter().collect();
                    let what = || format!("table {}", of.table);
                    let row = |run: &Range<u32>| format!("a row {}", run.start);
                    for run in gaps(ids, removed).flat_map(|run| gaps(run, &found)) {
                        damage(self.damaged(what(), row(&run), "none"), named(run));
                    }
                    let mut left = Vec::new();
                    found.iter().filter(|&id| removed.contains(id)).for_each(|id| add_to_runs(&mut left, id));
                    for run in left {
                        damage(self.damaged(what(), "none", row(&run)), named(run));
                    }
                }
            }
            Ok(())
        });
        let count = of.end.saturating_sub(of.removed_count);
        match self.count(of.table) {
            Ok(rows) if rows == i64::from(count) => {}
            Ok(rows) => damage(self.damaged(format!("number of rows of {}", of.table), count, rows), None),
            Err(error) => damage(error, None),
        }
    }

    fn verify_models(&self, head: &Head, ids: Range<u32>) -> Result<Vec<u32>> {
        let models = self.models(ids)?;
        for model in &models {
            self.check_features(&format!("model {}", model.id), head, model.features.len())?;
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
