//! Owns the contest of exact searches: what is asked ([`task`]), who is asked ([`contender`] and its implementations), the
//! answers that must be given ([`oracle`]), the run, and the tables with the goals beside them.

pub mod contender;
pub mod goals;
pub mod limits;
pub mod memory;
mod mih;
pub mod opening;
pub mod options;
pub mod oracle;
pub mod ours;
mod python;
pub mod report;
pub mod roster;
pub mod run;
mod scans;
mod sqlite;
pub mod sweep;
pub mod task;
