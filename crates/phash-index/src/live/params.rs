//! Owns what a caller may choose for a live index, and what is known of it while it works.

use phash_code::Code;

use crate::BuildParams;

/// How a live index works. Answers never depend on it, only speed and memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveParams {
    /// How index segments are built; by default on one thread, beside the searches.
    pub build: BuildParams,
    /// Codes of the tail that are worth an index segment of their own; at least 1,024.
    pub seal_codes: u32,
    /// Bytes of codes behind the segments that are scanned. Only if sealing does not keep up and there are more, they get
    /// tables: a scan of so many takes some ten microseconds, and tables take longer to fill than segments to build.
    pub scan_bytes: u32,
    /// Codes of one tail: its tables are let go together, when all of them are sealed.
    pub(super) tail_codes: u32,
}

impl Default for LiveParams {
    fn default() -> Self {
        Self {
            build: BuildParams::default().with_threads(1),
            seal_codes: 65_536,
            scan_bytes: 4 << 20,
            tail_codes: 1 << 18,
        }
    }
}

impl LiveParams {
    /// Build index segments like this.
    #[must_use]
    pub fn with_build(mut self, build: BuildParams) -> Self {
        self.build = build;
        self
    }

    /// Seal a tail of so many codes.
    #[must_use]
    pub fn with_seal_codes(mut self, codes: u32) -> Self {
        self.seal_codes = codes;
        self
    }

    /// Scan so many bytes of codes before they get tables.
    #[must_use]
    pub fn with_scan_bytes(mut self, bytes: u32) -> Self {
        self.scan_bytes = bytes;
        self
    }

    /// How many codes are scanned; at least one.
    pub(super) fn scan_codes<const W: usize>(&self) -> u32 {
        let code_bytes = u32::try_from(Code::<W>::BYTES).unwrap_or(u32::MAX).max(1);
        (self.scan_bytes / code_bytes).max(1)
    }

    /// The least that keeps the number of segments, and of tails, small.
    pub(super) fn seal(&self) -> u32 {
        self.seal_codes.max(1024)
    }
}

/// Where the codes of a live index are, and what the background did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveStats {
    /// Ids given out.
    pub codes: u32,
    /// Ids removed.
    pub removed: u64,
    /// Index segments.
    pub segments: usize,
    /// Codes in index segments.
    pub sealed: u32,
    /// Codes in the tables of the tail.
    pub tabled: u32,
    /// Codes that every search scans.
    pub scanned: u32,
    /// Index segments built and published.
    pub built_segments: u64,
    /// Codes indexed while building them, each as often as it was.
    pub built_codes: u64,
    /// Index segments that could not be built. Their codes are searched all the same, from the tail, and building is tried
    /// again when there are more.
    pub failed_builds: u64,
    /// Why the last of those failed.
    pub last_failure: Option<String>,
}
