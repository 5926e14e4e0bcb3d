//! Index against scan over every width, kind, size, radius and k: shows that no query is slower than the scan by more than
//! the goal allows. `--help` says what can be chosen.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use phash_bench::codes::source::Source;
use phash_bench::codes::{Kind, generate};
use phash_bench::machine;
use phash_bench::search::contender::Skip;
use phash_bench::search::goals::SCAN;
use phash_bench::search::options::{HELP, Options};
use phash_bench::search::ours::Layout;
use phash_bench::search::sweep::{self, Cell};
use phash_bench::search::task::Task;
use phash_bench::table::{Table, time};
use phash_bench::timing::median;

/// Rows of the table of the worst cells.
const WORST: usize = 40;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-index");
    match Options::read(args, cache, &[1_000, 10_000, 100_000, 1_000_000], &Kind::ALL)
        .and_then(|options| bench(&options))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn bench(options: &Options) -> Result<(), String> {
    let mut cells = Vec::new();
    let mut left_out = Vec::new();
    for &n in &options.sizes {
        for source in &options.sources {
            let Source::Generated(kind) = *source else {
                return Err("the sweep makes its codes itself".to_owned());
            };
            for &bits in &options.bits {
                match bits {
                    64 => width::<1>(kind, n, options, &mut cells, &mut left_out),
                    128 => width::<2>(kind, n, options, &mut cells, &mut left_out),
                    256 => width::<4>(kind, n, options, &mut cells, &mut left_out),
                    _ => width::<8>(kind, n, options, &mut cells, &mut left_out),
                }?;
            }
        }
    }
    let (text, jsonl) = report(cells, &left_out);
    let text = format!("machine: {}\n\n{text}", machine::line());
    println!("{text}");
    let write = |path: &Option<std::path::PathBuf>, text: String| match path {
        Some(path) => fs::write(path, text).map_err(|error| format!("{}: {error}", path.display())),
        None => Ok(()),
    };
    write(&options.markdown, text)?;
    write(&options.jsonl, jsonl)
}

fn width<const W: usize>(
    kind: Kind,
    n: u32,
    options: &Options,
    cells: &mut Vec<Cell>,
    left_out: &mut Vec<String>,
) -> Result<(), String> {
    let radii = options.radii.clone().unwrap_or_else(|| sweep::radii(64 * W as u32));
    let ks = options.ks.clone().unwrap_or_else(|| vec![1, 10, 100, 1000]);
    let tasks: Vec<Task> =
        radii.into_iter().map(Task::Within).chain(ks.into_iter().map(Task::Nearest)).collect();
    let data = generate::<W>(kind, n, options.queries.min(if options.tiny { 4 } else { 8 }));
    for layout in Layout::ALL.into_iter().filter(|layout| options.wants(layout.name())) {
        eprintln!("{} {} n {n} {}", kind.name(), 64 * W, layout.name());
        match sweep::run(kind, &data, layout, &tasks, options.passes) {
            Ok(more) => cells.extend(more),
            Err(Skip(why)) if why.starts_with("WRONG") => return Err(why),
            Err(Skip(why)) => {
                let line = format!("{}: skipped: {why}", layout.name());
                if !left_out.contains(&line) {
                    left_out.push(line);
                }
            }
        }
    }
    Ok(())
}

/// For each kind, size and layout how many cells are over the goal, and how far.
fn summary(cells: &[Cell]) -> Table {
    let mut groups: BTreeMap<(usize, &str, &str), Vec<f64>> = BTreeMap::new();
    for cell in cells {
        groups.entry((cell.n, cell.kind, cell.layout.name())).or_default().push(cell.ratios[0]);
    }
    let mut table = Table::new(&["codes", "n", "layout", "cells", "over", "median index / scan", "largest"]);
    for ((n, kind, layout), ratios) in groups {
        let over = ratios.iter().filter(|&&ratio| ratio > SCAN).count();
        let largest = ratios.iter().copied().fold(0.0, f64::max);
        table.row([
            kind.to_owned(),
            n.to_string(),
            layout.to_owned(),
            ratios.len().to_string(),
            over.to_string(),
            format!("{:.2}", median(&ratios)),
            format!("{largest:.2}"),
        ]);
    }
    table
}

fn report(mut cells: Vec<Cell>, left_out: &[String]) -> (String, String) {
    cells.sort_by(|a, b| b.ratios[0].total_cmp(&a.ratios[0]));
    let head = [
        "codes",
        "n",
        "layout",
        "search",
        "index",
        "scan",
        "more",
        "index / scan",
        "worst query",
        "measured",
    ];
    let (mut worst, mut all) = (Table::new(&head), Table::new(&head));
    for (number, cell) in cells.iter().enumerate() {
        let row = [
            format!("{} {}", cell.kind, cell.bits),
            cell.n.to_string(),
            cell.layout.name().to_owned(),
            cell.task.to_string(),
            time(cell.ns[0]),
            time(cell.ns[1]),
            time((cell.ns[0] - cell.ns[1]).max(0.0)),
            format!("{:.3}", cell.ratios[0]),
            format!("{:.3}", cell.ratios[1]),
            cell.measured.to_string(),
        ];
        if number < WORST {
            worst.row(row.clone());
        }
        all.row(row);
    }
    let over = cells.iter().filter(|cell| cell.ratios[0] > SCAN).count();
    let mut text = format!(
        "{} cells, {over} over {SCAN} x the scan.\n\n{}\nThe {} worst cells:\n\n{}",
        cells.len(),
        summary(&cells).to_markdown(),
        WORST.min(cells.len()),
        worst.to_markdown()
    );
    text += "\nTime of the mean query, index and scan in turn, median of the passes of each query; cells over the goal were measured \
             up to three times more. *more*: what the index takes beyond the scan. *worst query*: the query of the cell where index / scan is largest.\n";
    for line in left_out {
        text += &format!("\n{line}\n");
    }
    (text, all.to_json_lines("sweep"))
}
