//! The commands: one file each. A command gives back its exit status, or what made it give up.

mod backup;
mod codes;
mod compact;
mod compare;
mod completions;
mod describe;
mod explain;
mod export;
mod files;
mod hash;
mod import;
mod info;
mod ingest;
mod items;
mod list;
mod merge;
mod migrate;
mod parts;
mod query;
mod repair;
mod rm;
mod scan;
mod sizes;
mod transfer;
mod verify;

use crate::args::Command;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::message;
use crate::output::Format;

pub(crate) fn run(command: &Command, high: &HiArgs) -> Result<ExitStatus, Failure> {
    if high.format == Format::Parquet && !matches!(command, Command::Export(_)) {
        return Err(Failure::Usage("--format parquet is for export".to_owned()));
    }
    match command {
        Command::Scan(args) => scan::run(args, high),
        Command::Ingest(args) => ingest::run(args, high),
        Command::Query(args) => query::run(args, high),
        Command::Hash(args) => hash::run(args, high),
        Command::Compare(args) => compare::run(args, high),
        Command::ImportCodes(args) => codes::import::run(args, high),
        Command::Dups(args) => codes::dups::run(args, high),
        Command::Bench(args) => codes::bench::run(args, high),
        Command::Info(db) => info::run(db.or(&high.db), high),
        Command::List(db) => list::run(db.or(&high.db), high),
        Command::Rm(args) => rm::run(args, high),
        Command::Compact(args) => compact::run(args, high),
        Command::Verify(args) => verify::run(args, high),
        Command::Repair(args) => repair::run(args, high),
        Command::Backup(args) => backup::run(args, high),
        Command::Migrate(args) => migrate::run(args, high),
        Command::Merge(args) => merge::run(args, high),
        Command::Export(args) => export::run(args, high),
        Command::Import(args) => import::run(args, high),
        Command::Completions(args) => completions::run(args, high),
    }
}

/// Says what Ctrl-C means for a command that keeps what it has finished.
fn interrupted() -> ExitStatus {
    message::note("interrupted; what was finished is stored, run the same command again for the rest");
    ExitStatus::Interrupted
}
