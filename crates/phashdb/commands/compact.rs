//! `phashdb compact`: frees the space of what was removed.

use std::path::Path;
use std::time::Instant;

use phash_library::{CompactEvent, Compacted, Compacting, Info, Layout, compact};

use super::items::Items;
use crate::args::CompactArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Style, Tone};
use crate::output::{Record, number, visible_path};
use crate::progress::Progress;

pub(super) fn run(args: &CompactArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let options = Compacting { layout: args.layout.map(Layout::from), threads: high.threads };
    let progress = Progress::new("compact");
    let db = args.db.or(&high.db);
    let result = compact(db, &options, &high.cancel, &mut |event| match event {
        CompactEvent::Copied { codes, of } => progress.message(format!(
            "copied {} of {}",
            number::count(codes),
            number::counted(of, "code", "codes")
        )),
        CompactEvent::Indexing { view, codes } => progress.indexing(view, codes),
        CompactEvent::Publishing => progress.message("renumbering the catalog".to_owned()),
        _ => {}
    });
    drop(progress);
    let done = result?;
    let seconds = started.elapsed().as_secs_f64();
    let mut output = high.output();
    output.record(|| {
        Record::new("compacted")
            .with("before_bytes", bytes(&done.before))
            .with("after_bytes", bytes(&done.after))
            .with("freed", done.before.removed)
            .with("compactions", done.after.compactions)
            .with("seconds", seconds)
    })?;
    output.text(|style| draw(style, &done, seconds, db))?;
    output.finish()?;
    Ok(ExitStatus::Success)
}

/// All that the files take.
fn bytes(info: &Info) -> u64 {
    info.total_bytes() + info.uncommitted_bytes
}

fn draw(style: &Style, done: &Compacted, seconds: f64, db: &Path) -> String {
    let freed = match done.before.removed {
        0 => "nothing was removed, codes and index stay as they are".to_owned(),
        freed => format!("{} freed, ids are dense again", Items::of(db).count(freed.into())),
    };
    let sizes =
        format!("{} before, {} now", number::bytes(bytes(&done.before)), number::bytes(bytes(&done.after)));
    format!(
        "{}: {}; {freed}; {}\n",
        visible_path(db),
        style.paint(Tone::Head, &sizes),
        number::seconds(seconds)
    )
}
