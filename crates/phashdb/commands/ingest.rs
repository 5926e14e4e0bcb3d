//! `phashdb ingest`: puts models into the library. Results are told after the commit that made them durable.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Instant;

use phash_library::{Candidate, Event, IngestSummary, ingest, walk};

use super::describe::{read_name, sample_note};
use crate::args::IngestArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::inputs::{is_stdin, stdin};
use crate::message;
use crate::output::table::{Style, Tone};
use crate::output::{Output, Record, number, visible};
use crate::progress::Progress;

pub(super) fn run(args: &IngestArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let candidates = candidates(args)?;
    let mut output = high.output();
    output.columns(&["type", "path", "id", "version", "weak", "read", "reason"]);
    if candidates.is_empty() {
        // Nothing is created for nothing.
        message::warning("no weights files found (*.safetensors, *.safetensors.index.json)");
        finish(&mut output, IngestSummary::default(), 0, started, high)?;
        return Ok(ExitStatus::NothingFound);
    }
    let progress = Progress::new("ingest");
    let advance = |bytes| progress.advance(bytes);
    let hashing = high.hashing(&advance);
    let mut tell =
        Tell { output: &mut output, progress: &progress, files: 0, done: 0, bytes: 0, printing: Ok(()) };
    let result = ingest(&high.db, candidates, args.commit_every, &hashing, &mut |event| tell.event(&event));
    let (bytes, printing) = (tell.bytes, tell.printing);
    drop(progress);
    let summary = result?;
    printing?;
    finish(&mut output, summary, bytes, started, high)?;
    if summary.cancelled {
        message::note("interrupted; what was finished is stored, run the same command again for the rest");
        return Ok(ExitStatus::Interrupted);
    }
    Ok(ExitStatus::Success.or_error_if(summary.skipped > 0))
}

fn candidates(args: &IngestArgs) -> Result<Vec<Candidate>, Failure> {
    let mut paths = Vec::new();
    let lists_stdin = args.files_from.as_deref().is_some_and(is_stdin);
    let reads_stdin = args.paths.iter().filter(|path| is_stdin(path)).count() + usize::from(lists_stdin);
    if reads_stdin > 1 {
        return Err(Failure::Usage("- (standard input) can be given only once".to_owned()));
    }
    if let Some(list) = &args.files_from {
        paths.extend(read_list(list, args.null)?);
    }
    let mut candidates: Vec<Candidate> = walk(&paths).collect();
    for path in &args.paths {
        if is_stdin(path) {
            let label = args.stdin_label.clone();
            candidates.push(Candidate { input: Ok(stdin(&label)), label });
        } else {
            candidates.extend(walk(std::slice::from_ref(path)));
        }
    }
    Ok(candidates)
}

fn read_list(list: &PathBuf, null: bool) -> Result<Vec<PathBuf>, Failure> {
    let mut text = Vec::new();
    let read = if is_stdin(list) {
        std::io::stdin().read_to_end(&mut text).map(drop)
    } else {
        std::fs::read(list).map(|bytes| text = bytes)
    };
    read.map_err(|error| Failure::Usage(format!("{}: cannot be read: {error}", list.display())))?;
    let end = if null { 0 } else { b'\n' };
    text.split(|&byte| byte == end)
        .map(|line| if null { line } else { line.strip_suffix(b"\r").unwrap_or(line) })
        .filter(|line| !line.is_empty())
        .map(path_of)
        .collect()
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "fallible elsewhere")]
fn path_of(bytes: &[u8]) -> Result<PathBuf, Failure> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Result<PathBuf, Failure> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Failure::Usage("--files-from: a path is not valid UTF-8".to_owned()))?;
    Ok(PathBuf::from(text))
}

/// Tells the events: results to standard output, the rest to standard error and the progress bar.
struct Tell<'a> {
    output: &'a mut Output,
    progress: &'a Progress,
    files: u64,
    done: u64,
    bytes: u64,
    printing: std::io::Result<()>,
}

impl Tell<'_> {
    fn event(&mut self, event: &Event<'_>) {
        let record = match event {
            Event::Planned { files, bytes } => {
                (self.files, self.bytes) = (*files, *bytes);
                self.progress.set_total(*bytes);
                return;
            }
            Event::Indexing { view, codes } => {
                self.progress.message(format!(
                    "indexing {} of view {view}",
                    number::counted((*codes).into(), "code", "codes")
                ));
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
    format!(
        "{}: {}; {}{rate}\n",
        visible(&high.db.display().to_string()),
        parts.join(", "),
        number::seconds(seconds)
    )
}
