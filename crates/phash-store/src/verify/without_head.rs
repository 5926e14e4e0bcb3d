//! Owns the check of a database whose catalog does not tell what is committed: what SQLite says of it, and each code file
//! by its own checksums.

use std::path::Path;

use super::report::{Damage, VerifyReport};
use super::{Affected, affected};
use crate::catalog::Catalog;
use crate::dir::catalog_path;
use crate::error::{Error, Result};
use crate::salvage::{Proof, ProvenFile, header_of};
use crate::schema::is_code_file_name;
use crate::vfs::Vfs;

/// All that can be said; `why` is what is wrong with the catalog.
pub(super) fn report(vfs: &dyn Vfs, dir: &Path, catalog: Option<&Catalog>, why: Error) -> VerifyReport {
    let place = catalog_path(dir);
    let mut report =
        VerifyReport { damages: vec![Damage::from_error(why, &place)], ..VerifyReport::default() };
    if let Some(catalog) = catalog {
        catalog.verify_structure(&mut |error, _| report.damages.push(Damage::from_error(error, &place)));
    }
    if let Err(error) = code_files(vfs, dir, &mut report) {
        report.damages.push(Damage::from_error(error, dir));
    }
    report
}

/// Each code file by its own slots.
fn code_files(vfs: &dyn Vfs, dir: &Path, report: &mut VerifyReport) -> Result<()> {
    for name in vfs.list(dir).map_err(|e| Error::io("list", dir, e))? {
        if !is_code_file_name(&name) {
            continue;
        }
        let path = dir.join(&name);
        let Some(header) = header_of(vfs, &path) else {
            let error = Error::corrupted(&path, 0, "header", "one with a fitting checksum", "another one");
            report.damages.push(Damage::from_error(error, &path));
            continue;
        };
        let proof = Proof { tail: None, newest: u64::MAX };
        let file =
            ProvenFile::examine(vfs, &path, &header, proof, &mut |bytes| report.checked_bytes += bytes);
        report.checked_codes += file.proven_codes();
        for (offset_bytes, ids) in file.unproven() {
            let got = format!("{} codes without one", ids.len());
            let error = Error::corrupted(&path, offset_bytes, "block", "a fitting checksum", got);
            let affected: Option<Affected> = affected(header.kind, ids);
            report.damages.push(Damage { affected, ..Damage::from_error(error, &path) });
        }
    }
    Ok(())
}
