//! `phashdb rm`: takes models or raw codes out of the library. Results are told after the commit that made them durable.

use phash_library::{Removal, RemovalKind, RemovalTargets, Removals, remove};

use super::items::Items;
use crate::args::RmArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::lists;
use crate::message;
use crate::output::table::{Style, Tone};
use crate::output::{Record, number, visible, visible_path};

pub(super) fn run(args: &RmArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let mut labels = args.labels.clone();
    if let Some(list) = &args.labels_from {
        labels.extend(lists::labels(list, args.null)?);
    }
    let targets =
        if args.id.is_empty() { RemovalTargets::Labels(&labels) } else { RemovalTargets::Ids(&args.id) };
    let done = remove(&high.db, targets, args.dry_run)?;
    let mut output = high.output();
    output.columns(&["type", "id", "label", "dry_run"]);
    for removal in &done.removals {
        if removal.kind == RemovalKind::Missing {
            message::warning(&format!("{}: {} is not there", high.db.display(), name(removal)));
        }
        output.record(|| {
            Record::new(word(removal.kind))
                .with("id", removal.id)
                .with("label", removal.label.as_deref())
                .with("dry_run", args.dry_run)
        })?;
    }
    output.record(|| {
        Record::new("summary")
            .with("removed", done.removed)
            .with("unlabelled", done.unlabelled)
            .with("missing", done.missing)
            .with("dry_run", args.dry_run)
    })?;
    output.text(|style| draw(style, &done, args.dry_run, high))?;
    output.finish()?;
    Ok(ExitStatus::found(done.removed + done.unlabelled > 0))
}

fn word(kind: RemovalKind) -> &'static str {
    match kind {
        RemovalKind::Removed => "removed",
        RemovalKind::Unlabelled => "unlabelled",
        RemovalKind::Missing => "missing",
    }
}

fn name(removal: &Removal) -> String {
    match (removal.id, &removal.label) {
        (Some(id), None) => format!("id {id}"),
        (_, label) => label.clone().unwrap_or_default(),
    }
}

fn draw(style: &Style, done: &Removals, dry_run: bool, high: &HiArgs) -> String {
    let mut text = String::new();
    for removal in &done.removals {
        let label = removal.label.as_deref().map(visible).unwrap_or_default();
        let id = removal.id.map_or_else(String::new, |id| id.to_string());
        match removal.kind {
            RemovalKind::Removed => text += &format!("{id:>9}  {label}\n"),
            RemovalKind::Unlabelled => {
                let note = style.paint(Tone::Dim, "(the model stays under another label)");
                text += &format!("{id:>9}  {label}  {note}\n");
            }
            RemovalKind::Missing => {}
        }
    }
    let removed = Items::of(&high.db).count(done.removed.into());
    let verb = if dry_run { "would be removed" } else { "removed" };
    let mut parts = vec![style.paint(Tone::Head, &format!("{removed} {verb}"))];
    if done.unlabelled > 0 {
        parts.push(number::counted(
            done.unlabelled.into(),
            "label of another model",
            "labels of other models",
        ));
    }
    if done.missing > 0 {
        parts.push(style.paint(Tone::Care, &format!("{} not there", number::count(done.missing.into()))));
    }
    text + &format!("{}: {}\n", visible_path(&high.db), parts.join(", "))
}
