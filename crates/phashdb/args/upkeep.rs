//! The arguments of the commands that keep a library in order: removal and compaction.

use std::path::PathBuf;

use clap::Args;

use super::{EXIT_STATUS, LayoutArg};

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb rm models/old.safetensors
  phashdb rm --dry-run --id 12 --id 40
  phashdb --db images.phash rm --labels-from gone.txt

A label is removed with all its versions; a model that has another label, too, stays under it.
With --id the model is removed whatever its labels; the version before it, if there is one,
is current again. Of raw codes, all codes of a label are removed. All of it is one commit.
Searches do not find what was removed, and it can be put in again; compact frees its space.
Files are not touched: an ingest of the same directory puts them in again.

", super::exit_status!()))]
pub(crate) struct RmArgs {
    /// Labels, as list shows them
    #[arg(value_name = "LABEL", required_unless_present_any = ["id", "labels_from"])]
    pub(crate) labels: Vec<String>,
    /// Remove the model or raw code of this id (can be given more than once)
    #[arg(long, value_name = "N", conflicts_with_all = ["labels", "labels_from"])]
    pub(crate) id: Vec<u32>,
    /// Read labels from FILE, one a line (- for standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) labels_from: Option<PathBuf>,
    /// Labels in --labels-from end with a NUL byte instead of a newline
    #[arg(long, short = '0', requires = "labels_from")]
    pub(crate) null: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Frees the space of what was removed: codes and index segments are written anew, then published
at once; until then an interruption changes nothing. Searches go on meanwhile. Ids become dense
again, in the same order: what lies behind a removed model or raw code gets a smaller id. Needs
free space for a second copy of what stays.

", super::exit_status!()))]
pub(crate) struct CompactArgs {
    /// Index segments: small, or fast [default: as they were]
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) layout: Option<LayoutArg>,
}
