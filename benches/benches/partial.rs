//! How well parts of models are found: takes models, replaces some of their tensors by random ones of the same mean and standard
//! deviation, or tampers with one, disguises the rest, and asks a library of all of them where the tensors come from. Not a
//! timing.
//!
//! `cargo bench -p phash-bench --bench partial -- DIR [LABELS.jsonl PAIRS.jsonl] [--half tune|test] [--models N] [--jsonl]`;
//! without arguments the bundled models. What counts are tensors of at least 4,096 weights.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use phash_bench::attacks::{self, Attack, Chance, InMemory, Loaded, Tensor};
use phash_bench::halves::Half;
use phash_bench::random::{Normal, SplitMix};
use phash_bench::table::Table;
use phash_bench::zoo::{hash_folder, read_labels};
use phash_bench::{machine, parallel};
use phash_core::{PerView, TensorSource as _, hash_model};
use phash_library::{
    Digest, HashedFile, Hashing, Library, PartHit, PartsLimits, Standing, Story, compare, ingest, walk,
};
use serde_json::Value;

use case::{Case, Named, What, is_large, merge, percent, row, seed};
#[path = "partial/case.rs"]
mod case;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the names of disguises end with that take away the tensors' names, too.
const RENAMED: &str = ", renamed";
/// Tensors of fewer weights are too small to be asked for.
const LARGE: usize = 4_096;

fn main() -> Result<()> {
    let options = Options::read()?;
    println!("machine: {}", machine::line());
    let bench = Bench::new(&options)?;
    println!("models: {} asked, {} in the library\n", bench.models.len(), bench.library.model_count());
    let print = |name: &str, table: &Table| {
        println!("{}", table.to_markdown());
        if options.jsonl {
            println!("{}", table.to_json_lines(name));
        }
    };
    print("standing", &bench.standings());
    print("parts", &bench.replacements()?);
    print("merges", &bench.merges()?);
    print("strangers", &bench.strangers(&options)?);
    Ok(())
}

struct Options {
    dir: PathBuf,
    labels: Option<PathBuf>,
    pairs: Option<PathBuf>,
    half: Option<Half>,
    models: usize,
    jsonl: bool,
}

impl Options {
    fn read() -> Result<Self> {
        let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/models");
        let (mut paths, mut half, mut models, mut jsonl) = (Vec::new(), None, usize::MAX, false);
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--bench" | "--tiny" => {}
                "--jsonl" => jsonl = true,
                "--half" => half = args.next().as_deref().and_then(Half::from_name),
                "--models" => models = args.next().ok_or("--models N")?.parse()?,
                path => paths.push(PathBuf::from(path)),
            }
        }
        let mut paths = paths.into_iter();
        let dir = paths.next().unwrap_or(bundled);
        Ok(Self { dir, labels: paths.next(), pairs: paths.next(), half, models, jsonl })
    }
}

/// A model to be asked about.
struct Model {
    name: String,
    /// Its id in the library: that of the first with the same contents.
    id: u32,
    loaded: Loaded,
    file: HashedFile,
}

struct Bench {
    models: Vec<Model>,
    library: Library,
    normal: Normal,
    /// Removed at the end.
    db: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.db);
    }
}

impl Bench {
    fn new(options: &Options) -> Result<Self> {
        let db = std::env::temp_dir().join(format!("phash-partial-{}.phash", std::process::id()));
        let (cancel, progress) = (AtomicBool::new(false), |_: u64| {});
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let hashing = Hashing {
            threads,
            sample_over_bytes: phash_library::SAMPLE_OVER_BYTES,
            cancel: &cancel,
            progress: &progress,
        };
        ingest(&db, walk([&options.dir]), NonZeroUsize::MAX, &hashing, &mut |_| {})?;
        let library = Library::open(&db)?;
        let hashes = hash_folder(&options.dir)?.models;
        let labels = read_labels(&hashes, options.labels.as_deref())?;
        let mut chosen: Vec<&String> =
            hashes.keys().filter(|name| labels.is_in(name, options.half)).collect();
        if chosen.len() > options.models {
            let mut random = SplitMix::new(attacks::SEED);
            let places = random.choose(options.models, u32::try_from(chosen.len())?);
            chosen = places.into_iter().map(|place| chosen[place as usize]).collect();
            chosen.sort_unstable();
        }
        let (mut models, mut seen) = (Vec::new(), HashSet::new());
        for name in chosen {
            let loaded = attacks::load(&options.dir.join(name))?;
            let large = loaded.tensors.iter().filter(|tensor| is_large(tensor)).count();
            let id = library.reader().model_by_content_digest(&hashes[name].content_digest.0)?;
            let Some(id) = id.filter(|id| large >= 2 && seen.insert(*id)) else { continue };
            let file = hashed(name, loaded.tensors.clone());
            models.push(Model { name: name.clone(), id, loaded, file });
        }
        Ok(Self { models, library, normal: Normal::new(), db })
    }

    /// Runs `ask` on every model, on all threads; the answers in the order of the models.
    fn each<T: Send>(&self, ask: impl Fn(&Model) -> T + Sync) -> Vec<T> {
        parallel::map(&self.models, ask)
    }

    /// What is said of each large tensor after an attack on all of them, and how far its codes went.
    fn standings(&self) -> Table {
        let mut table = Table::new(&[
            "attack on every tensor",
            "tensors",
            "kept",
            "changed",
            "replaced",
            "too small",
            "farthest view, bits q50 / q90 / q99",
        ]);
        const ATTACKS: [&str; 12] = [
            "bf16",
            "fp16",
            "fp8 e4m3, scaled per tensor",
            "fp8 e5m2",
            "int8 per tensor",
            "int8 per channel",
            "int4 in groups of 32 (as Q4_0)",
            "noise 1 % of a tensor's sd",
            "noise 5 % of a tensor's sd",
            "noise 20 % of a tensor's sd",
            "pruned 50 % by magnitude, per layer",
            "pruned 90 % by magnitude, per layer",
        ];
        for attack in attacks::all().iter().filter(|attack| ATTACKS.contains(&attack.name.as_str())) {
            let found = self.each(|model| {
                let Some(attacked) = self.apply(attack, model, &model.loaded) else { return Vec::new() };
                let large: Vec<bool> = attacked.iter().map(is_large).collect();
                let comparison = compare(&model.file, &hashed("attacked", attacked));
                let pairs = comparison.tensors.iter().filter(|pair| pair.a.is_some_and(|a| large[a]));
                pairs.map(|pair| (pair.standing, pair.views)).collect()
            });
            let found: Vec<(Standing, PerView<Option<u32>>)> = found.into_iter().flatten().collect();
            let share =
                |standing: Standing| percent(found.iter().filter(|of| of.0 == standing).count(), found.len());
            let mut far: Vec<u32> =
                found.iter().filter_map(|of| of.1.0.iter().flatten().max().copied()).collect();
            far.sort_unstable();
            let quantile = |q: f64| far.get((far.len() as f64 * q) as usize).map_or(0, |&bits| bits);
            table.row([
                attack.name.clone(),
                found.len().to_string(),
                share(Standing::Kept),
                share(Standing::Changed),
                share(Standing::Replaced),
                share(Standing::TooSmall),
                format!("{} / {} / {}", quantile(0.5), quantile(0.9), quantile(0.99)),
            ]);
        }
        table
    }

    fn apply(&self, attack: &Attack, model: &Model, loaded: &Loaded) -> Option<Vec<Tensor>> {
        attack.apply(loaded, &mut Chance::new(&attack.name, &model.name, &self.normal))
    }

    /// Tensors replaced or tampered with, the others disguised: is the model found, and are the tensors named?
    fn replacements(&self) -> Result<Table> {
        let mut table = Table::new(&[
            "what",
            "the rest",
            "models",
            "found",
            "found first",
            "verdict right",
            "tensors replaced",
            "named: recall",
            "precision",
            "too small",
            "compare: recall",
            "precision",
        ]);
        let all = attacks::all();
        let disguise = |name: &str| all.iter().find(|attack| attack.name.starts_with(name));
        for what in What::ALL {
            for rest in ["none", "bf16", "bf16, renamed", "int8 per tensor", "noise 5 %"] {
                let Some(attack) = disguise(rest.trim_end_matches(RENAMED)) else { continue };
                let renamed = rest.ends_with(RENAMED);
                let cases = self
                    .each(|model| self.case(what, attack, renamed, model).map_err(|error| error.to_string()));
                let cases: Vec<Case> = cases
                    .into_iter()
                    .collect::<std::result::Result<Vec<_>, _>>()?
                    .into_iter()
                    .flatten()
                    .collect();
                table.row(row(what, rest, &cases));
            }
        }
        Ok(table)
    }

    fn case(&self, what: What, attack: &Attack, renamed: bool, model: &Model) -> Result<Option<Case>> {
        let mut random = SplitMix::new(seed(&format!("{what:?}\n{}\n{}", attack.name, model.name)));
        let Some(mut tensors) = self.apply(attack, model, &model.loaded) else { return Ok(None) };
        let places: Vec<usize> = (0..tensors.len()).filter(|&place| is_large(&tensors[place])).collect();
        let touched = what.choose(&places, &mut random);
        for &place in &touched {
            what.touch(&mut tensors[place], &self.normal, &mut random);
        }
        if renamed {
            tensors.iter_mut().enumerate().for_each(|(number, tensor)| tensor.name = number.to_string());
        }
        let is_touched = |place: usize| touched.contains(&place);
        let file = hashed("attacked", tensors);
        let limits = PartsLimits { models: usize::MAX, max_e_value: phash_library::MATCH_E_VALUE };
        let parts = self.library.parts(&file, limits)?;
        let place = parts.models.iter().position(|hit| hit.id == model.id);
        let hit = place.map(|place| &parts.models[place]);
        let mut case = Case {
            found: hit.is_some(),
            // The same model in another format is as good.
            first: hit.is_some_and(|hit| {
                let best = &parts.models[0];
                (best.weights_share, best.tally.kept) <= (hit.weights_share, hit.tally.kept)
            }),
            verdict: hit.is_some_and(|hit| what.is_right(&hit.finding, &parts.story)),
            query: Named::default(),
            compare: Named::default(),
        };
        for &place in &places {
            let standing = hit.map(|hit| hit.places[place].as_ref().map(|place| place.standing));
            // Without a place it was removed, as far as the stored model tells.
            let standing = standing.map(|standing| standing.unwrap_or(Standing::Removed));
            case.query.count(is_touched(place), standing.unwrap_or(Standing::Removed), what);
        }
        let comparison = compare(&file, &model.file);
        for pair in comparison.tensors.iter() {
            if let Some(place) = pair.a.filter(|place| places.contains(place)) {
                case.compare.count(is_touched(place), pair.standing, what);
            }
        }
        Ok(Some(case))
    }

    /// Averages of two models, and models put together of two.
    fn merges(&self) -> Result<Table> {
        let mut table =
            Table::new(&["merge", "pairs", "called a merge of the two", "both reported", "one reported"]);
        let twins = self.twins();
        for (name, share) in [
            ("tensors of both, one by one", None),
            ("average .5/.5", Some(0.5)),
            ("average .7/.3", Some(0.7)),
        ] {
            let (mut called, mut both, mut one) = (0, 0, 0);
            for &(a, b) in &twins {
                let merged = merge(&self.models[a].loaded.tensors, &self.models[b].loaded.tensors, share);
                let limits = PartsLimits { models: usize::MAX, max_e_value: phash_library::MATCH_E_VALUE };
                let parts = self.library.parts(&hashed("merged", merged), limits)?;
                let place =
                    |model: usize| parts.models.iter().position(|hit| hit.id == self.models[model].id);
                let parents: Option<[usize; 2]> = match parts.story {
                    Story::Joined { second, .. } => Some([0, second]),
                    Story::Between { parents, .. } => Some(parents),
                    _ => None,
                };
                // The same model in another format is as good.
                let is_like = |a: usize, b: usize| {
                    let [a, b] = [a, b].map(|place| &parts.models[place]);
                    (a.tally.kept, a.tally.changed) == (b.tally.kept, b.tally.changed)
                        && a.weights_share == b.weights_share
                };
                let is_parent = |model: usize| {
                    parents
                        .zip(place(model))
                        .is_some_and(|(all, place)| all.iter().any(|&parent| is_like(parent, place)))
                };
                called += usize::from(is_parent(a) && is_parent(b));
                both += usize::from(place(a).is_some() && place(b).is_some());
                one += usize::from(place(a).is_some() != place(b).is_some());
            }
            let share = |count| percent(count, twins.len());
            table.row([name.to_owned(), twins.len().to_string(), share(called), share(both), share(one)]);
        }
        Ok(table)
    }

    /// Models of the same shapes, two by two, each model once.
    fn twins(&self) -> Vec<(usize, usize)> {
        let mut waiting: HashMap<Vec<&[usize]>, usize> = HashMap::new();
        let mut twins = Vec::new();
        for (place, model) in self.models.iter().enumerate() {
            let shapes: Vec<&[usize]> =
                model.loaded.tensors.iter().map(|tensor| tensor.shape.as_slice()).collect();
            match waiting.remove(&shapes) {
                Some(other) => twins.push((other, place)),
                None => _ = waiting.insert(shapes, place),
            }
        }
        twins
    }

    /// What is reported of models that have nothing to do with the query.
    fn strangers(&self, options: &Options) -> Result<Table> {
        let hashes = hash_folder(&options.dir)?.models;
        let labels = read_labels(&hashes, options.labels.as_deref())?;
        let mut families: HashMap<u32, &str> = HashMap::new();
        for (name, hash) in &hashes {
            if let Some(id) = self.library.reader().model_by_content_digest(&hash.content_digest.0)? {
                families.insert(id, labels.family(name).unwrap_or_default());
            }
        }
        let independent = independent(options, &hashes, &self.library)?;
        // Families that a label joins, whatever it says, are no strangers.
        let mut joined: HashSet<(String, String)> = HashSet::new();
        for line in labelled(options)? {
            let family = |field: &str| {
                line[field].as_str().and_then(|name| labels.family(name)).unwrap_or_default().to_owned()
            };
            joined.extend([(family("a"), family("b")), (family("b"), family("a"))]);
        }
        let mut table = Table::new(&[
            "models that are",
            "compared",
            "E <= 10",
            "E <= 1e-1",
            "E <= 1e-3",
            "E <= 1e-6",
            "least E",
        ]);
        let limits = PartsLimits { models: usize::MAX, max_e_value: 10.0 };
        let reported = self.each(|model| self.library.parts(&model.file, limits).map(|parts| parts.models));
        for (kind, is_stranger) in [("of other families", None), ("trained apart", Some(&independent))] {
            let (mut compared, mut e_values) = (0usize, Vec::new());
            for (model, hits) in self.models.iter().zip(&reported) {
                let hits: &Vec<PartHit> = hits.as_ref().map_err(ToString::to_string)?;
                let stranger = |id: u32| match is_stranger {
                    None => {
                        let family = |id: u32| families.get(&id).copied().unwrap_or_default();
                        family(model.id) != family(id)
                            && !joined.contains(&(family(model.id).to_owned(), family(id).to_owned()))
                    }
                    Some(pairs) => pairs.contains(&(model.id.min(id), model.id.max(id))),
                };
                compared += (0..self.library.model_count()).filter(|&id| stranger(id)).count();
                e_values.extend(hits.iter().filter(|hit| stranger(hit.id)).map(|hit| hit.e_value));
            }
            let at_most = |max: f64| e_values.iter().filter(|e| **e <= max).count().to_string();
            let least = e_values.iter().copied().fold(f64::INFINITY, f64::min);
            let least = if least.is_finite() { format!("{least:.0e}") } else { "over 10".to_owned() };
            table.row([
                kind.to_owned(),
                compared.to_string(),
                at_most(10.0),
                at_most(0.1),
                at_most(1e-3),
                at_most(1e-6),
                least,
            ]);
        }
        Ok(table)
    }
}

/// The lines of the file of pairs, if there is one.
fn labelled(options: &Options) -> Result<Vec<Value>> {
    let Some(path) = &options.pairs else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?)
}

/// The pairs of ids that a file of pairs calls independent.
fn independent(
    options: &Options,
    hashes: &BTreeMap<String, phash_library::ModelHash>,
    library: &Library,
) -> Result<HashSet<(u32, u32)>> {
    let mut pairs = HashSet::new();
    for line in labelled(options)? {
        let id = |field: &str| -> Result<Option<u32>> {
            let Some(hash) = line[field].as_str().and_then(|name| hashes.get(name)) else { return Ok(None) };
            Ok(library.reader().model_by_content_digest(&hash.content_digest.0)?)
        };
        if let (Some("independent"), Some(a), Some(b)) = (line["relation"].as_str(), id("a")?, id("b")?) {
            pairs.insert((a.min(b), a.max(b)));
        }
    }
    Ok(pairs)
}

/// Tensors as a file that was hashed.
fn hashed(name: &str, tensors: Vec<Tensor>) -> HashedFile {
    let source = InMemory::new(tensors);
    let Ok(hash) = hash_model(&source);
    HashedFile {
        name: name.to_owned(),
        format: "memory",
        stamp: phash_weights::FileStamp { len_bytes: 0, mtime_ns: 0 },
        file_digest: Digest([0; 32]),
        tensors: source.tensors().to_vec(),
        hash,
    }
}
