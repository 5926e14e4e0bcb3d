//! Owns `verify`: the whole snapshot against its checksums, and the report. It does not stop at damage, writes nothing
//! and may run beside a writer.

use std::path::{Path, PathBuf};

use super::Reader;
use crate::catalog::Catalog;
use crate::dir::catalog_path;
use crate::error::{Error, Result};
use crate::files::verify::{Check, code_file};
use crate::files::view::CodeFile;
use crate::schema::{Contents, Kind};
use crate::segment;
use crate::vfs::{StoreFile, read_exact_at};

/// Bytes of a segment that are read at once.
const READ_BYTES: usize = 1 << 20;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in the file, in bytes; 0 in the catalog.
    pub offset_bytes: u64,
    /// Which item.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub got: String,
}

impl Damage {
    /// The damage that an error tells of; at `place` if it does not say where.
    pub fn from_error(error: Error, place: &Path) -> Self {
        match error {
            Error::Corrupted { file, offset_bytes, what, expected, got } => {
                Self { file, offset_bytes, what, expected, got }
            }
            Error::TooShort { file, expected_bytes, got_bytes } => Self {
                file,
                offset_bytes: got_bytes,
                what: "length".to_owned(),
                expected: format!("{expected_bytes} bytes"),
                got: format!("{got_bytes} bytes"),
            },
            other => Self {
                file: place.to_owned(),
                offset_bytes: 0,
                what: "reading it".to_owned(),
                expected: "success".to_owned(),
                got: other.to_string(),
            },
        }
    }
}

/// What `verify` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Bytes that were checked.
    pub checked_bytes: u64,
    /// Codes that were checked, void ones included.
    pub checked_codes: u64,
    /// Bytes behind the committed ones, left by an interrupted writer or being written now: not damage, the next
    /// writer cuts them off.
    pub uncommitted_bytes: u64,
    /// Everything that is wrong; empty means sound.
    pub damages: Vec<Damage>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty()
    }
}

impl Reader {
    /// Checks every committed byte of the code files and segments against its checksum, every row of the catalog, and
    /// that all of these agree. Time O(size of the database), memory bounded. `progress` is called with the bytes
    /// checked and the bytes in all.
    ///
    /// # Errors
    /// None for damage: that is in the report. [`Error::Io`] if the size of the database cannot be read.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport> {
        let info = self.info_sizes()?;
        let mut done = 0;
        let mut advance = |bytes: u64| {
            done += bytes;
            progress(done.min(info.total_bytes), info.total_bytes);
        };
        let mut report = VerifyReport::default();
        self.verify_catalog(&mut report);
        advance(info.catalog_bytes);
        self.verify_code_files(&mut report, &mut advance);
        self.verify_labels(&mut report);
        self.verify_segments(&mut report, &mut advance);
        report.checked_bytes = done;
        Ok(report)
    }

    fn info_sizes(&self) -> Result<Sizes> {
        let path = catalog_path(&self.dir);
        let catalog_bytes =
            std::fs::metadata(&path).map_err(|e| Error::io("read the length of", &path, e))?.len();
        let files: u64 = self.snapshot.files.iter().map(|file| file.len_bytes()).sum();
        let segments: u64 = self.snapshot.segments.iter().map(|(row, _)| row.len_bytes).sum();
        Ok(Sizes { catalog_bytes, total_bytes: catalog_bytes + files + segments })
    }

    fn verify_catalog(&self, report: &mut VerifyReport) {
        let place = catalog_path(&self.dir);
        let mut damage = |error| report.damages.push(Damage::from_error(error, &place));
        self.catalog().verify(&self.snapshot.head, &mut damage);
    }

    /// The code file by its name, as whoever opens the database next will find it; if the database was compacted since the
    /// snapshot, as it was opened.
    fn with_code_file<T>(&self, of: &CodeFile, check: impl FnOnce(&dyn StoreFile) -> Result<T>) -> Result<T> {
        match self.vfs.open_read(&of.path) {
            Ok(file) => check(&*file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.is_stale() => check(&*of.file),
            Err(error) => Err(Error::io("open", &of.path, error)),
        }
    }

    fn verify_code_files(&self, report: &mut VerifyReport, advance: &mut dyn FnMut(u64)) {
        for (number, file) in self.snapshot.files.iter().enumerate() {
            let path = &file.path;
            let damages = &mut report.damages;
            let voids = match self.snapshot.voids(number) {
                Ok(ids) => ids.clone(),
                Err(error) => {
                    damages.push(Damage::from_error(error, &catalog_path(&self.dir)));
                    roaring::RoaringBitmap::new()
                }
            };
            // A fresh look at the catalog, to tell what the writer has done since the snapshot from damage.
            let newest = || {
                let head = Catalog::open_read(&catalog_path(&self.dir))?.head()?;
                Ok((head.generation, head.tails.get(number).copied().unwrap_or_default()))
            };
            let mut damage = |error| damages.push(Damage::from_error(error, path));
            let checked = self.with_code_file(file, |open| {
                let mut check = Check { file: open, newest: &newest, damage: &mut damage, progress: advance };
                code_file(path, &file.header, file.tail, &voids, &mut check)
            });
            match checked {
                Ok(checked) => {
                    let codes = !matches!(file.header.kind, Kind::LabelPlace | Kind::LabelText);
                    report.checked_codes += if codes { checked.codes } else { 0 };
                    report.uncommitted_bytes += checked.uncommitted_bytes;
                }
                Err(error) => damages.push(Damage::from_error(error, path)),
            }
        }
    }

    /// Labels of raw codes, once their files are known to be sound.
    fn verify_labels(&self, report: &mut VerifyReport) {
        if self.contents() != Contents::Codes || !report.damages.is_empty() {
            return;
        }
        let place = catalog_path(&self.dir);
        let damages = &mut report.damages;
        let removed = match self.removed() {
            Ok(removed) => removed,
            Err(error) => return damages.push(Damage::from_error(error, &place)),
        };
        let labels = self.snapshot.labels();
        let labelled = labels.verify(removed, &mut |error| damages.push(Damage::from_error(error, &place)));
        let expected = self.snapshot.head.labels;
        if damages.is_empty() && labelled != expected {
            let error = Error::corrupted(&place, 0, "number of labels", expected, labelled);
            damages.push(Damage::from_error(error, &place));
        }
    }

    fn verify_segments(&self, report: &mut VerifyReport, advance: &mut dyn FnMut(u64)) {
        for (row, _) in &self.snapshot.segments {
            let view = &self.schema().views[row.view as usize];
            let path = segment::path(&self.dir, &view.name, row);
            match self.segment_crc(&path, row.len_bytes, advance) {
                // A segment that the writer has dropped since is gone for good: the snapshot still has its bytes.
                Err(Error::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && self.is_stale() => {}
                Err(error) => report.damages.push(Damage::from_error(error, &path)),
                Ok(crc) if crc == row.crc32 => {}
                Ok(crc) => {
                    let hex = crate::files::layout::hex32;
                    let what = "checksum of the index segment (it can be built again from the codes)";
                    let error = Error::corrupted(&path, 0, what, hex(row.crc32), hex(crc));
                    report.damages.push(Damage::from_error(error, &path));
                }
            }
        }
    }

    /// Whether there is a newer commit than the snapshot.
    fn is_stale(&self) -> bool {
        let newest = Catalog::open_read(&catalog_path(&self.dir)).and_then(|catalog| catalog.head());
        newest.is_ok_and(|head| head.generation > self.generation())
    }

    fn segment_crc(&self, path: &Path, len_bytes: u64, advance: &mut dyn FnMut(u64)) -> Result<u32> {
        let file = self.vfs.open_read(path).map_err(|e| Error::io("open", path, e))?;
        let got_bytes = file.len_bytes().map_err(|e| Error::io("read the length of", path, e))?;
        if got_bytes < len_bytes {
            return Err(Error::TooShort { file: path.to_owned(), expected_bytes: len_bytes, got_bytes });
        }
        if got_bytes > len_bytes {
            return Err(Error::corrupted(path, len_bytes, "length of the segment", len_bytes, got_bytes));
        }
        let mut hasher = crc32fast::Hasher::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut at = 0;
        while at < len_bytes {
            let piece = usize::try_from((len_bytes - at).min(READ_BYTES as u64)).unwrap_or(READ_BYTES);
            read_exact_at(&*file, &mut buffer[..piece], at).map_err(|e| Error::io("read", path, e))?;
            hasher.update(&buffer[..piece]);
            at += piece as u64;
            advance(piece as u64);
        }
        Ok(hasher.finalize())
    }
}

/// What is to be checked, for the progress.
struct Sizes {
    catalog_bytes: u64,
    total_bytes: u64,
}
