//! `phashdb migrate`: brings a library to the newest format.

use std::time::Instant;

use phash_library::{MigrateEvent, Migration, migrate};

use crate::args::MigrateArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::{Record, number, visible_path};
use crate::progress::Progress;

pub(super) fn run(args: &MigrateArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let db = args.db.or(&high.db);
    let progress = Progress::of_items("migrate");
    let result = migrate(db, &high.cancel, &mut |event| match event {
        MigrateEvent::Rows { done, all } => {
            progress.set_total(all);
            progress.set_position(done);
        }
        MigrateEvent::Indexing { view, codes } => progress.indexing(view, codes),
        _ => {}
    });
    drop(progress);
    let done = result?;
    let seconds = started.elapsed().as_secs_f64();
    let mut output = high.output();
    output.record(|| {
        Record::new("migrated")
            .with("from_version", done.from_version)
            .with("to_version", done.to_version)
            .with("segments_built", done.segments_built)
            .with("seconds", seconds)
    })?;
    output.text(|_| format!("{}: {}\n", visible_path(db), draw(&done)))?;
    output.finish()?;
    Ok(ExitStatus::Success)
}

fn draw(done: &Migration) -> String {
    if !done.is_done() {
        return format!("nothing to do: format version {} is the newest of its kind", done.to_version);
    }
    let mut parts = Vec::new();
    if done.from_version != done.to_version {
        parts.push(format!("format version {} is now {}", done.from_version, done.to_version));
    }
    if done.segments_built > 0 {
        let segments = number::counted(done.segments_built.into(), "index segment", "index segments");
        parts.push(format!("{segments} built"));
    }
    parts.join("; ")
}
