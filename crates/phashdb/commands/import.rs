//! `phashdb import`: puts what `export` wrote into the library.

use std::time::Instant;

use phash_library::{ImportInput, TransferEvent, import};

use super::transfer::{self, Tell};
use crate::args::ImportArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::inputs::{STDIN, is_stdin};
use crate::message;
use crate::output::{number, visible};
use crate::progress::Progress;

pub(super) fn run(args: &ImportArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let db = args.database.as_deref().unwrap_or(&high.db);
    let input = if is_stdin(&args.file) {
        ImportInput::stream(STDIN, Box::new(std::io::stdin()))?
    } else {
        ImportInput::open(&args.file)?
    };
    let names = [input.name().to_owned()];
    let mut output = high.output();
    output.columns(&transfer::COLUMNS);
    let progress = Progress::new("import");
    // Of standard input nobody knows how long it is.
    if let Some(bytes) = input.len_bytes() {
        progress.set_total(bytes);
    }
    let read = |bytes| progress.advance(bytes);
    let mut tell = Tell {
        output: &mut output,
        progress: &progress,
        inputs: &names,
        counts_items: false,
        printing: Ok(()),
    };
    let mut committed = 0;
    let result = import(db, input, &high.cancel, &read, &mut |event| {
        if let TransferEvent::Committed { items } = event {
            committed = items;
        }
        tell.event(&event);
    });
    let printing = tell.printing;
    drop(progress);
    let imported = match result {
        Ok(imported) => imported,
        Err(error) => {
            let stored = number::counted(committed, "model or raw code", "models or raw codes");
            message::note(&match committed {
                0 => "nothing of this import was stored".to_owned(),
                _ => format!("the first {stored} of this import are stored"),
            });
            return Err(error.into());
        }
    };
    printing?;
    let seconds = started.elapsed().as_secs_f64();
    output.record(|| transfer::summary(&imported.counts, seconds))?;
    output.text(|style| {
        let done = transfer::describe(style, &imported.counts);
        format!("{}: {done}; {}\n", visible(&db.display().to_string()), number::seconds(seconds))
    })?;
    output.finish()?;
    if imported.cancelled {
        message::note("interrupted; what was finished is stored, run the same command again for the rest");
        return Ok(ExitStatus::Interrupted);
    }
    Ok(ExitStatus::Success)
}
