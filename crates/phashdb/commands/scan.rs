//! `phashdb scan`: the groups of copies among weights files, without a library.

use std::time::Instant;

use phash_library::{Fingerprint, Group, Grouping, Neighbour, Verdict, group, hash_files, walk};

use super::describe::{
    TellingViews, closeness_cells, no_views, note_sample, verdict_tone, view_columns, views, weak_remark,
};
use crate::args::ScanArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::message;
use crate::output::table::{Column, DISTANCE, E_VALUE, Grid, Style, Tone};
use crate::output::{Record, Value, number};
use crate::progress::Progress;

pub(super) fn run(args: &ScanArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let started = Instant::now();
    let mut work = hash_all(args, high)?;
    let grouping = group(&work.models, args.e_value)?;
    work.seconds = started.elapsed().as_secs_f64();
    let mut output = high.output();
    output.columns(&["type", "group", "path", "distance_bits", "view", "e_value", "relation", "weak"]);
    for (number, found) in grouping.groups.iter().enumerate() {
        if output.wants_rows() {
            for member in members(&work.models, found) {
                output.record(|| Record { kind: "member", fields: member }.with("group", number + 1))?;
            }
        } else {
            output.record(|| group_record(&work.models, found))?;
        }
    }
    for (alone, nearest) in &grouping.alone {
        output.record(|| alone_record(&work.models, *alone, nearest.as_ref()))?;
    }
    output.record(|| summary_record(&work, &grouping))?;
    output.text(|style| draw(style, &work, &grouping))?;
    output.finish()?;
    Ok(ExitStatus::found(!grouping.groups.is_empty()).or_error_if(work.skipped > 0))
}

struct Work {
    models: Vec<Fingerprint>,
    skipped: u64,
    bytes: u64,
    seconds: f64,
}

fn hash_all(args: &ScanArgs, high: &HiArgs) -> Result<Work, Failure> {
    let mut work = Work { models: Vec::new(), skipped: 0, bytes: 0, seconds: 0.0 };
    let progress = Progress::new("scan");
    let mut skip = |error: &phash_library::Error| {
        work.skipped += 1;
        progress.suspend(|| message::error(&format!("skipped {error}")));
    };
    let (mut inputs, mut total) = (Vec::new(), 0u64);
    let mut seen = std::collections::HashSet::new();
    for candidate in walk(&args.paths) {
        match candidate.input {
            Ok(input) if seen.insert(candidate.label) => {
                total = total.saturating_add(input.len_bytes());
                inputs.push(input);
            }
            Ok(_) => {}
            Err(error) => skip(&error),
        }
    }
    progress.set_total(total);
    let advance = |bytes| progress.advance(bytes);
    let hashing = high.hashing(&advance);
    let files = inputs.len() as u64;
    hash_files(inputs, &hashing, |result| match result {
        Ok(file) => {
            work.bytes += file.stamp.len_bytes;
            progress.suspend(|| note_sample(&file));
            work.models.push(Fingerprint::from(&file));
            progress.message(format!(
                "{} of {} files",
                number::count(work.models.len() as u64),
                number::count(files)
            ));
        }
        Err(error) => {
            work.skipped += 1;
            progress.suspend(|| message::error(&format!("skipped {error}")));
        }
    })?;
    Ok(work)
}

fn group_record(models: &[Fingerprint], group: &Group) -> Record {
    let members = members(models, group).into_iter().map(Value::object).collect();
    Record::new("group").with("members", Value::List(members))
}

/// The members as fields, the representative first.
fn members(models: &[Fingerprint], group: &Group) -> Vec<Vec<(&'static str, Value)>> {
    let representative = &models[group.representative];
    let mut members = vec![vec![
        ("path", Value::from(representative.name.as_str())),
        ("distance_bits", 0u32.into()),
        ("relation", "representative".into()),
        ("weak", representative.weak.into()),
    ]];
    for member in &group.members {
        let mut fields = vec![("path", Value::from(models[member.model.model].name.as_str()))];
        fields.extend(neighbour_fields(&member.model));
        fields.push(("relation", member.model.verdict.name().into()));
        fields.push(("weak", models[member.model.model].weak.into()));
        if let Some(through) = &member.through {
            fields.push(("through", models[through.model].name.as_str().into()));
            fields.push(("through_distance_bits", through.closeness.map(|close| close.distance_bits).into()));
            fields.push(("through_e_value", through.closeness.map(|close| close.e_value).into()));
        }
        members.push(fields);
    }
    members
}

fn neighbour_fields(neighbour: &Neighbour) -> [(&'static str, Value); 3] {
    let closeness = neighbour.closeness;
    [
        ("distance_bits", closeness.map(|closeness| closeness.distance_bits).into()),
        ("view", closeness.map(|closeness| closeness.view.name()).into()),
        ("e_value", closeness.map(|closeness| closeness.e_value).into()),
    ]
}

fn alone_record(models: &[Fingerprint], alone: usize, nearest: Option<&Neighbour>) -> Record {
    let nearest = nearest.map(|nearest| {
        let mut fields = vec![("path", Value::from(models[nearest.model].name.as_str()))];
        fields.extend(neighbour_fields(nearest));
        Value::object(fields)
    });
    Record::new("alone")
        .with("path", models[alone].name.as_str())
        .with("weak", models[alone].weak)
        .with("nearest", nearest)
}

fn summary_record(work: &Work, grouping: &Grouping) -> Record {
    Record::new("summary")
        .with("models", work.models.len())
        .with("groups", grouping.groups.len())
        .with("grouped", work.models.len() - grouping.alone.len())
        .with("alone", grouping.alone.len())
        .with("skipped", work.skipped)
        .with("seconds", work.seconds)
}

fn draw(style: &Style, work: &Work, grouping: &Grouping) -> String {
    let models = &work.models;
    let mut telling = TellingViews::default();
    let mut text = String::new();
    for (number, group) in grouping.groups.iter().enumerate() {
        let heading = format!("group {}: {} matching models", number + 1, group.members.len() + 1);
        text += &format!("{}\n", style.paint(Tone::Head, &heading));
        text += &draw_group(style, models, group, &mut telling);
        text.push('\n');
    }
    if !grouping.alone.is_empty() {
        let heading = number::counted(grouping.alone.len() as u64, "model alone", "models alone");
        let heading = format!("{heading}: the nearest other one is no nearer than chance explains");
        text += &format!("{}\n", style.paint(Tone::Head, &heading));
        text += &draw_alone(style, models, grouping);
        text.push('\n');
    }
    text += &telling.legend(style);
    if models.iter().any(|model| model.weak) {
        text += &format!("{}\n", style.paint(Tone::Dim, &weak_remark()));
    }
    text + &draw_summary(style, work, grouping)
}

fn draw_group(style: &Style, models: &[Fingerprint], group: &Group, telling: &mut TellingViews) -> String {
    let mut columns = vec![DISTANCE, E_VALUE];
    columns.extend(view_columns());
    columns.extend([Column::left("relation"), Column::left("model")]);
    let mut grid = Grid::new(style, &columns);
    let name = |model: usize| {
        let weak = if models[model].weak { "  (weak)" } else { "" };
        (Tone::Plain, format!("{}{weak}", models[model].name))
    };
    let mut representative = vec![(Tone::Dim, "0".to_owned()), (Tone::Plain, String::new())];
    representative.extend(no_views());
    representative.extend([(Tone::Dim, "distances are to".to_owned()), name(group.representative)]);
    grid.row(&representative);
    for member in &group.members {
        if let Some(closeness) = member.model.closeness {
            telling
                .note(closeness.view, &models[member.model.model].distances(&models[group.representative]));
        }
        let mut cells = near_cells(models, group.representative, &member.model);
        cells.extend([relation(&member.model, member.through.is_some()), name(member.model.model)]);
        grid.row(&cells);
        if let Some(through) = &member.through {
            let mut cells = near_cells(models, member.model.model, through);
            let to = format!("to {}", models[through.model].name);
            cells.extend([(Tone::Dim, "joined by".to_owned()), (Tone::Dim, to)]);
            grid.row(&cells);
        }
    }
    grid.draw()
}

/// Distance, E-value and views of `neighbour` and `model`.
fn near_cells(models: &[Fingerprint], model: usize, neighbour: &Neighbour) -> Vec<(Tone, String)> {
    let Some(closeness) = &neighbour.closeness else {
        let mut cells = vec![(Tone::Plain, String::new()); 2];
        cells.extend(no_views());
        return cells;
    };
    let mut cells = closeness_cells(closeness).to_vec();
    cells.extend(views(closeness.view, &models[neighbour.model].distances(&models[model])));
    cells
}

fn relation(neighbour: &Neighbour, indirect: bool) -> (Tone, String) {
    let tone = if indirect { Tone::Dim } else { verdict_tone(neighbour.verdict) };
    let word = match neighbour.verdict {
        Verdict::Unrelated if indirect => "indirect",
        // A match by the E-value asked for, but not beyond doubt.
        Verdict::Unrelated => "possibly related",
        verdict => verdict.name(),
    };
    (tone, word.to_owned())
}

fn draw_alone(style: &Style, models: &[Fingerprint], grouping: &Grouping) -> String {
    let mut grid =
        Grid::new(style, &[DISTANCE, E_VALUE, Column::left("model"), Column::left("nearest other").spare()]);
    let blank = || (Tone::Plain, String::new());
    for (alone, nearest) in &grouping.alone {
        let closeness = nearest.as_ref().and_then(|nearest| nearest.closeness.as_ref());
        let [distance, e_value] = closeness.map_or([blank(), blank()], closeness_cells);
        let weak = if models[*alone].weak { "  (weak)" } else { "" };
        let nearest = nearest.as_ref().map_or_else(String::new, |nearest| models[nearest.model].name.clone());
        grid.row(&[
            distance,
            e_value,
            (Tone::Plain, format!("{}{weak}", models[*alone].name)),
            (Tone::Dim, nearest),
        ]);
    }
    grid.draw()
}

fn draw_summary(style: &Style, work: &Work, grouping: &Grouping) -> String {
    let grouped = work.models.len() - grouping.alone.len();
    let mut parts = vec![
        style.paint(Tone::Head, &number::counted(work.models.len() as u64, "model", "models")),
        format!(
            "{} with {}",
            number::counted(grouping.groups.len() as u64, "group", "groups"),
            number::counted(grouped as u64, "model", "models")
        ),
        format!("{} alone", number::count(grouping.alone.len() as u64)),
    ];
    if work.skipped > 0 {
        parts.push(style.paint(Tone::Bad, &format!("{} skipped", number::count(work.skipped))));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for reading")]
    let rate = (work.bytes as f64 / work.seconds.max(1e-9)) as u64;
    format!(
        "{}; {} in {} ({}/s)\n",
        parts.join(", "),
        number::bytes(work.bytes),
        number::seconds(work.seconds),
        number::bytes(rate)
    )
}
