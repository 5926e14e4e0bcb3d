//! Owns [`Strategy`]: who decides between index and scan.

/// Who decides between index and scan. Answers never depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// The planner: whichever it expects to be faster.
    #[default]
    Auto,
    /// Use the index segments whatever it costs: time can grow exponentially with the radius. For tests and benches.
    Index,
    /// Scan every code.
    Scan,
}
