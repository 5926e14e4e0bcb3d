//! `phashdb info`: what the library holds and what it was made with.

use std::fmt::Write as _;
use std::path::Path;

use phash_library::{AnyLibrary, Contents, Digest, Info, View};

use super::describe::warn_of_segments;
use super::sizes;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Style, Tone};
use crate::output::{Record, Value, number};

pub(super) fn run(db: &Path, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let library = match AnyLibrary::open_with(db, high.reading)? {
        AnyLibrary::Models(library) => library,
        AnyLibrary::Codes(library) => return super::codes::info::run(&library, high),
    };
    warn_of_segments(db, library.unusable_segments());
    let info = library.reader().info().map_err(phash_library::Error::from)?;
    let parameters = Digest(library.reader().schema().parameters).to_string();
    let segments: Vec<(View, Vec<std::ops::Range<u32>>)> =
        View::ALL.into_iter().map(|view| (view, library.segments(view))).collect();
    let mut output = high.output();
    output.record(|| record(db, &info, &parameters, &segments))?;
    output.text(|style| draw(style, db, &info, &parameters, &segments))?;
    output.finish()?;
    Ok(ExitStatus::Success)
}

type Segments = [(View, Vec<std::ops::Range<u32>>)];

fn record(db: &Path, info: &Info, parameters: &str, segments: &Segments) -> Record {
    let ranges = segments.iter().map(|(view, ranges)| {
        let ranges = ranges.iter().map(|ids| Value::list([ids.start, ids.end]));
        (view.name(), Value::List(ranges.collect()))
    });
    let record = Record::new("info")
        .with("path", db.display().to_string())
        .with("version", crate::version::SHORT)
        .with("format_version", info.format_version)
        .with("contents", Contents::Models.to_string())
        .with("parameters", parameters)
        .with("bits", phash_library::CODE_BITS)
        .with("views", Value::list(View::ALL.map(View::name)))
        .with("generation", info.generation)
        .with("created_at_ms", u64::try_from(info.created_at_ms).unwrap_or(0))
        .with("models", info.models)
        .with("weak_models", info.weak_models)
        .with(
            "void_models",
            Value::object(View::ALL.map(View::name).into_iter().zip(info.void_models.clone())),
        )
        .with("tensors", info.tensors)
        .with("labels", info.labels)
        .with("sources", info.sources)
        .with("catalog_bytes", info.catalog_bytes)
        .with("code_bytes", info.code_bytes)
        .with("segment_bytes", info.segment_bytes)
        .with("segments", Value::object(ranges));
    sizes::record(record, info)
}

fn draw(style: &Style, db: &Path, info: &Info, parameters: &str, segments: &Segments) -> String {
    let mut text = format!("{}\n", style.paint(Tone::Head, &db.display().to_string()));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {} {value}", style.paint(Tone::Dim, &format!("{name:<12}")));
    };
    let weak = if info.weak_models > 0 {
        format!(", {} weak", number::count(info.weak_models.into()))
    } else {
        String::new()
    };
    line("models", format!("{}{weak}", number::count(info.models.into())));
    line("tensors", number::count(info.tensors.into()));
    line(
        "labels",
        format!(
            "{} ({})",
            number::count(info.labels.into()),
            number::counted(info.sources.into(), "version in all", "versions in all")
        ),
    );
    for (view, void) in View::ALL.into_iter().zip(&info.void_models) {
        let ranges = segments.iter().find(|(other, _)| *other == view).map_or(&[][..], |(_, ranges)| ranges);
        let indexed: u64 = ranges.iter().map(|ids| u64::from(ids.end - ids.start)).sum();
        let index = if indexed == 0 {
            "not indexed (searched by scanning)".to_owned()
        } else {
            format!(
                "{} indexed in {}",
                number::count(indexed),
                number::counted(ranges.len() as u64, "segment", "segments")
            )
        };
        let codes = number::counted(u64::from(info.models.saturating_sub(*void)), "code", "codes");
        line(&format!("view {view}"), format!("{codes} of {} bits, {index}", phash_library::CODE_BITS));
    }
    line(
        "on disk",
        format!(
            "{} codes, {} catalog, {} index",
            number::bytes(info.code_bytes),
            number::bytes(info.catalog_bytes),
            number::bytes(info.segment_bytes)
        ),
    );
    line(
        "format",
        format!("version {}, {}", info.format_version, number::counted(info.generation, "commit", "commits")),
    );
    line("parameters", parameters.to_owned());
    if let Some(removals) = sizes::removals(info) {
        line("removed", removals);
    }
    text + "\n" + &sizes::draw(style, info)
}
