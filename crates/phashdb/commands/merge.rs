//! `phashdb merge`: the union of databases. Results are told after the commit that made them durable.

use phash_library::{TransferEvent, merge};

use super::transfer::Transfer;
use crate::args::MergeArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::progress::Progress;

pub(super) fn run(args: &MergeArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let names = args.databases.iter().map(|dir| dir.display().to_string()).collect();
    let progress = Progress::of_items("merge");
    let mut transfer = Transfer::new(&progress, names, high);
    let merged = merge(&args.out, &args.databases, high.reading, &high.cancel, &mut |event| {
        match event {
            TransferEvent::Planned { items } => progress.set_total(items),
            TransferEvent::Committed { items } => progress.set_position(items),
            _ => {}
        }
        transfer.event(&event);
    })?;
    transfer.finish(&args.out, &merged.databases, true, merged.cancelled)
}
