//! Whole-system tests: the built binary against real and hostile files. One binary; one module a claim about the product.
//! Every test works in a directory of its own.

#![expect(clippy::unwrap_used, reason = "all of this is test code: a panic is a failure with a place")]

mod codes;
mod codes_failures;
mod codes_index;
mod commands;
mod durability;
mod exchange;
mod exchange_corpus;
#[cfg(target_os = "linux")]
mod failing;
mod formats;
mod ground_truth;
mod hostile;
mod ingest;
mod interrupted_merge;
mod interruption;
mod kills;
mod maintenance;
mod mapping;
mod partial;
mod pipes;
mod queries;
#[cfg(unix)]
mod readers;
mod readme;
#[cfg(target_os = "linux")]
mod scenes;
mod schema;
mod support;
mod transfers;
mod upkeep;
