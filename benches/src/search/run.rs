//! Owns the run over one set of codes: each contender is built, checked, timed in turn with the scan, and dropped before the
//! next, so that memory holds one at a time.

use std::collections::HashMap;

use phash_index::{Match, SearchStats};

use super::contender::{Built, Contender, Side, Skip};
use super::limits::Limits;
use super::options::Options;
use super::task::{How, Task};
use super::{memory, oracle};
use crate::codes::files::Filed;
use crate::timing::median;

/// Batches that take less are short, and are timed so many times in each pass.
const SHORT_NS: f64 = 1e8;
const SHORT_PASSES: usize = 5;
/// Queries asked again and again.
const AGAIN: usize = 100;

/// What the codes of a run are.
#[derive(Clone, Debug)]
pub struct About {
    /// The source's name.
    pub kind: &'static str,
    /// The width.
    pub bits: u32,
    /// How many.
    pub n: usize,
    /// For the record.
    pub seeds: String,
    /// What the machine allows.
    pub limits: Limits,
}

/// Times of a contender on a task, in nanoseconds of a query.
#[derive(Clone, Debug)]
pub struct Searched {
    /// What was asked.
    pub task: Task,
    /// How.
    pub how: How,
    /// How many queries.
    pub queries: usize,
    /// The middle query; of a batch, the average one.
    pub median_ns: f64,
    /// The average query.
    pub mean_ns: f64,
    /// Of 100 queries the five slowest take longer.
    pub p95_ns: f64,
    /// The average query by the scan, timed in turn with this contender.
    pub scan_ns: f64,
    /// Matches of a query on average.
    pub matches: f64,
    /// The work of each query.
    pub work: Vec<SearchStats>,
}

/// What a contender took and held.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub side: Side,
    /// Seconds of building on one thread, and on two where that differs.
    pub build_s: [Option<f64>; 2],
    /// Bytes held, codes included.
    pub memory_bytes: u64,
    /// Bytes that building took at the most, codes not counted.
    pub peak_bytes: Option<u64>,
    /// The times.
    pub searched: Vec<Searched>,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The codes.
    pub about: About,
    /// Who took part.
    pub entrants: Vec<Entrant>,
    /// Who did not, or not in everything, and why.
    pub skipped: Vec<String>,
}

/// Runs all contenders over the codes.
pub fn run<const W: usize>(
    filed: &Filed<W>,
    kind: &'static str,
    contenders: &[Box<dyn Contender<W>>],
    options: &Options,
) -> Outcome {
    let data = &filed.data;
    let n = data.codes.len();
    let limits = Limits::measure(&data.codes);
    let about = About { kind, bits: 64 * W as u32, n, seeds: data.seeds.clone(), limits };
    let mut outcome = Outcome { about, entrants: Vec::new(), skipped: Vec::new() };
    let count = options.queries.min(data.queries.len());
    let tasks = options.tasks(64 * W as u32);
    let right: HashMap<Task, Vec<Vec<Match>>> = tasks
        .iter()
        .map(|&task| (task, oracle::answers(&data.codes, &data.queries[..count], task)))
        .collect();
    let Some((scan, _)) = contenders.split_first() else { return outcome };
    let mut scan = match scan.build(filed, 1) {
        Ok(fit) => fit.built,
        Err(Skip(why)) => {
            outcome.skipped.push(format!("scan: {why}"));
            return outcome;
        }
    };
    let mut contest = Contest { filed, right, scan: &mut *scan, options };
    for contender in contenders {
        let name = contender.name();
        eprintln!("{kind} {} n {n}: {name}", 64 * W);
        match contest.enter(&**contender, &tasks, &mut outcome.skipped) {
            Ok(entrant) => outcome.entrants.push(entrant),
            Err(Skip(why)) => outcome.skipped.push(format!("{name}: {why}")),
        }
    }
    outcome
}

struct Contest<'c, const W: usize> {
    filed: &'c Filed<W>,
    right: HashMap<Task, Vec<Vec<Match>>>,
    scan: &'c mut (dyn Built<W> + 'c),
    options: &'c Options,
}

impl<const W: usize> Contest<'_, W> {
    fn enter(
        &mut self,
        contender: &dyn Contender<W>,
        tasks: &[Task],
        skipped: &mut Vec<String>,
    ) -> Result<Entrant, Skip> {
        let n = self.filed.data.codes.len();
        let wants_bytes = (contender.building_bytes_a_code() * n as f64) as u64;
        let free_bytes = memory::available_bytes();
        // Half a GB is left to others.
        if wants_bytes.saturating_add(500_000_000) > free_bytes {
            let gb = |bytes: u64| bytes as f64 / 1e9;
            return Err(Skip(format!(
                "would need {:.1} GB of memory, {:.1} GB are free",
                gb(wants_bytes),
                gb(free_bytes)
            )));
        }
        let mut build_s = [None, None];
        if contender.builds_on_threads() {
            build_s[1] = Some(contender.build(self.filed, 2)?.build_s);
        }
        let mut fit = contender.build(self.filed, 1)?;
        build_s[0] = Some(fit.build_s);
        let (name, side) = (contender.name(), contender.side());
        let mut searched = Vec::new();
        for &task in tasks {
            for how in [How::One, How::Again, How::Batch { threads: 1 }, How::Batch { threads: 2 }] {
                let wanted = !matches!(how, How::Batch { .. }) || self.options.batch > 0;
                if !wanted || !contender.can(task, how) {
                    continue;
                }
                match self.search(&mut *fit.built, side, task, how) {
                    Ok(times) => searched.push(times),
                    Err(Skip(why)) => skipped.push(format!("{name}, {task}, {how:?}: {why}")),
                }
            }
        }
        let (memory_bytes, peak_bytes) = (fit.memory_bytes, fit.peak_bytes);
        Ok(Entrant { name, side, build_s, memory_bytes, peak_bytes, searched })
    }

    fn search(
        &mut self,
        built: &mut dyn Built<W>,
        side: Side,
        task: Task,
        how: How,
    ) -> Result<Searched, Skip> {
        let right = &self.right[&task];
        // How long one takes says how many can be asked.
        let tried = 4.min(right.len());
        let try_ns = built.time(task, How::One, tried)?.iter().sum::<f64>() / tried as f64;
        let scan_try_ns = self.scan.time(task, How::One, tried)?.iter().sum::<f64>() / tried as f64;
        let fitting =
            |most: usize, ns: f64| ((self.options.budget_ns / ns) as usize).clamp(tried, most) / 4 * 4;
        let (count, scan_count) = match how {
            How::One => {
                (fitting(right.len(), try_ns).max(tried), fitting(right.len(), scan_try_ns).max(tried))
            }
            How::Again => (fitting(right.len().min(AGAIN), try_ns).max(tried), tried),
            // A batch is what it is, but for rivals that would take minutes.
            How::Batch { .. } => {
                let all = self.options.batch.min(self.filed.data.queries.len()).max(1);
                let fits = ((20.0 * self.options.budget_ns / try_ns) as usize).clamp(1, all);
                (if side == Side::Rival { fits } else { all }, all)
            }
        };
        let checked = count.min(right.len());
        let given = built.answers(task, how, checked)?;
        if given.len() != checked {
            return Err(Skip(format!("{} answers to {checked} queries", given.len())));
        }
        oracle::check(task, &given, right, side == Side::Rival)?;
        let matches = given.iter().map(Vec::len).sum::<usize>() as f64 / checked as f64;
        drop(given);

        // A batch of a few milliseconds is over before the threads are under way, or something else is: more of them.
        let short = matches!(how, How::Batch { .. }) && try_ns * (count as f64) < SHORT_NS;
        let mut passes = [Vec::new(), Vec::new()];
        for _ in 0..self.options.passes {
            for _ in 0..if short { SHORT_PASSES } else { 1 } {
                passes[0].push(built.time(task, how, count)?);
            }
            if side == Side::Scan {
                continue;
            }
            passes[1].push(self.scan.time(task, how, scan_count)?);
        }
        let [own, scan] = passes.map(|passes| medians(&passes));
        let each = |times: &[f64], count: usize| times.iter().sum::<f64>() / count as f64;
        let mean_ns = each(&own, count);
        let mut sorted = own.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part).round() as usize];
        let (median_ns, p95_ns) =
            if matches!(how, How::One | How::Again) { (at(0.5), at(0.95)) } else { (mean_ns, mean_ns) };
        let scan_ns = if side == Side::Scan { mean_ns } else { each(&scan, scan_count) };
        let work = match (side, how) {
            (Side::Index, How::One) => built.work(task, count).unwrap_or_default(),
            _ => Vec::new(),
        };
        Ok(Searched { task, how, queries: count, median_ns, mean_ns, p95_ns, scan_ns, matches, work })
    }
}

/// The median of each query over the passes.
fn medians(passes: &[Vec<f64>]) -> Vec<f64> {
    let queries = passes.iter().map(Vec::len).min().unwrap_or(0);
    (0..queries).map(|query| median(&passes.iter().map(|pass| pass[query]).collect::<Vec<_>>())).collect()
}
