//! Tests of the crate as its users see it, in one binary: rules of ingest, crashes, damage, snapshots, old formats.
#![expect(clippy::unwrap_used, reason = "a panic in a test is a failure with a place")]
#![expect(clippy::print_stdout, reason = "seeds and counts, shown when a test fails")]

mod backup;
mod calls;
mod codes;
mod common;
mod compact;
mod copies;
mod crash;
mod damage;
mod every_byte;
mod fault_vfs;
mod format;
mod golden;
mod medium;
mod merge;
mod migrate;
mod model;
mod power_cuts;
mod processes;
mod remove;
mod rules;
mod salvage;
mod salvage_items;
mod schema_text;
mod segments;
mod snapshot;
mod take_over;
mod transcript;
mod verify;
mod workloads;
