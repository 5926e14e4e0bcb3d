//! Owns [`Upkeep`]: how often the database was compacted and how much was removed since. Catalogs of versions 1 and 2 have no
//! row of it: in them, all of it is zero.

use rusqlite::params;

use super::Catalog;
use super::head::Head;
use super::rowcheck::{Field, row_crc};
use crate::error::{Error, Result};
use crate::schema::Contents;

/// Compactions, and what was removed since the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Upkeep {
    /// Compactions so far: names the code files.
    pub(crate) edition: u32,
    /// Removed models, or raw codes.
    pub(crate) removed: u32,
    pub(crate) removed_tensors: u32,
    pub(crate) removed_sources: u32,
}

impl Upkeep {
    fn crc(&self) -> u32 {
        let Self { edition, removed, removed_tensors, removed_sources } = *self;
        let counts = [edition, removed, removed_tensors, removed_sources];
        row_crc("upkeep", &[0].into_iter().chain(counts).map(|n| Field::Int(n.into())).collect::<Vec<_>>())
    }
}

impl Catalog {
    /// The row, checked.
    pub(super) fn read_upkeep(&self) -> Result<Upkeep> {
        let sql = "SELECT edition, removed, removed_tensors, removed_sources, crc FROM upkeep WHERE id = 0";
        let row = self.conn.query_row(sql, [], |row| {
            let upkeep = Upkeep {
                edition: row.get(0)?,
                removed: row.get(1)?,
                removed_tensors: row.get(2)?,
                removed_sources: row.get(3)?,
            };
            Ok((upkeep, row.get::<_, u32>(4)?))
        });
        let (upkeep, crc) = row.map_err(|e| match e {
            rusqlite::Error::QueryReturnedNoRows => self.damaged("table upkeep", "one row", "none"),
            e => self.err("read the head of the catalog", e),
        })?;
        self.check_row("upkeep", 0, upkeep.crc(), crc)?;
        Ok(upkeep)
    }

    /// Checks that no more was removed than there is.
    pub(super) fn check_upkeep(&self, head: &Head) -> Result<()> {
        let Upkeep { removed, removed_tensors, removed_sources, .. } = head.upkeep;
        let models = head.schema.contents == Contents::Models;
        let (tensors, sources) = if models { (head.tensors, head.sources) } else { (0, 0) };
        for (what, got, limit) in [
            ("removed items", removed, head.indexable()),
            ("removed tensors", removed_tensors, tensors),
            ("removed sources", removed_sources, sources),
        ] {
            if got > limit {
                return Err(self.damaged(format!("number of {what}"), format!("at most {limit}"), got));
            }
        }
        Ok(())
    }

    /// Writes the row.
    pub(super) fn write_upkeep(&self, upkeep: &Upkeep) -> Result<()> {
        let Upkeep { edition, removed, removed_tensors, removed_sources } = *upkeep;
        let row = params![edition, removed, removed_tensors, removed_sources, upkeep.crc()];
        self.conn
            .execute("INSERT OR REPLACE INTO upkeep VALUES (0, ?1, ?2, ?3, ?4, ?5)", row)
            .map_err(|e: rusqlite::Error| -> Error { self.err("update the head of the catalog", e) })?;
        Ok(())
    }
}
