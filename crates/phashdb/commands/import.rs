//! `phashdb import`: puts what `export` wrote into the library. Results are told after the commit that made them durable.

use phash_library::{ExchangeInput, import};

use super::items::Items;
use super::transfer::Transfer;
use crate::args::ImportArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::inputs::{STDIN, is_stdin};
use crate::message;
use crate::progress::Progress;

pub(super) fn run(args: &ImportArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let db = args.db.or(&high.db);
    let input = if is_stdin(&args.file) {
        ExchangeInput::stream(STDIN, Box::new(std::io::stdin()))?
    } else {
        ExchangeInput::open(&args.file)?
    };
    let progress = Progress::new("import");
    // Of standard input nobody knows how long it is.
    if let Some(bytes) = input.len_bytes() {
        progress.set_total(bytes);
    }
    let mut transfer = Transfer::new(&progress, vec![input.name().to_owned()], high);
    let read = |bytes| progress.advance(bytes);
    let result = import(db, input, &high.cancel, &read, &mut |event| transfer.event(&event));
    let imported = result.inspect_err(|_| {
        progress.clear();
        message::note(&match transfer.committed() {
            0 => "nothing of this import was stored".to_owned(),
            stored => format!("the first {} of this import are stored", Items::of(db).count(stored)),
        });
    })?;
    transfer.finish(db, &[imported.counts], false, imported.cancelled)
}
