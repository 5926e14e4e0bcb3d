//! Owns [`measure`]: how fast a database of raw codes answers by its index, and by comparing every code, on its own data.
//! Answers are compared before anything is timed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::library::CodeMode;
use super::{CodeLibrary, RawCode};
use crate::error::{Error, Result};

/// The scans of one measurement end after this time, but not before [`LEAST_SCANS`].
const SCAN_TIME: Duration = Duration::from_secs(1);
const LEAST_SCANS: usize = 5;

/// The queries by the index end after this time, but not before [`LEAST_QUERIES`].
const INDEX_TIME: Duration = Duration::from_secs(2);
const LEAST_QUERIES: usize = 20;

/// What was measured for one kind of search. Times are medians over queries, one thread, the data in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The search.
    pub mode: CodeMode,
    /// Queries asked by the index.
    pub queries: usize,
    /// Queries among them that were also asked by comparing every code.
    pub scans: usize,
    /// Microseconds a query by the index (or as the planner decides).
    pub index_us: f64,
    /// The slowest of a hundred queries by the index, in microseconds.
    pub index_p99_us: f64,
    /// Microseconds a query that compares every code.
    pub scan_us: f64,
    /// Matches a query, on average.
    pub matches: f64,
    /// Of the matches that comparing every code found, the share that the index found, too; other matches of the index
    /// count as missed ones do. Not 1: a fault.
    pub recall: f64,
    /// Queries that the planner answered by comparing every code.
    pub by_scan: usize,
}

/// Measures searches with `queries` queries made of stored codes: every other one has up to 1/32 of its bits changed, the
/// others a quarter of them, which leaves nothing near. The same queries each time.
///
/// # Errors
/// [`Error::RadiusTooLarge`]; [`Error::NoSuchCode`] if there are no codes; [`Error::Cancelled`].
pub fn measure(
    library: &CodeLibrary,
    modes: &[CodeMode],
    queries: usize,
    cancel: &AtomicBool,
    each: &mut dyn FnMut(&Measured),
) -> Result<()> {
    for &mode in modes {
        library.check_mode(mode)?;
    }
    let queries = make_queries(library, queries)?;
    for &mode in modes {
        each(&measure_mode(library, mode, &queries, cancel)?);
    }
    Ok(())
}

fn measure_mode(
    library: &CodeLibrary,
    mode: CodeMode,
    queries: &[RawCode],
    cancel: &AtomicBool,
) -> Result<Measured> {
    let codes = library.codes();
    let check = || if cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) };
    // One scan that is not timed brings the codes into memory.
    if let Some(query) = queries.first() {
        codes.timed(query, mode, true);
    }
    let (mut scan_us, mut expected, mut right, started) = (Vec::new(), 0usize, 0usize, Instant::now());
    for query in queries {
        if scan_us.len() >= LEAST_SCANS && started.elapsed() > SCAN_TIME {
            break;
        }
        check()?;
        let (by_scan, seconds) = codes.timed(query, mode, true);
        let (by_index, _) = codes.timed(query, mode, false);
        let (found, all) = (&by_index.matches, &by_scan.matches);
        expected += found.len().max(all.len());
        right += found.iter().filter(|found| all.binary_search(found).is_ok()).count();
        scan_us.push(seconds * 1e6);
    }
    // Once without timing: the pages of the index that are asked for are then read and checked.
    let started = Instant::now();
    let warmed = queries.iter().enumerate().take_while(|(number, query)| {
        codes.timed(query, mode, false);
        check().is_ok() && (*number + 1 < LEAST_QUERIES || started.elapsed() < INDEX_TIME)
    });
    let warmed = &queries[..(warmed.count() + 1).min(queries.len())];
    let (mut index_us, mut matches, mut by_scan) = (Vec::with_capacity(warmed.len()), 0usize, 0);
    for query in warmed {
        check()?;
        let (answer, seconds) = codes.timed(query, mode, false);
        matches += answer.matches.len();
        by_scan += usize::from(answer.stats.plan == phash_index::Plan::Scan);
        index_us.push(seconds * 1e6);
    }
    let asked = warmed.len();
    Ok(Measured {
        mode,
        queries: asked,
        scans: scan_us.len(),
        index_us: quantile(&mut index_us, 50),
        index_p99_us: quantile(&mut index_us, 99),
        scan_us: quantile(&mut scan_us, 50),
        matches: matches as f64 / asked as f64,
        recall: if expected == 0 { 1.0 } else { right as f64 / expected as f64 },
        by_scan,
    })
}

/// The value that `percent` of the values do not exceed.
fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get(last * percent / 100).copied().unwrap_or(0.0)
}

/// Queries spread evenly over the codes.
fn make_queries(library: &CodeLibrary, queries: usize) -> Result<Vec<RawCode>> {
    let (end, bits) = (u64::from(library.id_end()), library.width().bits());
    let last = library.id_end().saturating_sub(1);
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |below: u32| {
        // xorshift (Marsaglia 2003): any even spread will do.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        u32::try_from(random % u64::from(below)).unwrap_or(0)
    };
    let count = queries.max(1) as u64;
    (0..count)
        .map(|number| {
            let from = u32::try_from(number * end / count).unwrap_or(0);
            // The next code that is not removed, or the first one.
            let code = (from..=last).chain(0..from).find_map(|id| library.code(id));
            let mut code = code.ok_or(Error::NoSuchCode { id: from, codes: 0 })?;
            let flips = if number % 2 == 0 { next(bits / 32 + 1) } else { bits / 4 };
            for _ in 0..flips {
                code.flip(next(bits));
            }
            Ok(code)
        })
        .collect()
}
