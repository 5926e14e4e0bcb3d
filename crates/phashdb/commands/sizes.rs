//! What `info` says of the files of a library, of models or raw codes alike.

use phash_library::{FileSize, Info};

use crate::output::table::{Column, Grid, Style, Tone};
use crate::output::{Record, Value, number};

/// Adds removals, sizes and fragmentation to the record.
pub(super) fn record(record: Record, info: &Info) -> Record {
    let files = info.files.iter().map(|file| {
        Value::object([
            ("name", Value::from(file.name.as_str())),
            ("len_bytes", file.len_bytes.into()),
            ("dead_bytes", file.dead_bytes.into()),
        ])
    });
    record
        .with("removed", info.removed)
        .with("compactions", info.compactions)
        .with("total_bytes", info.total_bytes())
        .with("dead_bytes", info.dead_bytes())
        .with("uncommitted_bytes", info.uncommitted_bytes)
        .with("files", Value::List(files.collect()))
}

/// Removals and what a compaction would free, in words; nothing if there is neither.
pub(super) fn removals(info: &Info) -> Option<String> {
    let removed =
        (info.removed > 0).then(|| number::counted(info.removed.into(), "removed item", "removed items"));
    let dead = (info.dead_bytes() > 0).then(|| {
        let percent = 100 * info.dead_bytes() / info.total_bytes().max(1);
        format!("{} ({percent} %) that compact would free", number::bytes(info.dead_bytes()))
    });
    let parts: Vec<String> = removed.into_iter().chain(dead).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The files with their sizes.
pub(super) fn draw(style: &Style, info: &Info) -> String {
    let columns = [Column::left("file"), Column::right("size"), Column::right("dead")];
    let mut grid = Grid::new(style, &columns);
    for FileSize { name, len_bytes, dead_bytes } in &info.files {
        let dead = if *dead_bytes == 0 { String::new() } else { number::bytes(*dead_bytes) };
        grid.row(&[
            (Tone::Plain, name.clone()),
            (Tone::Plain, number::bytes(*len_bytes)),
            (Tone::Care, dead),
        ]);
    }
    grid.draw()
}
