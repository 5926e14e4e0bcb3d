//! Owns the full check of a database against its checksums: all of it, whatever is wrong with other parts. It writes
//! nothing and may run beside a writer. [`verify`] opens what there is, however damaged; a reader checks its own snapshot.

mod items;
mod report;
mod without_head;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roaring::RoaringBitmap;

use crate::catalog::Catalog;
use crate::catalog::head::{Head, file_number};
use crate::catalog::id_sets::IdSet;
use crate::catalog::rows::SegmentRow;
use crate::dir::{catalog_path, check_exists};
use crate::error::{Error, Result};
use crate::files::labels::Labels;
use crate::files::layout::Geometry;
use crate::files::verify::{Check, code_file};
use crate::files::view::CodeFile;
use crate::published::Published;
use crate::reader::OpenOptions;
use crate::schema::{Contents, Kind};
use crate::segment;
use crate::vfs::{OsVfs, StoreFile, Vfs, read_exact_at};

pub use report::{Affected, Damage, MAX_LABELS, VerifyReport};

/// Bytes of a segment that are read at once.
const READ_BYTES: usize = 1 << 20;
/// How often the latest commit is looked at anew when a compaction removes its files meanwhile.
const ATTEMPTS: usize = 8;

/// Is told the bytes checked and those in all; `false` stops.
pub(crate) type VerifyProgress<'p> = &'p mut dyn FnMut(u64, u64) -> bool;

/// Checks the database at `dir`, also if it is too damaged to be opened: every committed byte of code files and segments,
/// every row of the catalog, and that all of these agree. Lists all damage, each with what cannot be trusted for it.
/// Time O(size of the database), memory bounded but for the list. `None` if `progress` stopped it. Labels of raw codes are
/// mapped, or read into memory; all else is read by pieces.
///
/// # Errors
/// None for damage. [`Error::NotADatabase`] if there is no catalog, [`Error::UnknownVersion`] if a
/// newer build wrote it, [`Error::Io`], [`Error::Catalog`].
pub fn verify(
    dir: &Path,
    options: OpenOptions,
    progress: VerifyProgress<'_>,
) -> Result<Option<VerifyReport>> {
    let vfs = OsVfs;
    let path = catalog_path(dir);
    check_exists(dir)?;
    let published = Published::read(&vfs, dir);
    let mut attempt = 1;
    loop {
        let catalog = match Catalog::open_read(&path) {
            Err(error) if error.is_damage() || matches!(error, Error::NotADatabase { .. }) => {
                return Ok(Some(without_head::report(&vfs, dir, None, error)));
            }
            opened => opened?,
        };
        let head = match catalog.head() {
            Err(error) => return Ok(Some(without_head::report(&vfs, dir, Some(&catalog), error))),
            Ok(head) => head,
        };
        let files = CodeFiles::by_name(&vfs, dir, &head);
        let moved = files.0.iter().any(|(_, file)| matches!(file, Handle::Missing(_)))
            && newest_head(dir).is_ok_and(|newest| newest.upkeep.edition != head.upkeep.edition);
        if moved && attempt < ATTEMPTS {
            attempt += 1;
            continue;
        }
        let mut first = Vec::new();
        if let Err(error) = published.check(dir, &head) {
            first.push(Damage::from_error(error, &path));
        }
        let segments = catalog.segments(&head).unwrap_or_else(|error| {
            first.push(Damage::from_error(error, &path));
            Vec::new()
        });
        let catalog = Mutex::new(catalog);
        let (head, catalog) = (&head, &catalog);
        let verify = Verify { vfs: &vfs, dir, mmap: options.mmap, catalog, head, files, segments };
        let report = verify.run(progress)?;
        return Ok(report.map(|mut report| {
            first.append(&mut report.damages);
            VerifyReport { damages: first, ..report }
        }));
    }
}

/// The head of the latest commit.
pub(crate) fn newest_head(dir: &Path) -> Result<Head> {
    Catalog::open_read(&catalog_path(dir))?.head()
}

/// A code file that is to be checked.
enum Handle<'a> {
    Opened(Box<dyn StoreFile>),
    /// As a snapshot has it; the name is another one's, or none's.
    Held(&'a dyn StoreFile),
    Missing(Error),
}

/// The code files in the order of their numbers, with their paths.
pub(crate) struct CodeFiles<'a>(Vec<(PathBuf, Handle<'a>)>);

impl<'a> CodeFiles<'a> {
    /// By their names.
    fn by_name(vfs: &dyn Vfs, dir: &Path, head: &Head) -> Self {
        let one = |number| {
            let path = dir.join(head.file(number).name());
            let file = match vfs.open_read(&path) {
                Ok(file) => Handle::Opened(file),
                Err(error) => Handle::Missing(Error::io("open", &path, error)),
            };
            (path, file)
        };
        Self((0..head.tails.len()).map(one).collect())
    }

    /// By their names, as whoever opens the database next will find them; if a compaction has removed them since the
    /// snapshot, as that has them open.
    pub(crate) fn of_snapshot(
        vfs: &dyn Vfs,
        files: &'a [Arc<CodeFile>],
        is_stale: &dyn Fn() -> bool,
    ) -> Self {
        let one = |of: &'a Arc<CodeFile>| {
            let file = match vfs.open_read(&of.path) {
                Ok(file) => Handle::Opened(file),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_stale() => {
                    Handle::Held(&*of.file)
                }
                Err(error) => Handle::Missing(Error::io("open", &of.path, error)),
            };
            (of.path.clone(), file)
        };
        Self(files.iter().map(one).collect())
    }
}

/// What is to be checked: a database as of one commit.
pub(crate) struct Verify<'a> {
    pub(crate) vfs: &'a dyn Vfs,
    pub(crate) dir: &'a Path,
    /// Whether labels are mapped.
    pub(crate) mmap: bool,
    pub(crate) catalog: &'a Mutex<Catalog>,
    pub(crate) head: &'a Head,
    pub(crate) files: CodeFiles<'a>,
    pub(crate) segments: Vec<SegmentRow>,
}

impl Verify<'_> {
    /// Checks everything. `None` if `progress` stopped it.
    pub(crate) fn run(&self, progress: VerifyProgress<'_>) -> Result<Option<VerifyReport>> {
        let path = catalog_path(self.dir);
        let catalog_bytes =
            std::fs::metadata(&path).map_err(|e| Error::io("read the length of", &path, e))?.len();
        let number_bytes = |number: usize| {
            Geometry::new(self.head.file(number).words).len_bytes(self.head.tails[number].count)
        };
        let files: u64 = (0..self.head.tails.len()).map(number_bytes).sum();
        let all = catalog_bytes + files + self.segments.iter().map(|row| row.len_bytes).sum::<u64>();
        let mut going_on = true;
        let mut done = 0;
        let mut advance = |bytes: u64| {
            done += bytes;
            going_on = going_on && progress(done.min(all), all);
            going_on
        };
        let mut report = VerifyReport::default();
        self.catalog_rows(&mut report);
        let stopped = !advance(catalog_bytes)
            || !self.code_files(&mut report, &mut advance)
            || !self.items(&mut report, &mut advance)
            || !self.labels(&mut report, &mut advance)
            || !self.segments(&mut report, &mut advance);
        if stopped {
            return Ok(None);
        }
        self.tell_labels(&mut report);
        report.checked_bytes = done;
        Ok(Some(report))
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalog_rows(&self, report: &mut VerifyReport) {
        let place = catalog_path(self.dir);
        let damages = &mut report.damages;
        self.catalog().verify(self.head, &mut |error, affected| {
            let affected = affected.map(|(kind, ids)| Affected { kind, ids });
            let damage = Damage { affected, ..Damage::from_error(error, &place) };
            // A source is read with its model and by itself.
            let is_told = |told: &Damage| {
                (&told.what, &told.expected, &told.got) == (&damage.what, &damage.expected, &damage.got)
            };
            if !damages.iter().rev().take(4096).any(is_told) {
                damages.push(damage);
            }
        });
    }

    fn code_files(&self, report: &mut VerifyReport, advance: &mut dyn FnMut(u64) -> bool) -> bool {
        let place = catalog_path(self.dir);
        let mut going_on = true;
        for (number, (path, handle)) in self.files.0.iter().enumerate() {
            let (kind, tail) = (self.head.file(number).kind, self.head.tails[number]);
            let whole = (tail.count > 0).then(|| affected(kind, 0..tail.count)).flatten();
            let damages = &mut report.damages;
            let voids = self.catalog().id_set(IdSet::Voids(number), tail.count).unwrap_or_else(|error| {
                damages.push(Damage::from_error(error, &place));
                RoaringBitmap::new()
            });
            // A fresh look at the catalog, to tell what the writer has done since the snapshot from damage.
            let newest = || {
                let head = newest_head(self.dir)?;
                Ok((head.generation, head.tails.get(number).copied().unwrap_or_default()))
            };
            let file: &dyn StoreFile = match handle {
                Handle::Opened(file) => &**file,
                Handle::Held(file) => *file,
                Handle::Missing(error) => {
                    let got = error.to_string();
                    let error = Error::corrupted(path, 0, "the file", "a file that can be opened", got);
                    damages.push(Damage { affected: whole, ..Damage::from_error(error, path) });
                    continue;
                }
            };
            let mut damage = |error, ids: Option<std::ops::Range<u32>>| {
                let affected = ids.and_then(|ids| affected(kind, ids));
                damages.push(Damage { affected, ..Damage::from_error(error, path) });
            };
            let mut progress = |bytes| going_on = advance(bytes) && going_on;
            let mut check = Check { file, newest: &newest, damage: &mut damage, progress: &mut progress };
            match code_file(path, &self.head.file_header(number), tail, &voids, &mut check) {
                Ok(checked) => {
                    let codes = !matches!(kind, Kind::LabelPlace | Kind::LabelText);
                    report.checked_codes += if codes { checked.codes } else { 0 };
                    report.uncommitted_bytes += checked.uncommitted_bytes;
                }
                Err(error) => damages.push(Damage { affected: whole, ..Damage::from_error(error, path) }),
            }
            if !going_on {
                return false;
            }
        }
        true
    }

    /// The labels of raw codes, if their files can be opened.
    fn open_labels(&self) -> Option<Labels> {
        if self.head.schema.contents != Contents::Codes {
            return None;
        }
        let open = |kind| {
            let number = file_number(0, kind);
            let (header, tail) = (self.head.file_header(number), self.head.tails[number]);
            let path = &self.files.0.get(number)?.0;
            CodeFile::open(self.vfs, path, header, tail, self.mmap).ok().map(Arc::new)
        };
        Some(Labels::new(&open(Kind::LabelPlace)?, &open(Kind::LabelText)?))
    }

    fn labels(&self, report: &mut VerifyReport, advance: &mut dyn FnMut(u64) -> bool) -> bool {
        let Some(labels) = self.open_labels() else { return advance(0) };
        let place = catalog_path(self.dir);
        let (end, count) = (self.head.indexable(), self.head.upkeep.removed);
        // What is wrong with it is told with the catalog.
        let removed = self.catalog().removed(Kind::Raw, end, count).unwrap_or_default();
        let mut sound = true;
        let labelled = labels.verify(&removed, &mut |error, id| {
            sound = false;
            let damage = Damage::from_error(error, &place);
            // A damaged block is told once, with all the codes whose labels are in it.
            let same =
                |told: &&mut Damage| told.file == damage.file && told.offset_bytes == damage.offset_bytes;
            match report.damages.iter_mut().rev().find(same) {
                Some(told) => match &mut told.affected {
                    Some(affected) if affected.kind == Kind::LabelPlace => {
                        affected.ids.start = affected.ids.start.min(id);
                        affected.ids.end = affected.ids.end.max(id + 1);
                    }
                    other => *other = affected(Kind::LabelPlace, id..id + 1),
                },
                None => {
                    report.damages.push(Damage { affected: affected(Kind::LabelPlace, id..id + 1), ..damage })
                }
            }
        });
        let expected = self.head.labels;
        if sound && labelled != expected {
            let error = Error::corrupted(&place, 0, "number of labels", expected, labelled);
            report.damages.push(Damage::from_error(error, &place));
        }
        advance(0)
    }

    fn segments(&self, report: &mut VerifyReport, advance: &mut dyn FnMut(u64) -> bool) -> bool {
        let is_stale = || newest_head(self.dir).is_ok_and(|head| head.generation > self.head.generation);
        for row in &self.segments {
            let view = &self.head.schema.views[row.view as usize];
            let path = segment::path(self.dir, &view.name, row);
            match self.segment_crc(&path, row.len_bytes, advance) {
                // A segment that the writer has dropped since is gone for good: a snapshot still has its bytes.
                Err(Error::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && is_stale() => {}
                Err(error) => report.damages.push(Damage::from_error(error, &path)),
                Ok(None) => return false,
                Ok(Some(crc)) if crc == row.crc32 => {}
                Ok(Some(crc)) => {
                    let hex = crate::files::layout::hex32;
                    let what = "checksum of the index segment (it can be built again from the codes)";
                    let error = Error::corrupted(&path, 0, what, hex(row.crc32), hex(crc));
                    report.damages.push(Damage::from_error(error, &path));
                }
            }
        }
        true
    }

    fn segment_crc(
        &self,
        path: &Path,
        len_bytes: u64,
        advance: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<u32>> {
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
            if !advance(piece as u64) {
                return Ok(None);
            }
        }
        Ok(Some(hasher.finalize()))
    }

    /// Adds the labels of what is affected, as far as they can be read.
    fn tell_labels(&self, report: &mut VerifyReport) {
        let mut labels = None;
        for damage in &mut report.damages {
            let Some(Affected { kind, ids }) = &damage.affected else { continue };
            let ids = ids.clone().take(16 * MAX_LABELS);
            let mut found: Vec<String> = match kind {
                Kind::Model => ids.filter_map(|id| self.catalog().label(id).ok()?).take(MAX_LABELS).collect(),
                Kind::Tensor => {
                    let model = |id: u32| {
                        let tensor = self.catalog().tensors(id..id.saturating_add(1)).ok()?.pop();
                        self.catalog().label(tensor?.model_id).ok()?
                    };
                    ids.filter_map(model).collect()
                }
                Kind::Raw | Kind::LabelPlace | Kind::LabelText => {
                    let labels = labels.get_or_insert_with(|| self.open_labels());
                    let label = |id: u32| labels.as_ref()?.get(id).ok()?;
                    ids.filter_map(label).take(MAX_LABELS).collect()
                }
            };
            found.dedup();
            found.truncate(MAX_LABELS);
            damage.labels = found;
        }
    }
}

/// What records of a code file are to users; text of labels is nothing by itself.
fn affected(kind: Kind, ids: std::ops::Range<u32>) -> Option<Affected> {
    (kind != Kind::LabelText && !ids.is_empty()).then_some(Affected { kind, ids })
}
