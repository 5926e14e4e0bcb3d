//! Owns the command line as the user types it: clap structures that hold strings and numbers, and their help texts.
//! Nothing here is opened, looked up or defaulted from the environment; [`crate::hiargs`] gives it meaning.

mod codes;
mod transfer;
mod upkeep;

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use phash_library::View;

pub(crate) use codes::{BenchArgs, DupsArgs, ImportCodesArgs, InputArgs, LayoutArg};
pub(crate) use transfer::{ExportArgs, ImportArgs, MergeArgs};
pub(crate) use upkeep::{BackupArgs, CompactArgs, MigrateArgs, RepairArgs, RmArgs, VerifyArgs};

/// The same for every command; a macro so that it can be joined to examples at compile time.
macro_rules! exit_status {
    () => {
        "\
Exit status:
  0    found something, or did all that was asked
  1    found nothing (query: no match; scan, dups: no group; compare: unrelated;
       list: nothing stored; ingest: no weights file; rm: none of these)
  2    an error, or an input was skipped: the messages on standard error name each;
       verify: damage was found; repair: something is lost; bench: an answer was wrong
  130  interrupted by Ctrl-C (ingest: what was finished by then is kept;
       import-codes, merge, import: what was committed)"
    };
}
use exit_status;
const EXIT_STATUS: &str = exit_status!();

/// Find every copy and light modification of a neural network's weights.
///
/// Hashes the weights in safetensors files (single or sharded) to 512-bit codes, one for each view, keeps the codes in a
/// library, and tells which models are copies of each other: renamed, converted, quantised, pruned or fine-tuned.
/// Distances are in bits (0 to 512); unrelated models lie near 256. The E-value is the number of unrelated models
/// expected to come that close, in all views together, in a library of this size: 1e-3 and below is a match.
#[derive(Parser, Debug)]
#[command(name = "phashdb", version = crate::version::SHORT, long_version = crate::version::long(),
    after_help = EXIT_STATUS, max_term_width = 100, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct LowArgs {
    #[command(flatten, next_help_heading = "Options of every command")]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Debug)]
pub(crate) struct GlobalArgs {
    /// The library: a directory [default: $PHASHDB_DB if set and not empty, else ./library.phash]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) db: Option<PathBuf>,
    /// How results are printed; json and jsonl objects have a "type" field first
    #[arg(long, global = true, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: FormatArg,
    /// Short for --format jsonl: one JSON object a line
    #[arg(long, global = true, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Print no results, only errors; the exit status tells
    #[arg(long, short, global = true, conflicts_with_all = ["format", "json"])]
    pub(crate) quiet: bool,
    /// When to use colours; auto: only on a terminal, and not if NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorArg,
    /// Threads to hash, index and search with, 1 to 1024 [default: one a processor]; results do not depend on it
    #[arg(long, short, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// Read the library into memory instead of mapping its files, checking every block of codes: for network file systems, and
    /// where files may be cut off under a running search. Needs memory for all codes and index segments; commands that change
    /// the library map all the same. Also: $PHASHDB_NO_MMAP set, and neither empty nor 0
    #[arg(long, global = true)]
    pub(crate) no_mmap: bool,
    /// How much of a model is read to hash it; codes are the same, digests of a sample equal only those of samples
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    pub(crate) read: ReadArg,
}

/// The library that a command is about, where it can be named without an option.
#[derive(Args, Debug)]
pub(crate) struct DbArg {
    /// The library [default: that of --db]
    #[arg(value_name = "DB", conflicts_with = "db")]
    library: Option<PathBuf>,
}

impl DbArg {
    /// It, or else the one that every command takes.
    pub(crate) fn or<'a>(&'a self, db: &'a Path) -> &'a Path {
        self.library.as_deref().unwrap_or(db)
    }
}

/// How much of a model is read.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadArg {
    /// A sample of models over 4 GiB, all of others
    Auto,
    /// Every byte
    Whole,
    /// Of tensors over 8 MiB at most 256 rows and columns
    Sample,
}

/// A name of an output format.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormatArg {
    /// For people: aligned to the width of the terminal
    Table,
    /// One JSON array of objects
    Json,
    /// One JSON object a line, as soon as it is known
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
    /// Apache Parquet: only export writes it
    Parquet,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColorArg {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Find the groups of copies in directories or files, without a library
    Scan(ScanArgs),
    /// Put models into the library; unchanged files are skipped
    Ingest(IngestArgs),
    /// Find the models of the library that match weights files, codes or a stored model; or the raw codes near others
    Query(QueryArgs),
    /// Print the codes and digests of weights files
    Hash(HashArgs),
    /// Say how two weights files are related, tensor by tensor
    Compare(CompareArgs),
    /// Put raw codes, of whatever hash, into a database of their own
    ImportCodes(ImportCodesArgs),
    /// Find the groups of raw codes that lie near each other
    Dups(DupsArgs),
    /// Measure how fast raw codes are searched here, by the index and without
    Bench(BenchArgs),
    /// Describe the library: counts, sizes, parameters
    #[command(after_help = EXIT_STATUS)]
    Info(DbArg),
    /// List the models or raw codes of the library in the order of their ids
    #[command(after_help = EXIT_STATUS)]
    List(DbArg),
    /// Remove models or raw codes from the library, by label or id
    Rm(RmArgs),
    /// Free the space of what was removed
    Compact(CompactArgs),
    /// Check every byte of the library against its checksum, and list all that is damaged
    Verify(VerifyArgs),
    /// Copy all that is intact in a damaged library to a new one, and list what is lost
    Repair(RepairArgs),
    /// Copy the library as it is now, also while it is written to
    Backup(BackupArgs),
    /// Bring the library to the newest format, and its index up to date
    Migrate(MigrateArgs),
    /// Join databases: all that is in them, each thing once
    Merge(MergeArgs),
    /// Write all that is in the library as JSON lines or Parquet
    Export(ExportArgs),
    /// Put what export wrote into the library
    Import(ImportArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb scan ~/models
  phashdb scan --e-value 1e-9 base/ suspects/ --format jsonl

", exit_status!()))]
pub(crate) struct ScanArgs {
    /// Directories (searched recursively) or weights files
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Two models are joined if their E-value (expected number of unrelated models that close) is at most this
    #[arg(long, value_name = "MAX", default_value = "1e-3", value_parser = positive_number)]
    pub(crate) e_value: f64,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb ingest ~/models
  find . -name '*.safetensors' -print0 | phashdb ingest -0 --files-from -
  phashdb --db /srv/library.phash ingest --jobs 8 /data

Memory: the tensors being hashed at one time sum to at most the largest one, or 32 MiB; paths are
found as they are needed, 16,384 ahead.
A path that is unchanged (size and modification time) is skipped without being opened; a changed
one becomes a new version of its label; the same contents under another path are a duplicate.

", exit_status!()))]
pub(crate) struct IngestArgs {
    /// Directories (searched recursively) or weights files; - reads one model from standard input
    #[arg(value_name = "PATH", required_unless_present = "files_from")]
    pub(crate) paths: Vec<PathBuf>,
    /// Read paths from FILE, one a line (- for standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) files_from: Option<PathBuf>,
    /// Paths in --files-from end with a NUL byte instead of a newline
    #[arg(long, short = '0', requires = "files_from")]
    pub(crate) null: bool,
    /// Commit after so many models (and every second); a crash loses only what was not committed
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) commit_every: std::num::NonZeroUsize,
    /// The label under which the model from standard input is stored
    #[arg(long, value_name = "LABEL", default_value = "stdin")]
    pub(crate) stdin_label: String,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb query suspect.safetensors                everything with E <= 1e-3
  phashdb query --radius 12 suspect.safetensors    everything within 12 bits in some view
  phashdb query --top-k 5 a.safetensors b.safetensors
  phashdb query --view energy --code 9f3a...       128 hexadecimal digits
  phashdb query --id 42                            the other models near model 42
  phashdb query --tensors suspect.safetensors      backbone, head, merge, tampering by tensor
  cat suspect.safetensors | phashdb query -
  phashdb --db images.phash query --radius 8 --code 9f3a5e0c71d2b846     raw codes
  phashdb --db images.phash query -k 5 --codes-from new.csv

The search is exact: nothing within the radius is missed. A large radius is searched by
comparing with every model; above about 200 bits unrelated models match.

", exit_status!()))]
pub(crate) struct QueryArgs {
    /// Weights files; - reads one from standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["code", "codes_from", "id"])]
    pub(crate) files: Vec<PathBuf>,
    /// Search for a code: hexadecimal digits, bytes in order; of a model (128 digits) it needs --view
    #[arg(long, value_name = "HEX", conflicts_with = "files")]
    pub(crate) code: Option<String>,
    /// Search for each of the raw codes in FILE, in any format of import-codes (- for standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "code", "view", "e_value"])]
    pub(crate) codes_from: Option<PathBuf>,
    /// Search for the models (raw codes) near the stored one of this id (itself left out)
    #[arg(long, value_name = "ID", conflicts_with_all = ["files", "code", "codes_from"])]
    pub(crate) id: Option<u32>,
    /// Report all models (raw codes) within BITS (inclusive), in any searched view
    #[arg(long, short, value_name = "BITS", group = "mode")]
    pub(crate) radius: Option<u32>,
    /// Report the K nearest models (raw codes), whatever the distance [default for raw codes: 10]
    #[arg(long, short = 'k', value_name = "K", group = "mode", visible_alias = "nearest")]
    pub(crate) top_k: Option<usize>,
    /// Report all models whose E-value (expected number of unrelated models that close) is at most MAX [default: 1e-3]
    #[arg(long, value_name = "MAX", group = "mode", value_parser = positive_number)]
    pub(crate) e_value: Option<f64>,
    /// Search only this view [default: all views]
    #[arg(long, value_name = "VIEW", value_parser = view())]
    pub(crate) view: Option<View>,
    /// Tell in which stored models each tensor stands, kept or changed; -k limits the models [default: 20]
    #[arg(long, conflicts_with_all = ["code", "codes_from", "radius", "view"])]
    pub(crate) tensors: bool,
    /// Say of each search what was planned and why, and what it took
    #[arg(long, conflicts_with = "tensors")]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) input: InputArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct HashArgs {
    /// Weights files; - reads one from standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Print each tensor's codes too
    #[arg(long)]
    pub(crate) tensors: bool,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Verdicts:
  identical contents  the same tensors byte for byte, whatever their names and order
  same weights        at most 8 bits apart, E <= 1e-6: another format, precision or layout
  near copy           E <= 1e-30: quantised, pruned, lightly fine-tuned
  related             E <= 1e-6: fine-tuned or merged, most likely
  unrelated           anything else
E is for this one pair, by all views together. Tensors are kept (the same weights, whatever the precision), changed, replaced,
added, removed or too small to say; the most changed come first. Exit status 1 if the models are
unrelated and have no tensor in common.

", exit_status!()))]
pub(crate) struct CompareArgs {
    /// One weights file (- for standard input)
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,
    /// The other weights file (- for standard input)
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,
    /// Show tensors without a code in the table, too (json, jsonl and csv always have all)
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// The name of a view.
fn view() -> impl TypedValueParser<Value = View> {
    let names = View::ALL.map(|view| PossibleValue::new(view.name()).help(view.summary()));
    PossibleValuesParser::new(names)
        .try_map(|name| View::from_name(&name).ok_or_else(|| format!("{name} is no view")))
}

/// A number above zero, for E-values.
fn positive_number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("a number above zero is needed, such as 1e-3".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        LowArgs::command().debug_assert();
    }

    #[test]
    fn modes_exclude_each_other() {
        let parse = |line: &str| LowArgs::try_parse_from(line.split(' '));
        assert!(parse("phashdb query --code 00 --codes-from x").is_err());
        assert!(parse("phashdb query --codes-from x --view energy").is_err());
        assert!(parse("phashdb query --nearest 3 --code 00").is_ok());
        assert!(parse("phashdb import-codes --bits 96 x").is_err());
        assert!(parse("phashdb import-codes --bits 128 x").is_ok());
        assert!(parse("phashdb query --code 00 --view energy").is_ok());
        assert!(parse("phashdb query --radius 3 --top-k 4 x").is_err());
        assert!(parse("phashdb query --radius 3 --e-value 1 x").is_err());
        assert!(parse("phashdb import").is_err());
        assert!(parse("phashdb import x").is_ok() && parse("phashdb import db x").is_ok());
        assert!(parse("phashdb query").is_err());
        assert!(parse("phashdb query --e-value nan x").is_err());
        assert!(parse("phashdb query --e-value 1e-9 x").is_ok());
    }
}
