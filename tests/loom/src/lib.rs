//! Models, for loom, of how a live index publishes its states. [`cell`] is the index's own source, compiled with loom's
//! lock and pointer in place of std's; the steps of `live/shared.rs` around it, a few lines, are restated in [`publish`].
//! Every model has a twin with the protocol broken, which loom must refuse: else it would prove nothing.
#![cfg(test)]

mod broken;
mod models;
mod publish;

use std::sync::PoisonError;

use loom::sync::{Arc, RwLock};

#[path = "../../../crates/phash-index/src/live/cell.rs"]
mod cell;
