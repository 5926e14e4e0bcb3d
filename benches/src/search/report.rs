//! Owns the tables of a run, with goals and verdicts beside the figures.

use phash_index::SearchStats;

use super::contender::Side;
use super::goals::{self, verdict};
use super::limits;
use super::ours::Layout;
use super::run::{About, Entrant, Outcome, Searched};
use super::task::{How, Task};
use crate::table::{Table, time};

/// The tables; each with its name.
pub struct Report {
    goals: Table,
    searches: Table,
    batches: Table,
    work: Table,
    costs: Table,
    notes: Vec<String>,
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    /// Without rows.
    #[must_use]
    pub fn new() -> Self {
        Self {
            goals: table(
                "codes | n | search | scan | best rival | fast | fast, 2 MiB | compact | goal | fast is | fast, 2 MiB is | \
                 compact is | again: best rival | again: fast, 2 MiB | again: is | scan / fast, 2 MiB | best rival / fast, 2 MiB",
            ),
            searches: table(
                "codes | n | search | matches | contender | median | mean | p95 | scan / it | best rival / it | limit | \
                 goal | verdict | queries",
            ),
            batches: table(
                "codes | n | search | contender | queries | 1 thread, a query | 2 threads | speed-up | \
                 batched scan / it | verdict",
            ),
            work: table(
                "codes | n | search | contender | tables | probes | candidates | compared | codes fetched | scanned | lines missed (estimate) | \
                 limit | by index / scan / both",
            ),
            costs: table(
                "codes | n | contender | bytes a code | goal | verdict | build, 1 thread | build, 2 threads | build goal | \
                 build is | most memory / final",
            ),
            notes: Vec::new(),
        }
    }

    /// Adds what a run gave.
    pub fn add(&mut self, outcome: &Outcome) {
        let about = &outcome.about;
        self.notes.push(format!(
            "{} {}, n {}: {}; {:.1} GB/s sequential, {:.1} ns an independent random read",
            about.kind, about.bits, about.n, about.seeds, about.limits.gb_per_s, about.limits.random_ns
        ));
        self.notes.extend(
            outcome.skipped.iter().map(|line| format!("{} {}: skipped: {line}", about.kind, about.bits)),
        );
        let mut tasks: Vec<Task> = Vec::new();
        for searched in outcome.entrants.iter().flat_map(|entrant| &entrant.searched) {
            if !tasks.contains(&searched.task) {
                tasks.push(searched.task);
            }
        }
        for task in tasks {
            let of = |entrant: &'_ Entrant, how: How| -> Option<Searched> {
                entrant.searched.iter().find(|searched| searched.task == task && searched.how == how).cloned()
            };
            let rivals = outcome.entrants.iter().filter(|entrant| entrant.side == Side::Rival);
            let best = rivals
                .filter_map(|entrant| Some((entrant, of(entrant, How::One)?.mean_ns)))
                .min_by(|a, b| a.1.total_cmp(&b.1));
            let best_ns = best.map(|(_, ns)| ns);
            let ours = ["fast", "fast, 2 MiB", "compact", "scan"].map(|name| {
                outcome
                    .entrants
                    .iter()
                    .find(|entrant| entrant.name == name)
                    .and_then(|entrant| of(entrant, How::One))
            });
            let again = ["fast, 2 MiB", "mih-rs"].map(|name| {
                let entrant = outcome.entrants.iter().find(|entrant| entrant.name == name);
                entrant.and_then(|entrant| of(entrant, How::Again))
            });
            self.goal(about, task, &ours, &again, best.map(|(entrant, ns)| (entrant.name.as_str(), ns)));
            for entrant in &outcome.entrants {
                if let Some(one) = of(entrant, How::One) {
                    self.search(about, entrant, &one, best_ns);
                    self.count(about, entrant, &one);
                }
                let batches = [1, 2].map(|threads| of(entrant, How::Batch { threads }));
                self.batch(about, entrant, of(entrant, How::One).as_ref(), &batches);
            }
        }
        for entrant in &outcome.entrants {
            self.cost(about, entrant);
        }
    }

    /// The row of a task: both layouts against the scan, the best rival and the goal.
    fn goal(
        &mut self,
        about: &About,
        task: Task,
        ours: &[Option<Searched>; 4],
        [again, rival_again]: &[Option<Searched>; 2],
        best: Option<(&str, f64)>,
    ) {
        let [fast, huge, compact, scan] = ours;
        let goal_us = |layout| goals::query_us(layout, about.kind, about.bits, about.n, task);
        let mean = |one: &Option<Searched>| one.as_ref().map_or("-".to_owned(), |one| time(one.mean_ns));
        // Without a figure the scan is the goal: it is that of every search.
        let is = |layout, one: &Option<Searched>| {
            let Some(one) = one else { return "-".to_owned() };
            let most_ns = goals::SCAN * one.scan_ns;
            verdict(one.mean_ns, goal_us(layout).map_or(most_ns, |us| most_ns.min(1e3 * us)))
        };
        let over_fast = |ns: Option<f64>| {
            ns.zip(huge.as_ref().or(fast.as_ref()))
                .map_or("-".to_owned(), |(ns, fast)| format!("{}x", three(ns / fast.mean_ns)))
        };
        self.goals.row([
            format!("{} {}", about.kind, about.bits),
            about.n.to_string(),
            task.to_string(),
            mean(scan),
            best.map_or("-".to_owned(), |(name, ns)| format!("{} ({name})", time(ns))),
            mean(fast),
            mean(huge),
            mean(compact),
            goal_us(Layout::Fast).map_or(format!("{} x scan", goals::SCAN), |us| time(1e3 * us)),
            is(Layout::Fast, fast),
            is(Layout::Fast, huge),
            is(Layout::Compact, compact),
            mean(rival_again),
            mean(again),
            is(Layout::Fast, again),
            over_fast(huge.as_ref().or(fast.as_ref()).map(|fast| fast.scan_ns)),
            over_fast(best.map(|(_, ns)| ns)),
        ]);
    }

    fn search(&mut self, about: &About, entrant: &Entrant, one: &Searched, best_ns: Option<f64>) {
        let layout = Layout::of(&entrant.name);
        let goal_us =
            layout.and_then(|layout| goals::query_us(layout, about.kind, about.bits, about.n, one.task));
        let limit_ns = match (entrant.side, layout) {
            (Side::Scan, _) => Some(scan_limit_ns(about)),
            (_, Some(layout)) => Some(mean(one, |work| index_limit_ns(about, layout, work))),
            _ => None,
        };
        let mut said = goal_us.map_or(String::new(), |goal_us| verdict(one.mean_ns / 1e3, goal_us));
        if said.starts_with("missed") && goal_us.is_some_and(|goal_us| one.median_ns / 1e3 <= goal_us) {
            said += " (median met)";
        }
        if entrant.side == Side::Index && one.mean_ns > goals::SCAN * one.scan_ns {
            said = format!("{said} SLOWER THAN THE SCAN").trim().to_owned();
        }
        let times = |ns: f64| format!("{}x", three(ns / one.mean_ns));
        self.searches.row([
            format!("{} {}", about.kind, about.bits),
            about.n.to_string(),
            one.task.to_string(),
            format!("{:.1}", one.matches),
            entrant.name.clone(),
            time(one.median_ns),
            time(one.mean_ns),
            time(one.p95_ns),
            times(one.scan_ns),
            best_ns.map_or("-".to_owned(), times),
            limit_ns.map_or("-".to_owned(), time),
            goal_us.map_or("-".to_owned(), |goal_us| time(1e3 * goal_us)),
            said,
            one.queries.to_string(),
        ]);
    }

    fn count(&mut self, about: &About, entrant: &Entrant, one: &Searched) {
        let Some(layout) = Layout::of(&entrant.name) else { return };
        let number = |of: fn(&SearchStats) -> u64| format!("{:.1}", mean(one, |work| of(work) as f64));
        let plans = |scan: bool, probed: bool| {
            one.work.iter().filter(|work| (work.scanned > 0) == scan && (work.probes > 0) == probed).count()
        };
        self.work.row([
            format!("{} {}", about.kind, about.bits),
            about.n.to_string(),
            one.task.to_string(),
            entrant.name.clone(),
            number(|work| work.tables),
            number(|work| work.probes),
            number(|work| work.candidates),
            number(|work| work.compared),
            number(|work| work.verified),
            number(|work| work.scanned),
            format!("{:.1}", mean(one, limits::misses)),
            time(mean(one, |work| index_limit_ns(about, layout, work))),
            format!("{}/{}/{}", plans(false, true), plans(true, false), plans(true, true)),
        ]);
    }

    fn batch(
        &mut self,
        about: &About,
        entrant: &Entrant,
        one: Option<&Searched>,
        batches: &[Option<Searched>; 2],
    ) {
        let [Some(single), double] = batches else { return };
        let mut said = Vec::new();
        if entrant.side == Side::Index {
            let better_ns = one.map_or(f64::INFINITY, |one| one.mean_ns).min(single.scan_ns);
            said.push(verdict(single.mean_ns, goals::BATCH * better_ns));
            if let Some(double) = double
                && single.mean_ns / double.mean_ns < goals::TWO_THREADS
            {
                said.push("threads missed".to_owned());
            }
        }
        self.batches.row([
            format!("{} {}", about.kind, about.bits),
            about.n.to_string(),
            single.task.to_string(),
            entrant.name.clone(),
            single.queries.to_string(),
            time(single.mean_ns),
            double.as_ref().map_or("-".to_owned(), |double| time(double.mean_ns)),
            double
                .as_ref()
                .map_or("-".to_owned(), |double| format!("{:.2}x", single.mean_ns / double.mean_ns)),
            format!("{}x", three(single.scan_ns / single.mean_ns)),
            said.join("; "),
        ]);
    }

    fn cost(&mut self, about: &About, entrant: &Entrant) {
        let layout = Layout::of(&entrant.name);
        let bytes = entrant.memory_bytes as f64 / about.n.max(1) as f64;
        let goal_bytes = layout.and_then(|layout| goals::bytes_a_code(layout, about.bits));
        let goal_s =
            layout.filter(|&layout| layout == Layout::Fast).and_then(|_| goals::build_s(about.bits, about.n));
        let seconds = |s: Option<f64>| s.map_or("-".to_owned(), |s| time(1e9 * s));
        let verdict_s =
            entrant.build_s[1].zip(goal_s).map_or(String::new(), |(s, goal_s)| verdict(s, goal_s));
        // Building needs the codes, which are there before.
        let codes_bytes = about.n as f64 * f64::from(about.bits) / 8.0;
        let most = entrant.peak_bytes.map(|peak| (peak as f64 + codes_bytes) / entrant.memory_bytes as f64);
        self.costs.row([
            format!("{} {}", about.kind, about.bits),
            about.n.to_string(),
            entrant.name.clone(),
            format!("{bytes:.1}"),
            goal_bytes.map_or("-".to_owned(), |goal| format!("{goal:.0}")),
            goal_bytes.map_or(String::new(), |goal| verdict(bytes, goal)),
            seconds(entrant.build_s[0]),
            seconds(entrant.build_s[1]),
            seconds(goal_s),
            verdict_s,
            most.map_or("-".to_owned(), |most| format!("{most:.2}x")),
        ]);
    }

    /// Everything as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        for (head, table) in self.tables() {
            text += &format!("\n### {head}\n\n{}", table.to_markdown());
        }
        text += "\n### Notes\n\n";
        for note in &self.notes {
            text += &format!("- {note}\n");
        }
        text + EXPLAINED
    }

    /// The tables as JSON lines.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        self.tables().iter().map(|(head, table)| table.to_json_lines(head)).collect()
    }

    fn tables(&self) -> [(&'static str, &Table); 5] {
        [
            ("Goals", &self.goals),
            ("One query, one thread", &self.searches),
            ("Batches", &self.batches),
            ("Work of a query", &self.work),
            ("Memory and building", &self.costs),
        ]
    }
}

/// A table with these heads.
fn table(heads: &str) -> Table {
    Table::new(&heads.split(" | ").collect::<Vec<_>>())
}

const EXPLAINED: &str = "
Every answer was checked before it was timed. One query: the median of each query over the passes; then median, mean and p95 over queries. Half of the queries are near a stored code, \
half fresh draws.
Before each pass other memory is gone through, so that each query finds nothing of its own in the caches. *again*: 100 queries over and over, what they touch may be in the caches (the goals were \
set by such a loop); of the rivals only mih-rs, which runs in this process.
*scan / it*: the scan, timed in turn with the contender, over it (means). *best rival / it*: the fastest rival of this run on this row over it (means). *verdict*: of the mean. Goals are those of 10 million codes, one thread, layout fast; \
compact may take six times that; nothing may take more than 1.1 times the scan.
*limit*: of the scan, the codes' bytes over the sequential read of this run; of the index, the lines it is estimated to miss (one a probe, one a bucket found, those of each code fetched) at an \
independent random read each, and the bytes of its buckets and scanned codes at the sequential read.
*batched scan / it*: our scan that goes through the codes once for all queries, timed in turn. A batch is met within 10 % of the better of that and the contender's own single queries, and on two \
threads at 1.8 times the speed.
*most memory / final*: codes and the most that building took, over codes and index.
";

fn mean(one: &Searched, of: impl Fn(&SearchStats) -> f64) -> f64 {
    one.work.iter().map(of).sum::<f64>() / one.work.len().max(1) as f64
}

fn scan_limit_ns(about: &About) -> f64 {
    about.n as f64 * f64::from(about.bits) / 8.0 / about.limits.gb_per_s
}

fn index_limit_ns(about: &About, layout: Layout, work: &SearchStats) -> f64 {
    match about.bits {
        64 => about.limits.index_ns::<1>(layout, work),
        128 => about.limits.index_ns::<2>(layout, work),
        256 => about.limits.index_ns::<4>(layout, work),
        _ => about.limits.index_ns::<8>(layout, work),
    }
}

/// Three digits, roughly.
fn three(value: f64) -> String {
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$}")
}
