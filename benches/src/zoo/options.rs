//! Owns the command line of the bench `zoo`.

use std::path::{Path, PathBuf};

use crate::halves::Half;

/// A folder of models with what is known of them.
#[derive(Clone, Debug)]
pub struct Zoo {
    /// Every model below it is hashed.
    pub dir: PathBuf,
    /// The labelled pairs, JSON lines: `a`, `b` (paths relative to `dir`), `relation`, and `cosine` for fine-tunes.
    pub pairs: PathBuf,
    /// The families, JSON lines: `file`, `family`, and `half` where it is not by the rule. Without it a model's family
    /// is the folder it lies in.
    pub families: Option<PathBuf>,
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The models; the bundled ones if `None`.
    pub zoo: Option<Zoo>,
    /// `--half tune|test|all`: only that half; both if `None`.
    pub half: Option<Half>,
    /// `--attacks`: attack the models, too.
    pub attacks: bool,
    /// `--only NAME,NAME`: only the attacks whose names contain one of these.
    pub only: Vec<String>,
    /// `--models N`: attack only so many models, drawn with the attacks' seed.
    pub models: Option<usize>,
    /// `--no-baselines`: leave the other methods out, which saves half of the time.
    pub no_baselines: bool,
    /// `--jsonl`: print each row as a JSON line, too.
    pub jsonl: bool,
    /// `--cases`: print each pair and each attack on each model as a JSON line.
    pub cases: bool,
    /// `--plot FILE`: write the calibration as an SVG.
    pub plot: Option<PathBuf>,
}

/// How to call it.
const USAGE: &str = "usage: zoo [DIR PAIRS.jsonl [FAMILIES.jsonl]] [--half tune|test|all] [--attacks] \
    [--only NAME[,NAME]] [--models N] [--no-baselines] [--jsonl] [--cases] [--plot FILE]";

impl Options {
    /// Reads the arguments of a command line; `--bench`, which cargo adds, is ignored.
    ///
    /// # Errors
    /// The usage, after what is wrong.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = args.into_iter();
        let (mut options, mut paths) = (Self::default(), Vec::new());
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n{USAGE}"));
            match arg.as_str() {
                "--bench" => {}
                "--attacks" => options.attacks = true,
                "--jsonl" => options.jsonl = true,
                "--cases" => options.cases = true,
                "--no-baselines" => options.no_baselines = true,
                "--plot" => options.plot = Some(value()?.into()),
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--models" => {
                    let number = value()?.parse();
                    options.models = Some(number.map_err(|_| format!("--models needs a number\n{USAGE}"))?);
                }
                "--half" => match value()?.as_str() {
                    "all" => options.half = None,
                    name => {
                        let half = Half::from_name(name).ok_or_else(|| format!("no half {name}\n{USAGE}"))?;
                        options.half = Some(half);
                    }
                },
                option if option.starts_with("--") => return Err(format!("unknown {option}\n{USAGE}")),
                path => paths.push(PathBuf::from(path)),
            }
        }
        options.zoo = match &paths[..] {
            [] => None,
            [dir, pairs] => Some(Zoo { dir: dir.clone(), pairs: pairs.clone(), families: None }),
            [dir, pairs, families] => {
                Some(Zoo { dir: dir.clone(), pairs: pairs.clone(), families: Some(families.clone()) })
            }
            _ => return Err(USAGE.to_owned()),
        };
        Ok(options)
    }
}

impl Zoo {
    /// The models that come with the repository.
    #[must_use]
    pub fn bundled() -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/models");
        Self { pairs: dir.join("relations.jsonl"), dir, families: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_and_paths_may_stand_in_any_order() {
        let options =
            parse("--half test dir --only int8,noise pairs --models 7 --attacks --bench").expect("valid");
        let zoo = options.zoo.expect("a zoo");
        assert_eq!((zoo.dir.to_str(), zoo.pairs.to_str()), (Some("dir"), Some("pairs")));
        assert_eq!((options.half, options.models, options.attacks), (Some(Half::Test), Some(7), true));
        assert_eq!(options.only, ["int8", "noise"]);
        for wrong in ["dir", "--half best", "--models many", "--only", "--al", "a b c d"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
