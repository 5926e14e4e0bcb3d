//! Salvage against what must survive: databases of both kinds, damaged at random in every file. Nothing wrong comes out,
//! all whose bytes are untouched comes out, what does not is told, and the damaged database is left as it was.
//!
//! `PHASH_STORE_SALVAGES` is the number of damaged databases, `PHASH_STORE_SEED` the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use phash_code::Codes;
use phash_store::{Contents, Error, Loss, LossKind, Reader, SalvageEvent, Writer, salvage};

use crate::codes::{self, raw};
use crate::common::*;
use crate::power_cuts::{Place, Random, given};
use crate::remove::ids;

/// What a database holds of one model or raw code, in a form that does not depend on ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: u32,
    pub(crate) tensors: Range<u32>,
    /// Whether it has a code in view `blocks`; its tensors have none.
    pub(crate) in_blocks: bool,
    /// Everything but sources and label.
    pub(crate) what: String,
    /// Number of the source, and what it says; of raw codes the label.
    pub(crate) sources: BTreeMap<String, u32>,
}

/// By content digest, or by code.
pub(crate) type Items = BTreeMap<Vec<u8>, Item>;

pub(crate) fn items(dir: &Path) -> Items {
    let reader = Reader::open(dir, NO_MMAP).unwrap();
    if reader.contents() == Contents::Codes {
        let (all, labels) = (reader.raw_codes::<2>().unwrap(), reader.code_labels().unwrap());
        let live = (0..reader.code_count()).filter(|id| !reader.removed().unwrap().contains(*id));
        let item = |id| {
            let sources = labels.get(id).unwrap().into_iter().map(|label| (label, id)).collect();
            let code = all.get(id).unwrap().as_bytes().to_vec();
            (code, Item { id, tensors: 0..0, in_blocks: false, what: String::new(), sources })
        };
        return live.map(item).collect();
    }
    let (energy, blocks) = (reader.codes::<4>("energy").unwrap(), reader.codes::<1>("blocks").unwrap());
    let tensor_codes = reader.tensor_codes::<4>("energy").unwrap();
    let mut items = Items::new();
    for model in reader.models() {
        let model = model.unwrap();
        let mut what = format!(
            "{} {} {} {:?} {:?} {}",
            model.format,
            model.weak,
            model.tensors_used,
            model.tensors_skipped,
            model.features,
            model.ingested_at_ms
        );
        what += &format!("{:?} {:?}", energy.get(model.id), blocks.get(model.id));
        what += &format!("{}", reader.voids("blocks").unwrap().contains(model.id));
        for tensor in reader.tensors(model.id).unwrap() {
            what += &format!("{} {} {:?} {:?}", tensor.name, tensor.dtype, tensor.shape, tensor.features);
            what += &format!("{:?}", tensor_codes.get(tensor.id));
            assert!(reader.tensor_voids("blocks").unwrap().contains(tensor.id));
        }
        let mut sources = BTreeMap::new();
        for source in &model.sources {
            let phash_store::Source { label, version, path, stamp, file_digest, recorded_at_ms, .. } = source;
            let text = format!("{label} {version} {path} {stamp:?} {file_digest:?} {recorded_at_ms}");
            sources.insert(text, source.id);
        }
        let in_blocks = !reader.voids("blocks").unwrap().contains(model.id);
        let item = Item { id: model.id, tensors: model.tensors.clone(), in_blocks, what, sources };
        items.insert(model.content_digest.to_vec(), item);
    }
    items
}

/// A database over two blocks, with removals, compacted or not, closed or as a killed writer leaves it.
pub(crate) fn database(dir: &Path, contents: Contents, compacted: bool, log: bool) {
    let schema = if contents == Contents::Models { schema() } else { raw() };
    let mut writer = Writer::open_or_create(dir, &schema).unwrap().with_clock(clock);
    let fill = |writer: &mut Writer, to: u64| match contents {
        Contents::Models => put_range(writer, u64::from(writer.model_count())..to).unwrap(),
        Contents::Codes => codes::put_codes(writer, u64::from(writer.code_count())..to).unwrap(),
    };
    for to in [700, 1500, 2100] {
        fill(&mut writer, to);
        writer.commit().unwrap();
    }
    if contents == Contents::Models {
        put(&mut writer, "copies/of-3", 3, 1).unwrap();
        put(&mut writer, "m/4", 5, 2).unwrap();
    }
    writer.add_segment(&schema.views[0].name, 0..2000, b"eight by").unwrap();
    writer.commit().unwrap();
    writer.remove(&ids(&[10, 11, 1200, 2077])).unwrap();
    writer.commit().unwrap();
    if compacted {
        writer.compact(&mut |_, _| true).unwrap().unwrap().publish().unwrap();
        writer.remove(&ids(&[1, 2090])).unwrap();
        writer.commit().unwrap();
    }
    if !compacted {
        fill(&mut writer, 2300);
        writer.commit().unwrap();
    }
    if log {
        let copy = dir.with_extension("copy");
        copy_dir(dir, &copy);
        drop(writer);
        fs::remove_dir_all(dir).unwrap();
        fs::rename(copy, dir).unwrap();
    }
    let _ = fs::remove_file(dir.join("catalog.sqlite-shm"));
}

/// All files, and what is in them.
fn contents_of(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for folder in [dir.to_owned(), dir.join("segments")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                all.insert(path.clone(), fs::read(&path).unwrap());
            }
        }
    }
    all
}

/// Damages a file; returns the bytes that are not as they were, the last of them to the end of the file.
fn damage(path: &Path, random: &mut Random) -> Vec<Range<usize>> {
    let good = fs::read(path).unwrap();
    let mut bad = good.clone();
    match random.below(8) {
        0 => {
            fs::remove_file(path).unwrap();
            let whole = 0..usize::MAX;
            return Vec::from([whole]);
        }
        1 => bad.truncate(random.below(good.len().max(1))),
        2 => bad.truncate(good.len().saturating_sub(1 + random.below(5000))),
        3 => {
            let at = random.below(good.len().max(1));
            let end = (at + 512).min(good.len());
            bad[at..end].fill(0);
        }
        4 if !good.is_empty() => {
            let at = random.below(good.len());
            bad.remove(at);
        }
        _ => {
            for _ in 0..=random.below(6) {
                if !bad.is_empty() {
                    let at = random.below(bad.len());
                    bad[at] ^= u8::try_from(1 + random.below(255)).unwrap();
                }
            }
        }
    }
    fs::write(path, &bad).unwrap();
    let differs = |at: usize| good.get(at) != bad.get(at);
    let mut ranges: Vec<Range<usize>> =
        (0..good.len()).filter(|&at| differs(at)).map(|at| at..at + 1).collect();
    if bad.len() != good.len() {
        ranges.push(good.len().min(bad.len())..usize::MAX);
    }
    ranges
}

/// Whether the code of an id, or its whole block, lies where nothing was changed.
fn is_untouched(changed: Option<&Vec<Range<usize>>>, width: usize, id: u32, block: bool) -> bool {
    let (id, stride) = (id as usize, 64 + 2048 * width);
    let start = 4096 + id / 2048 * stride;
    let code = start + 64 + id % 2048 * width;
    let (start, end) = if block { (start, start + stride) } else { (code, code + width) };
    changed.is_none_or(|changed| changed.iter().all(|bytes| bytes.end <= start || end <= bytes.start))
}

/// Whether an item certainly survives damage of these files: a raw code if its block is as it was, a model if its own bytes are.
fn must_survive(item: &Item, changed: &BTreeMap<String, Vec<Range<usize>>>, contents: Contents) -> bool {
    if changed.keys().any(|name| name.starts_with("catalog")) {
        return false;
    }
    let of = |stem: &str| {
        let name = changed.keys().find(|name| {
            let (stem_of, _) = name.rsplit_once(".codes").unwrap_or((name, ""));
            stem_of == stem || stem_of.split('+').next() == Some(stem)
        });
        name.and_then(|name| changed.get(name))
    };
    match contents {
        Contents::Codes => is_untouched(of("raw"), 16, item.id, true),
        Contents::Models => {
            is_untouched(of("energy"), 32, item.id, false)
                && (!item.in_blocks || is_untouched(of("blocks"), 8, item.id, false))
                && item.tensors.clone().all(|id| is_untouched(of("tensors.energy"), 32, id, false))
        }
    }
}

pub(crate) struct Outcome {
    pub(crate) losses: Vec<Loss>,
    pub(crate) found: Items,
}

pub(crate) fn run(dir: &Path, out: &Path) -> Result<Outcome, Error> {
    let mut losses = Vec::new();
    let done = salvage(dir, out, None, &mut |event| {
        if let SalvageEvent::Lost(loss) = event {
            losses.push(loss);
        }
        true
    })?
    .expect("not stopped");
    assert_eq!(done.losses, losses.len() as u64);
    let count = done.items as usize;
    done.staging.publish().unwrap();
    let report = Reader::open(out, NO_MMAP).unwrap().verify(&mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let found = items(out);
    assert_eq!(found.len(), count);
    Ok(Outcome { losses, found })
}

/// Checks an outcome against the originals.
fn check(
    originals: &Items,
    outcome: &Outcome,
    changed: &BTreeMap<String, Vec<Range<usize>>>,
    contents: Contents,
) {
    let Outcome { losses, found } = outcome;
    let of_kind = |kinds: &[LossKind], id: u32| {
        losses
            .iter()
            .any(|loss| kinds.contains(&loss.kind) && loss.ids.as_ref().is_some_and(|ids| ids.contains(&id)))
    };
    let catalog = changed.keys().any(|name| name.starts_with("catalog"));
    let anything = |loss: &Loss| matches!(loss.kind, LossKind::Commits | LossKind::Uncertain);
    let told_of_all = losses.iter().any(anything);
    // If the log is lost together with the evidence of what it held, nothing tells of its last commit: docs/durability.md.
    let silent = changed.contains_key("catalog.sqlite-wal") && changed.contains_key("published");
    let labels: Vec<_> =
        changed.iter().filter(|(name, _)| name.contains(".labels") || name.contains(".text")).collect();
    for (key, item) in found {
        let Some(original) = originals.get(key) else {
            // Only what was removed, and only if it is told that that may be: of models, because the commit is lost.
            let commits = losses.iter().any(|loss| loss.kind == LossKind::Commits);
            let told = if contents == Contents::Codes { told_of_all } else { commits };
            assert!(told || silent, "came out of nothing: {item:?}");
            continue;
        };
        assert_eq!(item.what, original.what, "another model under {key:?}");
        assert!(
            item.sources.keys().all(|source| original.sources.contains_key(source)),
            "{item:?} is not {original:?}"
        );
        for (source, id) in &original.sources {
            let kinds = [LossKind::Source, LossKind::Label];
            let told = of_kind(&kinds, *id) || catalog && told_of_all || silent;
            assert!(item.sources.contains_key(source) || told, "lost without a word: {source}");
        }
        if labels.is_empty() && !catalog {
            assert_eq!(item.sources.len(), original.sources.len(), "{item:?} is not {original:?}");
        }
    }
    for (key, original) in originals {
        if !found.contains_key(key) {
            assert!(!must_survive(original, changed, contents), "lost: {original:?}, {losses:?}");
            let told =
                of_kind(&[LossKind::Model, LossKind::Code], original.id) || catalog && told_of_all || silent;
            assert!(told, "lost without a word: {original:?}");
        }
    }
    // Order is kept.
    let order = |items: &Items, by: &dyn Fn(&[u8]) -> u32| {
        let mut keys: Vec<&Vec<u8>> = items.keys().filter(|key| originals.contains_key(*key)).collect();
        keys.sort_by_key(|key| by(key));
        keys.into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(order(found, &|key| found[key].id), order(found, &|key| originals[key].id), "another order");
}

#[test]
fn nothing_wrong_comes_out_and_all_that_is_untouched_does() {
    let (rounds, seed) =
        (given("PHASH_STORE_SALVAGES", 60), given("PHASH_STORE_SEED", u64::from(std::process::id())));
    println!("PHASH_STORE_SALVAGES={rounds} PHASH_STORE_SEED={seed}");
    let temporary = temp_dir();
    let mut originals = Vec::new();
    for contents in [Contents::Models, Contents::Codes] {
        for (compacted, log) in [(false, false), (false, true), (true, false), (true, true)] {
            let dir = temporary.path().join(format!("{contents}-{compacted}-{log}"));
            database(&dir, contents, compacted, log);
            let copy = temporary.path().join("look");
            copy_dir(&dir, &copy);
            originals.push((dir, contents, items(&copy)));
            fs::remove_dir_all(copy).unwrap();
        }
    }
    let mut random = Random(seed);
    let (mut refused, mut all, mut some) = (0, 0, 0);
    for round in 0..rounds {
        let (original, contents, items) = &originals[random.below(originals.len())];
        let (dir, out) = (temporary.path().join("db"), temporary.path().join("out"));
        copy_dir(original, &dir);
        let files: Vec<PathBuf> = contents_of(&dir).into_keys().collect();
        let mut changed: BTreeMap<String, Vec<Range<usize>>> = BTreeMap::new();
        for _ in 0..=random.below(3) {
            let file = &files[random.below(files.len())];
            if file.exists() {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                changed.entry(name).or_default().extend(damage(file, &mut random));
            }
        }
        let names: Vec<&String> = changed.keys().collect();
        let _place = Place(format!("round {round} of seed {seed}: {}: {names:?}", original.display()));
        let before = contents_of(&dir);
        let catalog = changed.keys().any(|name| name.starts_with("catalog"));
        match run(&dir, &out) {
            Ok(outcome) => {
                check(items, &outcome, &changed, *contents);
                let harmless = changed
                    .keys()
                    .all(|name| name.ends_with(".mih") || name == "published" || name == "writer.lock");
                assert!(!harmless || outcome.losses.is_empty(), "{:?}", outcome.losses);
                // With log and evidence of it gone, an earlier commit is all there is.
                let silent = changed.contains_key("catalog.sqlite-wal") && changed.contains_key("published");
                assert!(!outcome.losses.is_empty() || silent || outcome.found.len() == items.len());
                if outcome.losses.is_empty() {
                    all += 1
                } else {
                    some += 1
                }
                fs::remove_dir_all(&out).unwrap();
            }
            Err(Error::NothingToSalvage { .. } | Error::UnknownVersion { .. }) => {
                // Without a catalog nothing of models means anything.
                assert!(catalog, "{names:?}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(!out.exists() && !temporary.path().join("out.partial").exists());
        assert!(contents_of(&dir) == before, "the damaged database was written to");
        fs::remove_dir_all(&dir).unwrap();
    }
    println!("{rounds} damaged databases: nothing lost of {all}, something of {some}, {refused} refused");
}

/// Salvages the database at `db` in a directory.
pub(crate) fn salvaged(at: &Path) -> Outcome {
    let outcome = run(&at.join("db"), &at.join("out")).unwrap();
    fs::remove_dir_all(at.join("out")).unwrap();
    outcome
}

#[test]
fn a_sound_database_comes_out_as_it_is() {
    for contents in [Contents::Models, Contents::Codes] {
        for (compacted, log) in [(false, true), (true, false)] {
            let temporary = temp_dir();
            database(&temporary.path().join("db"), contents, compacted, log);
            let copy = temporary.path().join("look");
            copy_dir(&temporary.path().join("db"), &copy);
            let outcome = salvaged(temporary.path());
            assert_eq!(outcome.losses, []);
            let (found, originals) = (outcome.found, items(&copy));
            assert!(
                found
                    .iter()
                    .map(|(key, item)| (key, &item.what, item.sources.keys().collect::<Vec<_>>()))
                    .eq(originals.iter().map(|(key, item)| (
                        key,
                        &item.what,
                        item.sources.keys().collect::<Vec<_>>()
                    )))
            );
        }
    }
}

#[test]
fn a_damaged_block_costs_the_codes_in_it_and_no_more() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, Contents::Codes, false, false);
    let mut bytes = fs::read(dir.join("raw.codes")).unwrap();
    bytes[4096 + 64 + 2048 * 16 + 64 + 5] ^= 1;
    fs::write(dir.join("raw.codes"), bytes).unwrap();
    let outcome = salvaged(temporary.path());
    // Each under its label; every seventh has none.
    let lost: BTreeSet<u32> = outcome.losses.iter().flat_map(|loss| loss.ids.clone().unwrap()).collect();
    assert!(lost.iter().copied().eq((2048..2300).filter(|id| *id != 2077)));
    assert!(outcome.losses.iter().all(|loss| loss.kind == LossKind::Code));
    let labels: BTreeSet<String> = outcome.losses.iter().filter_map(|loss| loss.label.clone()).collect();
    assert!(
        labels
            .iter()
            .eq(&(2048..2300).filter(|id| *id != 2077).filter_map(codes::label).collect::<BTreeSet<_>>())
    );
    assert_eq!(outcome.found.len(), 2048 - 3);
}

#[test]
fn raw_codes_need_no_catalog() {
    for (name, log) in [("catalog.sqlite", false), ("catalog.sqlite", true), ("catalog.sqlite-wal", true)] {
        let temporary = temp_dir();
        let dir = temporary.path().join("db");
        database(&dir, Contents::Codes, false, log);
        fs::remove_file(dir.join(name)).unwrap();
        let outcome = salvaged(temporary.path());
        assert!(
            outcome.losses.iter().any(|loss| matches!(loss.kind, LossKind::Uncertain)),
            "{:?}",
            outcome.losses
        );
        // What was removed comes back, and it is told that it may.
        assert_eq!(outcome.found.len(), 2300, "{name}, {log}");
        for (key, number) in (0..2300).map(|number| (codes::code(number).to_vec(), number)) {
            assert!(outcome.found[&key].sources.keys().cloned().eq(codes::label(number)));
        }
    }
}

#[test]
fn raw_codes_come_out_even_if_neither_catalog_nor_header_tells_how_wide_they_are() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, Contents::Codes, false, false);
    fs::remove_file(dir.join("catalog.sqlite")).unwrap();
    let mut bytes = fs::read(dir.join("raw.codes")).unwrap();
    bytes[..4096].fill(0x55);
    fs::write(dir.join("raw.codes"), bytes).unwrap();
    assert_eq!(salvaged(temporary.path()).found.len(), 2300);
}

#[test]
fn models_whose_rows_are_in_a_lost_log_are_told_by_their_ids() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, Contents::Models, false, false);
    let mut writer = Writer::open(&dir, &schema()).unwrap().with_clock(clock);
    let first = writer.model_count();
    put_range(&mut writer, 5000..5010).unwrap();
    writer.commit().unwrap();
    let copy = temporary.path().join("copy");
    copy_dir(&dir, &copy);
    drop(writer);
    fs::remove_dir_all(&dir).unwrap();
    fs::rename(copy, &dir).unwrap();
    fs::remove_file(dir.join("catalog.sqlite-wal")).unwrap();
    let outcome = salvaged(temporary.path());
    let of = |kind| outcome.losses.iter().filter(|loss| loss.kind == kind).collect::<Vec<_>>();
    assert_eq!(of(LossKind::Commits).len(), 1);
    assert_eq!(of(LossKind::Model)[0].ids, Some(first..first + 10));
    assert_eq!(outcome.found.len(), 2296);
}

#[test]
fn places_that_cannot_be_are_refused_and_nothing_is_left_there() {
    let temporary = temp_dir();
    let dir = temporary.path().join("db");
    database(&dir, Contents::Codes, true, false);
    let run = |out: &Path| salvage(&dir, out, None, &mut |_| true);
    fs::create_dir(temporary.path().join("there")).unwrap();
    for out in [
        dir.clone(),
        dir.join("out"),
        dir.join("segments/out"),
        dir.join("../db/out"),
        temporary.path().join("there"),
    ] {
        assert!(matches!(run(&out), Err(Error::AlreadyExists { .. })), "{}", out.display());
    }
    assert!(matches!(run(&temporary.path().join("no/where")), Err(Error::Io { .. })));
    let writer = Writer::open(&dir, &raw()).unwrap();
    assert!(matches!(run(&temporary.path().join("out")), Err(Error::Locked { .. })));
    drop(writer);
    // Stopped at any moment, it leaves nothing.
    for stop_after in 0..20 {
        let mut told = 0;
        let done = salvage(&dir, &temporary.path().join("out"), None, &mut |_| {
            told += 1;
            told <= stop_after
        });
        if let Some(done) = done.unwrap() {
            drop(done);
        }
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 2, "after {stop_after}");
    }
    fs::create_dir(temporary.path().join("out.partial")).unwrap();
    let error = run(&temporary.path().join("out")).unwrap_err();
    assert!(error.to_string().contains("out.partial") && error.to_string().contains("remove it"), "{error}");
    let none = salvage(&temporary.path().join("none"), &temporary.path().join("x"), None, &mut |_| true);
    assert!(matches!(none, Err(Error::NotADatabase { .. })));
}
