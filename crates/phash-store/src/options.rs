//! Owns [`OpenOptions`]: how a reader reads.

/// How a reader reads code files and index segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Map files into memory (the default). Without it they are read into memory by positional reads and every
    /// block's checksum is checked on the way: the same answers, proof against another program truncating a
    /// file (which kills a process that maps it), and the choice for network file systems.
    pub mmap: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { mmap: true }
    }
}
