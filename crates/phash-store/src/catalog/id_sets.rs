//! Owns the sets of ids: which ids of a code file have no code (void), and which items were removed. Stored as one
//! roaring bitmap (in its portable serialisation) for each 65,536 ids, so that a commit rewrites only those it changes.

use roaring::RoaringBitmap;
use rusqlite::params;

use super::Catalog;
use super::rowcheck::{Field, row_crc};
use crate::error::{Error, Result};
use crate::schema::Kind;

/// Ids a row stands for.
pub(super) const CHUNK_IDS: u32 = 1 << 16;
/// A bitmap of one chunk is at most a bitset of 8 KiB and a few header bytes; anything longer is not ours.
const MAX_CHUNK_BYTES: usize = 8192 + 64;

/// Which ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdSet {
    /// The void ids of the code file of this number.
    Voids(usize),
    /// The removed ones among the items of this kind.
    Removed(Kind),
}

impl IdSet {
    fn table(self) -> &'static str {
        match self {
            Self::Voids(_) => "voids",
            Self::Removed(_) => "removed",
        }
    }

    /// The column that says which set of the table it is.
    fn key_column(self) -> &'static str {
        match self {
            Self::Voids(_) => "file",
            Self::Removed(_) => "kind",
        }
    }

    fn key(self) -> i64 {
        match self {
            Self::Voids(file) => i64::try_from(file).unwrap_or(i64::MAX),
            Self::Removed(kind) => kind.number().into(),
        }
    }

    fn what(self) -> String {
        match self {
            Self::Voids(file) => format!("voids of code file {file}"),
            Self::Removed(kind) => format!("removed ids of kind {}", kind.number()),
        }
    }

    fn crc(self, chunk: u32, bytes: &[u8]) -> u32 {
        row_crc(self.table(), &[Field::Int(self.key()), Field::Int(chunk.into()), Field::Blob(bytes)])
    }
}

impl Catalog {
    /// The ids of a set, all of them below `end`. O(end / 65,536) rows.
    pub(crate) fn id_set(&self, set: IdSet, end: u32) -> Result<RoaringBitmap> {
        let mut all = RoaringBitmap::new();
        if matches!(set, IdSet::Removed(_)) && !self.version.has_upkeep {
            return Ok(all);
        }
        let (table, key) = (set.table(), set.key_column());
        let sql = format!("SELECT chunk, ids, crc FROM {table} WHERE {key} = ?1 ORDER BY chunk");
        let err = |e| self.err("read sets of ids from the catalog", e);
        let mut statement = self.conn.prepare_cached(&sql).map_err(err)?;
        let mut rows = statement.query([set.key()]).map_err(err)?;
        while let Some(row) = rows.next().map_err(err)? {
            let (chunk, bytes): (u32, Vec<u8>) = (row.get(0).map_err(err)?, row.get(1).map_err(err)?);
            all |= self.chunk(set, chunk, &bytes, row.get(2).map_err(err)?)?;
        }
        match all.max() {
            Some(id) if id >= end => Err(self.damaged(set.what(), format!("below {end}"), id)),
            _ => Ok(all),
        }
    }

    /// The removed ids of a kind, as many as the head says.
    pub(crate) fn removed(&self, kind: Kind, end: u32, count: u32) -> Result<RoaringBitmap> {
        let ids = self.id_set(IdSet::Removed(kind), end)?;
        if ids.len() == u64::from(count) {
            return Ok(ids);
        }
        Err(self.damaged(format!("number of removed ids of kind {}", kind.number()), count, ids.len()))
    }

    /// The ids of a set in one chunk; `None` if it has no row.
    pub(super) fn chunk_ids(&self, set: IdSet, chunk: u32) -> Result<Option<RoaringBitmap>> {
        let (table, key) = (set.table(), set.key_column());
        let sql = format!("SELECT ids, crc FROM {table} WHERE {key} = ?1 AND chunk = ?2");
        let row = self.conn.query_row(&sql, params![set.key(), chunk], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u32>(1)?))
        });
        match row {
            Ok((bytes, crc)) => self.chunk(set, chunk, &bytes, crc).map(Some),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(e) => Err(self.err("read sets of ids from the catalog", e)),
        }
    }

    fn chunk(&self, set: IdSet, chunk: u32, bytes: &[u8], crc: u32) -> Result<RoaringBitmap> {
        let what = || format!("{}, chunk {chunk}", set.what());
        if bytes.len() > MAX_CHUNK_BYTES {
            return Err(self.damaged(what(), format!("at most {MAX_CHUNK_BYTES} bytes"), bytes.len()));
        }
        let computed = set.crc(chunk, bytes);
        if computed != crc {
            let hex = crate::files::layout::hex32;
            return Err(self.damaged(what(), hex(crc), hex(computed)));
        }
        let ids = RoaringBitmap::deserialize_from(bytes)
            .map_err(|e| self.damaged(what(), "a roaring bitmap", e))?;
        let inside = |id: Option<u32>| id.is_some_and(|id| id / CHUNK_IDS == chunk);
        if inside(ids.min()) && inside(ids.max()) {
            return Ok(ids);
        }
        Err(self.damaged(what(), "ids of this chunk", format!("{:?} to {:?}", ids.min(), ids.max())))
    }

    /// Adds ids to a set: reads, extends and rewrites the chunks they fall into.
    pub(crate) fn add_ids(&self, set: IdSet, new: &RoaringBitmap) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("add to a set of ids in the catalog", e) };
        let (table, key) = (set.table(), set.key_column());
        let read = format!("SELECT ids, crc FROM {table} WHERE {key} = ?1 AND chunk = ?2");
        let write = format!("INSERT OR REPLACE INTO {table} VALUES (?1, ?2, ?3, ?4)");
        let (Some(first), Some(last)) = (new.min(), new.max()) else { return Ok(()) };
        for chunk in first / CHUNK_IDS..=last / CHUNK_IDS {
            let from = chunk * CHUNK_IDS;
            let mut ids: RoaringBitmap = new.range(from..=from + (CHUNK_IDS - 1)).collect();
            if ids.is_empty() {
                continue;
            }
            let old = self.conn.query_row(&read, params![set.key(), chunk], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u32>(1)?))
            });
            match old {
                Ok((bytes, crc)) => ids |= self.chunk(set, chunk, &bytes, crc)?,
                Err(rusqlite::Error::QueryReturnedNoRows) => {}
                Err(e) => return Err(err(e)),
            }
            let mut bytes = Vec::with_capacity(ids.serialized_size());
            ids.serialize_into(&mut bytes)
                .map_err(|source| Error::io("serialise a set of ids for", self.path(), source))?;
            let row = params![set.key(), chunk, bytes, set.crc(chunk, &bytes)];
            self.conn.execute(&write, row).map_err(err)?;
        }
        Ok(())
    }

    /// Empties all sets, for a compaction.
    pub(crate) fn clear_id_sets(&self) -> Result<()> {
        self.run("empty the sets of ids in the catalog", "DELETE FROM voids; DELETE FROM removed;")
    }
}
