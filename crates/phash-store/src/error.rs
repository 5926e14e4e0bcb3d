//! Owns [`Error`]: everything that can go wrong in a database directory, each with the place (path, offset),
//! what was expected, what was found, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::room;
use crate::schema::Contents;

/// The result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory does not hold a database.
    #[error("{}: not a phashdb database ({what}); create one by ingesting into it", path.display())]
    NotADatabase {
        /// The directory, or the file in it that is not what it should be.
        path: PathBuf,
        /// What is missing or foreign.
        what: String,
    },
    /// `create` found a database, or files it must not overwrite.
    #[error("{}: will not create a database here: {what}", path.display())]
    AlreadyExists {
        /// The directory or the file in the way.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The file was written in a format version that this build does not know.
    #[error("{}: format version {found}, this build knows {supported}; use a build that knows it", path.display())]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version this build reads and writes.
        supported: u32,
    },
    /// The database is of an older version of the format, which this build reads but does not write.
    #[error("{}: format version {found}, to which nothing is added: phashdb migrate brings it to version {newest} in place (after phashdb backup, if older builds are to read it still)", path.display())]
    OlderVersion {
        /// The database directory.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that is written.
        newest: u32,
    },
    /// The database was made with another hash: codes of different parameters are never compared.
    #[error("{}: made with other hash parameters ({found}, not {expected}); codes of different parameters are never compared: use the build that made it, or ingest into a new database", path.display())]
    ParametersDiffer {
        /// The database directory.
        path: PathBuf,
        /// What the caller hashes with: fingerprint in hexadecimal, or the list of views.
        expected: String,
        /// What the database was made with.
        found: String,
    },
    /// The database holds raw codes where models are needed, or the other way round.
    #[error("{}: holds {found}, not {expected}; name a database of {expected} (--db), or use the commands for {found}", path.display())]
    OtherContents {
        /// The database directory.
        path: PathBuf,
        /// What is needed.
        expected: Contents,
        /// What it holds.
        found: Contents,
    },
    /// A database of raw codes has codes of another width.
    #[error("{}: holds codes of {found_bits} bits, not {expected_bits}; codes of different widths need databases of their own (--db)", path.display())]
    OtherWidth {
        /// The database directory.
        path: PathBuf,
        /// The width that is needed, in bits.
        expected_bits: u32,
        /// The width it has, in bits.
        found_bits: u32,
    },
    /// Another writer has the database open.
    #[error("{}: another process is writing to this database; wait until it is done (readers are not affected)", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Bytes on disk are not what was committed. Never repaired silently.
    #[error("{}: corrupted at byte {offset_bytes}: {what}: expected {expected}, got {got}; restore the file from a backup, or run verify for a full list", file.display())]
    Corrupted {
        /// The file.
        file: PathBuf,
        /// Where in the file, in bytes; 0 where the catalog's SQL is meant.
        offset_bytes: u64,
        /// Which item is wrong.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A file ends before the committed bytes do.
    #[error("{}: too short: {expected_bytes} bytes were committed, the file has {got_bytes}; restore it from a backup", file.display())]
    TooShort {
        /// The file.
        file: PathBuf,
        /// Length that was committed, in bytes.
        expected_bytes: u64,
        /// Length found, in bytes.
        got_bytes: u64,
    },
    /// An earlier write, sync or commit of this writer failed, so what is on disk is unknown to it.
    #[error("{}: an earlier write failed ({cause}); nothing more is written until the database is opened again", path.display())]
    Poisoned {
        /// The database directory.
        path: PathBuf,
        /// The first failure.
        cause: String,
    },
    /// The medium is full; what was committed before stays readable.
    #[error("{}: disk full while trying to {op}; nothing committed is lost: free some space and run again", path.display())]
    DiskFull {
        /// What was being done.
        op: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Nothing in a damaged database says what it holds.
    #[error("{}: nothing in it can be proven ({what}); restore it from a backup", path.display())]
    NothingToSalvage {
        /// The database directory.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The operating system refused a file operation.
    #[error("{}: cannot {op}: {source}", path.display())]
    Io {
        /// What was being done.
        op: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// SQLite refused an operation on the catalog.
    #[error("{}: cannot {op}: {source}", path.display())]
    Catalog {
        /// What was being done.
        op: &'static str,
        /// The catalog file.
        path: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// The caller asked for, or supplied, codes of another width than the view has.
    #[error("view {view}: codes have {expected_bytes} bytes, not {got_bytes}")]
    WidthMismatch {
        /// The view's name.
        view: String,
        /// The width in the schema, in bytes.
        expected_bytes: usize,
        /// The width asked for or supplied, in bytes.
        got_bytes: usize,
    },
    /// The schema has no such view.
    #[error("no view named {view:?}; this database has {known}")]
    UnknownView {
        /// The name asked for.
        view: String,
        /// The names there are.
        known: String,
    },
    /// Code ids are 32 bits wide and used up.
    #[error("{}: full: a code file holds at most {limit} codes; start another database", file.display())]
    TooManyCodes {
        /// The code file.
        file: PathBuf,
        /// The greatest number of codes.
        limit: u32,
    },
    /// The caller supplied something that cannot be stored.
    #[error("cannot store this: {what}")]
    InvalidInput {
        /// What is wrong with it.
        what: String,
    },
}

/// Whether an I/O error says that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl Error {
    /// Whether the medium is full: freeing space and running again helps.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }

    /// Whether committed bytes are damaged or missing: only a backup helps.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupted { .. } | Self::TooShort { .. })
    }

    /// An I/O error with its place; a full disk becomes [`Error::DiskFull`].
    pub(crate) fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            return Self::DiskFull { op, path: path.to_owned() };
        }
        Self::Io { op, path: path.to_owned(), source }
    }

    /// A SQLite error with its place; a full disk becomes [`Error::DiskFull`], a damaged catalog [`Error::Corrupted`].
    pub(crate) fn catalog(op: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqlInputError, Utf8Error,
        };
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase, SystemIoFailure};
        use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
        if matches!(
            source,
            FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | Utf8Error(..)
        ) {
            return Self::corrupted(path, 0, op, "a value of the column's kind", source);
        }
        // What is asked never changes: it is what the file says of its tables that did.
        if matches!(source, SqlInputError { .. }) {
            return Self::corrupted(path, 0, op, "the tables as they were made", source);
        }
        let extended = source.sqlite_error().map(|error| error.extended_code);
        match source.sqlite_error_code() {
            Some(DiskFull) => Self::DiskFull { op, path: path.to_owned() },
            Some(SystemIoFailure)
                if matches!(extended, Some(SQLITE_IOERR_WRITE | SQLITE_IOERR_SHMSIZE))
                    && room::is_lacking(path) =>
            {
                Self::DiskFull { op, path: path.to_owned() }
            }
            Some(DatabaseCorrupt) => Self::corrupted(path, 0, op, "a sound SQLite file", source),
            Some(NotADatabase) => Self::NotADatabase {
                path: path.to_owned(),
                what: "the catalog is not an SQLite file".to_owned(),
            },
            _ => Self::Catalog { op, path: path.to_owned(), source },
        }
    }

    /// Damage found at a place.
    pub(crate) fn corrupted(
        file: &Path,
        offset_bytes: u64,
        what: impl Into<String>,
        expected: impl ToString,
        got: impl ToString,
    ) -> Self {
        Self::Corrupted {
            file: file.to_owned(),
            offset_bytes,
            what: what.into(),
            expected: expected.to_string(),
            got: got.to_string(),
        }
    }
}
