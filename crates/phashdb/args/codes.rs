//! The arguments of the commands for raw codes.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use phash_library::{CodeFormat, Layout, Width};

use super::{DbArg, EXIT_STATUS};

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb --db images.phash import-codes --bits 256 pdq.csv
  phashdb --db images.phash import-codes --bits 64 --input-format hex - < codes.txt

Formats (by the file's ending, or --input-format):
  hex     a code a line; what follows it after a blank is its label
  jsonl   {\"code\": \"0f3c...\", \"label\": \"a.jpg\"} a line; other fields are ignored (.jsonl, .json, .ndjson)
  csv     with a header that names the columns, or code and label without one (.csv)
  binary  the bytes of the codes, nothing else (.bin, .raw, .codes, .dat)

An import is stored as a whole or not at all (see --commit-every). Ids go on from the last one, in the
order of the files. A label can be given once, so that a file is not imported twice by mistake
(see --repeated-labels). Memory: some MiB, 20 to 60 bytes a label, and what the index takes to build.

", super::exit_status!()))]
pub(crate) struct ImportCodesArgs {
    /// Files of codes; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The width of the codes in bits
    #[arg(long, value_name = "BITS", value_parser = width())]
    pub(crate) bits: Width,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Index segments: small, or fast [default: as the newest segment there is, else compact]
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) layout: Option<LayoutArg>,
    /// Commit after N codes and not only at the end: an import that fails then keeps what was committed
    #[arg(long, value_name = "N")]
    pub(crate) commit_every: Option<NonZeroU64>,
    /// Let several codes have one label
    #[arg(long)]
    pub(crate) repeated_labels: bool,
}

/// How files of codes are read.
#[derive(Args, Debug)]
pub(crate) struct InputArgs {
    /// The format of the files of codes [default: by the ending of each]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) input_format: Option<InputFormatArg>,
    /// CSV with a header: the column of codes
    #[arg(long, value_name = "NAME", default_value = "code")]
    pub(crate) code_column: String,
    /// CSV with a header: the column of labels, if there is one
    #[arg(long, value_name = "NAME", default_value = "label")]
    pub(crate) label_column: String,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputFormatArg {
    /// Hexadecimal digits, a code a line
    Hex,
    /// JSON objects, one a line
    Jsonl,
    /// Comma-separated values
    Csv,
    /// The bytes of the codes
    Binary,
}

impl From<InputFormatArg> for CodeFormat {
    fn from(format: InputFormatArg) -> Self {
        match format {
            InputFormatArg::Hex => CodeFormat::Hex,
            InputFormatArg::Jsonl => CodeFormat::Jsonl,
            InputFormatArg::Csv => CodeFormat::Csv,
            InputFormatArg::Binary => CodeFormat::Binary,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayoutArg {
    /// Small
    Compact,
    /// Three to four times as large, and two to four times as fast
    Fast,
}

impl From<LayoutArg> for Layout {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::Compact => Layout::Compact,
            LayoutArg::Fast => Layout::Fast,
        }
    }
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb dups --radius 4 images.phash
  phashdb dups --radius 31 --format csv images.phash > groups.csv

Two codes are linked if they are within the radius; a group is what hangs together by links, so its
members need not all be within the radius of each other. Distances are given to the first member.
Exact. Time about that of a search for each code; memory about 20 bytes a code.

", super::exit_status!()))]
pub(crate) struct DupsArgs {
    /// Link codes within BITS (inclusive)
    #[arg(long, short, value_name = "BITS")]
    pub(crate) radius: u32,
    #[command(flatten)]
    pub(crate) db: DbArg,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb bench images.phash
  phashdb bench --radius 8 --radius 16 --queries 1000 images.phash

Queries are stored codes: every other one with up to 1/32 of its bits changed, the others with a
quarter of them, which leaves nothing near. Answers of the index are first compared with those of
the scan, which compares every code; times are medians over queries, of one thread, with the data
in memory. Other work on the machine makes both slower. Exit status 2 if an answer was wrong.

", super::exit_status!()))]
pub(crate) struct BenchArgs {
    /// Radii to measure, in bits (inclusive) [default: 4 and 12, and 31 from 128 bits on]
    #[arg(long, short, value_name = "BITS")]
    pub(crate) radius: Vec<u32>,
    /// Numbers of nearest codes to measure [default: 10]
    #[arg(long, short = 'k', value_name = "K")]
    pub(crate) nearest: Vec<usize>,
    /// Queries for each measurement
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) queries: u32,
    #[command(flatten)]
    pub(crate) db: DbArg,
}

/// A width in bits.
fn width() -> impl TypedValueParser<Value = Width> {
    PossibleValuesParser::new(["64", "128", "256", "512"]).try_map(|bits| {
        bits.parse().ok().and_then(Width::from_bits).ok_or_else(|| format!("no codes have {bits} bits"))
    })
}
