//! The commands for databases of raw codes, and what they share.

pub(super) mod bench;
pub(super) mod dups;
pub(super) mod import;
pub(super) mod info;
pub(super) mod list;
pub(super) mod query;

use std::path::Path;

use phash_library::{CodeFormat, CodeInput, Columns, Layout};

use crate::args::InputArgs;
use crate::failure::Failure;
use crate::inputs::{STDIN, is_stdin};

/// Opens a file of codes, or standard input.
fn open_input(path: &Path, args: &InputArgs) -> Result<CodeInput, Failure> {
    let format = args.input_format.map(CodeFormat::from);
    if is_stdin(path) {
        let reader = Box::new(std::io::stdin());
        return Ok(CodeInput::stream(STDIN, reader, format.unwrap_or(CodeFormat::Hex)));
    }
    Ok(CodeInput::open(path, format)?)
}

/// The columns of CSV files.
fn columns(args: &InputArgs) -> Columns {
    Columns { code: args.code_column.clone(), label: args.label_column.clone() }
}

/// The word for a layout, as `--layout` takes it.
fn layout_name(layout: Layout) -> &'static str {
    match layout {
        Layout::Fast => "fast",
        _ => "compact",
    }
}
