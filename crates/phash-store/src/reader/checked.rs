//! Owns [`CheckedCodes`]: codes as bytes, whatever their width, for copying them elsewhere. What must hold: no code is given
//! before the checksum of its block was found right, so that damage never gets a new, fitting checksum.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::Reader;
use crate::catalog::head::file_number;
use crate::error::Result;
use crate::files::layout::CODES_PER_BLOCK;
use crate::files::view::CodeFile;
use crate::schema::Kind;

/// The codes of one file as of a snapshot, as bytes. It keeps them alive by itself: cheap to clone, `Send + Sync`.
#[derive(Clone, Debug)]
pub struct CheckedCodes {
    file: Arc<CodeFile>,
    voids: RoaringBitmap,
}

impl CheckedCodes {
    /// Those of a file, of which `voids` are void.
    pub(crate) fn new(file: Arc<CodeFile>, voids: RoaringBitmap) -> Self {
        Self { file, voids }
    }

    /// The bytes of a code; `None` if it is void, or there is no such id. Codes of removed items are given. O(1), and
    /// once for each 2048 codes their checksum.
    ///
    /// # Errors
    /// [`crate::Error::Corrupted`].
    pub fn get(&self, id: u32) -> Result<Option<&[u8]>> {
        if self.voids.contains(id) {
            return Ok(None);
        }
        self.file.check_block(id / CODES_PER_BLOCK)?;
        Ok(self.file.records(id).get(..self.file.geometry().code_bytes))
    }
}

impl Reader {
    /// The codes of the models ([`Kind::Model`]), of the tensors ([`Kind::Tensor`]) or the raw codes ([`Kind::Raw`]) of a view.
    ///
    /// # Errors
    /// [`crate::Error::UnknownView`], [`crate::Error::OtherContents`]; [`crate::Error::Corrupted`] and
    /// [`crate::Error::Catalog`] if the void ones cannot be read.
    pub fn checked_codes(&self, view: &str, kind: Kind) -> Result<CheckedCodes> {
        self.check_contents(kind.contents())?;
        let number = file_number(self.schema().view_number(view)?, kind);
        let voids = match kind {
            Kind::Model | Kind::Tensor => self.snapshot.voids(number)?.clone(),
            Kind::Raw | Kind::LabelPlace | Kind::LabelText => RoaringBitmap::new(),
        };
        Ok(CheckedCodes::new(Arc::clone(&self.snapshot.files[number]), voids))
    }
}
