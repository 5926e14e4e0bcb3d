//! `phashdb verify`: reads every byte of the library and checks every checksum.

use std::path::Path;
use std::time::Instant;

use phash_library::{Damage, Kind, VerifyReport, verify};

use crate::args::VerifyArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Style, Tone};
use crate::output::{Record, Value, number, visible, visible_path};
use crate::progress::Progress;

pub(super) fn run(args: &VerifyArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let db = args.db.or(&high.db);
    let progress = Progress::new("verify");
    let result = verify(db, high.reading, &high.cancel, &mut |done, all| progress.show(done, all));
    drop(progress);
    let report = result?;
    let mut output = high.output();
    output.columns(&[
        "type",
        "file",
        "offset_bytes",
        "what",
        "expected",
        "got",
        "affected",
        "first_id",
        "end_id",
        "labels",
    ]);
    for damage in &report.damages {
        output.record(|| damage_record(damage))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    output.record(|| {
        Record::new("summary")
            .with("damages", report.damages.len())
            .with("checked_bytes", report.checked_bytes)
            .with("checked_codes", report.checked_codes)
            .with("uncommitted_bytes", report.uncommitted_bytes)
            .with("seconds", seconds)
    })?;
    output.text(|style| draw(style, &report, db, seconds))?;
    output.finish()?;
    Ok(ExitStatus::Success.or_error_if(!report.damages.is_empty()))
}

fn damage_record(damage: &Damage) -> Record {
    Record::new("damage")
        .with("file", damage.file.display().to_string())
        .with("offset_bytes", damage.offset_bytes)
        .with("what", damage.what.as_str())
        .with("expected", damage.expected.as_str())
        .with("got", damage.got.as_str())
        .with("affected", damage.affected.as_ref().map(|affected| word(affected.kind)))
        .with("first_id", damage.affected.as_ref().map(|affected| affected.ids.start))
        .with("end_id", damage.affected.as_ref().map(|affected| affected.ids.end))
        .with("labels", Value::list(damage.labels.iter().map(String::as_str)))
}

fn draw(style: &Style, report: &VerifyReport, db: &Path, seconds: f64) -> String {
    let mut text = String::new();
    for damage in &report.damages {
        text += &format!(
            "{} {}, byte {}: {}: expected {}, got {}\n",
            style.paint(Tone::Bad, "damaged:"),
            visible_path(&damage.file),
            damage.offset_bytes,
            visible(&damage.what),
            visible(&damage.expected),
            visible(&damage.got)
        );
        if let Some(affected) = &damage.affected {
            let (first, last) = (affected.ids.start, affected.ids.end.saturating_sub(1));
            let ids = if first == last { format!("{first}") } else { format!("{first} to {last}") };
            let labels: Vec<String> =
                damage.labels.iter().take(3).map(|label| visible(label).into_owned()).collect();
            let more = if damage.labels.len() > labels.len() { ", ..." } else { "" };
            let labels =
                if labels.is_empty() { String::new() } else { format!(": {}{more}", labels.join(", ")) };
            text += &format!("  affected: {} {ids}{labels}\n", word(affected.kind));
        }
    }
    let verdict = if report.damages.is_empty() {
        style.paint(Tone::Good, "sound")
    } else {
        style.paint(Tone::Bad, &number::counted(report.damages.len() as u64, "damage", "damages"))
    };
    text += &format!(
        "{}: {verdict}; {} and {} checked in {}\n",
        visible_path(db),
        number::counted(report.checked_codes, "code", "codes"),
        number::bytes(report.checked_bytes),
        number::seconds(seconds)
    );
    if report.uncommitted_bytes > 0 {
        text += &format!(
            "{} behind the last commit: being written, or left by an interrupted writer; no damage\n",
            number::bytes(report.uncommitted_bytes)
        );
    }
    text
}

/// What ids are of.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Model => "model",
        Kind::Tensor => "tensor",
        Kind::Raw => "code",
        Kind::LabelPlace | Kind::LabelText => "label",
    }
}
