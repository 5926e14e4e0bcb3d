//! Owns the SQLite file: opening it with the right settings, transactions, and the translation of its errors. The
//! commit of its transaction is the publish point of the whole database. SQL is found in this folder and nowhere else.

mod copy;
pub(crate) mod damaged;
mod ddl;
pub(crate) mod head;
pub(crate) mod id_sets;
pub(crate) mod migrate;
pub(crate) mod pieces;
pub(crate) mod read;
pub(crate) mod remove;
mod renumber;
mod rowcheck;
pub(crate) mod rows;
pub(crate) mod upkeep;
pub(crate) mod verify;
pub(crate) mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, Result};
use crate::schema::Contents;
use crate::version::{FORMAT_VERSION, Version};

/// How long to wait for SQLite's own short locks.
const BUSY: Duration = Duration::from_secs(10);

/// Bytes of the header of SQLite's files.
const HEADER_BYTES: u64 = 100;

/// A connection to the catalog.
#[derive(Debug)]
pub(crate) struct Catalog {
    conn: Connection,
    path: PathBuf,
    version: Version,
}

impl Catalog {
    /// Creates the file with all tables and nothing in them; the caller fills them and commits.
    pub(crate) fn create(path: &Path, contents: Contents) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut this = Self::connect(path, path, flags, "create the catalog")?;
        this.version = Version::newest(contents);
        this.run(
            "create the catalog",
            "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
        )?;
        this.begin_write()?;
        this.run("create the catalog", ddl::TABLES)?;
        this.run("create the catalog", ddl::UPKEEP_TABLES)?;
        if this.version.has_codes_crc {
            this.run("create the catalog", ddl::CODES_CRC_COLUMNS)?;
        }
        let (id, version) = (ddl::APPLICATION_ID, this.version.number);
        this.run(
            "create the catalog",
            &format!("PRAGMA application_id = {id}; PRAGMA user_version = {version};"),
        )?;
        Ok(this)
    }

    /// Opens for writing.
    pub(crate) fn open_write(path: &Path) -> Result<Self> {
        let mut this = Self::connect(path, path, OpenFlags::SQLITE_OPEN_READ_WRITE, "open the catalog")?;
        this.check_version()?;
        // A commit returns when the log is on the medium. 64 MB of cache: digests land anywhere in their indexes.
        // References are looked at by `verify`: SQLite would go through all tensors for each model that is removed.
        this.run(
            "open the catalog",
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -65536;",
        )?;
        Ok(this)
    }

    /// Opens for reading and takes a snapshot that lasts as long as the connection. In a directory that cannot be
    /// written, SQLite cannot make its shared-memory file; then, and only if no log is there that would have to be
    /// read, the file is opened as immutable.
    pub(crate) fn open_read(path: &Path) -> Result<Self> {
        match Self::open_snapshot(path, path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
            Err(Error::Catalog { .. } | Error::Io { .. })
                if log_bytes(path) == 0 && dir_is_read_only(path) =>
            {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                Self::open_snapshot(path, Path::new(&immutable_uri(path)), flags)
            }
            other => other,
        }
    }

    fn open_snapshot(path: &Path, target: &Path, flags: OpenFlags) -> Result<Self> {
        let mut this = Self::connect(path, target, flags, "open the catalog")?;
        this.run("open the catalog", "PRAGMA cache_size = -16384; BEGIN")?;
        this.check_version()?;
        Ok(this)
    }

    fn connect(path: &Path, target: &Path, flags: OpenFlags, op: &'static str) -> Result<Self> {
        // SQLite takes an empty file, and one of a single byte, for a new one, and deletes the log beside it.
        let creates = flags.contains(OpenFlags::SQLITE_OPEN_CREATE);
        let len = std::fs::metadata(path).map_or(HEADER_BYTES, |meta| meta.len());
        if !creates && len < HEADER_BYTES {
            let what = format!("the catalog is shorter than SQLite's header: {len} of {HEADER_BYTES} bytes");
            return Err(Error::NotADatabase { path: path.to_owned(), what });
        }
        let conn = Connection::open_with_flags(target, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(|e| Error::catalog(op, path, e))?;
        let this = Self { conn, path: path.to_owned(), version: Version::newest(Contents::Models) };
        this.conn.busy_timeout(BUSY).map_err(|e| this.err(op, e))?;
        // The file may come from anywhere: its schema is data, not code.
        for (option, on) in [
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
            // Without this, statements are parsed again whenever a parameter changes: a third of the time of an ingest.
            (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
        ] {
            this.conn.set_db_config(option, on).map_err(|e| this.err(op, e))?;
        }
        this.conn.set_prepared_statement_cache_capacity(64);
        this.run(op, "PRAGMA cell_size_check = ON;")?;
        Ok(this)
    }

    /// Checks that this is a catalog, and takes from its version what the database holds.
    fn check_version(&mut self) -> Result<()> {
        let pragma = |name| self.conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let application = pragma("application_id").map_err(|e| self.err("read the catalog", e))?;
        if application != i64::from(ddl::APPLICATION_ID) {
            let what = format!("the catalog's application id is {application:#x}");
            return Err(Error::NotADatabase { path: self.path.clone(), what });
        }
        self.read_version()
    }

    /// Takes from the version what the database holds.
    fn read_version(&mut self) -> Result<()> {
        let pragma = |name| self.conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let version = pragma("user_version").map_err(|e| self.err("read the catalog", e))?;
        let Some(known) = Version::of(version) else {
            let found = u32::try_from(version).unwrap_or(0);
            return Err(Error::UnknownVersion { path: self.path.clone(), found, supported: FORMAT_VERSION });
        };
        self.version = known;
        Ok(())
    }

    /// The version of the format.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Gives pages that hold nothing back to the file system. Readers are neither disturbed nor waited for: while one
    /// has an older snapshot, file and log keep their lengths.
    pub(crate) fn vacuum(&self) -> Result<()> {
        let op = "shrink the catalog";
        self.run(op, "VACUUM;")?;
        self.conn.busy_timeout(Duration::ZERO).map_err(|e| self.err(op, e))?;
        let emptied = self.run(op, "PRAGMA wal_checkpoint(TRUNCATE);");
        self.conn.busy_timeout(BUSY).map_err(|e| self.err(op, e))?;
        emptied
    }

    /// Bytes in pages that hold nothing, of all bytes in the file.
    pub(crate) fn free_bytes(&self) -> Result<u64> {
        let pragma = |name| self.conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = pragma("freelist_count").map_err(|e| self.err("read the catalog", e))?;
        let page = pragma("page_size").map_err(|e| self.err("read the catalog", e))?;
        Ok(pages.max(0).cast_unsigned().saturating_mul(page.max(0).cast_unsigned()))
    }

    /// Starts a transaction that may write.
    pub(crate) fn begin_write(&self) -> Result<()> {
        self.run("begin a transaction in the catalog", "BEGIN IMMEDIATE")
    }

    /// Commits: the publish point.
    pub(crate) fn commit(&self) -> Result<()> {
        self.run("commit the catalog", "COMMIT")
    }

    /// Closes the connection; the last one to be closed empties the log into the file.
    pub(crate) fn close(self) -> Result<()> {
        // Closing does it, too, but says nothing if it fails, as on a full disk.
        let busy = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        if busy.map_err(|e| self.err("empty the log of the catalog", e))? {
            return Err(self.damaged("log", "nobody else to use it", "it is in use"));
        }
        let Self { conn, path, .. } = self;
        conn.close().map_err(|(_, e)| Error::catalog("close the catalog", &path, e))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn run(&self, op: &'static str, sql: &str) -> Result<()> {
        self.conn.execute_batch(sql).map_err(|e| self.err(op, e))
    }

    fn err(&self, op: &'static str, source: rusqlite::Error) -> Error {
        Error::catalog(op, &self.path, source)
    }

    /// A row is not what was written.
    fn damaged(&self, what: impl Into<String>, expected: impl ToString, got: impl ToString) -> Error {
        Error::corrupted(&self.path, 0, what, expected, got)
    }
}

/// Length in bytes of the log beside the catalog; 0 if there is none.
fn log_bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |meta| meta.len())
}

/// Whether no file can be made beside the catalog (SQLite would need to).
fn dir_is_read_only(path: &Path) -> bool {
    let mut shm = path.as_os_str().to_owned();
    shm.push("-shm");
    std::fs::File::options().write(true).create(true).truncate(false).open(shm).is_err()
}

fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            _ => uri += &format!("%{byte:02x}"),
        }
    }
    uri + "?immutable=1"
}
