//! Owns [`Head`]: the one row of `meta`, that of `upkeep`, and the rows of `code_files`. It is all that has to be read to open a
//! database, and it says what is committed.

use std::path::Path;

use rusqlite::{Row, params};

use super::Catalog;
use super::rowcheck::{Field, row_crc};
use super::upkeep::Upkeep;
use crate::dir::catalog_path;
use crate::error::{Error, Result};
use crate::files::Tail;
use crate::files::layout::FileHeader;
use crate::schema::{Contents, Kind, Schema, ViewSpec};

/// What is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) database_id: [u8; 16],
    pub(crate) schema: Schema,
    pub(crate) created_at_ms: i64,
    /// Commits so far.
    pub(crate) generation: u64,
    /// In a database of raw codes, models, tensors and sources are none.
    pub(crate) models: u32,
    pub(crate) weak_models: u32,
    pub(crate) tensors: u32,
    pub(crate) sources: u32,
    /// Labels; in a database of raw codes, codes with a label.
    pub(crate) labels: u32,
    /// Index segments ever made: the next one's id.
    pub(crate) segments_made: u32,
    /// The end of each code file: of each kind for the first view, then for the next.
    pub(crate) tails: Vec<Tail>,
    /// What was removed, and how often the database was compacted.
    pub(crate) upkeep: Upkeep,
}

/// The number of the code file of a view.
pub(crate) fn file_number(view: usize, kind: Kind) -> usize {
    let kinds = kind.contents().kinds();
    kinds.len() * view + kinds.iter().position(|&other| other == kind).unwrap_or(0)
}

/// One code file, as the schema has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileSpec<'a> {
    pub(crate) kind: Kind,
    pub(crate) view: &'a str,
    /// 64-bit words a record.
    pub(crate) words: u32,
    pub(crate) edition: u32,
}

impl FileSpec<'_> {
    pub(crate) fn name(&self) -> String {
        self.kind.file_name(self.view, self.edition)
    }
}

/// More commits than any database has: so that what counts on from there cannot overflow.
const MOST_COMMITS: u64 = 1 << 62;

impl Head {
    /// That of the latest commit of a database.
    pub(crate) fn newest(dir: &Path) -> Result<Self> {
        Catalog::open_read(&catalog_path(dir))?.head()
    }

    /// The code file of a number.
    pub(crate) fn file(&self, number: usize) -> FileSpec<'_> {
        let kinds = self.schema.contents.kinds();
        let (kind, view) = (kinds[number % kinds.len()], &self.schema.views[number / kinds.len()]);
        FileSpec { kind, view: &view.name, words: kind.words(view.words), edition: self.upkeep.edition }
    }

    /// The ids that items (models, or raw codes) were given: all below. Index segments can cover them.
    pub(crate) fn indexable(&self) -> u32 {
        match self.schema.contents {
            Contents::Models => self.models,
            Contents::Codes => self.tails[file_number(0, Kind::Raw)].count,
        }
    }

    /// The number of records that a code file must have, if that follows from the other counts.
    fn expected_count(&self, kind: Kind) -> Option<u32> {
        match kind {
            Kind::Model => Some(self.models),
            Kind::Tensor => Some(self.tensors),
            Kind::Raw | Kind::LabelPlace | Kind::LabelText => None,
        }
    }

    /// The header that a code file must have.
    pub(crate) fn file_header(&self, number: usize) -> FileHeader {
        let FileSpec { kind, view, words, .. } = self.file(number);
        FileHeader {
            kind,
            words,
            view: view.to_owned(),
            parameters: self.schema.parameters,
            database_id: self.database_id,
        }
    }

    fn meta_crc(&self) -> u32 {
        row_crc(
            "meta",
            &[
                Field::Int(0),
                Field::Blob(&self.database_id),
                Field::Blob(&self.schema.parameters),
                Field::Int(self.created_at_ms),
                Field::Int(self.generation.cast_signed()),
                Field::Int(self.models.into()),
                Field::Int(self.weak_models.into()),
                Field::Int(self.tensors.into()),
                Field::Int(self.sources.into()),
                Field::Int(self.labels.into()),
                Field::Int(self.segments_made.into()),
            ],
        )
    }

    /// The head of a database with nothing in it.
    pub(crate) fn empty(database_id: [u8; 16], schema: Schema, created_at_ms: i64) -> Self {
        let tails = vec![Tail::default(); schema.contents.kinds().len() * schema.views.len()];
        Self {
            database_id,
            schema,
            created_at_ms,
            generation: 0,
            models: 0,
            weak_models: 0,
            tensors: 0,
            sources: 0,
            labels: 0,
            segments_made: 0,
            tails,
            upkeep: Upkeep::default(),
        }
    }

    fn file_crc(&self, number: usize) -> u32 {
        let FileSpec { kind, view, words, .. } = self.file(number);
        let tail = self.tails[number];
        row_crc(
            "code_files",
            &[
                Field::Int(number.try_into().unwrap_or(i64::MAX)),
                Field::Text(view),
                Field::Int(kind.number().into()),
                Field::Int(words.into()),
                Field::Int(tail.count.into()),
                Field::Int(tail.generation.cast_signed()),
                Field::Int(tail.crc.into()),
            ],
        )
    }
}

impl Catalog {
    /// Reads the head and checks that it agrees with itself.
    pub(crate) fn head(&self) -> Result<Head> {
        let mut head = self.read_meta()?;
        if self.version.has_upkeep {
            head.upkeep = self.read_upkeep()?;
        }
        self.read_code_files(&mut head)?;
        self.check_upkeep(&head)?;
        for (number, tail) in head.tails.iter().enumerate() {
            let file = head.file(number);
            let expected = head.expected_count(file.kind).unwrap_or(tail.count);
            if tail.count != expected || tail.generation > head.generation {
                let what = format!("committed codes of {}", file.name());
                return Err(self.damaged(what, expected, tail.count));
            }
        }
        if head.schema.contents == Contents::Codes {
            let (codes, places) = (head.indexable(), head.tails[file_number(0, Kind::LabelPlace)].count);
            if places > codes || head.labels > places {
                let got = format!("{} labels in {places} places for {codes} codes", head.labels);
                return Err(self.damaged("counts of labels", "no more labels than places than codes", got));
            }
        }
        Ok(head)
    }

    /// The row of `meta`, without views and tails.
    pub(super) fn read_meta(&self) -> Result<Head> {
        let err = |e| self.err("read the head of the catalog", e);
        let mut head = Head::empty(
            [0; 16],
            Schema { contents: self.version.contents, parameters: [0; 32], views: Vec::new() },
            0,
        );
        let sql = "SELECT database_id, parameters, created_at_ms, generation, models, weak_models, tensors, sources,
                   labels, segments_made, crc FROM meta WHERE id = 0";
        let crc = self.conn.query_row(sql, [], |row| fill_meta(row, &mut head)).map_err(|e| match e {
            rusqlite::Error::QueryReturnedNoRows => self.damaged("table meta", "one row", "none"),
            e => err(e),
        })?;
        if crc != head.meta_crc() {
            return Err(self.damaged("checksum of the row in meta", head.meta_crc(), crc));
        }
        if head.generation > MOST_COMMITS {
            return Err(self.damaged(
                "number of commits",
                format!("at most {MOST_COMMITS}"),
                head.generation,
            ));
        }
        Ok(head)
    }

    fn read_code_files(&self, head: &mut Head) -> Result<()> {
        let err = |e| self.err("read the head of the catalog", e);
        let sql =
            "SELECT id, view, kind, words, committed, generation, tail_crc, crc FROM code_files ORDER BY id";
        let kinds = head.schema.contents.kinds();
        let mut crcs = Vec::new();
        {
            let mut statement = self.conn.prepare_cached(sql).map_err(err)?;
            let mut rows = statement.query([]).map_err(err)?;
            while let Some(row) = rows.next().map_err(err)? {
                let number = head.tails.len();
                let view = ViewSpec { name: row.get(1).map_err(err)?, words: row.get(3).map_err(err)? };
                let (id, kind): (i64, i64) = (row.get(0).map_err(err)?, row.get(2).map_err(err)?);
                if number.is_multiple_of(kinds.len()) {
                    head.schema.views.push(view);
                }
                head.tails.push(Tail {
                    count: row.get(4).map_err(err)?,
                    generation: row.get::<_, i64>(5).map_err(err)?.cast_unsigned(),
                    crc: row.get(6).map_err(err)?,
                });
                crcs.push((number, id, kind, row.get::<_, u32>(7).map_err(err)?));
                if number >= kinds.len() * crate::schema::MAX_VIEWS {
                    return Err(self.damaged("table code_files", "rows of at most 16 views", "more"));
                }
            }
        }
        if crcs.is_empty() || crcs.len() % kinds.len() != 0 {
            let expected = format!("{} rows for each view", kinds.len());
            return Err(self.damaged("table code_files", expected, crcs.len()));
        }
        for (number, id, kind, crc) in crcs {
            // The checksum covers id, view, kind and words as they must be at this place.
            if id != number as i64
                || kind != i64::from(kinds[number % kinds.len()].number())
                || crc != head.file_crc(number)
            {
                let what = format!("checksum of row {id} of code_files");
                return Err(self.damaged(what, head.file_crc(number), crc));
            }
        }
        head.schema.validate().map_err(|e| self.damaged("table code_files", "a valid schema", e))
    }

    /// Fills the tables of a new catalog. Chooses the database id.
    pub(crate) fn insert_head(&self, schema: &Schema, created_at_ms: i64) -> Result<Head> {
        let err = |e| self.err("create the catalog", e);
        let database_id: [u8; 16] =
            self.conn.query_row("SELECT randomblob(16)", [], |row| row.get(0)).map_err(err)?;
        let head = Head::empty(database_id, schema.clone(), created_at_ms);
        let sql = "INSERT INTO meta VALUES (0, ?1, ?2, ?3, 0, 0, 0, 0, 0, 0, 0, ?4)";
        self.conn
            .execute(sql, params![database_id, schema.parameters, created_at_ms, head.meta_crc()])
            .map_err(err)?;
        for number in 0..head.tails.len() {
            let FileSpec { kind, view, words, .. } = head.file(number);
            let id = i64::try_from(number).unwrap_or(i64::MAX);
            let row = params![id, view, kind.number(), words, head.file_crc(number)];
            self.conn
                .execute("INSERT INTO code_files VALUES (?1, ?2, ?3, ?4, 0, 0, 0, ?5)", row)
                .map_err(err)?;
        }
        self.write_upkeep(&head.upkeep)?;
        Ok(head)
    }

    /// Writes what changes with a commit.
    pub(crate) fn update_head(&self, head: &Head) -> Result<()> {
        let err = |e: rusqlite::Error| -> Error { self.err("update the head of the catalog", e) };
        let sql =
            "UPDATE meta SET generation = ?1, models = ?2, weak_models = ?3, tensors = ?4, sources = ?5,
                   labels = ?6, segments_made = ?7, crc = ?8 WHERE id = 0";
        let row = params![
            head.generation.cast_signed(),
            head.models,
            head.weak_models,
            head.tensors,
            head.sources,
            head.labels,
            head.segments_made,
            head.meta_crc(),
        ];
        self.conn.execute(sql, row).map_err(err)?;
        let sql =
            "UPDATE code_files SET committed = ?2, generation = ?3, tail_crc = ?4, crc = ?5 WHERE id = ?1";
        for (number, tail) in head.tails.iter().enumerate() {
            let id = i64::try_from(number).unwrap_or(i64::MAX);
            let row = params![id, tail.count, tail.generation.cast_signed(), tail.crc, head.file_crc(number)];
            self.conn.execute(sql, row).map_err(err)?;
        }
        self.write_upkeep(&head.upkeep)
    }
}

fn fill_meta(row: &Row<'_>, head: &mut Head) -> rusqlite::Result<u32> {
    head.database_id = row.get(0)?;
    head.schema.parameters = row.get(1)?;
    head.created_at_ms = row.get(2)?;
    head.generation = row.get::<_, i64>(3)?.cast_unsigned();
    head.models = row.get(4)?;
    head.weak_models = row.get(5)?;
    head.tensors = row.get(6)?;
    head.sources = row.get(7)?;
    head.labels = row.get(8)?;
    head.segments_made = row.get(9)?;
    row.get(10)
}
