//! `phashdb list`: the stored models in the order of their ids.

use std::path::Path;

use phash_library::{CodeLibrary, Contents, Digest, ModelRow, Reader, Source};

use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Column, Grid, Tone};
use crate::output::{Output, Record, Value, number};

/// Models drawn in one table: a larger library comes in several, so that memory stays bounded.
const PAGE: usize = 10_000;

pub(super) fn run(db: &Path, high: &HiArgs) -> Result<ExitStatus, Failure> {
    // Not as a searchable library: a list is good for databases of other hash parameters too.
    let reader = Reader::open(db, high.reading).map_err(phash_library::Error::from)?;
    if reader.contents() == Contents::Codes {
        return super::codes::list::run(&CodeLibrary::open_with(db, high.reading)?, high);
    }
    let views: Vec<&str> = reader.schema().views.iter().map(|view| view.name.as_str()).collect();
    let mut output = high.output();
    let features: Vec<String> = views.iter().map(|view| format!("features.{view}")).collect();
    let mut columns = vec!["type", "id", "label", "version", "format", "weak"];
    columns.extend(features.iter().map(String::as_str));
    columns.extend(["tensors_used", "tensors_skipped", "content_digest", "ingested_at_ms", "sources"]);
    output.columns(&columns);
    let mut page = Vec::new();
    let mut any = false;
    for row in reader.models() {
        let row = row.map_err(phash_library::Error::from)?;
        any = true;
        output.record(|| record(&views, &row))?;
        page.push(row);
        if page.len() >= PAGE {
            draw(&mut output, &page)?;
            page.clear();
        }
    }
    if !page.is_empty() {
        draw(&mut output, &page)?;
    }
    output.finish()?;
    Ok(ExitStatus::found(any))
}

/// The sources, the one that stands for the model first: the first that is current, or else the latest.
fn sources(row: &ModelRow) -> Vec<&Source> {
    let mut sources: Vec<&Source> = row.sources.iter().collect();
    let main = sources.iter().position(|source| source.current).or(sources.len().checked_sub(1));
    if let Some(main) = main {
        sources[..=main].rotate_right(1);
    }
    sources
}

fn record(views: &[&str], row: &ModelRow) -> Record {
    let first = sources(row).first().copied();
    let sources = row.sources.iter().map(|source| {
        Value::object([
            ("label", Value::from(source.label.as_str())),
            ("version", source.version.into()),
            ("current", source.current.into()),
            ("path", source.path.as_str().into()),
            ("len_bytes", source.stamp.len_bytes.into()),
            ("file_digest", Digest(source.file_digest).to_string().into()),
        ])
    });
    Record::new("model")
        .with("id", row.id)
        .with("label", first.map(|source| source.label.as_str()))
        .with("version", first.map(|source| source.version))
        .with("format", row.format.as_str())
        .with("weak", row.weak)
        .with("features", Value::object(views.iter().copied().zip(row.features.clone())))
        .with("tensors_used", row.tensors_used)
        .with("tensors_skipped", Value::object(row.tensors_skipped.clone()))
        .with("content_digest", Digest(row.content_digest).to_string())
        .with("ingested_at_ms", u64::try_from(row.ingested_at_ms).unwrap_or(0))
        .with("sources", Value::List(sources.collect()))
}

fn draw(output: &mut Output, rows: &[ModelRow]) -> std::io::Result<()> {
    output.text(|style| {
        let mut grid = Grid::new(
            style,
            &[
                Column::right("id"),
                Column::right("version"),
                Column::right("features").spare(),
                Column::right("tensors").spare(),
                Column::left("content digest").spare(),
                Column::left("label"),
            ],
        );
        for row in rows {
            let digest = Digest(row.content_digest).to_string();
            let features: u64 = row.features.iter().copied().map(u64::from).sum();
            for (number, source) in sources(row).into_iter().enumerate() {
                let first = number == 0;
                let show = |text: String| (Tone::Plain, if first { text } else { String::new() });
                let note = match (row.weak, source.current) {
                    (true, true) => "  (weak)",
                    (true, false) => "  (weak, superseded)",
                    (false, true) => "",
                    (false, false) => "  (superseded)",
                };
                grid.row(&[
                    show(row.id.to_string()),
                    (Tone::Dim, source.version.to_string()),
                    show(number::count(features)),
                    show(row.tensors_used.to_string()),
                    (
                        Tone::Dim,
                        if first {
                            digest.get(..16).unwrap_or(&digest).to_owned()
                        } else {
                            "same".to_owned()
                        },
                    ),
                    (if source.current { Tone::Plain } else { Tone::Dim }, format!("{}{note}", source.label)),
                ]);
            }
        }
        grid.draw()
    })
}
