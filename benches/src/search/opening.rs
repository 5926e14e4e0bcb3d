//! Owns opening from files: codes and a segment mapped, once with nothing of them in memory and once with everything, and
//! the first query then.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use phash_code::Code;
use phash_index::{Index, Segment, write_segment};
use phash_store::{Map, OsVfs, Vfs};

use super::contender::Skip;
use super::goals::{self, verdict};
use super::ours::Layout;
use crate::codes::files::Filed;
use crate::table::{Table, time};
use crate::timing::median;

/// How often each is done.
const TIMES: usize = 5;

/// An empty table.
#[must_use]
pub fn table() -> Table {
    Table::new(&[
        "codes",
        "n",
        "layout",
        "segment, bytes a code",
        "open, cold",
        "open, warm",
        "goal",
        "verdict",
        "first query, cold",
        "first query, warm",
        "tenth query",
    ])
}

/// Adds a row for each layout; a line for each that cannot be had.
pub fn run<const W: usize>(
    filed: &Filed<W>,
    kind: &str,
    radius_bits: u32,
    cache: &Path,
    table: &mut Table,
) -> Vec<String> {
    let row = |layout: Layout| one(filed, kind, radius_bits, layout, cache);
    let mut left_out = Vec::new();
    for layout in Layout::ALL {
        match row(layout) {
            Ok(cells) => table.row(cells),
            Err(Skip(why)) => left_out.push(format!("opening {}: skipped: {why}", layout.name())),
        }
    }
    left_out
}

fn one<const W: usize>(
    filed: &Filed<W>,
    kind: &str,
    radius_bits: u32,
    layout: Layout,
    cache: &Path,
) -> Result<Vec<String>, Skip> {
    let codes = &filed.data.codes;
    let n = u32::try_from(codes.len())?;
    let params = layout.params(2);
    let path = Temporary(cache.join(format!("{kind}_{}_{n}.{}.mih", 64 * W, layout.name())));
    let file = File::create(&path.0)?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
    let len_bytes = write_segment(codes, 0..n, &params, &mut out)?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    let both = [path.0.as_path(), filed.codes_path.as_path()];
    let (mut opens, mut queries) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let mut tenth = Vec::new();
    for round in 0..2 * TIMES {
        let warm = round % 2;
        for path in both {
            if warm == 0 { forget(path)? } else { drop(fs::read(path)?) }
        }
        let start = Instant::now();
        let maps = [map(both[0])?, map(both[1])?];
        let codes = Code::<W>::slice_from_bytes(maps[1].as_ref())?;
        let segments = [Segment::<W, _>::open(&maps[0])?];
        let index = Index::new(codes, &segments)?;
        opens[warm].push(start.elapsed().as_nanos() as f64);
        for (number, query) in filed.data.queries.iter().take(10).enumerate() {
            let start = Instant::now();
            std::hint::black_box(index.within(query, radius_bits));
            let ns = start.elapsed().as_nanos() as f64;
            match number {
                0 => queries[warm].push(ns),
                9 if warm == 1 => tenth.push(ns),
                _ => {}
            }
        }
    }
    let open_ns = opens.map(|times| median(&times));
    let goal_ms = goals::open_ms(codes.len());
    let [first_cold, first_warm] = queries.map(|times| time(median(&times)));
    Ok(vec![
        format!("{kind} {}", 64 * W),
        n.to_string(),
        layout.name().to_owned(),
        format!("{:.1}", len_bytes as f64 / f64::from(n.max(1))),
        time(open_ns[0]),
        time(open_ns[1]),
        goal_ms.map_or("-".to_owned(), |ms| time(1e6 * ms)),
        goal_ms.map_or(String::new(), |ms| verdict(open_ns[0] / 1e6, ms)),
        first_cold,
        first_warm,
        time(median(&tenth)),
    ])
}

fn map(path: &Path) -> Result<Map, Skip> {
    let file = OsVfs.open_read(path)?;
    file.map(file.len_bytes()?)?.ok_or_else(|| Skip("files cannot be mapped here".to_owned()))
}

/// Has the system forget what it holds of a file in memory.
fn forget(path: &Path) -> Result<(), Skip> {
    let file = File::open(path)?;
    // Only what is written can be forgotten.
    file.sync_all()?;
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

/// A file that is removed when dropped.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
