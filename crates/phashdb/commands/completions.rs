//! `phashdb completions SHELL`: the completion script, made from the command line's own definition.

use clap::CommandFactory as _;

use crate::args::{CompletionsArgs, LowArgs};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;

pub(super) fn run(args: &CompletionsArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut LowArgs::command(), "phashdb", &mut script);
    let mut output = high.output();
    output.raw(&script)?;
    output.flush()?;
    Ok(ExitStatus::Success)
}
