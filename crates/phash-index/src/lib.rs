//! Exact Hamming search in sublinear time: multi-index hashing over any collection of binary codes.
//!
//! The code is cut in `m` substrings, each with a table from its value to the ids of the codes that have it. Codes
//! within `r` bits of the query agree with it up to `r / m` bits in at least one substring, so a few buckets hold them
//! all; the candidates there are verified by their full distance (Norouzi, Punjani, Fleet, "Fast exact search in
//! Hamming space with multi-index hashing", TPAMI 2014). Every answer equals that of the linear scan ([`scan`]).
//!
//! The crate knows nothing of files, nor of what the codes mean. Here they are perceptual hashes of images:
//!
//! ```
//! use phash_code::Code64;
//! use phash_index::{BuildParams, Index, Segment, build_segment};
//!
//! // 64-bit hashes of pictures, as any image-hashing program prints them.
//! let pictures: Vec<Code64> =
//!     ["c3a59f1e60d28b47", "c3a59f1e60d28b45", "0f0f33335555aaaa"].iter().map(|hash| hash.parse()).collect::<Result<_, _>>()?;
//!
//! // Build once; the bytes can be kept in a file and mapped.
//! let bytes = build_segment(&pictures, 0..3, &BuildParams::default())?;
//! let segments = [Segment::<1, _>::open(bytes)?];
//!
//! let index = Index::new(&pictures, &segments)?;
//! let found = index.within(&pictures[0], 4).matches;
//! assert_eq!(found.iter().map(|m| (m.id, m.distance_bits)).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
//! assert_eq!(index.nearest(&"0f0f33335555aaab".parse()?, 1).matches[0].id, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod allocation;
mod any;
mod arrange;
mod arrays;
mod ball;
mod batch;
mod bit_order;
mod build;
mod costs;
mod cut;
mod dense;
mod error;
mod even;
mod explain;
mod filter;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod groups;
mod index;
mod join;
mod limit;
mod live;
mod matches;
mod nearest;
mod order;
mod pages;
mod params;
mod places;
mod probe;
pub mod scan;
mod scratch;
mod segment;
mod shells;
mod sketch;
mod strategy;
mod threads;
mod topk;
mod union_find;
mod verify;
mod within;

pub use any::{AnyCode, AnyCodes, AnyIndex, AnyLive, AnySegment, AnySnapshot};
pub use build::{
    build_segment, build_segment_without, write_segment, write_segment_until, write_segment_without,
};
pub use error::Error;
pub use explain::{Explanation, SegmentPlan};
pub use groups::{Groups, groups, groups_with_progress};
pub use index::Index;
pub use join::{Ended, JoinStats, Pair, join};
pub use limit::Limit;
pub use live::{Live, LiveParams, LiveStats, Snapshot};
pub use matches::{Count, Match, Matches, Plan, SearchStats};
pub use params::{BuildParams, Layout, Order};
pub use scratch::Scratch;
pub use segment::Segment;
pub use strategy::Strategy;
pub use union_find::{Sets, UnionFind};

/// The example of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
