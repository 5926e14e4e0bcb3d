//! Owns [`import`]: what an export holds into a database. What must hold: whatever the file is, memory is bounded, every error
//! says where it is, and what is stored is what was told as committed.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use phash_store::{OpenOptions, Reader, Schema, Store};

use super::assemble::{Assembler, Item};
use super::columns::{Cell, Column};
use super::header::Header;
use super::intake::{Intake, TransferCounts, TransferEvent};
use super::jsonl;
use super::known::KnownCodes;
use super::record::StoredCodes;
use crate::error::{Error, Result};
use crate::raw::{CodePlace, Width};
use crate::walk::path_text;

/// What a Parquet file begins with.
const PARQUET_MAGIC: &[u8; 4] = b"PAR1";

/// A file that [`export`](fn@crate::export) wrote, or another program in its format; opened.
pub struct ExchangeInput {
    name: String,
    begin: Vec<u8>,
    rest: Rest,
}

enum Rest {
    File(File),
    Stream(Box<dyn Read + Send>),
}

impl std::fmt::Debug for ExchangeInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExchangeInput")
            .field("name", &self.name)
            .field("parquet", &self.is_parquet())
            .finish()
    }
}

impl ExchangeInput {
    /// Opens a file. Its format is told by its first bytes.
    ///
    /// # Errors
    /// [`Error::CodeFile`] if it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path_text(path);
        let open = || -> io::Result<Self> {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if !metadata.is_file() {
                return Self::of_stream(&name, Box::new(file));
            }
            let mut begin = Vec::new();
            (&file).take(4).read_to_end(&mut begin)?;
            Ok(Self { name: name.clone(), begin, rest: Rest::File(file) })
        };
        open().map_err(|source| Error::CodeFile { name: name.clone(), source })
    }

    /// Bytes that can be read once, such as standard input. Parquet is kept in a temporary file.
    ///
    /// # Errors
    /// [`Error::CodeFile`] if it cannot be read.
    pub fn stream(name: &str, reader: Box<dyn Read + Send>) -> Result<Self> {
        Self::of_stream(name, reader).map_err(|source| Error::CodeFile { name: name.to_owned(), source })
    }

    fn of_stream(name: &str, mut reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut begin = Vec::new();
        (&mut reader).take(4).read_to_end(&mut begin)?;
        Ok(Self { name: name.to_owned(), begin, rest: Rest::Stream(reader) })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn is_parquet(&self) -> bool {
        self.begin == PARQUET_MAGIC
    }

    /// Its length in bytes, if progress can be told by bytes.
    pub fn len_bytes(&self) -> Option<u64> {
        match &self.rest {
            Rest::File(file) if !self.is_parquet() => file.metadata().ok().map(|metadata| metadata.len()),
            _ => None,
        }
    }

    /// Reads the header.
    fn rows<'r>(self, width: Option<Width>, read: &'r dyn Fn(u64)) -> Result<(Rows<'r>, Header, Schema)> {
        let Self { name, begin, rest } = self;
        if begin == PARQUET_MAGIC {
            return open_parquet(&name, rest, &begin, width);
        }
        let rest: Box<dyn Read> = match rest {
            Rest::File(file) => Box::new(file),
            Rest::Stream(stream) => stream,
        };
        let reader: Box<dyn Read + 'r> =
            Box::new(Counted { reader: io::Cursor::new(begin).chain(rest), read });
        let (rows, header, schema) = jsonl::Rows::open(&name, reader)?;
        Ok((Rows::Jsonl(rows), header, schema))
    }
}

#[cfg(feature = "parquet")]
fn open_parquet<'r>(
    name: &str,
    rest: Rest,
    begin: &[u8],
    width: Option<Width>,
) -> Result<(Rows<'r>, Header, Schema)> {
    let file = match rest {
        Rest::File(file) => file,
        Rest::Stream(stream) => {
            let spool = || -> io::Result<File> {
                let mut file = tempfile::tempfile()?;
                io::copy(&mut begin.chain(stream), &mut file)?;
                Ok(file)
            };
            spool().map_err(|source| Error::Spool { name: name.to_owned(), source })?
        }
    };
    let chunks = super::parquet::Chunks::of_file(file);
    let chunks = chunks.map_err(|source| Error::CodeFile { name: name.to_owned(), source })?;
    let (rows, header, schema) = super::parquet::Rows::open(name, chunks, width)?;
    Ok((Rows::Parquet(Box::new(rows)), header, schema))
}

#[cfg(not(feature = "parquet"))]
fn open_parquet<'r>(name: &str, _: Rest, _: &[u8], _: Option<Width>) -> Result<(Rows<'r>, Header, Schema)> {
    let source = io::Error::new(io::ErrorKind::Unsupported, super::NO_PARQUET);
    Err(Error::CodeFile { name: name.to_owned(), source })
}

/// Tells how much was read.
struct Counted<'r, R> {
    reader: R,
    read: &'r dyn Fn(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(out)?;
        (self.read)(read as u64);
        Ok(read)
    }
}

/// The rows of a file.
pub(super) enum Rows<'r> {
    Jsonl(jsonl::Rows<Box<dyn Read + 'r>>),
    #[cfg(feature = "parquet")]
    Parquet(Box<super::parquet::Rows>),
}

impl Rows<'_> {
    fn next(&mut self, columns: &[Column], cells: &mut [Cell]) -> Result<bool> {
        match self {
            Self::Jsonl(rows) => rows.next(columns, cells),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.next(columns, cells),
        }
    }

    fn place(&self) -> CodePlace {
        match self {
            Self::Jsonl(rows) => rows.place(),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.place(),
        }
    }

    /// Hands all items to `each`, in order, and checks that none is missing.
    pub(super) fn for_each(
        mut self,
        name: &str,
        header: &Header,
        schema: &Schema,
        each: &mut dyn FnMut(Item) -> Result<()>,
    ) -> Result<()> {
        let mut assembler = Assembler::new(name, schema);
        let columns = assembler.columns().to_vec();
        let mut cells = vec![Cell::Null; columns.len()];
        let mut items = 0;
        while self.next(&columns, &mut cells)? {
            let place = self.place();
            if let Some(item) = assembler.row(&mut cells, place)? {
                items += 1;
                each(item).map_err(|error| at_place(error, name, place))?;
            }
        }
        assembler.finish()?;
        match header.items {
            Some(expected) if expected != items => Err(Error::CodeInput {
                name: name.to_owned(),
                place: CodePlace::Whole,
                expected: format!("{expected} models or raw codes, as the header says"),
                got: format!("{items}: the file is cut off, or was changed"),
            }),
            _ => Ok(()),
        }
    }
}

/// An error of the store about what a row holds, with the row.
fn at_place(error: Error, name: &str, place: CodePlace) -> Error {
    match error {
        Error::Store(
            error @ (phash_store::Error::InvalidInput { .. } | phash_store::Error::WidthMismatch { .. }),
        ) => {
            let expected = "something that can be stored".to_owned();
            Error::CodeInput { name: name.to_owned(), place, expected, got: error.to_string() }
        }
        error => error,
    }
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What became of the models or raw codes.
    pub counts: TransferCounts,
    /// Whether the cancel flag ended it early; what was told until then is stored.
    pub cancelled: bool,
}

/// Puts what an export holds into the database at `dir`, which is created if there is none. Duplicates are recognised as in
/// [`merge`](fn@crate::merge); so doing it again adds nothing, and completes what was interrupted. `read` is told of bytes as they are read.
///
/// Time linear in the file; memory that of a model (at most 512 MiB) or some MiB, for Parquet at most 256 MiB of pages, and 20 to
/// 60 bytes for each raw code that the database has already.
///
/// # Errors
/// [`Error::CodeInput`] for what is no sound export, with line or row, [`Error::CodeFile`] if it cannot be read, and
/// [`Error::Store`], among others because the database holds something else: what was told as committed is stored, nothing else.
pub fn import(
    dir: &Path,
    input: ExchangeInput,
    cancel: &AtomicBool,
    read: &dyn Fn(u64),
    events: &mut dyn FnMut(TransferEvent<'_>),
) -> Result<Imported> {
    let existing = Store::exists(dir).then(|| Reader::open(dir, OpenOptions::default())).transpose()?;
    let words = existing.as_ref().and_then(|reader| reader.schema().views.first().map(|view| view.words));
    let name = input.name().to_owned();
    let (rows, header, schema) = input.rows(words.and_then(Width::from_words), read)?;
    // Opened by its own schema, so that an error tells what it holds.
    let mut intake = Intake::open(dir, &schema, cancel, events)?;
    let mut known = KnownCodes::default();
    if let Some(reader) = existing.filter(|_| schema.contents == phash_store::Contents::Codes) {
        known = KnownCodes::of(&StoredCodes::open(&reader)?)?;
    }
    let mut from_id = 0;
    let run = rows.for_each(&name, &header, &schema, &mut |item| {
        match item {
            Item::Model(model) => intake.model(from_id, &model)?,
            Item::Code { code, label } => {
                let known = known.take(&code, label.as_deref());
                intake.code(from_id, &code, label.as_deref(), known)?;
            }
        }
        from_id = from_id.saturating_add(1);
        Ok(())
    });
    let mut cancelled = match run {
        Ok(()) => false,
        Err(Error::Cancelled) => true,
        Err(error) => return Err(error),
    };
    let counts = intake.next_input()?;
    if !cancelled {
        match intake.index() {
            Err(Error::Cancelled) => cancelled = true,
            indexed => indexed?,
        }
    }
    Ok(Imported { counts, cancelled })
}
