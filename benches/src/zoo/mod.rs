//! The parts of the bench `zoo`: its command line, the models and pairs it measures, and a file for each table.

mod calibration;
mod detection;
mod folder;
mod goals;
mod null;
mod options;
mod pairs;
mod plot;
mod relation;
mod relations;

pub use calibration::{Calibration, calibrate};
pub use detection::detection_table;
pub use folder::{Folder, hash_folder};
pub use goals::goals_table;
pub use null::{close_twins, family_table, null_table};
pub use options::{Options, Zoo};
pub use pairs::{Labels, Pair, labelled, read_labels, unrelated};
pub use plot::svg;
pub use relation::{Kind, kind};
pub use relations::relations_table;

/// The library size at which recall is quoted, beside that of the folder itself.
pub const LARGE_LIBRARY: u64 = 10_000_000;
