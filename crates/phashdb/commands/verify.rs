//! `phashdb verify`: reads every byte of the library and checks every checksum.

use std::time::Instant;

use phash_library::{Damage, Library, VerifyReport};

use crate::args::VerifyArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Style, Tone};
use crate::output::{Record, number, visible};
use crate::progress::Progress;

pub(super) fn run(args: &VerifyArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let db = args.db.or(&high.db);
    let progress = Progress::new("verify");
    let result = Library::verify_with(db, high.reading, &mut |done, all| {
        progress.set_total(all);
        progress.set_position(done);
    });
    drop(progress);
    let (report, stopped) = match result {
        Ok(report) => (report, false),
        // Damage may keep the library from being opened at all.
        Err(phash_library::Error::Store(error)) if error.is_damage() => {
            let damages = vec![Damage::from_error(error, db)];
            (VerifyReport { damages, ..VerifyReport::default() }, true)
        }
        Err(error) => return Err(error.into()),
    };
    let mut output = high.output();
    output.columns(&["type", "file", "offset_bytes", "what", "expected", "got"]);
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
    output.text(|style| draw(style, &report, stopped, &db.display().to_string(), seconds))?;
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
}

fn draw(style: &Style, report: &VerifyReport, stopped: bool, db: &str, seconds: f64) -> String {
    let mut text = String::new();
    for damage in &report.damages {
        text += &format!(
            "{} {}, byte {}: {}: expected {}, got {}\n",
            style.paint(Tone::Bad, "damaged:"),
            visible(&damage.file.display().to_string()),
            damage.offset_bytes,
            visible(&damage.what),
            visible(&damage.expected),
            visible(&damage.got)
        );
    }
    let verdict = if report.damages.is_empty() {
        style.paint(Tone::Good, "sound")
    } else {
        style.paint(Tone::Bad, &number::counted(report.damages.len() as u64, "damage", "damages"))
    };
    text += &format!(
        "{}: {verdict}; {} and {} checked in {}\n",
        visible(db),
        number::counted(report.checked_codes, "code", "codes"),
        number::bytes(report.checked_bytes),
        number::seconds(seconds)
    );
    if stopped {
        text += "this damage keeps the library from being opened: the rest was not checked; restore the file from a backup\n";
    }
    if report.uncommitted_bytes > 0 {
        text += &format!(
            "{} behind the last commit: being written, or left by an interrupted writer; no damage\n",
            number::bytes(report.uncommitted_bytes)
        );
    }
    text
}
