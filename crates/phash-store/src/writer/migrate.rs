//! Owns the raising of a database to the newest version of its format. What must hold: it is one commit, so that whatever
//! interrupts it leaves the version it had or the new one, wholly; and no code gets a checksum that has not passed an old one.

use std::path::Path;
use std::sync::Arc;

use super::Writer;
use crate::catalog::head::file_number;
use crate::catalog::id_sets::IdSet;
use crate::codes_crc::codes_crc;
use crate::error::Result;
use crate::reader::CheckedCodes;
use crate::schema::{Kind, Schema};
use crate::vfs::{OsVfs, Vfs};

/// Is told of the rows done and of all that are to be; `false` stops.
pub type MigrateProgress<'p> = &'p mut dyn FnMut(u64, u64) -> bool;

impl Writer {
    /// Opens a database of any version for writing, and brings it to the newest in one commit. The version that it had comes
    /// along. `None` if `progress` stopped it; it is then as it was.
    ///
    /// Time O(size of the catalog and the codes), memory bounded; space for a second copy of the catalog's rows in SQLite's log.
    ///
    /// # Errors
    /// As [`Writer::open`] but for [`crate::Error::OlderVersion`]; [`crate::Error::Corrupted`] also for damage of any block or
    /// row that has to be read: the database is then as it was.
    pub fn migrate(
        dir: &Path,
        schema: &Schema,
        progress: MigrateProgress<'_>,
    ) -> Result<Option<(Self, u32)>> {
        Self::migrate_on(Arc::new(OsVfs), dir, schema, progress)
    }

    /// The same through another file system than the operating system's.
    ///
    /// # Errors
    /// As [`Writer::migrate`].
    pub fn migrate_on(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        schema: &Schema,
        progress: MigrateProgress<'_>,
    ) -> Result<Option<(Self, u32)>> {
        let mut this = Self::open_any(vfs, dir, schema, true)?;
        let found = this.catalog.version();
        if !found.is_newest() && !this.raise(progress)? {
            return Ok(None);
        }
        Ok(Some((this, found.number)))
    }

    /// The version of the format that the database has.
    pub fn format_version(&self) -> u32 {
        self.catalog.version().number
    }

    fn raise(&mut self, progress: MigrateProgress<'_>) -> Result<bool> {
        self.begin()?;
        let views = self.head.schema.views.len();
        let mut codes: Vec<[CheckedCodes; 2]> = Vec::with_capacity(views);
        if self.catalog.version().contents == Kind::Model.contents() {
            for view in 0..views {
                codes.push([self.codes_of(view, Kind::Model)?, self.codes_of(view, Kind::Tensor)?]);
            }
        }
        let mut crc_of = |kind: Kind, id: u32| -> Result<u32> {
            let at = usize::from(kind == Kind::Tensor);
            let codes = codes.iter().map(|of_view| of_view[at].get(id)).collect::<Result<Vec<_>>>()?;
            Ok(codes_crc(codes))
        };
        let ends = [self.head.models, self.head.tensors];
        let all = u64::from(ends[0]) + u64::from(ends[1]);
        let mut done = 0;
        let went_on = self.catalog.migrate(ends, &mut crc_of, &mut |rows| {
            done += rows;
            progress(done, all)
        })?;
        if went_on {
            self.pending.changes += 1;
            self.commit()?;
        }
        Ok(went_on)
    }

    fn codes_of(&self, view: usize, kind: Kind) -> Result<CheckedCodes> {
        let number = file_number(view, kind);
        let voids = self.catalog.id_set(IdSet::Voids(number), self.head.tails[number].count)?;
        Ok(CheckedCodes::new(self.committed_file(number)?, voids))
    }
}
