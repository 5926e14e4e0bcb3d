//! `phashdb query --tensors`: in which stored models the tensors of weights files or of a stored model stand.

use std::time::Instant;

use phash_library::{Library, MATCH_E_VALUE, PartHit, Parts, PartsLimits, Story, TensorPlaces};

use super::describe::{per_view, standing_tone, tone};
use super::files::{for_each_file, unless_no_code};
use crate::args::QueryArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Column, DISTANCE, E_VALUE, Grid, Style, Tone};
use crate::output::{Output, Record, Value, number};

/// Models reported if nothing else is asked for.
const MODELS: usize = 20;

/// The columns of CSV, whatever the records.
const COLUMNS: [&str; 21] = [
    "type",
    "query",
    "verdict",
    "id",
    "label",
    "finding",
    "tensors",
    "kept",
    "changed",
    "replaced",
    "too_small",
    "added",
    "weights_share",
    "e_value",
    "name",
    "shape",
    "standing",
    "distance_bits",
    "stored_name",
    "models",
    "parents",
];

pub(super) fn run(args: &QueryArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let limits = PartsLimits {
        models: args.top_k.unwrap_or(MODELS),
        max_e_value: args.e_value.unwrap_or(MATCH_E_VALUE),
    };
    let library = Library::open_with(&high.db, high.reading)?;
    let mut run = Run { library, limits, output: high.output(), models: 0, failed: false };
    run.output.columns(&COLUMNS);
    match args.id {
        Some(id) => {
            let parts = run.library.parts_of_id(id, limits);
            run.show(&format!("id {id}"), parts)?;
        }
        None => run.search_files(args, high)?,
    }
    run.finish(started)
}

struct Run {
    library: Library,
    limits: PartsLimits,
    output: Output,
    models: u64,
    failed: bool,
}

impl Run {
    fn search_files(&mut self, args: &QueryArgs, high: &HiArgs) -> Result<(), Failure> {
        self.failed |= for_each_file("hash", &args.files, high, |file| {
            let parts = self.library.parts(&file, self.limits);
            self.show(&file.name, parts)
        })?;
        Ok(())
    }

    fn show(&mut self, name: &str, parts: phash_library::Result<Parts>) -> Result<(), Failure> {
        let Some(parts) = unless_no_code(parts, &mut self.failed)? else { return Ok(()) };
        self.models += parts.found;
        self.output.record(|| record(name, &parts))?;
        for hit in &parts.models {
            self.output.record(|| part_record(name, hit))?;
        }
        for tensor in parts.tensors.iter().filter(|tensor| tensor.has_code) {
            self.output.record(|| tensor_record(name, tensor, &parts.models))?;
        }
        self.output.text(|style| draw(style, name, &parts))?;
        self.output.flush()?;
        Ok(())
    }

    fn finish(mut self, started: Instant) -> Result<ExitStatus, Failure> {
        let seconds = started.elapsed().as_secs_f64();
        let (models, searched) = (self.models, self.library.model_count());
        let tensors = self.library.reader().tensor_count();
        self.output.record(|| {
            Record::new("summary")
                .with("models", models)
                .with("searched", searched)
                .with("searched_tensors", tensors)
                .with("seconds", seconds)
        })?;
        self.output.text(|_| {
            format!(
                "{} with such tensors among {} ({}) in {}\n",
                number::counted(models, "model", "models"),
                number::counted(searched.into(), "model", "models"),
                number::counted(tensors.into(), "tensor", "tensors"),
                number::seconds(seconds)
            )
        })?;
        self.output.finish()?;
        Ok(ExitStatus::found(models > 0).or_error_if(self.failed))
    }
}

/// What the file is, in words.
fn verdict(parts: &Parts) -> String {
    let label = |place: usize| parts.models[place].label.as_str();
    match &parts.story {
        Story::Nothing => "no stored model has any of its tensors".to_owned(),
        Story::One => parts.models[0].finding.describe(label(0)),
        Story::Joined { second, in_first, in_second, of } => {
            format!("merge of {} ({in_first} of {of} tensors) and {} ({in_second})", label(0), label(*second))
        }
        Story::Between { parents: [first, second], tensors, of } => {
            format!(
                "merge of {} and {} ({tensors} of {of} tensors lie between them)",
                label(*first),
                label(*second)
            )
        }
    }
}

/// The ids of the models that the verdict names.
fn parents(parts: &Parts) -> Vec<u32> {
    let places = match parts.story {
        Story::Nothing => vec![],
        Story::One => vec![0],
        Story::Joined { second, .. } => vec![0, second],
        Story::Between { parents, .. } => parents.to_vec(),
    };
    places.into_iter().map(|place| parts.models[place].id).collect()
}

fn record(query: &str, parts: &Parts) -> Record {
    Record::new("parts")
        .with("query", query)
        .with("verdict", verdict(parts))
        .with("parents", Value::list(parents(parts)))
        .with("tensors", parts.tensors.iter().filter(|tensor| tensor.has_code).count())
        .with("models", parts.found)
}

fn part_record(query: &str, hit: &PartHit) -> Record {
    Record::new("part")
        .with("query", query)
        .with("id", hit.id)
        .with("label", hit.label.as_str())
        .with("finding", hit.finding.name())
        .with("verdict", hit.finding.describe(&hit.label))
        .with("kept", hit.tally.kept)
        .with("changed", hit.tally.changed)
        .with("replaced", hit.tally.replaced + hit.tally.removed)
        .with("too_small", hit.tally.too_small)
        .with("added", hit.tally.added)
        .with("weights_share", hit.weights_share)
        .with("e_value", hit.e_value)
}

fn tensor_record(query: &str, tensor: &TensorPlaces, models: &[PartHit]) -> Record {
    let hit = tensor.nearest.as_ref().map(|(model, _)| &models[*model]);
    let place = tensor.nearest.as_ref().map(|(_, place)| place);
    Record::new("tensor")
        .with("query", query)
        .with("name", tensor.name.as_str())
        .with("shape", Value::list(tensor.shape.iter().copied()))
        .with("models", tensor.models)
        .with("id", hit.map(|hit| hit.id))
        .with("label", hit.map(|hit| hit.label.as_str()))
        .with("stored_name", place.map(|place| place.name.as_str()))
        .with("standing", place.map(|place| place.standing.name()))
        .with("distance_bits", place.map(|place| place.distance_bits))
        .with("views", place.map(|place| per_view(&place.views)))
}

fn draw(style: &Style, name: &str, parts: &Parts) -> String {
    let found = if parts.story == Story::Nothing { Tone::Care } else { Tone::Good };
    let mut text = format!("{}\n{}\n\n", style.paint(Tone::Head, name), style.paint(found, &verdict(parts)));
    if parts.models.is_empty() {
        return text;
    }
    text += &draw_models(style, &parts.models);
    let hidden = parts.found - parts.models.len() as u64;
    if hidden > 0 {
        text += &format!("and {}\n", number::counted(hidden, "more model", "more models"));
    }
    text + "\n" + &draw_tensors(style, parts) + "\n"
}

fn draw_models(style: &Style, models: &[PartHit]) -> String {
    let columns = [
        Column::right("kept"),
        Column::right("changed"),
        Column::right("replaced"),
        Column::right("too small\nto say").spare(),
        Column::right("weights\nfound").spare(),
        E_VALUE,
        Column::right("id"),
        Column::left("model"),
    ];
    let mut grid = Grid::new(style, &columns);
    for hit in models {
        let count = |tone: Tone, count: usize| (if count == 0 { Tone::Dim } else { tone }, count.to_string());
        grid.row(&[
            count(Tone::Good, hit.tally.kept),
            count(Tone::Number, hit.tally.changed),
            count(Tone::Care, hit.tally.replaced + hit.tally.removed),
            count(Tone::Dim, hit.tally.too_small),
            (Tone::Plain, format!("{:.1} %", 100.0 * hit.weights_share)),
            (tone(hit.e_value), number::e_value(hit.e_value)),
            (Tone::Dim, hit.id.to_string()),
            (Tone::Plain, format!("{}  ({})", hit.label, hit.finding.name())),
        ]);
    }
    grid.draw()
}

/// The tensors: those that stand nowhere first, then the most changed.
fn draw_tensors(style: &Style, parts: &Parts) -> String {
    let columns = [
        Column::left("tensor"),
        DISTANCE,
        Column::right("in\nmodels").spare(),
        Column::right("id"),
        Column::left("shape").spare(),
        Column::left("name"),
        Column::left("stored as"),
    ];
    let mut grid = Grid::new(style, &columns);
    let mut tensors: Vec<&TensorPlaces> = parts.tensors.iter().filter(|tensor| tensor.has_code).collect();
    // Stable: of equals the order of the file.
    tensors.sort_by_key(|tensor| {
        tensor.nearest.as_ref().map(|(_, place)| std::cmp::Reverse(place.distance_bits))
    });
    for tensor in tensors {
        let shape = (Tone::Dim, number::shape(&tensor.shape));
        let name = (Tone::Plain, tensor.name.clone());
        let blank = || (Tone::Plain, String::new());
        match &tensor.nearest {
            Some((model, place)) => {
                let tone = standing_tone(place.standing);
                let stored = if place.name == tensor.name { "=" } else { place.name.as_str() };
                grid.row(&[
                    (tone, place.standing.name().to_owned()),
                    (tone, place.distance_bits.to_string()),
                    (Tone::Dim, tensor.models.to_string()),
                    (Tone::Dim, parts.models[*model].id.to_string()),
                    shape,
                    name,
                    (Tone::Dim, stored.to_owned()),
                ]);
            }
            None => {
                let tone = Tone::Care;
                grid.row(&[
                    (tone, "not found".to_owned()),
                    blank(),
                    (Tone::Dim, "0".to_owned()),
                    blank(),
                    shape,
                    name,
                    blank(),
                ]);
            }
        }
    }
    grid.draw()
}
