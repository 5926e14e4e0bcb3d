//! `phashdb import-codes`: puts raw codes into a database, and indexes them.

use std::time::Instant;

use phash_library::{ImportEvent, ImportOptions, ImportSummary, Layout, import_codes};

use super::{columns, layout_name, open_input};
use crate::args::ImportCodesArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::inputs::check_stdin;
use crate::message;
use crate::output::table::{Style, Tone};
use crate::output::{Record, number, visible_path};
use crate::progress::Progress;

pub(crate) fn run(args: &ImportCodesArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    check_stdin(&args.files)?;
    // All of them before anything is stored: a name that is wrong is found at once.
    let inputs =
        args.files.iter().map(|path| open_input(path, &args.input)).collect::<Result<Vec<_>, _>>()?;
    let options = ImportOptions {
        commit_every: args.commit_every,
        repeated_labels: args.repeated_labels,
        columns: columns(&args.input),
        layout: args.layout.map(Layout::from),
        threads: Some(high.threads),
        ..ImportOptions::new(args.bits)
    };
    let progress = Progress::new("import");
    // Of standard input nobody knows how long it is.
    if let Some(bytes) = inputs.iter().map(phash_library::CodeInput::len_bytes).sum::<Option<u64>>() {
        progress.set_total(bytes);
    }
    let (mut committed, mut indexing) = (0, None);
    let read = |bytes| progress.advance(bytes);
    let result = import_codes(&high.db, inputs, &options, &high.cancel, &read, &mut |event| match event {
        ImportEvent::Committed { codes } => committed = codes,
        ImportEvent::Indexing { codes, layout } => {
            indexing = Some((Instant::now(), layout));
            progress.message(format!("indexing {}", number::counted(codes.into(), "code", "codes")));
        }
        _ => {}
    });
    drop(progress);
    let summary = match result {
        Ok(summary) => summary,
        Err(error) => {
            let codes = || number::counted(committed, "code", "codes");
            let stored = match (committed, indexing) {
                (0, _) => "nothing of this import was stored".to_owned(),
                (_, None) => format!("the first {} of this import are stored", codes()),
                (_, Some(_)) => {
                    format!(
                        "all {} of this import are stored; what is not indexed is searched by comparing",
                        codes()
                    )
                }
            };
            message::note(&stored);
            if matches!(error, phash_library::Error::LabelTwice { .. }) {
                message::note("--repeated-labels lets several codes have one label");
            }
            return Err(error.into());
        }
    };
    let index = indexing.map(|(since, layout)| (since.elapsed().as_secs_f64(), layout));
    let seconds = started.elapsed().as_secs_f64();
    let mut output = high.output();
    output.record(|| {
        Record::new("imported")
            .with("codes", summary.codes)
            .with("labelled", summary.labelled)
            .with("bits", args.bits.bits())
            .with("first_id", summary.first_id)
            .with("index_seconds", index.map(|(seconds, _)| seconds))
            .with("layout", index.map(|(_, layout)| layout_name(layout)))
            .with("seconds", seconds)
    })?;
    output.text(|style| draw(style, &summary, index, seconds, high, args))?;
    output.finish()?;
    if summary.cancelled {
        message::note(
            "interrupted while the index was built: all codes are stored, the next import indexes them",
        );
        return Ok(ExitStatus::Interrupted);
    }
    Ok(ExitStatus::Success)
}

fn draw(
    style: &Style,
    summary: &ImportSummary,
    index: Option<(f64, Layout)>,
    seconds: f64,
    high: &HiArgs,
    args: &ImportCodesArgs,
) -> String {
    let imported = number::counted(summary.codes, "code", "codes");
    let imported = style.paint(Tone::Head, &format!("{imported} of {} bits imported", args.bits.bits()));
    let labelled = match summary.labelled {
        0 => String::new(),
        all if all == summary.codes => ", labelled".to_owned(),
        some => format!(", {} labelled", number::count(some)),
    };
    let index = match index {
        Some((index, layout)) => {
            format!(" ({} of it the {} index)", number::seconds(index), layout_name(layout))
        }
        None => String::new(),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for reading")]
    let rate = (summary.codes as f64 / seconds.max(1e-9)) as u64;
    format!(
        "{}: {imported}{labelled}, ids from {}; {}{index}, {} a second\n",
        visible_path(&high.db),
        summary.first_id,
        number::seconds(seconds),
        number::counted(rate, "code", "codes"),
    )
}
