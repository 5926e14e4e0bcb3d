//! Owns [`export`]: all that is in a database as rows, in JSON lines or Parquet. What must hold: the same contents give the same
//! bytes, whatever was removed before them; a file of that name is replaced only when all is written.

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use phash_store::{OpenOptions, Reader};

use super::columns::{Cell, Column, columns};
use super::header::Header;
use super::jsonl;
use super::rows::for_each_row;
use crate::error::{Error, Result};
use crate::walk::path_text;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeFormat {
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet. Needs the feature `parquet`.
    Parquet,
}

impl ExchangeFormat {
    /// The format that a file's name suggests: JSON lines unless it ends in `.parquet`.
    pub fn of_path(path: &Path) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if ending.eq_ignore_ascii_case("parquet") { Self::Parquet } else { Self::Jsonl }
    }
}

/// What an export wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Models or raw codes.
    pub items: u64,
    /// Rows: of models, their sources and their tensors, or of raw codes.
    pub rows: u64,
}

/// Where rows go.
enum Sink<W: Write + Send> {
    Jsonl(jsonl::Writer<W>),
    #[cfg(feature = "parquet")]
    Parquet(Box<super::parquet::Writer<W>>),
}

impl<W: Write + Send> Sink<W> {
    fn new(out: W, format: ExchangeFormat, header: &Header, columns: Vec<Column>) -> io::Result<Self> {
        match format {
            ExchangeFormat::Jsonl => Ok(Self::Jsonl(jsonl::Writer::new(out, header, columns)?)),
            #[cfg(feature = "parquet")]
            ExchangeFormat::Parquet => {
                Ok(Self::Parquet(Box::new(super::parquet::Writer::new(out, header, columns)?)))
            }
            #[cfg(not(feature = "parquet"))]
            ExchangeFormat::Parquet => Err(io::Error::other(super::NO_PARQUET)),
        }
    }

    fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        match self {
            Self::Jsonl(writer) => writer.row(cells),
            #[cfg(feature = "parquet")]
            Self::Parquet(writer) => writer.row(cells),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Jsonl(writer) => writer.finish(),
            #[cfg(feature = "parquet")]
            Self::Parquet(writer) => writer.finish(),
        }
    }
}

/// Writes all that is in the database at `dir`, as of its last commit, to `out`, which messages call `name`. What was removed is
/// left out. `done` is told numbers of models or raw codes.
///
/// Time linear in the database; memory some MiB, or for Parquet that of a row group: about 100 MB.
///
/// # Errors
/// [`Error::Store`] if the database cannot be read or is damaged; [`Error::ExportFile`] if writing fails, among others because
/// this build has no Parquet; [`Error::Cancelled`].
pub fn export(
    dir: &Path,
    reading: OpenOptions,
    format: ExchangeFormat,
    name: &str,
    out: impl Write + Send,
    cancel: &AtomicBool,
    done: &dyn Fn(u64),
) -> Result<Exported> {
    let reader = Reader::open(dir, reading)?;
    let header = Header::new(reader.schema(), Some(reader.live_count().into()));
    let columns = columns(reader.schema());
    let count = columns.len();
    let failed = |source| Error::ExportFile { name: name.to_owned(), source };
    let mut sink = Sink::new(out, format, &header, columns).map_err(failed)?;
    let mut exported = Exported::default();
    let mut row = |cells: &[Cell]| {
        exported.rows += 1;
        sink.row(cells).map_err(failed)
    };
    let mut items = 0;
    for_each_row(&reader, count, &mut row, &mut |more| {
        items += more;
        done(more);
        if cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    })?;
    sink.finish().map_err(failed)?;
    Ok(Exported { items, ..exported })
}

/// The same to a file, which appears whole and durable, or not at all.
///
/// # Errors
/// As [`export`].
pub fn export_file(
    dir: &Path,
    reading: OpenOptions,
    format: ExchangeFormat,
    path: &Path,
    cancel: &AtomicBool,
    done: &dyn Fn(u64),
) -> Result<Exported> {
    let name = path_text(path);
    let failed = |source| Error::ExportFile { name: name.clone(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // As others would make it: readable by whom the process says.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.prefix(".phashdb-export-").tempfile_in(folder).map_err(failed)?;
    let exported = export(dir, reading, format, &name, file.as_file(), cancel, done)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(exported)
}
