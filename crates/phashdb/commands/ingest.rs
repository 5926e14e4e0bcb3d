//! `phashdb ingest`: puts models into the library. Results are told after the commit that made them durable.

use std::time::Instant;

use phash_library::{Candidate, Event, IngestSummary, ingest, walk};

use super::describe::{read_name, sample_note};
use crate::args::IngestArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::inputs::{check_stdin, is_stdin, stdin};
use crate::lists::{ListFailure, PathList};
use crate::message;
use crate::output::table::{Style, Tone};
use crate::output::{Output, Record, number, visible_path};
use crate::progress::Progress;

pub(super) fn run(args: &IngestArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let failure = ListFailure::default();
    let mut candidates = candidates(args, &failure)?.peekable();
    let mut output = high.output();
    output.columns(&["type", "path", "id", "version", "weak", "read", "reason"]);
    let none = candidates.peek().is_none();
    failure.check()?;
    if none {
        // Nothing is created for nothing.
        message::warning("no weights files found (*.safetensors, *.safetensors.index.json)");
        finish(&mut output, IngestSummary::default(), 0, started, high)?;
        return Ok(ExitStatus::NothingFound);
    }
    let progress = Progress::new("ingest");
    let advance = |bytes| progress.advance(bytes);
    let hashing = high.hashing(&advance);
    let mut tell = Tell { output: &mut output, progress: &progress, files: 0, done: 0, printing: Ok(()) };
    let result = ingest(&high.db, candidates, args.commit_every, &hashing, &mut |event| tell.event(&event));
    let (bytes, printing) = (progress.position(), tell.printing);
    drop(progress);
    let summary = result?;
    printing?;
    finish(&mut output, summary, bytes, started, high)?;
    failure.check()?;
    if summary.cancelled {
        return Ok(super::interrupted());
    }
    Ok(ExitStatus::Success.or_error_if(summary.skipped > 0))
}

/// The candidates, found as they are asked for: first those of the list, then those of the paths.
fn candidates<'a>(
    args: &'a IngestArgs,
    failure: &ListFailure,
) -> Result<impl Iterator<Item = Candidate> + use<'a>, Failure> {
    check_stdin(args.files_from.iter().chain(&args.paths))?;
    let list = args.files_from.as_deref().map(|list| PathList::open(list, args.null, failure)).transpose()?;
    let named = args.paths.iter().flat_map(|path| {
        let stream = is_stdin(path)
            .then(|| Candidate { input: Ok(stdin(&args.stdin_label)), label: args.stdin_label.clone() });
        let walked = (!is_stdin(path)).then(|| walk([path]));
        stream.into_iter().chain(walked.into_iter().flatten())
    });
    Ok(walk(list.into_iter().flatten()).chain(named))
}

/// Tells the events: results to standard output, the rest to standard error and the progress bar.
struct Tell<'a> {
    output: &'a mut Output,
    progress: &'a Progress,
    files: u64,
    done: u64,
    printing: std::io::Result<()>,
}

impl Tell<'_> {
    fn event(&mut self, event: &Event<'_>) {
        let record = match event {
            Event::Planned { files, bytes } => {
                self.files = *files;
                self.progress.set_total(*bytes);
                return;
            }
            Event::Indexing { view, codes } => {
                self.progress.indexing(view, *codes);
                return;
            }
            Event::Ingested { label, id, version, weak, sampled } => {
                if *sampled {
                    self.progress.suspend(|| message::note(&sample_note(label)));
                }
                Record::new("ingested")
                    .with("path", *label)
                    .with("id", *id)
                    .with("version", *version)
                    .with("weak", *weak)
                    .with("read", read_name(*sampled))
            }
            Event::Duplicate { label, id, version } => {
                Record::new("duplicate").with("path", *label).with("id", *id).with("version", *version)
            }
            Event::Unchanged { label, id } => Record::new("unchanged").with("path", *label).with("id", *id),
            Event::Skipped { label, error } => {
                let reason = error.to_string();
                self.progress.suspend(|| message::error(&format!("skipped {reason}")));
                Record::new("skipped").with("path", *label).with("reason", reason)
            }
            _ => return,
        };
        self.done += 1;
        self.progress.message(format!("{} of {} files", number::count(self.done), number::count(self.files)));
        if self.output.wants_records() && self.printing.is_ok() {
            // A reader that went away does not stop the ingest.
            self.printing = self.progress.suspend(|| self.output.record(|| record));
        }
    }
}

fn finish(
    output: &mut Output,
    summary: IngestSummary,
    bytes: u64,
    started: Instant,
    high: &HiArgs,
) -> std::io::Result<()> {
    let seconds = started.elapsed().as_secs_f64();
    output.record(|| {
        Record::new("summary")
            .with("ingested", summary.ingested)
            .with("duplicate", summary.duplicate)
            .with("unchanged", summary.unchanged)
            .with("skipped", summary.skipped)
            .with("seconds", seconds)
    })?;
    output.text(|style| draw(style, summary, bytes, seconds, high))?;
    output.finish()
}

fn draw(style: &Style, summary: IngestSummary, bytes: u64, seconds: f64, high: &HiArgs) -> String {
    let mut parts = vec![
        style.paint(Tone::Head, &number::counted(summary.ingested, "model ingested", "models ingested")),
    ];
    if summary.duplicate > 0 {
        parts.push(number::counted(summary.duplicate, "duplicate", "duplicates"));
    }
    if summary.unchanged > 0 {
        parts.push(format!("{} unchanged", number::count(summary.unchanged)));
    }
    if summary.skipped > 0 {
        parts.push(style.paint(Tone::Bad, &format!("{} skipped", number::count(summary.skipped))));
    }
    let rate = if bytes > 0 && seconds > 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for reading")]
        let per_second = (bytes as f64 / seconds) as u64;
        format!(" ({}/s)", number::bytes(per_second))
    } else {
        String::new()
    };
    format!("{}: {}; {}{rate}\n", visible_path(&high.db), parts.join(", "), number::seconds(seconds))
}
