//! Owns the removal of files that no commit names, under the writer's lock: index segments and code files that an interrupted
//! writer left, or could not remove. What must hold: nothing is removed that a later commit than the catalog's may name.

use std::path::PathBuf;

use super::Writer;
use crate::catalog::head::Head;
use crate::dir::SEGMENTS_DIR;
use crate::error::{Error, Result};
use crate::files::recover;
use crate::segment;

impl Writer {
    /// Removes them. A reader that has one open keeps it.
    pub(super) fn remove_orphans(&self) -> Result<()> {
        self.remove_orphaned_segments()?;
        self.remove_other_editions()
    }

    fn remove_orphaned_segments(&self) -> Result<()> {
        let folder = self.dir.join(SEGMENTS_DIR);
        let named: Vec<PathBuf> = self
            .segments
            .iter()
            .filter_map(|row| {
                let view = self.head.schema.views.get(row.view as usize)?;
                Some(segment::path(&self.dir, &view.name, row))
            })
            .collect();
        for name in self.vfs.list(&folder).map_err(|e| Error::io("list", &folder, e))? {
            let path = folder.join(name);
            let ours = path.extension().is_some_and(|kind| kind == "mih" || kind == "tmp");
            if ours && !named.contains(&path) {
                self.vfs.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
            }
        }
        Ok(())
    }

    /// Code files of another edition than the catalog's. All are looked at before the first is removed.
    fn remove_other_editions(&self) -> Result<()> {
        let mut others = Vec::new();
        for name in self.vfs.list(&self.dir).map_err(|e| Error::io("list", &self.dir, e))? {
            let Some((number, edition)) = other_edition(&self.head, &name) else { continue };
            let path = self.dir.join(&name);
            if edition > self.head.upkeep.edition {
                let header = self.head.file_header(number);
                recover::check_leftover(&*self.vfs, &path, &header, self.head.generation)?;
            }
            others.push(path);
        }
        for path in others {
            self.vfs.remove(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
        Ok(())
    }
}

/// The number and edition of the code file that a name is of, if the edition is not the catalog's.
fn other_edition(head: &Head, name: &str) -> Option<(usize, u32)> {
    (0..head.tails.len()).find_map(|number| {
        let file = head.file(number);
        let edition = file.kind.edition_of(file.view, name)?;
        (edition != head.upkeep.edition).then_some((number, edition))
    })
}
