//! `phashdb bench`: how fast the raw codes of this database are searched on this machine, by the index and without.

use std::fs;

use phash_library::{CodeLibrary, CodeMode, Measured, measure};

use crate::args::BenchArgs;
use crate::commands::describe::warn_of_segments;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::message;
use crate::output::table::{Column, Grid, Style, Tone};
use crate::output::{Record, number};

pub(crate) fn run(args: &BenchArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let library = CodeLibrary::open_with(args.db.or(&high.db), high.reading)?;
    warn_of_segments(library.dir(), library.unusable_segments());
    if library.code_count() == 0 {
        let db = library.dir().display();
        return Err(Failure::Usage(format!(
            "{db}: holds no codes yet: nothing to measure (see import-codes)"
        )));
    }
    let modes = modes(args, &library);
    let mut output = high.output();
    output.columns(&[
        "type",
        "radius_bits",
        "nearest",
        "queries",
        "scans",
        "matches_a_query",
        "index_us",
        "index_p99_us",
        "scan_us",
        "speedup",
        "recall",
        "by_scan",
    ]);
    let machine = Machine::new();
    let indexed: u64 = library.segments().iter().map(|ids| u64::from(ids.end - ids.start)).sum();
    if !output.wants_rows() {
        output.record(|| {
            Record::new("machine")
                .with("cpu", machine.cpu.as_str())
                .with("processors", machine.processors)
                .with("load", machine.load)
                .with("bits", library.width().bits())
                .with("codes", library.code_count())
                .with("indexed", indexed)
        })?;
    }
    let (mut rows, mut printing) = (Vec::new(), Ok(()));
    let queries = usize::try_from(args.queries).unwrap_or(usize::MAX);
    measure(&library, &modes, queries, &high.cancel, &mut |row| {
        if printing.is_ok() {
            printing = output.record(|| record(row));
        }
        rows.push(*row);
    })?;
    printing?;
    output.text(|style| draw(style, &library, indexed, &machine, &rows))?;
    output.finish()?;
    let wrong = rows.iter().any(|row| row.recall < 1.0);
    if wrong {
        message::error("the index gave other answers than comparing every code: run verify, and report it");
    }
    Ok(ExitStatus::Success.or_error_if(wrong))
}

fn modes(args: &BenchArgs, library: &CodeLibrary) -> Vec<CodeMode> {
    let mut modes: Vec<CodeMode> = args.radius.iter().map(|&bits| CodeMode::Radius(bits)).collect();
    modes.extend(args.nearest.iter().map(|&k| CodeMode::Nearest(k)));
    if modes.is_empty() {
        modes.extend([4, 12].map(CodeMode::Radius));
        modes.extend((library.width().bits() > 64).then_some(CodeMode::Radius(31)));
        modes.push(CodeMode::Nearest(10));
    }
    modes
}

/// Where it was measured.
struct Machine {
    cpu: String,
    processors: usize,
    /// Processes running or waiting over the last minute, where the system tells.
    load: Option<f64>,
}

impl Machine {
    fn new() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let cpu = name.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_owned();
        let load = fs::read_to_string("/proc/loadavg").ok();
        let load = load.and_then(|text| text.split(' ').next()?.parse().ok());
        Self { cpu, processors: std::thread::available_parallelism().map_or(1, usize::from), load }
    }
}

fn record(row: &Measured) -> Record {
    let (radius, nearest) = match row.mode {
        CodeMode::Radius(bits) => (Some(bits), None),
        CodeMode::Nearest(k) => (None, Some(k)),
    };
    Record::new("measurement")
        .with("radius_bits", radius)
        .with("nearest", nearest)
        .with("queries", row.queries)
        .with("scans", row.scans)
        .with("matches_a_query", row.matches)
        .with("index_us", row.index_us)
        .with("index_p99_us", row.index_p99_us)
        .with("scan_us", row.scan_us)
        .with("speedup", row.scan_us / row.index_us.max(1e-3))
        .with("recall", row.recall)
        .with("by_scan", row.by_scan)
}

fn draw(style: &Style, library: &CodeLibrary, indexed: u64, machine: &Machine, rows: &[Measured]) -> String {
    let columns = [
        Column::left("search"),
        Column::right("index\n(median)"),
        Column::right("index\n(99 %)").spare(),
        Column::right("scan\n(median)"),
        Column::right("times\nfaster"),
        Column::right("matches\na query"),
        Column::right("recall"),
    ];
    let mut grid = Grid::new(style, &columns);
    for row in rows {
        let search = match row.mode {
            CodeMode::Radius(bits) => format!("within {}", number::counted(bits.into(), "bit", "bits")),
            CodeMode::Nearest(k) => format!("{} nearest", number::count(k as u64)),
        };
        let right = row.recall >= 1.0;
        grid.row(&[
            (Tone::Plain, search),
            (Tone::Number, number::microseconds(row.index_us)),
            (Tone::Dim, number::microseconds(row.index_p99_us)),
            (Tone::Plain, number::microseconds(row.scan_us)),
            (Tone::Plain, number::ratio(row.scan_us / row.index_us.max(1e-3))),
            (Tone::Plain, number::ratio(row.matches)),
            (if right { Tone::Good } else { Tone::Bad }, format!("{}", row.recall)),
        ]);
    }
    let load = machine.load.map_or_else(String::new, |load| format!(", load {load}"));
    let asked = rows.first().map_or(0, |row| row.queries);
    let scans = rows.iter().map(|row| row.scans).min().unwrap_or(0);
    format!(
        "{}\n{}{} of {} bits, {} indexed; {}, {} of them scanned too; one thread of {}, {}{load}\n",
        style.paint(Tone::Head, &library.dir().display().to_string()),
        grid.draw(),
        number::counted(library.code_count().into(), "code", "codes"),
        library.width().bits(),
        number::count(indexed),
        number::counted(asked as u64, "query", "queries"),
        number::count(scans as u64),
        machine.cpu,
        number::counted(machine.processors as u64, "processor", "processors"),
    )
}
