//! Owns [`Rows`]: the rows of a Parquet file, a batch of each column at a time.

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use phash_store::Schema;

use super::HEADER_KEY;
use super::chunks::Chunks;
use super::footer;
use super::guard::{self, GroupBytes, Refused};
use super::slot::{self, Slot};
use crate::error::{Error, Result};
use crate::exchange::columns::{Cell, Column, ColumnKind};
use crate::exchange::header::Header;
use crate::raw::{CodePlace, Width};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 1024;

/// Reads rows.
pub(crate) struct Rows {
    name: String,
    chunks: Chunks,
    reader: SerializedFileReader<Chunks>,
    /// The columns that are read: number in the file, if it is there.
    places: Vec<Option<usize>>,
    slots: Vec<Option<Slot>>,
    next_group: usize,
    rows_in_group: u64,
    rows_in_batch: usize,
    /// Rows handed out.
    row: u64,
}

impl Rows {
    /// Reads footer and header. A file without a header is one of raw codes if it has a column `code`, of the width `width` or
    /// else of what the column says.
    pub(crate) fn open(name: &str, chunks: Chunks, width: Option<Width>) -> Result<(Self, Header, Schema)> {
        let wrong = |(expected, got): (String, String)| Error::CodeInput {
            name: name.to_owned(),
            place: CodePlace::Whole,
            expected,
            got,
        };
        footer::check(&chunks).map_err(|refused| refused_error(name, CodePlace::Whole, refused))?;
        let reader = SerializedFileReader::new(chunks.clone())
            .map_err(|error| decoding(name, CodePlace::Whole, &error))?;
        let mut this = Self {
            name: name.to_owned(),
            chunks,
            reader,
            places: Vec::new(),
            slots: Vec::new(),
            next_group: 0,
            rows_in_group: 0,
            rows_in_batch: 0,
            row: 0,
        };
        let metadata = this.reader.metadata().file_metadata().key_value_metadata();
        let json =
            metadata.and_then(|pairs| pairs.iter().find(|pair| pair.key == HEADER_KEY)?.value.as_deref());
        let (header, schema) = match json {
            Some(json) => Header::parse(json.as_bytes()).map_err(wrong)?,
            None => {
                let schema = Schema::codes(this.width(width)?.words());
                (Header::new(&schema, None), schema)
            }
        };
        Ok((this, header, schema))
    }

    fn descriptor(&self, number: usize) -> parquet::schema::types::ColumnDescPtr {
        self.reader.metadata().file_metadata().schema_descr().column(number)
    }

    /// The number of a column of the highest level.
    fn place_of(&self, name: &str) -> Option<usize> {
        let columns = self.reader.metadata().file_metadata().schema_descr().columns();
        columns.iter().position(|column| matches!(column.path().parts(), [only] if only == name))
    }

    /// The width of the codes of a file without a header.
    fn width(&mut self, known: Option<Width>) -> Result<Width> {
        let Some(number) = self.place_of("code") else {
            let expected = format!("metadata with the key {HEADER_KEY:?}, or a column \"code\" of raw codes");
            return Err(self.wrong(expected, "neither"));
        };
        let descriptor = self.descriptor(number);
        let of_column = usize::try_from(descriptor.type_length()).ok();
        let of_bytes = |bytes: usize| Width::ALL.into_iter().find(|width| width.bytes() == bytes);
        if let Some(width) = known.or_else(|| of_column.and_then(of_bytes)) {
            return Ok(width);
        }
        // The first one tells.
        let first = self.first_len_bytes(number, &descriptor)?;
        let digits = if slot::is_text(&descriptor) { 2 } else { 1 };
        match of_bytes(first / digits).filter(|_| first.is_multiple_of(digits)) {
            Some(width) => Ok(width),
            None => Err(self
                .wrong("codes of 8, 16, 32 or 64 bytes, or as many hexadecimal digits", format!("{first}"))),
        }
    }

    /// The length of the first value of a column.
    fn first_len_bytes(&self, number: usize, descriptor: &ColumnDescriptor) -> Result<usize> {
        use parquet::column::reader::ColumnReader;
        slot::check(descriptor, ColumnKind::Text).map_err(|(expected, got)| self.wrong(expected, got))?;
        for group in 0..self.reader.num_row_groups() {
            let metadata = self.reader.metadata().row_group(group);
            let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
            guard::check(&self.chunks, metadata.column(number), rows, &mut GroupBytes::default())
                .map_err(|refused| self.refused(refused))?;
            let failed = |error| decoding(&self.name, CodePlace::Whole, &error);
            let reader = self.reader.get_row_group(group).map_err(failed)?;
            let ColumnReader::ByteArrayColumnReader(mut column) =
                reader.get_column_reader(number).map_err(failed)?
            else {
                break;
            };
            let mut values = Vec::new();
            let mut levels = Vec::new();
            let optional = descriptor.max_def_level() > 0;
            slot::contained(|| column.read_records(1, optional.then_some(&mut levels), None, &mut values))
                .map_err(failed)?;
            if let Some(first) = values.first() {
                return Ok(first.data().len());
            }
        }
        Err(self.wrong("a code in the first row", "none"))
    }

    fn wrong(&self, expected: impl Into<String>, got: impl Into<String>) -> Error {
        let (name, place) = (self.name.clone(), self.place());
        Error::CodeInput { name, place, expected: expected.into(), got: got.into() }
    }

    fn refused(&self, refused: Refused) -> Error {
        refused_error(&self.name, self.place(), refused)
    }

    /// Where the last row is.
    pub(crate) fn place(&self) -> CodePlace {
        if self.row == 0 { CodePlace::Whole } else { CodePlace::Row(self.row) }
    }

    /// The next row, put into `cells`; false at the end.
    pub(crate) fn next(&mut self, columns: &[Column], cells: &mut [Cell]) -> Result<bool> {
        if self.places.is_empty() {
            self.find(columns)?;
        }
        while self.rows_in_batch == 0 {
            if self.rows_in_group == 0 && !self.open_group(columns)? {
                return Ok(false);
            }
            self.read_batch()?;
        }
        self.rows_in_batch -= 1;
        self.row += 1;
        for (number, cell) in cells.iter_mut().enumerate() {
            let read = self.slots.get_mut(number).and_then(Option::as_mut).map_or(Ok(Cell::Null), Slot::cell);
            *cell = read.map_err(|(expected, got)| {
                self.wrong(format!("{expected} in column {}", columns[number].name), got)
            })?;
        }
        Ok(true)
    }

    /// Finds the columns in the file; those that are not there are null.
    fn find(&mut self, columns: &[Column]) -> Result<()> {
        let mut places = Vec::with_capacity(columns.len());
        for column in columns {
            let place = self.place_of(&column.name);
            if let Some(number) = place {
                slot::check(&self.descriptor(number), column.kind)
                    .map_err(|(expected, got)| self.wrong(expected, got))?;
            }
            places.push(place);
        }
        self.places = places;
        Ok(())
    }

    /// Opens the next row group; false if there is none.
    fn open_group(&mut self, columns: &[Column]) -> Result<bool> {
        if self.next_group == self.reader.num_row_groups() {
            return Ok(false);
        }
        let metadata = self.reader.metadata().row_group(self.next_group);
        let Ok(rows) = u64::try_from(metadata.num_rows()) else {
            return Err(self.wrong("row groups of 0 or more rows", metadata.num_rows().to_string()));
        };
        let mut bytes = GroupBytes::default();
        for &number in self.places.iter().flatten() {
            guard::check(&self.chunks, metadata.column(number), rows, &mut bytes)
                .map_err(|refused| self.refused(refused))?;
        }
        let failed = |error| decoding(&self.name, self.place(), &error);
        let reader = self.reader.get_row_group(self.next_group).map_err(failed)?;
        let mut slots = Vec::with_capacity(columns.len());
        for (column, place) in columns.iter().zip(&self.places) {
            slots.push(match place {
                None => None,
                Some(number) => {
                    let reader = reader.get_column_reader(*number).map_err(failed)?;
                    Some(Slot::new(reader, &self.descriptor(*number), column.kind))
                }
            });
        }
        drop(reader);
        self.slots = slots;
        self.rows_in_group = rows;
        self.next_group += 1;
        Ok(true)
    }

    /// Decodes the next rows of the row group.
    fn read_batch(&mut self) -> Result<()> {
        let rows = usize::try_from(self.rows_in_group).unwrap_or(BATCH_ROWS).min(BATCH_ROWS);
        let place = self.place();
        for slot in self.slots.iter_mut().flatten() {
            let (read, sound) = slot.read(rows).map_err(|error| decoding(&self.name, place, &error))?;
            if read != rows || !sound {
                let (name, expected) = (self.name.clone(), format!("{rows} more rows in each column"));
                return Err(Error::CodeInput { name, place, expected, got: read.to_string() });
            }
        }
        self.rows_in_group -= rows as u64;
        self.rows_in_batch = rows;
        Ok(())
    }
}

/// The error for what the guard refuses.
fn refused_error(name: &str, place: CodePlace, refused: Refused) -> Error {
    let name = name.to_owned();
    match refused {
        Refused::Io(source) => Error::CodeFile { name, source },
        Refused::Wrong(expected, got) => Error::CodeInput { name, place, expected, got },
    }
}

/// The error for what the parquet crate says.
fn decoding(name: &str, place: CodePlace, error: &parquet::errors::ParquetError) -> Error {
    let (name, expected) = (name.to_owned(), "a sound Parquet file".to_owned());
    Error::CodeInput { name, place, expected, got: error.to_string() }
}
