//! Reading files of raw codes: hexadecimal lines, JSON lines, CSV, binary. One file a format. What must hold: memory does
//! not grow with the file; every error names file and place, what was expected and what was found.

mod binary;
mod csv;
mod hex;
mod json;
mod lines;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};
use crate::raw::Width;
use crate::walk::path_text;

/// How codes are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFormat {
    /// A code a line in hexadecimal digits; what follows it after a blank is its label.
    Hex,
    /// A JSON object a line: `{"code": "hexadecimal", "label": "text"}`; other fields are ignored.
    Jsonl,
    /// Comma-separated values, with a header that names the columns or without one.
    Csv,
    /// The bytes of the codes, one after the other.
    Binary,
}

impl CodeFormat {
    /// The format that a file's name suggests: hexadecimal lines unless it ends otherwise.
    pub fn of_path(path: &Path) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" | "json" => Self::Jsonl,
            "csv" => Self::Csv,
            "bin" | "raw" | "codes" | "dat" => Self::Binary,
            _ => Self::Hex,
        }
    }
}

/// The names of the columns of a CSV file with a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The column of codes.
    pub code: String,
    /// The column of labels; it may be missing.
    pub label: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self { code: "code".to_owned(), label: "label".to_owned() }
    }
}

/// Where in a file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePlace {
    /// Nowhere in particular.
    Whole,
    /// A line, from 1.
    Line(u64),
    /// A byte, from 0.
    Byte(u64),
    /// A row of a table, from 1.
    Row(u64),
}

impl fmt::Display for CodePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Line(line) => write!(f, ":{line}"),
            Self::Byte(byte) => write!(f, ", byte {byte}"),
            Self::Row(row) => write!(f, ", row {row}"),
        }
    }
}

/// One code of a file.
#[derive(Clone, Copy, Debug)]
pub struct CodeEntry<'a> {
    /// The code's bytes.
    pub code: &'a [u8],
    /// Its label; never empty.
    pub label: Option<&'a str>,
    /// Where it is.
    pub place: CodePlace,
}

/// A file of codes, opened.
pub struct CodeInput {
    name: String,
    reader: Box<dyn Read + Send>,
    format: CodeFormat,
    len_bytes: Option<u64>,
}

impl fmt::Debug for CodeInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, format, len_bytes, .. } = self;
        f.debug_struct("CodeInput")
            .field("name", name)
            .field("format", format)
            .field("len", len_bytes)
            .finish()
    }
}

/// What takes the codes of a file.
type Each<'e> = dyn FnMut(&CodeEntry<'_>) -> Result<()> + 'e;

impl CodeInput {
    /// Opens a file; its format is what its name suggests, unless one is given.
    ///
    /// # Errors
    /// [`Error::CodeFile`] if it cannot be opened or is a directory.
    pub fn open(path: &Path, format: Option<CodeFormat>) -> Result<Self> {
        let name = path_text(path);
        let failed = |source| Error::CodeFile { name: path_text(path), source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        // Pipes and devices have no length.
        let len_bytes = metadata.is_file().then_some(metadata.len());
        let format = format.unwrap_or_else(|| CodeFormat::of_path(path));
        Ok(Self { name, reader: Box::new(file), format, len_bytes })
    }

    /// Bytes that can be read once, such as standard input.
    pub fn stream(name: &str, reader: Box<dyn Read + Send>, format: CodeFormat) -> Self {
        Self { name: name.to_owned(), reader, format, len_bytes: None }
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its length in bytes, if it has one.
    pub fn len_bytes(&self) -> Option<u64> {
        self.len_bytes
    }

    /// Reads all codes and hands them to `each` in order, until it fails. Returns how many there were. `read` is told of
    /// bytes as they are read. Memory: a record, which has at most 1 MiB, and a buffer.
    ///
    /// # Errors
    /// [`Error::CodeInput`] for what is no code of the width, and for a file without any; [`Error::CodeFile`] if reading
    /// fails; what `each` fails with.
    pub fn for_each(
        self,
        width: Width,
        columns: &Columns,
        read: &dyn Fn(u64),
        each: &mut Each<'_>,
    ) -> Result<u64> {
        let Self { name, reader, format, len_bytes } = self;
        let mut count = 0;
        let mut counted = |entry: &CodeEntry<'_>| {
            count += 1;
            each(entry)
        };
        let source = Source { name: &name, width, read };
        match format {
            CodeFormat::Hex => hex::read(reader, &source, &mut counted)?,
            CodeFormat::Jsonl => json::read(reader, &source, &mut counted)?,
            CodeFormat::Csv => csv::read(reader, &source, columns, &mut counted)?,
            CodeFormat::Binary => binary::read(reader, len_bytes, &source, &mut counted)?,
        }
        if count == 0 {
            return Err(source.wrong(CodePlace::Whole, "at least one code", "none: the file is empty"));
        }
        Ok(count)
    }
}

/// What the formats need to know of the file.
struct Source<'a> {
    name: &'a str,
    width: Width,
    read: &'a dyn Fn(u64),
}

impl Source<'_> {
    /// The error that something is not as expected.
    fn wrong(&self, place: CodePlace, expected: impl Into<String>, got: impl Into<String>) -> Error {
        Error::CodeInput { name: self.name.to_owned(), place, expected: expected.into(), got: got.into() }
    }

    /// The error that reading failed.
    fn failed(&self, source: io::Error) -> Error {
        Error::CodeFile { name: self.name.to_owned(), source }
    }

    /// Decodes a code.
    fn code<'o>(&self, text: &[u8], place: CodePlace, out: &'o mut [u8; 64]) -> Result<&'o [u8]> {
        let out = &mut out[..self.width.bytes()];
        match crate::raw::code::decode_hex(text, out) {
            Ok(()) => Ok(out),
            Err(error) => Err(self.wrong(place, self.digits(), describe(text, &error))),
        }
    }

    fn digits(&self) -> String {
        format!("{} hexadecimal digits ({} bits)", self.width.digits(), self.width.bits())
    }

    /// Decodes a label; an empty one is none.
    fn label<'t>(&self, bytes: &'t [u8], place: CodePlace) -> Result<Option<&'t str>> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| self.wrong(place, "a label in UTF-8", error.to_string()))?;
        if text.len() > MAX_LABEL_BYTES {
            let (expected, got) = (format!("a label of at most {MAX_LABEL_BYTES} bytes"), text.len());
            return Err(self.wrong(place, expected, format!("{got} bytes")));
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

/// The greatest length of a label, as the store has it.
const MAX_LABEL_BYTES: usize = 65_535;
/// Of what is no code, so many characters are shown.
const SHOWN_CHARS: usize = 40;

/// What was found where a code should be.
fn describe(text: &[u8], error: &phash_code::Error) -> String {
    let text = String::from_utf8_lossy(text);
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    match error {
        phash_code::Error::HexLength { got_chars, .. } => format!("{got_chars}: {shown:?}"),
        phash_code::Error::HexDigit { found, position } => {
            format!("{found:?} at position {position} of {shown:?}")
        }
        other => other.to_string(),
    }
}
