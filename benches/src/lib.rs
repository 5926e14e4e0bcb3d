//! What the benchmarks share: options, the machine's line, timing, printed tables, the two kinds of codes, attacks on
//! weights, and the parts of the bench `zoo`.
//! A benchmark checks that every contender gives the right answers before it times any.

pub mod attacks;
pub mod codes;
pub mod evidence;
pub mod halves;
pub mod machine;
pub mod options;
pub mod parallel;
pub mod random;
pub mod roc;
pub mod search;
pub mod table;
pub mod timing;
pub mod zoo;
