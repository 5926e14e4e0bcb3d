//! Owns [`Output`]: where results go. Machine-readable formats print records as they come; the table format prints the
//! text that the command draws. Only results come here; messages go to standard error by way of [`crate::message`].

mod csv;
mod escape;
mod json;
pub(crate) mod number;
mod record;
pub(crate) mod table;

use std::io::{self, Write};

pub(crate) use escape::{visible, visible_path};
pub(crate) use record::{Record, Value};
use table::Style;

use crate::args::FormatArg;

/// What a printer of records does.
trait Printer {
    /// Declares the columns of all records that will follow, for formats that have columns.
    fn columns(&mut self, _columns: &[&str]) {}

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()>;

    /// Closes the document.
    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Quiet,
    Table,
    Json,
    Jsonl,
    Csv,
    /// Written by export alone, and not by way of records.
    Parquet,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Table => Format::Table,
            FormatArg::Json => Format::Json,
            FormatArg::Jsonl => Format::Jsonl,
            FormatArg::Csv => Format::Csv,
            FormatArg::Parquet => Format::Parquet,
        }
    }
}

/// Standard output in the chosen format.
pub(crate) struct Output {
    out: Box<dyn Write>,
    printer: Option<Box<dyn Printer>>,
    format: Format,
    style: Style,
    /// Whether there is a document that is not closed yet.
    open: bool,
}

impl Output {
    pub(crate) fn new(format: Format, style: Style, out: Box<dyn Write>) -> Self {
        let printer: Option<Box<dyn Printer>> = match format {
            Format::Quiet | Format::Table | Format::Parquet => None,
            Format::Json => Some(Box::<json::Array>::default()),
            Format::Jsonl => Some(Box::new(json::Lines)),
            Format::Csv => Some(Box::<csv::Csv>::default()),
        };
        Self { out, printer, format, style, open: false }
    }

    /// Declares the columns of formats that have columns: needed where records of several types follow.
    pub(crate) fn columns(&mut self, columns: &[&str]) {
        if let Some(printer) = &mut self.printer {
            printer.columns(columns);
        }
    }

    /// Whether records should be flat rows: nested lists are no good in a spreadsheet.
    pub(crate) fn wants_rows(&self) -> bool {
        self.format == Format::Csv
    }

    /// Whether records are printed at all.
    pub(crate) fn wants_records(&self) -> bool {
        self.printer.is_some()
    }

    /// Prints a record, in the machine-readable formats.
    pub(crate) fn record(&mut self, record: impl FnOnce() -> Record) -> io::Result<()> {
        match &mut self.printer {
            Some(printer) => {
                self.open = true;
                printer.record(&record(), &mut self.out)
            }
            None => Ok(()),
        }
    }

    /// Prints text for people, in the table format.
    pub(crate) fn text(&mut self, draw: impl FnOnce(&Style) -> String) -> io::Result<()> {
        if self.format == Format::Table {
            self.out.write_all(draw(&self.style).as_bytes())?;
        }
        Ok(())
    }

    /// Prints text whatever the format (completion scripts).
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Makes what was printed visible now.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Closes the document and flushes.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.open = false;
        if let Some(printer) = &mut self.printer {
            printer.finish(&mut self.out)?;
        }
        self.out.flush()
    }
}

impl Drop for Output {
    /// A command that gives up in the middle leaves a whole document of what it has printed.
    fn drop(&mut self) {
        if self.open {
            let _ = self.finish();
        }
    }
}
