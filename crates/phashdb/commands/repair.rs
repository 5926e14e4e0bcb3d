//! `phashdb repair --salvage`: a new library of what is intact in a damaged one, and the list of what is lost.

use std::io;
use std::time::Instant;

use phash_library::{Loss, LossKind, SalvageEvent, salvage};

use super::items::Items;
use crate::args::RepairArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Style, Tone};
use crate::output::{Output, Record, number, visible};
use crate::progress::Progress;

pub(super) fn run(args: &RepairArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let progress = Progress::new("repair");
    let mut output = high.output();
    output.columns(&["type", "what", "first_id", "end_id", "label", "path", "version", "reason"]);
    let mut printed: io::Result<()> = Ok(());
    let result = salvage(args.db.or(&high.db), &args.salvage, &high.cancel, &mut |event| match event {
        SalvageEvent::Progress { done, all } => progress.show(done, all),
        SalvageEvent::Lost(loss) if printed.is_ok() => {
            printed = progress.suspend(|| print(&mut output, &loss));
        }
        SalvageEvent::Indexing { view, codes } => progress.indexing(view, codes),
        _ => {}
    });
    drop(progress);
    let done = result?;
    printed?;
    let seconds = started.elapsed().as_secs_f64();
    let out = args.salvage.display().to_string();
    output.record(|| {
        Record::new("summary")
            .with("salvaged", done.items)
            .with("losses", done.losses)
            .with("out", out.as_str())
            .with("seconds", seconds)
    })?;
    output.text(|style| {
        let saved = Items::of(&args.salvage).count(done.items.into());
        let lost = match done.losses {
            0 => style.paint(Tone::Good, "nothing is lost"),
            losses => style.paint(Tone::Bad, &number::counted(losses, "loss", "losses")),
        };
        let seconds = number::seconds(seconds);
        format!("{}: {saved} saved; {lost}; {seconds}\n", visible(&out))
    })?;
    output.finish()?;
    Ok(ExitStatus::Success.or_error_if(done.losses > 0))
}

fn print(output: &mut Output, loss: &Loss) -> io::Result<()> {
    output.record(|| {
        Record::new("lost")
            .with("what", word(loss.kind))
            .with("first_id", loss.ids.as_ref().map(|ids| ids.start))
            .with("end_id", loss.ids.as_ref().map(|ids| ids.end))
            .with("label", loss.label.as_deref())
            .with("path", loss.path.as_deref())
            .with("version", loss.version)
            .with("reason", loss.reason.as_str())
    })?;
    output.text(|style| draw(style, loss))
}

fn word(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Model => "model",
        LossKind::Source => "source",
        LossKind::Code => "code",
        LossKind::Label => "label",
        LossKind::Commits => "commits",
        LossKind::Uncertain => "uncertain",
        _ => "other",
    }
}

fn draw(style: &Style, loss: &Loss) -> String {
    let ids = match &loss.ids {
        Some(ids) if ids.len() == 1 => format!(" {}", ids.start),
        Some(ids) => format!(" {} to {}", ids.start, ids.end.saturating_sub(1)),
        None => String::new(),
    };
    let label = loss.label.as_deref().map(|label| format!(" {}", visible(label))).unwrap_or_default();
    let verb = if loss.kind == LossKind::Uncertain { Tone::Care } else { Tone::Bad };
    let head = style.paint(verb, if loss.kind == LossKind::Uncertain { "uncertain:" } else { "lost:" });
    let what = if loss.kind == LossKind::Uncertain { "ids" } else { word(loss.kind) };
    format!("{head} {what}{ids}{label}: {}\n", visible(&loss.reason))
}
