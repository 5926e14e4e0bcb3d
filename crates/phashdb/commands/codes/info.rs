//! `phashdb info` of a database of raw codes.

use std::fmt::Write as _;

use phash_library::{CodeLibrary, Contents, Info};

use super::layout_name;
use crate::commands::describe::warn_of_segments;
use crate::commands::sizes;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Style, Tone};
use crate::output::{Record, Value, number};

pub(crate) fn run(library: &CodeLibrary, high: &HiArgs) -> Result<ExitStatus, Failure> {
    warn_of_segments(library.dir(), library.unusable_segments());
    let info = library.reader().info().map_err(phash_library::Error::from)?;
    let mut output = high.output();
    output.record(|| record(library, &info))?;
    output.text(|style| draw(style, library, &info))?;
    output.finish()?;
    Ok(ExitStatus::Success)
}

fn record(library: &CodeLibrary, info: &Info) -> Record {
    let segments = library.segments().into_iter().map(|ids| Value::list([ids.start, ids.end]));
    let record = Record::new("info")
        .with("path", library.dir().display().to_string())
        .with("version", crate::version::SHORT)
        .with("format_version", info.format_version)
        .with("contents", Contents::Codes.to_string())
        .with("bits", library.width().bits())
        .with("generation", info.generation)
        .with("created_at_ms", u64::try_from(info.created_at_ms).unwrap_or(0))
        .with("codes", info.codes)
        .with("labels", info.labels)
        .with("catalog_bytes", info.catalog_bytes)
        .with("code_bytes", info.code_bytes)
        .with("label_bytes", info.label_bytes)
        .with("segment_bytes", info.segment_bytes)
        .with("segments", Value::List(segments.collect()))
        .with("layouts", Value::list(library.segment_layouts().into_iter().map(layout_name)));
    sizes::record(record, info)
}

fn draw(style: &Style, library: &CodeLibrary, info: &Info) -> String {
    let mut text = format!("{}\n", style.paint(Tone::Head, &library.dir().display().to_string()));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {} {value}", style.paint(Tone::Dim, &format!("{name:<12}")));
    };
    line("raw codes", format!("{} of {} bits", number::count(info.codes.into()), library.width().bits()));
    line("labels", number::count(info.labels.into()));
    let segments = library.segments();
    let indexed: u64 = segments.iter().map(|ids| u64::from(ids.end - ids.start)).sum();
    let index = if indexed == 0 {
        "none (searched by comparing every code)".to_owned()
    } else {
        let mut layouts: Vec<&str> = library.segment_layouts().into_iter().map(layout_name).collect();
        layouts.sort_unstable();
        layouts.dedup();
        let layouts = layouts.join(" and ");
        let segments = number::counted(segments.len() as u64, "segment", "segments");
        format!("{} in {segments}, {layouts}", number::counted(indexed, "code", "codes"))
    };
    line("index", index);
    line(
        "on disk",
        format!(
            "{} codes, {} labels, {} catalog, {} index",
            number::bytes(info.code_bytes),
            number::bytes(info.label_bytes),
            number::bytes(info.catalog_bytes),
            number::bytes(info.segment_bytes)
        ),
    );
    let commits = number::counted(info.generation, "commit", "commits");
    line("format", format!("version {}, {commits}", info.format_version));
    if let Some(removals) = sizes::removals(info) {
        line("removed", removals);
    }
    text + "\n" + &sizes::draw(style, info)
}
