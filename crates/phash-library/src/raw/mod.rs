//! Raw codes: databases of binary codes without models, whatever hash made them. Import, search, groups of duplicates and
//! a measurement, each for the width that the database has.
//!
//! Widths are known at run time here and at compile time below: [`sized`] is the one place where the first becomes the second.

mod code;
mod dups;
mod import;
mod input;
mod labels;
mod library;
mod measure;
mod sized;

pub use code::{RawCode, Width};
pub use dups::CodeGroup;
pub use import::{ImportEvent, ImportOptions, ImportSummary, import_codes};
pub use input::{CodeEntry, CodeFormat, CodeInput, CodePlace, Columns};
pub use library::{AnyLibrary, CodeLibrary, CodeMode};
pub use measure::{Measured, measure};
pub(crate) use sized::{VIEW as RAW_VIEW, build_segments as build_raw_segments};

pub(crate) use code::decode_hex;
pub(crate) use labels::Hashed;
