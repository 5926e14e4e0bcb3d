//! Owns the raising of a database to the newest version of its format, in one commit.

use super::Writer;
use crate::error::Result;

impl Writer {
    /// The version of the format that the database has.
    pub fn format_version(&self) -> u32 {
        self.catalog.version()
    }

    /// Raises the database to the newest version of the format for what it holds, which the first removal does otherwise;
    /// commits. Says whether there was anything to do. Whatever interrupts it leaves the version it had, or the new one.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn migrate(&mut self) -> Result<bool> {
        self.check_sound()?;
        if self.catalog.version() == self.head.schema.contents.upkept_version() {
            return Ok(false);
        }
        let result = self.begin_removal();
        self.poison_on_error(result)?;
        self.pending.changes += 1;
        self.commit()?;
        Ok(true)
    }
}
