//! JSON lines: the header, then one object a row with those columns that have a value; bytes as lowercase hexadecimal digits,
//! in order. What must hold: the same rows give the same bytes; a line is read in bounded memory, whatever it is.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};

use phash_store::Schema;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::columns::{Cell, Column, ColumnKind};
use super::header::{Header, shown};
use crate::error::{Error, Result};
use crate::raw::CodePlace;

/// The greatest length of a line in bytes: names and paths of 64 KiB, each byte escaped, fit.
pub(super) const MAX_LINE_BYTES: usize = 4 << 20;
/// Bytes read or written at once.
const BUFFER_BYTES: usize = 1 << 18;
/// Most fields of an object.
const MAX_FIELDS: usize = 1 << 10;

/// The line of a row, with its end.
pub(super) fn line(columns: &[Column], cells: &[Cell], line: &mut Vec<u8>) {
    line.clear();
    line.push(b'{');
    for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.is_null()) {
        if line.len() > 1 {
            line.push(b',');
        }
        push_text(line, &column.name);
        line.push(b':');
        match cell {
            Cell::Null => {}
            Cell::Int(number) => line.extend_from_slice(number.to_string().as_bytes()),
            Cell::Bool(yes) => line.extend_from_slice(yes.to_string().as_bytes()),
            Cell::Text(text) => push_text(line, text),
            Cell::Bytes(bytes) => push_hex(line, bytes),
        }
    }
    line.extend_from_slice(b"}\n");
}

fn push_text(line: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(line, text);
}

fn push_hex(line: &mut Vec<u8>, bytes: &[u8]) {
    line.push(b'"');
    for byte in bytes {
        line.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
    line.push(b'"');
}

/// Writes rows.
pub(super) struct Writer<W: Write> {
    out: io::BufWriter<W>,
    columns: Vec<Column>,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W, header: &Header, columns: Vec<Column>) -> io::Result<Self> {
        let mut out = io::BufWriter::with_capacity(BUFFER_BYTES, out);
        writeln!(out, "{}", header.to_json())?;
        Ok(Self { out, columns, line: Vec::new() })
    }

    pub(super) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        line(&self.columns, cells, &mut self.line);
        if self.line.len() > MAX_LINE_BYTES {
            let what = format!("a row takes {} bytes, a line has at most {MAX_LINE_BYTES}", self.line.len());
            return Err(io::Error::other(what));
        }
        self.out.write_all(&self.line)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads rows.
pub(super) struct Rows<R> {
    name: String,
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Rows<R> {
    /// Reads the header.
    pub(super) fn open(name: &str, reader: R) -> Result<(Self, Header, Schema)> {
        let reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        let mut this = Self { name: name.to_owned(), reader, line: Vec::new(), number: 0 };
        if !this.next_line()? {
            let expected = "an export: a header and rows";
            return Err(this.wrong(expected, "nothing: the file is empty"));
        }
        let parsed = Header::parse(this.line.trim_ascii());
        let (header, schema) = parsed.map_err(|(expected, got)| this.wrong(expected, got))?;
        Ok((this, header, schema))
    }

    fn wrong(&self, expected: impl Into<String>, got: impl Into<String>) -> Error {
        let (name, place) = (self.name.clone(), self.place());
        Error::CodeInput { name, place, expected: expected.into(), got: got.into() }
    }

    /// Where the last row is.
    pub(super) fn place(&self) -> CodePlace {
        if self.number == 0 { CodePlace::Whole } else { CodePlace::Line(self.number) }
    }

    /// Reads a line; false at the end.
    fn next_line(&mut self) -> Result<bool> {
        self.line.clear();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.line);
        let len = read.map_err(|source| Error::CodeFile { name: self.name.clone(), source })?;
        self.number += u64::from(len > 0);
        if len > MAX_LINE_BYTES {
            return Err(self.wrong(format!("lines of at most {MAX_LINE_BYTES} bytes"), "a longer one"));
        }
        Ok(len > 0)
    }

    /// The next row, put into `cells`; false at the end. Empty lines are skipped.
    pub(super) fn next(&mut self, columns: &[Column], cells: &mut [Cell]) -> Result<bool> {
        loop {
            if !self.next_line()? {
                return Ok(false);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        cells.fill(Cell::Null);
        let fields: Fields<'_> = serde_json::from_slice(&self.line).map_err(|error| {
            let text = error.to_string();
            // Its line is always the first.
            let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
            self.wrong(
                "a JSON object of strings, numbers, true, false and null",
                format!("{what} (column {})", error.column()),
            )
        })?;
        for (name, value) in fields.0 {
            let Some(column) = columns.iter().position(|column| column.name == name) else { continue };
            cells[column] = cell(columns[column].kind, value)
                .map_err(|(expected, got)| self.wrong(format!("{expected} in column {name}"), got))?;
        }
        Ok(true)
    }
}

/// A value as the cell that a column has.
fn cell(kind: ColumnKind, value: Value<'_>) -> Result<Cell, (String, String)> {
    Ok(match (kind, value) {
        (_, Value::Null) => Cell::Null,
        (ColumnKind::Int, Value::Int(number)) => Cell::Int(number),
        (ColumnKind::Bool, Value::Bool(yes)) => Cell::Bool(yes),
        (ColumnKind::Text, Value::Text(text)) => Cell::Text(text.into_owned()),
        (ColumnKind::Bytes(width), Value::Text(text)) => {
            let mut bytes = vec![0; width];
            if let Err(error) = crate::raw::decode_hex(text.as_bytes(), &mut bytes) {
                let expected = format!("{} hexadecimal digits", width * 2);
                return Err((expected, format!("{error}: {:?}", shown(&text))));
            }
            Cell::Bytes(bytes)
        }
        (kind, value) => {
            let expected = match kind {
                ColumnKind::Text => "text",
                ColumnKind::Int => "a whole number below 2^63",
                ColumnKind::Bool => "true or false",
                ColumnKind::Bytes(_) => "hexadecimal digits",
            };
            return Err((expected.to_owned(), value.to_string()));
        }
    })
}

/// A value of a field, as far as columns can have it.
enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(Cow<'a, str>),
    /// A list, an object, a number with a fraction or one that is too large.
    Other(&'static str),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(yes) => yes.fmt(f),
            Self::Int(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{:?}", shown(text)),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// The fields of an object, each once.
struct Fields<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error as _;
        let mut fields: Vec<(Cow<'de, str>, Value<'de>)> = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(A::Error::custom(format_args!("field {:?} is there twice", shown(&name))));
            }
            if fields.len() == MAX_FIELDS {
                return Err(A::Error::custom(format_args!("more than {MAX_FIELDS} fields")));
            }
            fields.push((name, value));
        }
        Ok(Fields(fields))
    }
}

/// A field's name, borrowed if it can be.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Text(text) => Ok(Self(text)),
            _ => Err(serde::de::Error::custom("a name that is no text")),
        }
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(i64::try_from(number).map_or(Value::Other("a number of 2^63 or more"), Value::Int))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other("a number with a fraction or an exponent"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other("an object"))
    }
}
