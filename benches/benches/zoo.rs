//! How well copies are found: hashes every model of a folder and prints, for each relation of the labelled pairs and each
//! view, how the distances spread and how many pairs would be found; and what the null is: independent and unrelated
//! pairs against the E-values' promise; and how far attacks take each model from itself. Not a timing.
//!
//! `cargo bench -p phash-bench --bench zoo -- DIR PAIRS.jsonl [FAMILIES.jsonl] [--attacks] [--jsonl] [--cases]`; without
//! arguments the bundled models, and a few attacks on a few of them. `--jsonl` prints each row as a JSON line too, `--cases`
//! one for each attack on each model. Two models are unrelated if their families differ: the field `family` in
//! FAMILIES.jsonl, or the folder they lie in.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use phash_bench::table::Table;
use phash_bench::{attacks, machine, roc};
use phash_core::{PerView, View, ViewHash, WEAK_FEATURES, e_value, p_value};
use phash_library::{Hashing, Input, ModelHash, hash_files, walk};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The library size at which recall is quoted, beside that of the folder itself.
const LARGE_LIBRARY: u64 = 10_000_000;

fn main() -> Result<()> {
    let args: Vec<PathBuf> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).map(PathBuf::from).collect();
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/models");
    let (dir, pairs) = match &args[..] {
        [] => (bundled.clone(), bundled.join("relations.jsonl")),
        [dir, pairs, ..] => (dir.clone(), pairs.clone()),
        _ => return Err("usage: zoo DIR PAIRS.jsonl [FAMILIES.jsonl]".into()),
    };
    let models = hash_folder(&dir)?;
    let pairs = read_pairs(&pairs, &models)?;
    let families = families(&models, args.get(2).map(PathBuf::as_path))?;
    println!("machine: {}", machine::line());
    let weak = models.values().filter(|model| model.is_weak()).count();
    println!("models: {} ({weak} weak), labelled pairs: {}\n", models.len(), pairs.len());
    let print = |name: &str, table: &Table| {
        println!("{}", table.to_markdown());
        if flag("--jsonl") {
            println!("{}", table.to_json_lines(name));
        }
    };
    print("relations", &relations_table(&pairs, models.len() as u64));
    let unrelated = unrelated_pairs(&models, &families);
    print("detection", &detection_table(&pairs, &unrelated));
    print("null", &null_table(&pairs, &unrelated));
    print("promise", &promise_table(&pairs));
    print_close_twins(&pairs);
    let twins = independent_twins(&pairs);
    let measured = if flag("--attacks") {
        attacks::measure(&dir, &models, &twins, &attacks::all(), true)
    } else if args.is_empty() {
        const FEW: [&str; 3] = ["twin-1.safetensors", "twin-2.safetensors", "16k.safetensors"];
        let is_few = |name: &String| FEW.iter().any(|few| name.ends_with(few));
        let few = models
            .iter()
            .filter(|(name, _)| is_few(name))
            .map(|(name, hash)| (name.clone(), hash.clone()))
            .collect();
        attacks::measure(&dir, &few, &twins, &attacks::few(), true)
    } else {
        return Ok(());
    };
    measured.skipped.iter().for_each(|error| eprintln!("skipped: {error}"));
    println!("\nattacks, seed {}:\n", attacks::SEED);
    print("attacks", &attacks::table(&measured.rows));
    print("baselines", &attacks::baselines_table(&measured.rows, &models, &measured.baselines, &twins));
    if flag("--cases") {
        measured.rows.iter().for_each(print_cases);
    }
    Ok(())
}

fn flag(name: &str) -> bool {
    std::env::args().any(|arg| arg == name)
}

fn independent_twins(pairs: &[Pair]) -> Vec<(String, String)> {
    let independent = pairs.iter().filter(|pair| pair.relation == "independent");
    independent.map(|pair| (pair.a.clone(), pair.b.clone())).collect()
}

fn print_cases(row: &attacks::Row) {
    for case in &row.cases {
        let distances: serde_json::Map<String, Value> =
            case.distances.iter().map(|(view, bits)| (view.to_string(), Value::from(*bits))).collect();
        let case = serde_json::json!({
            "case": row.attack, "model": case.model, "weak": case.weak, "bits": distances, "e": case.e_value,
            "baselines": case.baselines,
        });
        println!("{case}");
    }
}

/// One labelled pair that could be measured.
struct Pair {
    a: String,
    b: String,
    relation: String,
    distances: PerView<Option<u32>>,
    /// The smaller number of features of the two, by view.
    features: PerView<u32>,
}

impl Pair {
    fn new(a: &str, b: &str, relation: String, models: &BTreeMap<String, ModelHash>) -> Option<Self> {
        let (hash_a, hash_b) = (&models.get(a)?.views, &models.get(b)?.views);
        Some(Self {
            a: a.to_owned(),
            b: b.to_owned(),
            relation,
            distances: PerView::from_fn(|view| distance(&hash_a[view], &hash_b[view])),
            features: PerView::from_fn(|view| hash_a[view].features.min(hash_b[view].features)),
        })
    }

    /// The smallest distance of all views.
    fn best(&self) -> Option<u32> {
        self.distances.0.iter().flatten().min().copied()
    }

    /// The smallest E-value of all views in a library of `models`.
    fn e_value(&self, models: u64) -> f64 {
        let views = u32::try_from(View::COUNT).unwrap_or(u32::MAX);
        let e = |view: View| Some(e_value(view, self.features[view], self.distances[view]?, models, views));
        View::ALL.into_iter().filter_map(e).fold(f64::INFINITY, f64::min)
    }
}

fn distance(a: &ViewHash, b: &ViewHash) -> Option<u32> {
    Some(a.code?.distance(&b.code?))
}

/// The codes of every model below `dir`, by path relative to it. Files that cannot be hashed are named on stderr.
fn hash_folder(dir: &Path) -> Result<BTreeMap<String, ModelHash>> {
    let mut inputs: Vec<Input> = Vec::new();
    for candidate in walk(&[dir.to_owned()]) {
        match candidate.input {
            Ok(input) => inputs.push(input),
            Err(error) => eprintln!("skipped: {error}"),
        }
    }
    let mut models = BTreeMap::new();
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let (cancel, progress) = (AtomicBool::new(false), |_: u64| {});
    let hashing = Hashing { threads, cancel: &cancel, progress: &progress };
    hash_files(inputs, &hashing, |hashed| match hashed {
        Ok(hashed) => {
            let name = Path::new(&hashed.name).strip_prefix(dir).unwrap_or(Path::new(&hashed.name));
            models.insert(name.display().to_string(), hashed.hash);
        }
        Err(error) => eprintln!("skipped: {error}"),
    })?;
    Ok(models)
}

fn json_lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?)
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// Fine-tunes by the cosine of their weights.
fn band(cosine: f64) -> String {
    match cosine {
        0.9.. => "fine-tune, cosine .9+".to_owned(),
        0.4..0.9 => {
            let tenths = (cosine * 10.0).floor();
            format!("fine-tune, cosine .{tenths}-.{}", tenths + 1.0)
        }
        _ => "fine-tune, cosine < .4".to_owned(),
    }
}

/// The labelled pairs; fine-tunes are split by the cosine of their weights.
fn read_pairs(path: &Path, models: &BTreeMap<String, ModelHash>) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for line in json_lines(path)? {
        let relation = match (text(&line, "relation"), line["cosine"].as_f64().unwrap_or(0.0)) {
            ("fine-tune", cosine) => band(cosine),
            (relation, _) => relation.to_owned(),
        };
        match Pair::new(text(&line, "a"), text(&line, "b"), relation, models) {
            Some(pair) => pairs.push(pair),
            None => eprintln!("not measured: {} ~ {}", line["a"], line["b"]),
        }
    }
    Ok(pairs)
}

fn families(models: &BTreeMap<String, ModelHash>, labels: Option<&Path>) -> Result<HashMap<String, String>> {
    let Some(labels) = labels else {
        let folder = |name: &String| name.split('/').next().unwrap_or_default().to_owned();
        return Ok(models.keys().map(|name| (name.clone(), folder(name))).collect());
    };
    let line = |line: Value| (text(&line, "file").to_owned(), text(&line, "family").to_owned());
    Ok(json_lines(labels)?.into_iter().map(line).collect())
}

fn relations_table(pairs: &[Pair], models: u64) -> Table {
    let mut by_relation: BTreeMap<&str, Vec<&Pair>> = BTreeMap::new();
    for pair in pairs {
        by_relation.entry(&pair.relation).or_default().push(pair);
    }
    let here = format!("E<=1e-3 here (n={models})");
    let mut table = Table::new(&[
        "relation",
        "view",
        "pairs",
        "min",
        "q10",
        "median",
        "q90",
        "max",
        "<=12",
        "<=32",
        "<=64",
        &here,
        "E<=1e-6 at 10M",
        "E<=1e-3 at 10M",
    ]);
    for (relation, pairs) in by_relation {
        for view in View::ALL {
            let distances = pairs.iter().filter_map(|pair| pair.distances[view]).collect();
            table.row(
                distance_cells(relation, view.name(), distances)
                    .into_iter()
                    .chain([const { String::new() }; 3]),
            );
        }
        let best = pairs.iter().filter_map(|pair| pair.best()).collect();
        let found = |limit: f64, models: u64| {
            percent(pairs.iter().filter(|pair| pair.e_value(models) <= limit).count(), pairs.len())
        };
        let recall = [found(1e-3, models), found(1e-6, LARGE_LIBRARY), found(1e-3, LARGE_LIBRARY)];
        table.row(distance_cells(relation, "best", best).into_iter().chain(recall));
    }
    table
}

fn distance_cells(relation: &str, view: &str, mut distances: Vec<u32>) -> Vec<String> {
    distances.sort_unstable();
    let mut cells = vec![relation.to_owned(), view.to_owned(), distances.len().to_string()];
    for quantile in [0, 10, 50, 90, 100] {
        let at = distances.len().saturating_sub(1) * quantile / 100;
        cells.push(distances.get(at).map_or_else(String::new, u32::to_string));
    }
    for radius in [12, 32, 64] {
        cells.push(percent(distances.iter().filter(|&&bits| bits <= radius).count(), distances.len()));
    }
    cells
}

fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { String::new() } else { format!("{:.0} %", 100.0 * part as f64 / whole as f64) }
}

/// All pairs of models of different families.
fn unrelated_pairs(models: &BTreeMap<String, ModelHash>, families: &HashMap<String, String>) -> Vec<Pair> {
    let names: Vec<&String> = models.keys().filter(|name| families.contains_key(*name)).collect();
    (0..names.len())
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .filter(|&(i, j)| families[names[i]] != families[names[j]])
        .filter_map(|(i, j)| Pair::new(names[i], names[j], String::new(), models))
        .collect()
}

/// How well pairs that belong together (same, near, fine-tune) are told from those that do not (unrelated, independent), by
/// their smallest E-value. One false match in a million pairs is estimated by the E-values themselves: E <= 1e-6 in a
/// library of one model; how far the E-values may be trusted, the null and the promise show.
fn detection_table(pairs: &[Pair], unrelated: &[Pair]) -> Table {
    let mut table = Table::new(&[
        "models",
        "related",
        "others",
        "area under ROC",
        "recall at 1 in 1e6",
        "others found there",
    ]);
    for (class, least) in [("all", 0), ("not weak", WEAK_FEATURES)] {
        let is_of_class = |pair: &Pair| pair.features.iter().any(|(_, &features)| features >= least);
        let scores = |pairs: &mut dyn Iterator<Item = &Pair>| -> Vec<f64> {
            pairs.filter(|pair| is_of_class(pair)).map(|pair| pair.e_value(1)).collect()
        };
        let is_related = |pair: &&Pair| !matches!(pair.relation.as_str(), "independent" | "ambiguous");
        let related = scores(&mut pairs.iter().filter(is_related));
        let independent = pairs.iter().filter(|pair| pair.relation == "independent");
        let others = scores(&mut unrelated.iter().chain(independent));
        let found = |scores: &[f64]| scores.iter().filter(|&&e| e <= 1e-6).count();
        table.row([
            class.to_owned(),
            related.len().to_string(),
            others.len().to_string(),
            roc::area(&related, &others).map_or_else(String::new, |area| format!("{area:.4}")),
            percent(found(&related), related.len()),
            found(&others).to_string(),
        ]);
    }
    table
}

/// Distances of pairs that should know nothing of each other, and the effective bits they show.
fn null_table(pairs: &[Pair], unrelated: &[Pair]) -> Table {
    let mut table = Table::new(&[
        "null",
        "view",
        "features",
        "pairs",
        "mean (bits)",
        "sd (bits)",
        "min (bits)",
        "effective bits",
    ]);
    let independent: Vec<&Pair> = pairs.iter().filter(|pair| pair.relation == "independent").collect();
    for (name, pairs) in [("unrelated", unrelated.iter().collect()), ("independent twins", independent)] {
        for view in View::ALL {
            for (class, ample) in
                [(format!("< {WEAK_FEATURES}"), false), (format!(">= {WEAK_FEATURES}"), true)]
            {
                let of_class =
                    pairs.iter().filter(|pair: &&&Pair| (pair.features[view] >= WEAK_FEATURES) == ample);
                let distances: Vec<f64> =
                    of_class.filter_map(|pair| pair.distances[view]).map(f64::from).collect();
                if distances.len() < 2 {
                    continue;
                }
                let n = distances.len() as f64;
                let mean = distances.iter().sum::<f64>() / n;
                let sd = (distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
                let min = distances.iter().copied().fold(f64::INFINITY, f64::min);
                let cells = [n, mean, sd, min, (128.0 / sd).powi(2)];
                let cells =
                    cells.iter().zip([0, 1, 1, 0, 0]).map(|(cell, digits)| format!("{cell:.digits$}"));
                table.row([name.to_owned(), view.to_string(), class].into_iter().chain(cells));
            }
        }
    }
    table
}

/// How many independent pairs lie under a probability, and how many the E-values promise.
fn promise_table(pairs: &[Pair]) -> Table {
    let mut table = Table::new(&["P of an independent pair, one view", "pairs seen", "pairs promised"]);
    let independent = || pairs.iter().filter(|pair| pair.relation == "independent");
    let p_values: Vec<f64> = independent()
        .flat_map(|pair| {
            View::ALL.map(|view| Some(p_value(view, pair.features[view], pair.distances[view]?)))
        })
        .flatten()
        .collect();
    for limit in [0.1, 0.01, 1e-3, 1e-4, 1e-6] {
        let seen = p_values.iter().filter(|&&p| p <= limit).count();
        table.row([format!("<= {limit}"), seen.to_string(), format!("{:.3}", limit * p_values.len() as f64)]);
    }
    table
}

fn print_close_twins(pairs: &[Pair]) {
    let mut twins: Vec<&Pair> = pairs.iter().filter(|pair| pair.relation == "independent").collect();
    twins.sort_by_key(|pair| pair.best());
    let under = twins.iter().filter(|pair| pair.best().is_some_and(|bits| bits < 64)).count();
    println!("independent pairs under 64 bits: {under}; the closest:");
    for pair in twins.iter().take(5) {
        let bits =
            View::ALL.map(|view| pair.distances[view].map_or("void".to_owned(), |bits| bits.to_string()));
        let features = View::ALL.map(|view| pair.features[view].to_string());
        println!("  {} bits, {} features: {} ~ {}", bits.join("/"), features.join("/"), pair.a, pair.b);
    }
}
