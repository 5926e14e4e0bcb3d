//! The arguments of the commands that keep a library in order: removal, compaction, checks, repair, backup, migration.

use std::path::PathBuf;

use clap::Args;

use super::{DbArg, EXIT_STATUS, LayoutArg};

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
    #[command(flatten)]
    pub(crate) db: DbArg,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Reads everything: rows, codes, labels, index segments, and that they agree. Goes on after damage and
lists all of it: file, byte, what is wrong, and the models or raw codes that are hit. Writes nothing
and can run beside a writer. Of damage, see repair; a backup is better.

", super::exit_status!()))]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) db: DbArg,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb repair --salvage saved.phash library.phash > lost.txt
  phashdb repair --salvage saved.phash library.phash --format csv > lost.csv

What a checksum proves is copied, under new ids in the same order; the index is built again. The rest
is listed: labels where they can be read, else ids. A model comes out whole or not at all, so that
ingesting its file puts it in again; a raw code whose label is lost is kept without it. Nothing is
written to the damaged library. OUT appears when it is complete; until then there is OUT.partial.
Exit status 0: nothing is lost.

", super::exit_status!()))]
pub(crate) struct RepairArgs {
    /// The new library: nothing may be there
    #[arg(long, value_name = "OUT", required = true)]
    pub(crate) salvage: PathBuf,
    #[command(flatten)]
    pub(crate) db: DbArg,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Examples:
  phashdb backup /mnt/safe/library-2026-11-22.phash
  phashdb backup /mnt/safe/images.phash images.phash

Copies the library as of its last commit; a writer can go on meanwhile, and is not in the copy. Every
checksum is compared on the way: a damaged library is not copied. OUT appears when it is whole and on
the medium; until then there is OUT.partial. To restore a backup, use it: it is a library.

", super::exit_status!()))]
pub(crate) struct BackupArgs {
    /// The copy: nothing may be there
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) db: DbArg,
}

#[derive(Args, Debug)]
#[command(after_help = EXIT_STATUS, after_long_help = concat!("\
Every library that an earlier version made can be read and written as it is. This raises its format to
the newest one now, which the first rm does otherwise (earlier versions of the program then refuse it),
and builds index segments that this version cannot use again. Each step is one commit. Says so if there
is nothing to do, with exit status 0. A library of a newer version of the program is refused.

", super::exit_status!()))]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    pub(crate) db: DbArg,
}
