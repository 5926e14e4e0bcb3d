//! `phashdb export`: all that is in the library as JSON lines or Parquet. The rows are the result: `--format` says how they are
//! written.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Instant;

use phash_library::{ExchangeFormat, Exported, Reader, export, export_file};

use super::items::Items;
use crate::args::ExportArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::message;
use crate::output::{Format, number};
use crate::progress::Progress;

pub(super) fn run(args: &ExportArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let db = args.db.or(&high.db);
    let format = format(args, high)?;
    if format == ExchangeFormat::Parquet && args.output.is_none() && std::io::stdout().is_terminal() {
        let what = "Parquet is not for a terminal: name a file with -o, or redirect the output";
        return Err(Failure::Usage(what.to_owned()));
    }
    let progress = Progress::of_items("export");
    let reader = Reader::open(db, high.reading).map_err(phash_library::Error::from)?;
    progress.set_total(reader.live_count().into());
    drop(reader);
    let done = |items| progress.advance(items);
    let exported = match &args.output {
        Some(path) => export_file(db, high.reading, format, path, &high.cancel, &done)?,
        None => {
            let stdout = std::io::stdout();
            match export(db, high.reading, format, "standard output", stdout, &high.cancel, &done) {
                // A reader that has seen enough is no error.
                Err(phash_library::Error::ExportFile { source, .. })
                    if source.kind() == std::io::ErrorKind::BrokenPipe =>
                {
                    return Ok(ExitStatus::Success);
                }
                result => result?,
            }
        }
    };
    drop(progress);
    if high.format != Format::Quiet {
        message::note(&describe(db, exported, started));
    }
    Ok(ExitStatus::Success)
}

fn format(args: &ExportArgs, high: &HiArgs) -> Result<ExchangeFormat, Failure> {
    match high.format {
        Format::Parquet => Ok(ExchangeFormat::Parquet),
        Format::Jsonl => Ok(ExchangeFormat::Jsonl),
        Format::Table | Format::Quiet => {
            Ok(args.output.as_deref().map_or(ExchangeFormat::Jsonl, ExchangeFormat::of_path))
        }
        Format::Json | Format::Csv => {
            Err(Failure::Usage("export writes --format jsonl or parquet".to_owned()))
        }
    }
}

fn describe(db: &Path, exported: Exported, started: Instant) -> String {
    format!(
        "{}: {} exported, {}; {}",
        db.display(),
        Items::of(db).count(exported.items),
        number::counted(exported.rows, "row", "rows"),
        number::seconds(started.elapsed().as_secs_f64())
    )
}
