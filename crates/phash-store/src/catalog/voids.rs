//! Owns the void sets: which ids of a code file have no code. Stored as one roaring bitmap (in its portable
//! serialisation) for each 65,536 ids, so that a commit rewrites only the last of them.

use roaring::RoaringBitmap;
use rusqlite::params;

use super::Catalog;
use super::rowcheck::{Field, row_crc};
use crate::error::{Error, Result};

/// Ids a row stands for.
const CHUNK_IDS: u32 = 1 << 16;
/// A bitmap of one chunk is at most a bitset of 8 KiB and a few header bytes; anything longer is not ours.
const MAX_CHUNK_BYTES: usize = 8192 + 64;

fn void_crc(file: usize, chunk: u32, bytes: &[u8]) -> u32 {
    let file = i64::try_from(file).unwrap_or(i64::MAX);
    row_crc("voids", &[Field::Int(file), Field::Int(chunk.into()), Field::Blob(bytes)])
}

impl Catalog {
    /// The void ids of a code file with `count` codes. O(count / 65,536) rows.
    pub(crate) fn voids(&self, file: usize, count: u32) -> Result<RoaringBitmap> {
        let sql = "SELECT chunk, ids, crc FROM voids WHERE file = ?1 ORDER BY chunk";
        let err = |e| self.err("read voids from the catalog", e);
        let mut statement = self.conn.prepare_cached(sql).map_err(err)?;
        let mut rows = statement.query([i64::try_from(file).unwrap_or(i64::MAX)]).map_err(err)?;
        let mut all = RoaringBitmap::new();
        while let Some(row) = rows.next().map_err(err)? {
            let (chunk, bytes): (u32, Vec<u8>) = (row.get(0).map_err(err)?, row.get(1).map_err(err)?);
            all |= self.void_chunk(file, chunk, &bytes, row.get(2).map_err(err)?)?;
        }
        match all.max() {
            Some(id) if id >= count => {
                Err(self.damaged(format!("void ids of code file {file}"), format!("below {count}"), id))
            }
            _ => Ok(all),
        }
    }

    fn void_chunk(&self, file: usize, chunk: u32, bytes: &[u8], crc: u32) -> Result<RoaringBitmap> {
        let what = || format!("voids of code file {file}, chunk {chunk}");
        if bytes.len() > MAX_CHUNK_BYTES {
            return Err(self.damaged(what(), format!("at most {MAX_CHUNK_BYTES} bytes"), bytes.len()));
        }
        let computed = void_crc(file, chunk, bytes);
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

    /// Adds void ids to a code file's set: reads, extends and rewrites the chunks they fall into.
    pub(crate) fn add_voids(&self, file: usize, new: &RoaringBitmap) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("add voids to the catalog", e) };
        let number = i64::try_from(file).unwrap_or(i64::MAX);
        let (Some(first), Some(last)) = (new.min(), new.max()) else { return Ok(()) };
        for chunk in first / CHUNK_IDS..=last / CHUNK_IDS {
            let from = chunk * CHUNK_IDS;
            let mut ids: RoaringBitmap = new.range(from..=from + (CHUNK_IDS - 1)).collect();
            if ids.is_empty() {
                continue;
            }
            let sql = "SELECT ids, crc FROM voids WHERE file = ?1 AND chunk = ?2";
            let old = self.conn.query_row(sql, params![number, chunk], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u32>(1)?))
            });
            match old {
                Ok((bytes, crc)) => ids |= self.void_chunk(file, chunk, &bytes, crc)?,
                Err(rusqlite::Error::QueryReturnedNoRows) => {}
                Err(e) => return Err(err(e)),
            }
            let mut bytes = Vec::with_capacity(ids.serialized_size());
            ids.serialize_into(&mut bytes)
                .map_err(|source| Error::io("serialise the voids for", self.path(), source))?;
            let row = params![number, chunk, bytes, void_crc(file, chunk, &bytes)];
            self.conn.execute("INSERT OR REPLACE INTO voids VALUES (?1, ?2, ?3, ?4)", row).map_err(err)?;
        }
        Ok(())
    }
}
