//! Exact Hamming search: our index in both layouts, our scan, and rivals, on the same codes and queries in the same run.
//! Every answer is checked against the scan before anything is timed. `--help` says what can be chosen.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use phash_bench::codes::Kind;
use phash_bench::codes::source::Source;
use phash_bench::machine;
use phash_bench::search::options::{HELP, Options};
use phash_bench::search::report::Report;
use phash_bench::search::{opening, roster, run};
use phash_bench::table::Table;
use phash_code::Kernel;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match bench(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn bench(args: Vec<String>) -> Result<(), String> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-index");
    let options = Options::read(args, cache, &[1_000_000], &[Kind::Uniform, Kind::Skewed])?;
    println!("machine: {}; kernel {}", machine::line(), Kernel::detect());
    let (mut report, mut opened) = (Report::new(), opening::table());
    let mut left_out = Vec::new();
    for &n in &options.sizes {
        for source in &options.sources {
            for &bits in &options.bits {
                let lines = match bits {
                    64 => width::<1>(source, n, &options, &mut report, &mut opened),
                    128 => width::<2>(source, n, &options, &mut report, &mut opened),
                    256 => width::<4>(source, n, &options, &mut report, &mut opened),
                    _ => width::<8>(source, n, &options, &mut report, &mut opened),
                }?;
                left_out
                    .extend(lines.into_iter().filter(|line| !left_out.contains(line)).collect::<Vec<_>>());
            }
        }
    }
    let mut text = report.to_markdown();
    if options.open {
        text += &format!("\n### Opening\n\n{}", opened.to_markdown());
        text += "\nCold: nothing of the files in memory. A first query checks the pages it touches.\n";
    }
    for line in &left_out {
        text += &format!("\n{line}\n");
    }
    println!("{text}");
    let write = |path: &Option<std::path::PathBuf>, text: String| match path {
        Some(path) => fs::write(path, text).map_err(|error| format!("{}: {error}", path.display())),
        None => Ok(()),
    };
    write(&options.markdown, format!("machine: {}\n{text}", machine::line()))?;
    write(&options.jsonl, report.to_json_lines() + &opened.to_json_lines("Opening"))
}

fn width<const W: usize>(
    source: &Source,
    n: u32,
    options: &Options,
    report: &mut Report,
    opened: &mut Table,
) -> Result<Vec<String>, String> {
    let what = || format!("{} codes of {} bits", source.name(), 64 * W);
    let start = Instant::now();
    let filed = source.load::<W>(&options.cache, n).map_err(|error| format!("{}: {error}", what()))?;
    eprintln!("{}: made or read in {:.1} s", what(), start.elapsed().as_secs_f64());
    let (contenders, mut left_out) = roster::contenders::<W>(options);
    report.add(&run::run(&filed, source.name(), &contenders, options));
    if options.open {
        let radius_bits = if W == 1 { 4 } else { 12 };
        left_out.extend(opening::run(&filed, source.name(), radius_bits, &options.cache, opened));
    }
    Ok(left_out)
}
