//! Owns the appending of raw codes with their labels: no row a code, ids dense in the order of appending. What must
//! hold: places are appended for all codes up to the last labelled one, and labels' text goes before its commit.

use super::Writer;
use crate::catalog::head::file_number;
use crate::error::{Error, Result};
use crate::files::append::Appender;
use crate::files::labels::{self, MAX_LABEL_BYTES, TextAppender};
use crate::schema::{Contents, Kind};

impl Writer {
    /// Appends a raw code and its label (an empty one is none); returns its id. O(1): nothing but memory is touched until
    /// 1 MiB is gathered.
    ///
    /// # Errors
    /// [`Error::OtherContents`], [`Error::WidthMismatch`], [`Error::TooManyCodes`] and [`Error::InvalidInput`] (a label
    /// of more than 65,535 bytes) leave the batch as it was; any other error poisons the writer.
    pub fn put_code(&mut self, code: &[u8], label: Option<&str>) -> Result<u32> {
        self.check_sound()?;
        self.check_contents(Contents::Codes)?;
        let spec = &self.head.schema.views[0];
        if code.len() != spec.code_bytes() {
            return Err(Error::WidthMismatch {
                view: spec.name.clone(),
                expected_bytes: spec.code_bytes(),
                got_bytes: code.len(),
            });
        }
        let label = label.unwrap_or_default();
        if label.len() > MAX_LABEL_BYTES {
            let what = format!("a label of {} bytes, at most {MAX_LABEL_BYTES}", label.len());
            return Err(Error::InvalidInput { what });
        }
        self.files[file_number(0, Kind::Raw)].check_room(1)?;
        self.files[file_number(0, Kind::LabelText)].check_room(self.text.pieces_for(label.len()))?;
        let result = self.try_put_code(code, label);
        self.poison_on_error(result)
    }

    fn try_put_code(&mut self, code: &[u8], label: &str) -> Result<u32> {
        self.begin()?;
        let generation = self.next_generation();
        let id = self.files[file_number(0, Kind::Raw)].push(Some(code), generation)?;
        self.pending.codes += 1;
        if !label.is_empty() {
            self.put_label(id, label)?;
        }
        Ok(id)
    }

    /// The appenders of places and text of labels.
    fn label_files(&mut self) -> Result<(&mut Appender, &mut Appender, &mut TextAppender)> {
        let numbers = [Kind::LabelPlace, Kind::LabelText].map(|kind| file_number(0, kind));
        let [places, pieces] = self
            .files
            .get_disjoint_mut(numbers)
            .map_err(|e| Error::InvalidInput { what: format!("labels here: {e}") })?;
        Ok((places, pieces, &mut self.text))
    }

    fn put_label(&mut self, id: u32, label: &str) -> Result<()> {
        let generation = self.next_generation();
        let (places, pieces, text) = self.label_files()?;
        labels::append(places, pieces, text, (id, label), generation)?;
        self.head.labels += 1;
        Ok(())
    }

    /// Appends what is left of the labels' text, for a commit.
    pub(super) fn finish_text(&mut self) -> Result<()> {
        if self.head.schema.contents == Contents::Codes {
            let generation = self.next_generation();
            let (_, pieces, text) = self.label_files()?;
            labels::finish(pieces, text, generation)?;
        }
        Ok(())
    }

    /// Ids given to raw codes, with those pending; 0 in a database of models.
    pub fn code_count(&self) -> u32 {
        match self.head.schema.contents {
            Contents::Models => 0,
            Contents::Codes => self.files[file_number(0, Kind::Raw)].count(),
        }
    }

    /// Refuses what a database of other contents cannot do.
    pub(super) fn check_contents(&self, expected: Contents) -> Result<()> {
        let found = self.head.schema.contents;
        if found == expected {
            return Ok(());
        }
        Err(Error::OtherContents { path: self.dir.clone(), expected, found })
    }
}
