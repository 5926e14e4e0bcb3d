//! Owns the proof that codes and row belong together when a row of a model or tensor is read: what a search found by codes that it
//! read through a map, without a look at any checksum, is proven when it is looked up to be reported.

use super::Reader;
use crate::catalog::head::file_number;
use crate::catalog::rows::Coded;
use crate::codes_crc::codes_crc;
use crate::error::{Error, Result};
use crate::files::layout::{CODES_PER_BLOCK, hex32};
use crate::schema::Kind;

impl Reader {
    /// The row, if the codes of this id are those that it is about; rows of versions without a checksum of them prove nothing.
    pub(super) fn proven<T>(&self, kind: Kind, id: u32, coded: Coded<T>) -> Result<T> {
        let Some(expected) = coded.codes_crc else { return Ok(coded.row) };
        let views = self.schema().views.len();
        let mut codes = Vec::with_capacity(views);
        for view in 0..views {
            let number = file_number(view, kind);
            let file = &self.snapshot.files[number];
            let is_void = self.snapshot.voids(number)?.contains(id);
            codes.push(file.records(id).get(..file.geometry().code_bytes).filter(|_| !is_void));
        }
        let found = codes_crc(codes);
        if found == expected {
            return Ok(coded.row);
        }
        // Which file it is, the checksums of blocks tell; if none does, row and codes are of different items.
        let files = (0..views).map(|view| &self.snapshot.files[file_number(view, kind)]);
        let damaged = files.into_iter().find(|file| file.check_block(id / CODES_PER_BLOCK).is_err());
        let (path, at) = match damaged {
            Some(file) => (file.path.clone(), file.geometry().code_at(id)),
            None => (self.catalog().path().to_owned(), 0),
        };
        let item = if kind == Kind::Tensor { "tensor" } else { "model" };
        let what = format!("checksum of the codes of {item} {id}");
        Err(Error::corrupted(&path, at, what, hex32(expected), hex32(found)))
    }
}
