//! Owns [`Slot`]: a column of a Parquet file being read, some rows at a time, and its values as cells.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescriptor;

use crate::exchange::columns::{Cell, ColumnKind};
use crate::exchange::header::shown;

/// What a decoder of the parquet crate says, or an error in place of a panic: it indexes with lengths that a page states (of
/// texts, for one) and which nothing can check but the decoding itself. What it held must not be used again.
pub(super) fn contained<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err(ParquetError::General("values that do not fit their page".to_owned()));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(panicked)
}

/// The physical types that a kind of column may have, for messages.
fn types(kind: ColumnKind) -> String {
    match kind {
        ColumnKind::Text => "BYTE_ARRAY".to_owned(),
        ColumnKind::Int => "INT64 or INT32".to_owned(),
        ColumnKind::Bool => "BOOLEAN".to_owned(),
        ColumnKind::Bytes(width) => format!("FIXED_LEN_BYTE_ARRAY({width}) or BYTE_ARRAY"),
    }
}

/// Whether a column can be read as one of a kind; if not, what is expected.
pub(super) fn check(
    descriptor: &ColumnDescriptor,
    kind: ColumnKind,
) -> std::result::Result<(), (String, String)> {
    let flat = descriptor.max_rep_level() == 0 && descriptor.max_def_level() <= 1;
    let fits = match (kind, descriptor.physical_type()) {
        (ColumnKind::Text | ColumnKind::Bytes(_), Type::BYTE_ARRAY)
        | (ColumnKind::Int, Type::INT32 | Type::INT64)
        | (ColumnKind::Bool, Type::BOOLEAN) => true,
        (ColumnKind::Bytes(width), Type::FIXED_LEN_BYTE_ARRAY) => {
            usize::try_from(descriptor.type_length()) == Ok(width)
        }
        _ => false,
    };
    if flat && fits {
        return Ok(());
    }
    let got = format!("{}({})", descriptor.physical_type(), descriptor.type_length());
    Err((format!("a flat column {} of type {}", descriptor.name(), types(kind)), got))
}

/// Whether a column holds text.
pub(super) fn is_text(descriptor: &ColumnDescriptor) -> bool {
    matches!(descriptor.logical_type_ref(), Some(LogicalType::String))
        || descriptor.converted_type() == ConvertedType::UTF8
}

/// Values that were read.
enum Values {
    Bools(Vec<bool>),
    Ints32(Vec<i32>),
    Ints(Vec<i64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

/// A column being read.
pub(super) struct Slot {
    reader: ColumnReader,
    kind: ColumnKind,
    optional: bool,
    text: bool,
    levels: Vec<i16>,
    values: Values,
    /// Rows and values handed out of those that were read.
    row: usize,
    value: usize,
}

impl Slot {
    /// A column that was found to fit its kind.
    pub(super) fn new(reader: ColumnReader, descriptor: &ColumnDescriptor, kind: ColumnKind) -> Self {
        let values = match descriptor.physical_type() {
            Type::BOOLEAN => Values::Bools(Vec::new()),
            Type::INT32 => Values::Ints32(Vec::new()),
            Type::INT64 => Values::Ints(Vec::new()),
            Type::FIXED_LEN_BYTE_ARRAY => Values::Fixed(Vec::new()),
            _ => Values::Bytes(Vec::new()),
        };
        let (optional, text) = (descriptor.max_def_level() > 0, is_text(descriptor));
        Self { reader, kind, optional, text, levels: Vec::new(), values, row: 0, value: 0 }
    }

    /// Reads `rows` rows, in place of those read before; how many there were, and whether there is a value for each that
    /// should have one.
    pub(super) fn read(&mut self, rows: usize) -> Result<(usize, bool)> {
        contained(|| self.read_values(rows))
    }

    fn read_values(&mut self, rows: usize) -> Result<(usize, bool)> {
        self.levels.clear();
        (self.row, self.value) = (0, 0);
        let levels = self.optional.then_some(&mut self.levels);
        macro_rules! read {
            ($reader:expr, $values:expr) => {{
                $values.clear();
                let (records, ..) = $reader.read_records(rows, levels, None, $values)?;
                (records, $values.len())
            }};
        }
        let (records, values) = match (&mut self.reader, &mut self.values) {
            (ColumnReader::BoolColumnReader(reader), Values::Bools(values)) => read!(reader, values),
            (ColumnReader::Int32ColumnReader(reader), Values::Ints32(values)) => read!(reader, values),
            (ColumnReader::Int64ColumnReader(reader), Values::Ints(values)) => read!(reader, values),
            (ColumnReader::ByteArrayColumnReader(reader), Values::Bytes(values)) => read!(reader, values),
            (ColumnReader::FixedLenByteArrayColumnReader(reader), Values::Fixed(values)) => {
                read!(reader, values)
            }
            _ => (0, 0),
        };
        let expected = match self.optional {
            true => self.levels.iter().filter(|&&level| level > 0).count(),
            false => records,
        };
        let levels = if self.optional { self.levels.len() } else { records };
        Ok((records, levels == records && values == expected))
    }

    /// The next cell of those read. An error is what is expected, and what is there.
    pub(super) fn cell(&mut self) -> std::result::Result<Cell, (String, String)> {
        let present = !self.optional || self.levels.get(self.row).is_some_and(|&level| level > 0);
        self.row += 1;
        if !present {
            return Ok(Cell::Null);
        }
        let at = self.value;
        self.value += 1;
        let cell = match &self.values {
            Values::Bools(values) => values.get(at).map(|&yes| Ok(Cell::Bool(yes))),
            Values::Ints32(values) => values.get(at).map(|&number| Ok(Cell::Int(number.into()))),
            Values::Ints(values) => values.get(at).map(|&number| Ok(Cell::Int(number))),
            Values::Bytes(values) => values.get(at).map(|bytes| self.bytes(bytes.data())),
            Values::Fixed(values) => values.get(at).map(|bytes| self.bytes(bytes.data())),
        };
        cell.unwrap_or(Ok(Cell::Null))
    }

    fn bytes(&self, bytes: &[u8]) -> std::result::Result<Cell, (String, String)> {
        let ColumnKind::Bytes(width) = self.kind else {
            return match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Cell::Text(text.to_owned())),
                Err(error) => Err(("text in UTF-8".to_owned(), error.to_string())),
            };
        };
        if bytes.len() == width && !self.text {
            return Ok(Cell::Bytes(bytes.to_vec()));
        }
        let mut decoded = vec![0; width];
        if self.text && crate::raw::decode_hex(bytes, &mut decoded).is_ok() {
            return Ok(Cell::Bytes(decoded));
        }
        let unit =
            if self.text { format!("{} hexadecimal digits", width * 2) } else { format!("{width} bytes") };
        let got = if self.text {
            format!("{:?}", shown(&String::from_utf8_lossy(bytes)))
        } else {
            bytes.len().to_string()
        };
        Err((unit, got))
    }
}
