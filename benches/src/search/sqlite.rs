//! Owns SQLite as a contender: a table of codes, and a function that counts different bits, called for every row. What
//! people do who have no index.

use std::time::Instant;

use phash_code::Code;
use phash_index::Match;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result};

use super::contender::{Built, Contender, Evict, Fit, Skip, sorted, time_each};
use super::memory;
use super::task::{How, Task};
use crate::codes::files::Filed;

pub(super) struct Sqlite;

impl<const W: usize> Contender<W> for Sqlite {
    fn name(&self) -> String {
        "sqlite".to_owned()
    }

    fn can(&self, _task: Task, how: How) -> bool {
        how == How::One
    }

    fn building_bytes_a_code(&self) -> f64 {
        (Code::<W>::BYTES + 32) as f64
    }

    fn build<'d>(&'d self, filed: &'d Filed<W>, _threads: usize) -> Result<Fit<'d, W>, Skip> {
        let start = Instant::now();
        let (table, memory_bytes, peak_bytes) = memory::of(|| table(&filed.data.codes));
        let built = Box::new(Table { connection: table?, queries: &filed.data.queries });
        Ok(Fit { built, build_s: start.elapsed().as_secs_f64(), memory_bytes, peak_bytes })
    }
}

fn table<const W: usize>(codes: &[Code<W>]) -> Result<Connection> {
    let connection = Connection::open_in_memory()?;
    connection.create_scalar_function(
        "hamming",
        2,
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
        |context| match (context.get_raw(0), context.get_raw(1)) {
            (ValueRef::Blob(a), ValueRef::Blob(b)) => Ok(distance(a, b)),
            _ => Err(Error::UserFunctionError("hamming wants two blobs".into())),
        },
    )?;
    connection.execute_batch("CREATE TABLE codes (id INTEGER PRIMARY KEY, code BLOB NOT NULL); BEGIN")?;
    {
        let mut insert = connection.prepare("INSERT INTO codes VALUES (?1, ?2)")?;
        for (id, code) in (0i64..).zip(codes) {
            insert.execute((id, code.as_bytes()))?;
        }
    }
    connection.execute_batch("COMMIT")?;
    Ok(connection)
}

fn distance(a: &[u8], b: &[u8]) -> u32 {
    let count = |(a, b): (&[u8; 8], &[u8; 8])| (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)).count_ones();
    a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0).map(count).sum()
}

struct Table<'d, const W: usize> {
    connection: Connection,
    queries: &'d [Code<W>],
}

impl<const W: usize> Table<'_, W> {
    fn search(&self, task: Task, query: &Code<W>) -> Result<Vec<Match>> {
        let (sql, limit) = match task {
            Task::Within(radius_bits) => (
                "SELECT id, hamming(code, ?1) AS d FROM codes WHERE d <= ?2 ORDER BY d, id",
                i64::from(radius_bits),
            ),
            Task::Nearest(k) => (
                "SELECT id, hamming(code, ?1) AS d FROM codes ORDER BY d, id LIMIT ?2",
                i64::try_from(k).unwrap_or(i64::MAX),
            ),
        };
        let mut select = self.connection.prepare_cached(sql)?;
        let matches = select.query_map((query.as_bytes(), limit), |row| {
            Ok(Match { id: row.get(0)?, distance_bits: row.get(1)? })
        })?;
        matches.collect()
    }
}

impl<const W: usize> Built<W> for Table<'_, W> {
    fn answers(&mut self, task: Task, _how: How, count: usize) -> Result<Vec<Vec<Match>>, Skip> {
        let answers: Result<Vec<_>> =
            self.queries[..count].iter().map(|query| Ok(sorted(self.search(task, query)?))).collect();
        Ok(answers?)
    }

    fn time(&mut self, task: Task, _how: How, count: usize) -> Result<Vec<f64>, Skip> {
        Ok(time_each(&Evict::new(0), &self.queries[..count], |query| self.search(task, query)))
    }
}
