//! The command line. Thin: it reads arguments, calls phash-library, prints records to standard output and messages to
//! standard error, and tells the exit status. One file a command under `commands/`, one a format under `output/`.

mod args;
mod commands;
mod exit;
mod failure;
mod hiargs;
mod inputs;
mod lists;
mod message;
mod output;
mod progress;
mod signal;
mod version;

use std::process::ExitCode;

use clap::Parser as _;

use args::LowArgs;
use exit::ExitStatus;
use hiargs::HiArgs;

fn main() -> ExitCode {
    // Clap prints help and usage errors itself; its status for the latter is 2, as ours.
    let low = LowArgs::parse();
    let high = HiArgs::new(&low.global);
    match commands::run(&low.command, &high) {
        Ok(status) => status.into(),
        Err(failure) if failure.is_broken_pipe() => ExitStatus::Success.into(),
        Err(failure) if failure.is_interrupt() => {
            message::note("interrupted");
            ExitStatus::Interrupted.into()
        }
        Err(failure) => {
            message::error(&failure.to_string());
            ExitStatus::Error.into()
        }
    }
}
