//! Owns the command line of the benches `index` and `sweep`.

use std::path::PathBuf;

use super::task::Task;
use crate::codes::Kind;
use crate::codes::source::Source;
use crate::options;

/// How to use the benches.
pub const HELP: &str = "\
--n N,N         codes (1,000,000); sweep: 1,000 to 1,000,000
--kind K,K      uniform, skewed; sweep: also equal, neighbours, clusters
--bits B,B      widths: 64, 128, 256, 512
--files DIR     codes and queries of another generator: DIR/KIND_BITS_N.codes and .queries
--real FILE     real codes: lines of `phashdb hash --tensors --format jsonl`, or a hexadecimal code at the start of each
--radius R,R    radii (4, 12, 31; 512 bits: 12, 64); sweep: a grid
--k K,K         so many nearest (10); sweep: 1, 10, 100, 1000
--only NAME,..  contenders whose names begin so (all)
--queries Q     queries one at a time, at most 1000 (300)
--batch Q       queries in a batch, at most 1000 (1000); 0: no batches
--passes P      passes; the median of each query counts (3)
--budget-ms MS  time of a pass: slow contenders are asked fewer queries (1000)
--pages P       usual, huge (codes and segments on pages of 2 MiB) or both (both)
--no-python     without the rivals from PyPI
--no-open       without opening from files
--jsonl FILE    the tables as JSON lines
--markdown FILE the tables, as printed, in a file";

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sizes.
    pub sizes: Vec<u32>,
    /// Where codes come from.
    pub sources: Vec<Source>,
    /// Widths in bits.
    pub bits: Vec<u32>,
    /// Radii asked for, else by width.
    pub radii: Option<Vec<u32>>,
    /// Numbers of nearest codes.
    pub ks: Option<Vec<usize>>,
    /// Beginnings of contenders' names; none: all take part.
    pub only: Vec<String>,
    /// Queries one at a time.
    pub queries: usize,
    /// Queries in a batch.
    pub batch: usize,
    /// Passes.
    pub passes: usize,
    /// Nanoseconds of a pass.
    pub budget_ns: f64,
    /// Segments on usual pages, on pages of 2 MiB.
    pub pages: [bool; 2],
    /// Rivals from PyPI.
    pub python: bool,
    /// Whether the environment for them may be made.
    pub install: bool,
    /// Opening from files.
    pub open: bool,
    /// Where JSON lines go.
    pub jsonl: Option<PathBuf>,
    /// Where the tables go.
    pub markdown: Option<PathBuf>,
    /// Where codes, segments and the environment are kept.
    pub cache: PathBuf,
    /// Whether this is only a check that the bench runs.
    pub tiny: bool,
}

impl Options {
    /// Reads the command line. `full`: the sizes of a run without `--n`.
    ///
    /// # Errors
    /// What is wrong with it, for the reader.
    pub fn read(
        args: impl IntoIterator<Item = String>,
        cache: PathBuf,
        full: &[u32],
        kinds: &[Kind],
    ) -> Result<Self, String> {
        let basic = options::Options::read();
        let tiny = basic.tiny;
        let mut options = Self {
            sizes: if tiny { vec![2_000] } else { full.to_vec() },
            sources: Vec::new(),
            bits: vec![64, 128, 256, 512],
            radii: None,
            ks: None,
            only: Vec::new(),
            queries: if tiny { 8 } else { 300 },
            batch: if tiny { 20 } else { 1000 },
            passes: if tiny { 1 } else { 3 },
            budget_ns: 1e9,
            pages: [true, true],
            python: true,
            install: !tiny,
            open: true,
            jsonl: None,
            markdown: None,
            cache,
            tiny,
        };
        if let Some(n) = basic.n {
            options.sizes = vec![n];
        }
        let (mut names, mut files): (Vec<Kind>, Option<PathBuf>) = (kinds.to_vec(), None);
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--bench" | "--tiny" => {}
                "--n" => options.sizes = list(&value()?)?,
                "--kind" => {
                    let kind = |name: &str| Kind::named(name).ok_or_else(|| format!("no kind {name}"));
                    names = value()?.split(',').map(kind).collect::<Result<_, _>>()?;
                }
                "--bits" => options.bits = list(&value()?)?,
                "--files" => files = Some(value()?.into()),
                "--real" => options.sources.push(Source::Real(value()?.into())),
                "--radius" => options.radii = Some(list(&value()?)?),
                "--k" => options.ks = Some(list(&value()?)?),
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--queries" => options.queries = number(&value()?)?,
                "--batch" => options.batch = number(&value()?)?,
                "--passes" => options.passes = number(&value()?)?,
                "--budget-ms" => options.budget_ns = 1e6 * number::<f64>(&value()?)?,
                "--pages" => {
                    let pages = value()?;
                    options.pages = [pages != "huge", pages != "usual"];
                }
                "--no-python" => options.python = false,
                "--no-open" => options.open = false,
                "--jsonl" => options.jsonl = Some(value()?.into()),
                "--markdown" => options.markdown = Some(value()?.into()),
                _ => return Err(format!("{arg} is no option\n{HELP}")),
            }
        }
        if options.sources.is_empty() {
            let source = |kind| match &files {
                Some(dir) => Source::Files(dir.clone(), kind),
                None => Source::Generated(kind),
            };
            options.sources = names.into_iter().map(source).collect();
        }
        let most = crate::codes::files::QUERIES;
        (options.queries, options.batch) = (options.queries.clamp(4, most), options.batch.min(most));
        options.passes = options.passes.max(1);
        match options.bits.iter().find(|bits| ![64, 128, 256, 512].contains(*bits)) {
            Some(bits) => Err(format!("--bits {bits}: widths are 64, 128, 256 and 512")),
            None => Ok(options),
        }
    }

    /// What is asked of codes of a width.
    #[must_use]
    pub fn tasks(&self, bits: u32) -> Vec<Task> {
        let radii = self.radii.clone().unwrap_or_else(|| match bits {
            64 => vec![4, 12],
            512 => vec![12, 64],
            _ => vec![4, 12, 31],
        });
        let ks = self.ks.clone().unwrap_or_else(|| vec![10]);
        radii.into_iter().map(Task::Within).chain(ks.into_iter().map(Task::Nearest)).collect()
    }

    /// Whether a contender takes part.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.starts_with(only.as_str()))
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text} is no number"))
}

fn list<T: std::str::FromStr>(text: &str) -> Result<Vec<T>, String> {
    text.split(',').map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        let args = line.split_whitespace().map(str::to_owned);
        Options::read(args, PathBuf::new(), &[7], &[Kind::Uniform, Kind::Skewed])
    }

    #[test]
    fn the_command_line_says_what_to_run() {
        let options =
            read("--bench --n 10_000,20 --kind skewed --bits 64,512 --k 1,2 --only fast,mih").unwrap();
        assert_eq!((options.sizes.as_slice(), options.bits.as_slice()), (&[10_000, 20][..], &[64, 512][..]));
        assert_eq!(options.sources, [Source::Generated(Kind::Skewed)]);
        let tasks = [Task::Within(12), Task::Within(64), Task::Nearest(1), Task::Nearest(2)];
        assert_eq!(options.tasks(512), tasks);
        assert!(options.wants("fast, 2 MiB") && options.wants("mih-rs") && !options.wants("compact"));
        assert_eq!(read("").unwrap().sizes, [7]);
        let files = read("--files d --kind uniform").unwrap().sources;
        assert_eq!(files, [Source::Files("d".into(), Kind::Uniform)]);
    }

    #[test]
    fn what_is_wrong_with_the_command_line_is_said() {
        for (line, says) in [
            ("--n x", "no number"),
            ("--kind odd", "no kind"),
            ("--bits 65", "widths"),
            ("--fast", "no option"),
            ("--n", "value"),
        ] {
            assert!(read(line).unwrap_err().contains(says), "{line}");
        }
    }
}
