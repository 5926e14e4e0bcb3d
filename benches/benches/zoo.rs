//! How well copies are found: hashes every model of a folder and prints, for each relation of the labelled pairs and each
//! view, how the distances spread and how many pairs would be found; what the null is: independent and unrelated pairs
//! against the E-values' promise; and how far attacks take each model from itself. Not a timing.
//!
//! `cargo bench -p phash-bench --bench zoo -- DIR PAIRS.jsonl [FAMILIES.jsonl] [OPTIONS]`, see `phash_bench::zoo::Options`;
//! without arguments the bundled models, and a few attacks on a few of them. Two models are unrelated if their families
//! differ and no label joins these: the field `family` in FAMILIES.jsonl, or the folder they lie in.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use phash_bench::evidence::Evidence;
use phash_bench::table::Table;
use phash_bench::zoo::{self, Folder, Kind, Options, Pair, Zoo};
use phash_bench::{attacks, machine};
use phash_core::PerView;
use phash_library::ModelHash;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let Zoo { dir, pairs, families } = options.zoo.clone().unwrap_or_else(Zoo::bundled);
    let Folder { models, skipped } = zoo::hash_folder(&dir)?;
    let labels = zoo::read_labels(&models, families.as_deref())?;
    let (all_pairs, unmeasured) = zoo::labelled(&pairs, &models, &labels, None)?;
    skipped.iter().chain(&unmeasured).for_each(|reason| eprintln!("skipped: {reason}"));
    let unrelated = zoo::unrelated(&models, &all_pairs, &labels, options.half);
    let pairs: Vec<Pair> = all_pairs.into_iter().filter(|pair| labels.is_in(&pair.a, options.half)).collect();
    let attacked: BTreeMap<_, _> =
        models.into_iter().filter(|(name, _)| labels.is_in(name, options.half)).collect();

    println!("machine: {}", machine::line());
    let weak = attacked.values().filter(|model| model.is_weak()).count();
    let half = options.half.map_or("all".to_owned(), |half| format!("{half:?}").to_lowercase());
    println!("half: {half}, models: {} ({weak} weak), labelled pairs: {}\n", attacked.len(), pairs.len());
    let print = |name: &str, table: &Table| {
        println!("{}", table.to_markdown());
        if options.jsonl {
            println!("{}", table.to_json_lines(name));
        }
    };
    let calibration = zoo::calibrate(&pairs, &unrelated);
    if let Some(file) = &options.plot {
        std::fs::write(file, zoo::svg(&calibration))?;
    }
    let count = attacked.len() as u64;
    print("relations", &zoo::relations_table(&pairs, count));
    print("detection", &zoo::detection_table(&pairs, &unrelated));
    print("null", &zoo::null_table(&pairs, &unrelated));
    print("families", &zoo::family_table(&pairs, &labels));
    print("twins", &zoo::close_twins(&pairs, 5));
    print("calibration", &calibration.table());
    if options.cases {
        pairs.iter().for_each(print_pair);
    }

    let mut rows = Vec::new();
    if options.attacks || options.zoo.is_none() {
        rows = attack(&options, &dir, attacked, &pairs);
        println!("attacks, seed {}:\n", attacks::SEED);
        print("attacks", &attacks::table(&rows));
    }
    if !options.no_baselines {
        let labelled = attacks::labelled(&dir, &pairs);
        labelled.skipped.iter().for_each(|error| eprintln!("skipped: {error}"));
        let all: Vec<&attacks::Row> = labelled.rows.iter().chain(&rows).collect();
        print("baselines", &attacks::baselines_table(&all, &labelled.independent));
    }
    let mut cases = relations(&pairs);
    cases.extend(rows.iter().map(|row| {
        let evidence = row.cases.iter().map(|case| (case.weak, &case.evidence));
        (row.attack.as_str(), evidence.collect())
    }));
    print("goals", &zoo::goals_table(&cases, count));
    if options.cases {
        rows.iter().for_each(print_cases);
    }
    Ok(())
}

/// Attacks the models; a few of them in a few ways if neither models nor attacks were asked for.
fn attack(
    options: &Options,
    dir: &Path,
    models: BTreeMap<String, ModelHash>,
    pairs: &[Pair],
) -> Vec<attacks::Row> {
    let few = !options.attacks;
    let is_few = |name: &str| {
        ["twin-1.safetensors", "twin-2.safetensors", "16k.safetensors"].iter().any(|few| name.ends_with(few))
    };
    let plan = attacks::Plan {
        dir,
        models: &models.into_iter().filter(|(name, _)| !few || is_few(name)).collect(),
        twins: &independent(pairs),
        attacks: &attacks::chosen(if few { attacks::few() } else { attacks::all() }, &options.only),
        merges: &attacks::chosen_merges(&options.only),
        sample: options.models,
        with_baselines: !options.no_baselines,
    };
    let measured = attacks::measure(&plan);
    measured.skipped.iter().for_each(|error| eprintln!("skipped: {error}"));
    measured.rows
}

/// The pairs by relation, each with whether a model of it is weak.
fn relations(pairs: &[Pair]) -> Vec<(&str, Vec<(bool, &Evidence)>)> {
    let mut rows: BTreeMap<&str, Vec<(bool, &Evidence)>> = BTreeMap::new();
    for pair in pairs {
        rows.entry(&pair.relation).or_default().push((pair.evidence.weak, &pair.evidence));
    }
    rows.into_iter().collect()
}

fn independent(pairs: &[Pair]) -> Vec<(String, String)> {
    let independent = pairs.iter().filter(|pair| pair.kind() == Kind::Independent);
    independent.map(|pair| (pair.a.clone(), pair.b.clone())).collect()
}

/// Bits, or features, by view.
fn by_view<T: Copy + Into<Value>>(values: &PerView<T>) -> Value {
    values.iter().map(|(view, &value)| (view.to_string(), value.into())).collect()
}

fn print_pair(pair: &Pair) {
    let evidence = &pair.evidence;
    let pair = json!({
        "pair": pair.relation, "a": pair.a, "b": pair.b, "weak": evidence.weak, "bits": by_view(&evidence.distances),
        "features": by_view(&evidence.features), "p": evidence.p_joint(),
    });
    println!("{pair}");
}

fn print_cases(row: &attacks::Row) {
    for case in &row.cases {
        let case = json!({
            "case": row.attack, "model": case.model, "weak": case.weak, "bits": by_view(&case.evidence.distances),
            "features": by_view(&case.evidence.features), "p": case.evidence.p_joint(), "baselines": case.baselines,
        });
        println!("{case}");
    }
}
