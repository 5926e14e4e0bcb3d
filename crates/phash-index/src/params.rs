//! Owns [`BuildParams`]: what a caller may choose when an index segment is built.

/// How to build an index segment. The default suits every collection; answers never depend on it, only speed and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildParams {
    /// How many substrings (bucket tables) to cut the code in: at least `bits / 26` rounded up, at most one a bit.
    /// By default as many as make substrings of about log2(number of codes) bits, 8 to 24.
    pub substrings: Option<u32>,
}

impl BuildParams {
    /// Cut the code in `substrings` parts.
    #[must_use]
    pub fn with_substrings(mut self, substrings: u32) -> Self {
        self.substrings = Some(substrings);
        self
    }
}
