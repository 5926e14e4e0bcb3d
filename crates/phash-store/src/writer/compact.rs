//! Owns compaction: the codes that are not removed are written to files of a new edition, under dense ids, and one commit
//! of the catalog moves the database to them. The order, and why:
//!
//! 1. the new code files are written and each is synced; nothing names them yet, so that an interruption leaves only files
//!    that the next writer removes;
//! 2. index segments over them are written and synced as always, and then the directory, so that the names are durable, too;
//! 3. the catalog's transaction (renumbered rows, sets of ids, edition, tails) is committed: the publish point;
//! 4. the old files are removed: only now does no commit name them. Readers that have them open keep them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::Writer;
use crate::catalog::head::{Head, file_number};
use crate::catalog::id_sets::IdSet;
use crate::catalog::rows::SegmentRow;
use crate::catalog::upkeep::Upkeep;
use crate::error::{Error, Result};
use crate::files::append::Appender;
use crate::files::labels::{self, TextAppender};
use crate::files::layout::CODES_PER_BLOCK;
use crate::files::recover;
use crate::files::view::{CodeFile, CodeView};
use crate::schema::{Contents, Kind};
use crate::segment;

/// Is told of the codes copied and of all that are to be; `false` stops.
pub type CopyProgress<'p> = &'p mut dyn FnMut(u64, u64) -> bool;

/// A compaction whose code files are written and wait to be published. Dropped instead, it leaves nothing.
#[derive(Debug)]
pub struct Compaction<'w> {
    writer: &'w mut Writer,
    /// The head as it will be.
    head: Head,
    files: Vec<Appender>,
    /// The new code files, for reading.
    views: Vec<Arc<CodeFile>>,
    voids: BTreeMap<usize, RoaringBitmap>,
    /// Removed models, or raw codes, under the old ids.
    removed: RoaringBitmap,
    /// The segments as they will be.
    segments: Vec<SegmentRow>,
    /// Files that are removed if it is not published.
    made: Vec<PathBuf>,
}

impl Writer {
    /// Writes the codes that are not removed to new files, after committing what is pending. Ids become dense again, in
    /// the same order. `None` if `progress` stopped it. Every block that is read is checked against its checksum.
    ///
    /// Time O(codes), memory bounded but for the sets of ids; space for a second copy of the live codes.
    ///
    /// # Errors
    /// Any error poisons the writer; the database is as it was.
    pub fn compact(&mut self, progress: CopyProgress<'_>) -> Result<Option<Compaction<'_>>> {
        self.commit()?;
        let mut made = Vec::new();
        match Copy::new(self, &mut made).and_then(|copy| copy.run(progress)) {
            Ok(Some(copied)) => Ok(Some(Compaction::new(self, copied, made))),
            not_copied => {
                for path in made {
                    // If it cannot be removed now, the next opening does it.
                    let _ = self.vfs.remove(&path);
                }
                self.poison_on_error(not_copied.map(|_| None))
            }
        }
    }

    /// Gives the catalog's unused pages back to the file system.
    ///
    /// # Errors
    /// Any error poisons the writer; what is stored is as it was.
    pub fn shrink_catalog(&mut self) -> Result<()> {
        self.commit()?;
        let result = self.catalog.vacuum();
        self.poison_on_error(result)
    }
}

/// What was copied.
struct Copied {
    head: Head,
    files: Vec<Appender>,
    views: Vec<Arc<CodeFile>>,
    voids: BTreeMap<usize, RoaringBitmap>,
    removed: RoaringBitmap,
}

/// The copying of the live codes.
struct Copy<'w> {
    writer: &'w Writer,
    head: Head,
    files: Vec<Appender>,
    voids: BTreeMap<usize, RoaringBitmap>,
    removed: RoaringBitmap,
    removed_tensors: RoaringBitmap,
}

impl<'w> Copy<'w> {
    /// Makes the new files.
    fn new(writer: &'w Writer, made: &mut Vec<PathBuf>) -> Result<Self> {
        let old = &writer.head;
        let items = match old.schema.contents {
            Contents::Models => Kind::Model,
            Contents::Codes => Kind::Raw,
        };
        let removed = writer.catalog.removed(items, old.indexable(), old.upkeep.removed)?;
        let removed_tensors =
            writer.catalog.removed(Kind::Tensor, old.tensors, old.upkeep.removed_tensors)?;
        let full = || Error::InvalidInput { what: "more than 2^32 compactions".to_owned() };
        let edition = old.upkeep.edition.checked_add(1).ok_or_else(full)?;
        let mut head = Head { generation: old.generation + 1, ..old.clone() };
        head.models -= if old.schema.contents == Contents::Models { old.upkeep.removed } else { 0 };
        head.tensors -= old.upkeep.removed_tensors;
        head.sources -= old.upkeep.removed_sources;
        head.upkeep = Upkeep { edition, ..Upkeep::default() };
        let mut files = Vec::with_capacity(head.tails.len());
        for number in 0..head.tails.len() {
            let path = writer.dir.join(head.file(number).name());
            made.push(path.clone());
            files.push(recover::create(&*writer.vfs, &path, &head.file_header(number))?);
        }
        Ok(Self { writer, head, files, voids: BTreeMap::new(), removed, removed_tensors })
    }

    /// Copies everything, and syncs it.
    fn run(mut self, progress: CopyProgress<'_>) -> Result<Option<Copied>> {
        let is_text =
            |number: &usize| matches!(self.head.file(*number).kind, Kind::LabelPlace | Kind::LabelText);
        let numbers: Vec<usize> = (0..self.files.len()).filter(|number| !is_text(number)).collect();
        let all: u64 = numbers.iter().map(|&number| u64::from(self.writer.head.tails[number].count)).sum();
        let mut done = 0;
        let mut go_on = |codes: u32| {
            done += u64::from(codes);
            progress(done, all)
        };
        for number in numbers {
            if !self.copy_codes(number, &mut go_on)? {
                return Ok(None);
            }
        }
        if self.head.schema.contents == Contents::Codes && !self.copy_labels(&mut go_on)? {
            return Ok(None);
        }
        let generation = self.head.generation;
        let mut views = Vec::with_capacity(self.files.len());
        for number in 0..self.files.len() {
            let tail = self.files[number].prepare(generation)?;
            self.head.tails[number] = tail;
            let path = self.writer.dir.join(self.head.file(number).name());
            let header = self.head.file_header(number);
            views.push(Arc::new(CodeFile::open(&*self.writer.vfs, &path, header, tail, true)?));
        }
        let Self { head, files, voids, removed, .. } = self;
        Ok(Some(Copied { head, files, views, voids, removed }))
    }

    fn copy_codes(&mut self, number: usize, go_on: &mut dyn FnMut(u32) -> bool) -> Result<bool> {
        let kind = self.head.file(number).kind;
        let removed = if kind == Kind::Tensor { &self.removed_tensors } else { &self.removed };
        let source = self.writer.committed_file(number)?;
        let end = source.tail.count;
        let old_voids = self.writer.catalog.id_set(IdSet::Voids(number), end)?;
        let (file, generation) = (&mut self.files[number], self.head.generation);
        let mut voids = RoaringBitmap::new();
        for block in 0..end.div_ceil(CODES_PER_BLOCK) {
            source.check_block(block)?;
            let bytes = source.block_codes(block);
            let codes = bytes.chunks_exact(source.geometry().code_bytes);
            let count = u32::try_from(codes.len()).unwrap_or(CODES_PER_BLOCK);
            for (id, code) in (block * CODES_PER_BLOCK..).zip(codes) {
                if removed.contains(id) {
                    continue;
                }
                if old_voids.contains(id) {
                    voids.insert(file.push(None, generation)?);
                } else {
                    file.push(Some(code), generation)?;
                }
            }
            if !go_on(count) {
                return Ok(false);
            }
        }
        if !voids.is_empty() {
            self.voids.insert(number, voids);
        }
        Ok(true)
    }

    fn copy_labels(&mut self, go_on: &mut dyn FnMut(u32) -> bool) -> Result<bool> {
        let source = self.writer.committed_labels()?;
        let generation = self.head.generation;
        let numbers = [Kind::LabelPlace, Kind::LabelText].map(|kind| file_number(0, kind));
        let [places, pieces] = self
            .files
            .get_disjoint_mut(numbers)
            .map_err(|e| Error::InvalidInput { what: format!("labels here: {e}") })?;
        let (mut text, mut new_id) = (TextAppender::default(), 0u32);
        for id in 0..self.writer.head.indexable() {
            if id.is_multiple_of(CODES_PER_BLOCK) && !go_on(0) {
                return Ok(false);
            }
            if self.removed.contains(id) {
                continue;
            }
            if let Some(label) = source.get(id)? {
                labels::append(places, pieces, &mut text, (new_id, &label), generation)?;
            }
            new_id += 1;
        }
        labels::finish(pieces, &mut text, generation)?;
        Ok(true)
    }
}

impl<'w> Compaction<'w> {
    fn new(writer: &'w mut Writer, copied: Copied, made: Vec<PathBuf>) -> Self {
        let Copied { head, files, views, voids, removed } = copied;
        // Below the first removed id nothing moves: segments there stay as they are.
        let first = removed.min().unwrap_or(u32::MAX);
        let segments = writer.segments.iter().filter(|row| row.end_id <= first).copied().collect();
        Self { writer, head, files, views, voids, removed, segments, made }
    }

    /// The models' codes in a view, under the new ids.
    ///
    /// # Errors
    /// [`Error::UnknownView`], [`Error::WidthMismatch`], [`Error::OtherContents`].
    pub fn codes<const W: usize>(&self, view: &str) -> Result<CodeView<W>> {
        self.writer.check_contents(Contents::Models)?;
        let view = self.head.schema.view_number(view)?;
        CodeView::new(&self.views[file_number(view, Kind::Model)])
    }

    /// The raw codes, under the new ids.
    ///
    /// # Errors
    /// [`Error::WidthMismatch`], [`Error::OtherContents`].
    pub fn raw_codes<const W: usize>(&self) -> Result<CodeView<W>> {
        self.writer.check_contents(Contents::Codes)?;
        CodeView::new(&self.views[file_number(0, Kind::Raw)])
    }

    /// The ids that the view's index segments cover so far: those of before that lie below the first removed id, and those
    /// added.
    ///
    /// # Errors
    /// [`Error::UnknownView`].
    pub fn segments(&self, view: &str) -> Result<Vec<Range<u32>>> {
        let number = self.head.schema.view_number(view)?;
        let of_view = self.segments.iter().filter(|row| row.view as usize == number);
        Ok(of_view.map(|row| row.first_id..row.end_id).collect())
    }

    /// Adds an index segment over new ids, as [`Writer::add_segment_with`] does. Those there that it overlaps are dropped.
    ///
    /// # Errors
    /// [`Error::UnknownView`] and [`Error::InvalidInput`]; any other error poisons the writer.
    pub fn add_segment_with(
        &mut self,
        view: &str,
        ids: Range<u32>,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        let number = u32::try_from(self.head.schema.view_number(view)?).unwrap_or(u32::MAX);
        let full = || Error::InvalidInput { what: "more than 2^32 segments".to_owned() };
        let id = self.head.segments_made;
        let next_id = id.checked_add(1).ok_or_else(full)?;
        if ids.is_empty() || ids.end > self.head.indexable() {
            let what = format!("segment over ids {ids:?}: there are {} codes", self.head.indexable());
            return Err(Error::InvalidInput { what });
        }
        let row =
            SegmentRow { id, view: number, first_id: ids.start, end_id: ids.end, len_bytes: 0, crc32: 0 };
        let path = segment::path(&self.writer.dir, view, &row);
        self.made.push(path.clone());
        let written = segment::write(&*self.writer.vfs, &path, row, write);
        let row = self.writer.poison_on_error(written)?;
        self.head.segments_made = next_id;
        self.segments.retain(|old| old.view != number || old.end_id <= ids.start || ids.end <= old.first_id);
        self.segments.push(row);
        self.segments.sort_unstable_by_key(|row| (row.view, row.first_id));
        Ok(())
    }

    /// Publishes: when it returns, the database consists of the new files, durably, and readers see them from their next
    /// refresh on. The old files are removed; readers that have them open keep what they have.
    ///
    /// # Errors
    /// Any error poisons the writer; opening the database again shows whether it was published: wholly or not at all.
    pub fn publish(mut self) -> Result<()> {
        // From here on it may be published whatever is returned: nothing that was made may be removed.
        self.made.clear();
        let result = self.try_publish();
        self.writer.poison_on_error(result)
    }

    fn try_publish(&mut self) -> Result<()> {
        let writer = &mut *self.writer;
        writer.check_sound()?;
        writer.vfs.sync_dir(&writer.dir).map_err(|e| Error::io("sync", &writer.dir, e))?;
        writer.begin()?;
        for row in writer.segments.iter().filter(|row| !self.segments.contains(row)) {
            writer.catalog.delete_segment(row.id)?;
        }
        for row in self.segments.iter().filter(|row| !writer.segments.contains(row)) {
            writer.catalog.insert_segment(row)?;
        }
        writer.catalog.renumber(&writer.head, &self.removed)?;
        writer.catalog.clear_id_sets()?;
        for (&file, ids) in &self.voids {
            writer.catalog.add_ids(IdSet::Voids(file), ids)?;
        }
        writer.catalog.update_head(&self.head)?;
        writer.catalog.commit()?;
        writer.publisher.write(&*writer.vfs, &self.head);
        writer.in_transaction = false;

        for (file, &tail) in self.files.iter_mut().zip(&self.head.tails) {
            file.published(tail);
        }
        let names = (0..writer.files.len()).map(|number| writer.dir.join(writer.head.file(number).name()));
        let mut old: Vec<PathBuf> = names.collect();
        for row in writer.segments.iter().filter(|row| !self.segments.contains(row)) {
            let view = &writer.head.schema.views[row.view as usize].name;
            old.push(segment::path(&writer.dir, view, row));
        }
        writer.files = std::mem::take(&mut self.files);
        writer.segments = std::mem::take(&mut self.segments);
        writer.head = self.head.clone();
        for path in old {
            // What cannot be removed now, the next opening removes.
            let _ = writer.vfs.remove(&path);
        }
        Ok(())
    }
}

impl Drop for Compaction<'_> {
    fn drop(&mut self) {
        for path in &self.made {
            let _ = self.writer.vfs.remove(path);
        }
    }
}
