//! Owns the reading of a catalog that may be damaged: piece by piece, by ids alone, never by one of SQLite's own indexes.
//! What comes back has passed its checksum; what does not is told with its error, and reading goes on behind it.

use std::ops::Range;
use std::path::Path;

use roaring::RoaringBitmap;
use rusqlite::{OpenFlags, OptionalExtension as _, params};

use super::head::Head;
use super::id_sets::{CHUNK_IDS, IdSet};
use super::pieces::{Piece, Table};
use super::rowcheck::{Field, row_crc};
use super::rows::Coded;
use super::upkeep::Upkeep;
use super::{Catalog, log_bytes};
use crate::error::{Error, Result};
use crate::files::Tail;
use crate::records::{ModelRow, Source, TensorRow};

/// No row takes less: each has a checksum, at least one digest or name, and what SQLite keeps of a row.
const MIN_ROW_BYTES: u64 = 16;

/// A set of ids, as far as it can be read.
#[derive(Debug, Default)]
pub(crate) struct KnownIds {
    pub(crate) ids: RoaringBitmap,
    /// Where it is not known which ids are in the set.
    pub(crate) unknown: RoaringBitmap,
}

/// A row of `code_files` that passed its checksum.
#[derive(Clone, Debug)]
pub(crate) struct FileRow {
    pub(crate) number: usize,
    pub(crate) view: String,
    pub(crate) kind: u32,
    pub(crate) words: u32,
    pub(crate) tail: Tail,
}

impl Catalog {
    /// Opens a copy of a catalog of which anything may be wrong: all that is required is that SQLite takes it for one of
    /// its files, and that the version is known.
    pub(crate) fn open_damaged(path: &Path) -> Result<Self> {
        let mut this = Self::connect(path, path, OpenFlags::SQLITE_OPEN_READ_WRITE, "open the catalog")?;
        this.run("open the catalog", "PRAGMA cache_size = -16384; BEGIN")?;
        match this.check_version() {
            // Two bytes of the file say what kind of file it is; its rows say so, too.
            Err(Error::NotADatabase { .. }) => this.read_version()?,
            other => other?,
        }
        Ok(this)
    }

    /// The row of `meta`, without views and tails.
    pub(crate) fn meta(&self) -> Result<Head> {
        self.read_meta()
    }

    /// The row of `upkeep`, which is not in catalogs of before the first removal.
    pub(crate) fn upkeep(&self) -> Result<Upkeep> {
        if self.version.has_upkeep { self.read_upkeep() } else { Ok(Upkeep::default()) }
    }

    /// The rows of `code_files` that pass.
    pub(crate) fn file_rows(&self) -> Vec<FileRow> {
        let one = |number: u32| {
            let sql = "SELECT view, kind, words, committed, generation, tail_crc, crc FROM code_files WHERE id = ?1";
            self.conn.query_row(sql, [number], |row| {
                let file = FileRow {
                    number: number as usize,
                    view: row.get(0)?,
                    kind: row.get(1)?,
                    words: row.get(2)?,
                    tail: Tail {
                        count: row.get(3)?,
                        generation: row.get::<_, i64>(4)?.cast_unsigned(),
                        crc: row.get(5)?,
                    },
                };
                Ok((file, row.get::<_, u32>(6)?))
            })
        };
        let files = (0..2 * 16).filter_map(|number| one(number).ok());
        let sound = files.filter(|(file, crc)| {
            let FileRow { number, view, kind, words, tail } = file;
            let fields = [
                Field::Int(i64::try_from(*number).unwrap_or(i64::MAX)),
                Field::Text(view),
                Field::Int((*kind).into()),
                Field::Int((*words).into()),
                Field::Int(tail.count.into()),
                Field::Int(tail.generation.cast_signed()),
                Field::Int(tail.crc.into()),
            ];
            row_crc("code_files", &fields) == *crc
        });
        sound.map(|(file, _)| file).collect()
    }

    /// Goes through the rows of a table with ids below `end`, of which anything may be wrong: [`Table::by_pieces`].
    pub(crate) fn by_pieces<T, E>(
        &self,
        table: &str,
        end: u32,
        fetch: &dyn Fn(Range<u32>) -> Result<Vec<T>>,
        each: &mut dyn FnMut(Piece<T>) -> Result<(), E>,
    ) -> Result<(), E> {
        let next = |start| self.next_id(table, start);
        Table { fetch, next: &next, room: self.room() }.by_pieces(0..end, each)
    }

    /// How many rows there is room for: more ids than these are claimed, or of rows that were removed.
    pub(crate) fn room(&self) -> u32 {
        let bytes = std::fs::metadata(&self.path).map_or(0, |meta| meta.len()) + log_bytes(&self.path);
        u32::try_from(bytes / MIN_ROW_BYTES).unwrap_or(u32::MAX)
    }

    /// The first id of a table's rows from `start` on, as far as SQLite finds it.
    pub(crate) fn next_id(&self, table: &str, start: u32) -> Result<Option<u32>> {
        let sql = format!("SELECT id FROM {table} NOT INDEXED WHERE id >= ?1 ORDER BY id LIMIT 1");
        let err = |e| self.err("read the catalog", e);
        let mut statement = self.conn.prepare_cached(&sql).map_err(err)?;
        let first: Option<i64> = statement.query_row([start], |row| row.get(0)).optional().map_err(err)?;
        match first {
            Some(first) if first < i64::from(start) => {
                Err(self.damaged(format!("order of rows of {table}"), format!("{start} or more"), first))
            }
            // A row beyond all ids is none.
            first => Ok(first.and_then(|first| u32::try_from(first).ok())),
        }
    }

    /// The end of the ids of a table's rows, as far as SQLite finds the last row.
    pub(crate) fn last_id(&self, table: &str) -> u32 {
        let last = self.conn.query_row(&format!("SELECT max(id) FROM {table}"), [], |row| row.get(0));
        last.ok().flatten().map_or(0, |last: u32| last.saturating_add(1))
    }

    /// The models with ids in `ids`, without sources.
    pub(crate) fn model_rows(&self, ids: &Range<u32>) -> Result<Vec<Coded<ModelRow>>> {
        let which = "NOT INDEXED WHERE id >= ?1 AND id < ?2 ORDER BY id";
        let models = self.models_by(which, params![ids.start, ids.end])?;
        self.in_order("models", ids, models.iter().map(|model| model.row.id))?;
        Ok(models)
    }

    /// The sources with numbers in `ids`; all of them said to be current, as only an index could tell.
    pub(crate) fn source_rows(&self, ids: &Range<u32>) -> Result<Vec<Source>> {
        let sql = "SELECT id, label, version, path, len_bytes, mtime_ns, file_digest, model_id, recorded_at_ms, crc, 1
                   FROM sources NOT INDEXED WHERE id >= ?1 AND id < ?2 ORDER BY id";
        let err = |e| self.err("read the catalog", e);
        let mut statement = self.conn.prepare_cached(sql).map_err(err)?;
        let mut rows = statement.query(params![ids.start, ids.end]).map_err(err)?;
        let mut sources = Vec::new();
        while let Some(row) = rows.next().map_err(err)? {
            sources.push(self.read_source(row)?);
        }
        self.in_order("sources", ids, sources.iter().map(|source| source.id))?;
        Ok(sources)
    }

    /// The tensors with ids in `ids`.
    pub(crate) fn tensor_rows(&self, ids: &Range<u32>) -> Result<Vec<Coded<TensorRow>>> {
        let tensors = self.coded_tensors(ids.clone())?;
        self.in_order("tensors", ids, tensors.iter().map(|tensor| tensor.row.id))?;
        Ok(tensors)
    }

    /// A set of ids below `end`, chunk by chunk. `count` is how many there should be, if that is known: if there are not
    /// as many, nothing is known of chunks without a row.
    pub(crate) fn known_ids(&self, set: IdSet, end: u32, count: Option<u32>) -> KnownIds {
        let mut known = KnownIds::default();
        if matches!(set, IdSet::Removed(_)) && !self.version.has_upkeep {
            return known;
        }
        let mut without_row = RoaringBitmap::new();
        for chunk in 0..end.div_ceil(CHUNK_IDS) {
            let first = chunk * CHUNK_IDS;
            let all = first..=first.saturating_add(CHUNK_IDS - 1).min(end - 1);
            match self.chunk_ids(set, chunk) {
                Ok(Some(ids)) => known.ids |= ids,
                Ok(None) => drop(without_row.insert_range(all)),
                Err(_) => drop(known.unknown.insert_range(all)),
            }
        }
        known.ids.remove_range(end..);
        if count.is_some_and(|count| known.unknown.is_empty() && known.ids.len() != u64::from(count)) {
            known.unknown = without_row;
        }
        known
    }

    /// That SQLite gave the rows asked for, each once.
    fn in_order(&self, table: &str, ids: &Range<u32>, got: impl Iterator<Item = u32>) -> Result<()> {
        let mut after = ids.start;
        for id in got {
            if id < after || id >= ids.end {
                return Err(self.damaged(
                    format!("order of rows of {table}"),
                    format!("{after} or more"),
                    id,
                ));
            }
            after = id + 1;
        }
        Ok(())
    }
}
