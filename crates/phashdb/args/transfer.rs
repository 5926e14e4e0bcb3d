//! The arguments of the commands that bring what one database holds to another: merge, export and import.

use std::path::PathBuf;

use clap::Args;

use super::{DbArg, EXIT_STATUS};

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb merge all.phash a.phash b.phash
  phashdb merge --format jsonl all.phash more.phash

OUT is created if there is none; what it holds counts as first. A model whose contents are there
already is a duplicate: the first one stays as it is and gets the labels of the other, too. A label
that stands for other contents in a later database gets a further version, as in ingest. A raw code
is a duplicate if one with the same label and the same bits is there. What was removed does not
come along. Databases of models and of raw codes, of other widths or of other hash parameters are
refused before anything is written. What was committed when it is interrupted stays: the same
command again does the rest.

", super::exit_status!()))]
pub(crate) struct MergeArgs {
    /// The database to be filled
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
    /// The databases to be joined, in this order
    #[arg(required = true, value_name = "DB")]
    pub(crate) databases: Vec<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb export library.phash -o library.jsonl
  phashdb export library.phash --format parquet -o library.parquet
  phashdb export images.phash | jq -r .label

--format jsonl: one JSON object a line, codes and digests in hexadecimal digits; --format parquet: the
same columns, codes as bytes. Without --format the ending of FILE tells (.parquet), else it is jsonl.
What was removed is left out. FILE appears when it is whole. docs/exchange-format.md lists the columns.

", super::exit_status!()))]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) db: DbArg,
    /// Write to FILE [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(allow_missing_positional = true, after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb import copy.phash library.jsonl
  phashdb --db images.phash import codes.parquet
  phashdb export a.phash | phashdb import b.phash -

Takes what export wrote; import-codes takes raw codes of other programs. JSON lines and Parquet are told
by the file's first bytes. A Parquet file without phashdb's metadata is taken if it has a column code
of 8, 16, 32 or 64 bytes, and perhaps one named label. The database is created if there is none. Duplicates are
recognised as in merge: a second import adds nothing, and completes one that was interrupted. If
the file is wrong somewhere, what was committed before stays, and a message says how much that is.

", super::exit_status!()))]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) db: DbArg,
    /// The file that export wrote; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) file: PathBuf,
}
