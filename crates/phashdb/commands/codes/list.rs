//! `phashdb list` of a database of raw codes. What it prints as JSON lines or CSV, `import-codes` reads.

use phash_library::CodeLibrary;

use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Column, Grid, Tone};
use crate::output::{Output, Record};

/// Codes drawn in one table: more come in several, so that memory stays bounded.
const PAGE: u32 = 10_000;

pub(crate) fn run(library: &CodeLibrary, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let mut output = high.output();
    output.columns(&["type", "id", "code", "label"]);
    let end = library.id_end();
    let mut from = 0;
    while from < end {
        let to = from.saturating_add(PAGE).min(end);
        if high.cancelled() {
            return Err(phash_library::Error::Cancelled.into());
        }
        page(library, from..to, &mut output)?;
        from = to;
    }
    output.finish()?;
    Ok(ExitStatus::found(library.code_count() > 0))
}

fn page(library: &CodeLibrary, ids: std::ops::Range<u32>, output: &mut Output) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for id in ids {
        // Not every id has a code: some were removed.
        let Some(code) = library.code(id) else { continue };
        let (code, label) = (code.to_string(), library.label(id)?);
        if output.wants_records() {
            output.record(|| Record::new("code").with("id", id).with("code", code).with("label", label))?;
        } else {
            rows.push((id, code, label));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    output.text(|style| {
        let mut grid = Grid::new(style, &[Column::right("id"), Column::left("code"), Column::left("label")]);
        for (id, code, label) in rows {
            let label = label.unwrap_or_default();
            grid.row(&[(Tone::Plain, id.to_string()), (Tone::Dim, code), (Tone::Plain, label)]);
        }
        grid.draw()
    })?;
    Ok(())
}
