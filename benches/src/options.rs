//! Owns the options every benchmark understands, from the environment and the command line.

use std::env;

/// `PHASH_BENCH_N` or `--n N`: how large; `PHASH_BENCH_TINY=1` or `--tiny`: so small that it only shows that the
/// benchmark still runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How large, if asked for.
    pub n: Option<u32>,
    /// Whether this is only a check that the benchmark runs.
    pub tiny: bool,
}

impl Options {
    /// Reads environment and command line; ignores what it does not know, as cargo passes `--bench`.
    #[must_use]
    pub fn read() -> Self {
        let number = |text: String| text.replace('_', "").parse().ok();
        let mut options = Self {
            n: env::var("PHASH_BENCH_N").ok().and_then(number),
            tiny: env::var("PHASH_BENCH_TINY").is_ok_and(|value| value != "0" && !value.is_empty()),
        };
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--tiny" => options.tiny = true,
                "--n" => options.n = args.next().and_then(number),
                _ => {}
            }
        }
        options
    }

    /// The size to run at: the one asked for, `tiny` in a tiny run, else `full`.
    #[must_use]
    pub fn size(&self, full: u32, tiny: u32) -> u32 {
        self.n.unwrap_or(if self.tiny { tiny } else { full })
    }
}
