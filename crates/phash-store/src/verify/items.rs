//! Owns the check that rows and codes belong together: the codes of each model and tensor, wherever they lie, against the checksum
//! in its row. It names the very items that a damaged block costs, and finds what no block tells: rows of other codes.

use std::ops::Range;

use roaring::RoaringBitmap;

use super::report::{Damage, VerifyReport};
use super::{Verify, affected};
use crate::catalog::Catalog;
use crate::catalog::head::file_number;
use crate::catalog::id_sets::IdSet;
use crate::catalog::pieces::{Table, add_to_runs};
use crate::codes_crc::codes_crc;
use crate::dir::catalog_path;
use crate::error::{Error, Result};
use crate::files::layout::Geometry;
use crate::files::lookup::Lookup;
use crate::schema::{Contents, Kind};
use crate::vfs::StoreFile;

/// The codes of one view.
struct Codes<'a> {
    file: &'a dyn StoreFile,
    lookup: Lookup,
    voids: RoaringBitmap,
}

impl Codes<'_> {
    /// A code, `None` if void; an error if it cannot be read, which is told elsewhere.
    fn get(&mut self, id: u32) -> Result<Option<&[u8]>, ()> {
        if self.voids.contains(id) {
            return Ok(None);
        }
        self.lookup.code(self.file, id).map(Some).ok_or(())
    }
}

impl Verify<'_> {
    /// `false` if it was stopped.
    pub(super) fn items(&self, report: &mut VerifyReport, advance: &mut dyn FnMut(u64) -> bool) -> bool {
        let has_codes_crc = self.catalog().version().has_codes_crc;
        if self.head.schema.contents != Contents::Models || !has_codes_crc {
            return true;
        }
        self.items_of(Kind::Model, self.head.models, report, advance)
            && self.items_of(Kind::Tensor, self.head.tensors, report, advance)
    }

    fn items_of(
        &self,
        kind: Kind,
        end: u32,
        report: &mut VerifyReport,
        advance: &mut dyn FnMut(u64) -> bool,
    ) -> bool {
        // What is missing or cannot be read is told already.
        let views = 0..self.head.schema.views.len();
        let codes: Option<Vec<Codes<'_>>> =
            views.map(|view| self.codes_of(file_number(view, kind))).collect();
        let Some(mut codes) = codes else { return true };
        let mut wrong: Vec<Range<u32>> = Vec::new();
        let name = if kind == Kind::Tensor { "tensor" } else { "model" };
        // Other threads may use the catalog between two pieces.
        let (fetch, next) =
            (|ids| proofs(&self.catalog(), kind, ids), |id| self.catalog().next_id(&format!("{name}s"), id));
        let pieces = Table { fetch: &fetch, next: &next, room: self.catalog().room() };
        let done = pieces.by_pieces(0..end, &mut |(_, rows)| {
            for (id, proof) in rows.unwrap_or_default() {
                let Ok(found) = codes.iter_mut().map(|codes| codes.get(id)).collect::<Result<Vec<_>, ()>>()
                else {
                    continue;
                };
                if codes_crc(found) != proof {
                    add_to_runs(&mut wrong, id);
                }
            }
            if advance(0) { Ok(()) } else { Err(()) }
        });
        let place = catalog_path(self.dir);
        for ids in wrong {
            let what = match ids.len() {
                1 => format!("checksum of the codes of {name} {}", ids.start),
                _ => format!("checksums of the codes of {name}s {} to {}", ids.start, ids.end - 1),
            };
            let expected = "the codes that the row is about";
            let error = Error::corrupted(&place, 0, what, expected, "other codes");
            report
                .damages
                .push(Damage { affected: affected(kind, ids), ..Damage::from_error(error, &place) });
        }
        done.is_ok()
    }

    fn codes_of(&self, number: usize) -> Option<Codes<'_>> {
        let file = self.files.0[number].1.file().ok()?;
        let voids = self.catalog().id_set(IdSet::Voids(number), self.head.tails[number].count).ok()?;
        Some(Codes { file, lookup: Lookup::new(Geometry::new(self.head.file(number).words)), voids })
    }
}

/// Ids with the checksums of their codes.
fn proofs(catalog: &Catalog, kind: Kind, ids: Range<u32>) -> Result<Vec<(u32, u32)>> {
    Ok(match kind {
        Kind::Tensor => {
            let tensors = catalog.coded_tensors(ids)?.into_iter();
            tensors.filter_map(|tensor| Some((tensor.row.id, tensor.codes_crc?))).collect()
        }
        _ => {
            let models = catalog.model_rows(&ids)?.into_iter();
            models.filter_map(|model| Some((model.row.id, model.codes_crc?))).collect()
        }
    })
}
