//! `phashdb backup`: a consistent copy of the library.

use std::time::Instant;

use phash_library::backup;

use super::items::Items;
use crate::args::BackupArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::message;
use crate::output::table::Tone;
use crate::output::{Record, Value, number, visible};
use crate::progress::Progress;

pub(super) fn run(args: &BackupArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let db = args.db.or(&high.db);
    let progress = Progress::new("backup");
    let result = backup(db, &args.out, &high.cancel, &mut |done, all| progress.show(done, all));
    drop(progress);
    let done = result?;
    for segment in &done.segments_left_out {
        message::warning(&format!(
            "{}: index segment {segment} is damaged or missing and was left out: the next ingest builds it again",
            db.display()
        ));
    }
    let seconds = started.elapsed().as_secs_f64();
    let out = args.out.display().to_string();
    let mut output = high.output();
    output.record(|| {
        Record::new("backup")
            .with("out", out.as_str())
            .with("generation", done.generation)
            .with("items", done.items)
            .with("copied_bytes", done.copied_bytes)
            .with("segments_left_out", Value::list(done.segments_left_out.iter().map(String::as_str)))
            .with("seconds", seconds)
    })?;
    output.text(|style| {
        format!(
            "{}: {}, {}, every checksum compared; {}\n",
            visible(&out),
            style.paint(Tone::Head, &number::bytes(done.copied_bytes)),
            Items::of(&args.out).count(done.items.into()),
            number::seconds(seconds)
        )
    })?;
    output.finish()?;
    Ok(ExitStatus::Success)
}
