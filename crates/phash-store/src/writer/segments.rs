//! Owns the writer's part in index segments: adding and dropping them with a commit.

use std::io::{self, Write};
use std::ops::Range;

use super::Writer;
use crate::catalog::rows::SegmentRow;
use crate::error::{Error, Result};
use crate::schema::Contents;
use crate::segment;

impl Writer {
    /// Adds an index segment over the code ids `ids` of a view. The file is durable when this returns; readers see it
    /// after the next commit.
    ///
    /// # Errors
    /// [`Error::UnknownView`], and [`Error::InvalidInput`] if the range is empty, goes beyond the models, or overlaps
    /// another segment of the view, leave the batch as it was; any other error poisons the writer.
    pub fn add_segment(&mut self, view: &str, ids: Range<u32>, bytes: &[u8]) -> Result<()> {
        self.add_segment_with(view, ids, &mut |file| file.write_all(bytes))
    }

    /// The same with a closure that writes the segment: it need never be in memory as a whole.
    ///
    /// # Errors
    /// As [`Writer::add_segment`]; an error of the closure comes back as [`Error::Io`].
    pub fn add_segment_with(
        &mut self,
        view: &str,
        ids: Range<u32>,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        self.check_sound()?;
        let number = self.view_number(view)?;
        let codes = match self.head.schema.contents {
            Contents::Models => self.head.models,
            Contents::Codes => self.code_count(),
        };
        if ids.is_empty() || ids.end > codes {
            let what = format!("segment over ids {ids:?}: there are {codes} codes");
            return Err(Error::InvalidInput { what });
        }
        let overlaps = |other: &&SegmentRow| {
            other.view == number && other.first_id < ids.end && ids.start < other.end_id
        };
        if let Some(other) = self.segments.iter().find(overlaps) {
            let what = format!("segment over ids {ids:?}: it overlaps {}..{}", other.first_id, other.end_id);
            return Err(Error::InvalidInput { what });
        }
        let id = self.head.segments_made;
        let row =
            SegmentRow { id, view: number, first_id: ids.start, end_id: ids.end, len_bytes: 0, crc32: 0 };
        let result = self.try_add(view, row, write);
        self.poison_on_error(result)
    }

    fn try_add(
        &mut self,
        view: &str,
        row: SegmentRow,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        let full = || Error::InvalidInput { what: "more than 2^32 segments".to_owned() };
        self.head.segments_made = row.id.checked_add(1).ok_or_else(full)?;
        let row = segment::write(&*self.vfs, &segment::path(&self.dir, view, &row), row, write)?;
        self.begin()?;
        self.catalog.insert_segment(&row)?;
        self.segments.push(row);
        self.segments.sort_unstable_by_key(|row| (row.view, row.first_id));
        self.pending.segments += 1;
        Ok(())
    }

    /// Drops the view's segments that lie within `ids`; `0..u32::MAX` is all. Their files are removed after the next
    /// commit. Returns how many.
    ///
    /// # Errors
    /// [`Error::UnknownView`]; any other error poisons the writer.
    pub fn drop_segments(&mut self, view: &str, ids: Range<u32>) -> Result<u32> {
        self.check_sound()?;
        let number = self.view_number(view)?;
        let dropped: Vec<SegmentRow> = self
            .segments
            .iter()
            .filter(|row| row.view == number && ids.start <= row.first_id && row.end_id <= ids.end)
            .copied()
            .collect();
        for row in &dropped {
            let result = self.begin().and_then(|()| self.catalog.delete_segment(row.id));
            self.poison_on_error(result)?;
            self.obsolete.push(segment::path(&self.dir, view, row));
            self.pending.changes += 1;
        }
        self.segments.retain(|row| !dropped.contains(row));
        Ok(u32::try_from(dropped.len()).unwrap_or(u32::MAX))
    }

    /// The id ranges of the view's segments, as they will be after the next commit, in order.
    ///
    /// # Errors
    /// [`Error::UnknownView`].
    pub fn segments(&self, view: &str) -> Result<Vec<Range<u32>>> {
        let number = self.view_number(view)?;
        Ok(self
            .segments
            .iter()
            .filter(|row| row.view == number)
            .map(|row| row.first_id..row.end_id)
            .collect())
    }

    fn view_number(&self, view: &str) -> Result<u32> {
        let number = self.head.schema.view_number(view)?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    }
}
