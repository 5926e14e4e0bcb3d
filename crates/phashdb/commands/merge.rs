//! `phashdb merge`: the union of databases. Results are told after the commit that made them durable.

use std::time::Instant;

use phash_library::{merge, merge_items};

use super::transfer::{self, Tell};
use crate::args::MergeArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::message;
use crate::output::{number, visible};
use crate::progress::Progress;

pub(super) fn run(args: &MergeArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let names: Vec<String> = args.databases.iter().map(|dir| dir.display().to_string()).collect();
    let mut output = high.output();
    output.columns(&transfer::COLUMNS);
    let progress = Progress::of_items("merge");
    progress.set_total(merge_items(&args.databases)?);
    let mut tell = Tell {
        output: &mut output,
        progress: &progress,
        inputs: &names,
        counts_items: true,
        printing: Ok(()),
    };
    let result =
        merge(&args.out, &args.databases, high.reading, &high.cancel, &mut |event| tell.event(&event));
    let printing = tell.printing;
    drop(progress);
    let merged = result?;
    printing?;
    let seconds = started.elapsed().as_secs_f64();
    for (name, counts) in names.iter().zip(&merged.databases) {
        output.record(|| transfer::input_record(name, counts))?;
    }
    let all = transfer::sum(&merged.databases);
    output.record(|| transfer::summary(&all, seconds))?;
    output.text(|style| {
        let mut text = String::new();
        for (name, counts) in names.iter().zip(&merged.databases) {
            text += &format!("{}: {}\n", visible(name), transfer::describe(style, counts));
        }
        let out = args.out.display().to_string();
        let done = transfer::describe(style, &all);
        text + &format!("{}: {done}; {}\n", visible(&out), number::seconds(seconds))
    })?;
    output.finish()?;
    if merged.cancelled {
        message::note("interrupted; what was finished is stored, run the same command again for the rest");
        return Ok(ExitStatus::Interrupted);
    }
    Ok(ExitStatus::Success)
}
