//! `phashdb compare A B`: how two weights files are related, as a whole and tensor by tensor.

use phash_library::{Comparison, Finding, HashedFile, Matched, Standing, Tally, TensorPair, View, compare};

use super::describe::{TellingViews, per_view, standing_tone, tone, verdict_tone, weak_remark};
use super::files::for_each_file;
use crate::args::CompareArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::hiargs::HiArgs;
use crate::output::table::{Column, DISTANCE, Grid, Style, Tone};
use crate::output::{Record, Value, number, visible};

pub(super) fn run(args: &CompareArgs, high: &HiArgs) -> Result<ExitStatus, Failure> {
    let mut files = Vec::new();
    for_each_file("compare", &[args.a.clone(), args.b.clone()], high, |file| {
        files.push(file);
        Ok(())
    })?;
    let [a, b] = files.as_slice() else { return Ok(ExitStatus::Error) };
    let comparison = compare(a, b);
    let mut output = high.output();
    let views = View::ALL.map(|view| format!("views.{view}"));
    let mut columns = vec!["type", "a", "b", "distance_bits", "e_value", "verdict", "shape"];
    columns.extend(views.iter().map(String::as_str));
    columns.extend(["matched_by", "standing", "finding", "tensors"]);
    output.columns(&columns);
    output.record(|| record(a, b, &comparison))?;
    for pair in &comparison.tensors {
        output.record(|| tensor_record(a, b, pair))?;
    }
    output.text(|style| draw(style, a, b, &comparison, args.all))?;
    output.finish()?;
    Ok(ExitStatus::found(!comparison.is_unrelated()))
}

fn record(a: &HashedFile, b: &HashedFile, comparison: &Comparison) -> Record {
    let closeness = comparison.closeness;
    Record::new("compare")
        .with("a", a.name.as_str())
        .with("b", b.name.as_str())
        .with("distance_bits", closeness.map(|closeness| closeness.distance_bits))
        .with("e_value", closeness.map(|closeness| closeness.e_value))
        .with("verdict", comparison.verdict.name())
        .with("view", closeness.map(|closeness| closeness.view.name()))
        .with("views", per_view(&comparison.views))
        .with(
            "features",
            Value::object(comparison.features.iter().map(|(view, count)| (view.name(), *count))),
        )
        .with("weak", comparison.weak)
        .with("finding", comparison.finding.name())
        .with("finding_text", comparison.finding.describe(&b.name))
        .with("tensors", tally(&comparison.tally))
}

fn tally(tally: &Tally) -> Value {
    Value::object([
        ("kept", tally.kept),
        ("changed", tally.changed),
        ("replaced", tally.replaced),
        ("removed", tally.removed),
        ("added", tally.added),
        ("too_small", tally.too_small),
    ])
}

fn tensor_record(a: &HashedFile, b: &HashedFile, pair: &TensorPair) -> Record {
    let (name_a, name_b, shape) = parts(a, b, pair);
    Record::new("tensor")
        .with("a", name_a)
        .with("b", name_b)
        .with("shape", Value::list(shape.iter().copied()))
        .with("distance_bits", pair.distance_bits)
        .with("views", per_view(&pair.views))
        .with("matched_by", pair.how.name())
        .with("standing", pair.standing.name())
}

/// The names of a pair, and the shape: the first one's, or the second's if the tensor was added.
fn parts<'f>(
    a: &'f HashedFile,
    b: &'f HashedFile,
    pair: &TensorPair,
) -> (Option<&'f str>, Option<&'f str>, &'f [u64]) {
    let (a, b) = (pair.a.map(|number| &a.tensors[number]), pair.b.map(|number| &b.tensors[number]));
    let shape = a.or(b).map_or(&[][..], |info| &info.shape);
    (a.map(|info| info.name.as_str()), b.map(|info| info.name.as_str()), shape)
}

fn draw(style: &Style, a: &HashedFile, b: &HashedFile, comparison: &Comparison, all: bool) -> String {
    let mut text = format!("a  {}\nb  {}\n", visible(&a.name), visible(&b.name));
    text += &format!("\n{}", style.paint(verdict_tone(comparison.verdict), comparison.verdict.name()));
    match &comparison.closeness {
        Some(closeness) => {
            text += &format!(
                ": {} of {} bits differ in view {}, E-value {}",
                style.paint(tone(closeness.e_value), &closeness.distance_bits.to_string()),
                phash_library::CODE_BITS,
                closeness.view,
                style.paint(tone(closeness.e_value), &number::e_value(closeness.e_value)),
            );
            for (view, bits) in comparison.views.iter().filter(|&(view, _)| view != closeness.view) {
                if let Some(bits) = bits {
                    text += &format!("; {view} {bits}");
                }
            }
            text.push('\n');
            let mut telling = TellingViews::default();
            telling.note(closeness.view, &comparison.views);
            text += &telling.legend(style);
        }
        None => text += ": no view has a code of both\n",
    }
    if comparison.weak {
        text += &format!("{}\n", style.paint(Tone::Care, &weak_remark()));
    }
    text += &format!("{}\n", parts_line(style, b, comparison));
    text.push('\n');
    let (shown, hidden): (Vec<&TensorPair>, Vec<&TensorPair>) =
        comparison.tensors.iter().partition(|pair| all || says_something(a, b, pair));
    text += &draw_tensors(style, a, b, &shown);
    let count = |how: Matched| comparison.tensors.iter().filter(|pair| pair.how == how).count();
    let (removed, added) = comparison
        .tensors
        .iter()
        .filter(|pair| pair.how == Matched::Alone)
        .partition::<Vec<&TensorPair>, _>(|pair| pair.a.is_some());
    text += &format!(
        "\n{}: {} with the same bytes, {} matched by codes, {} by name; {} only in a, {} only in b\n",
        number::counted(comparison.tensors.len() as u64, "tensor", "tensors"),
        count(Matched::Bytes),
        count(Matched::Codes),
        count(Matched::Name),
        removed.len(),
        added.len()
    );
    if !hidden.is_empty() {
        text += &format!(
            "not shown: {} without a code (biases, norms and the like); --all shows all\n",
            number::counted(hidden.len() as u64, "tensor", "tensors"),
        );
    }
    text
}

/// What the tensors with a code say: in words, and counted.
fn parts_line(style: &Style, b: &HashedFile, comparison: &Comparison) -> String {
    let tally = &comparison.tally;
    let tone = match comparison.finding {
        Finding::Unrelated | Finding::TooSmall => Tone::Care,
        Finding::SameTensors | Finding::AllKept { .. } => Tone::Good,
        _ => Tone::Number,
    };
    let mut counts = vec![format!(
        "{} of {} kept",
        tally.kept,
        number::counted(tally.decidable() as u64, "tensor", "tensors")
    )];
    let others = [
        (tally.changed, Standing::Changed),
        (tally.replaced, Standing::Replaced),
        (tally.removed, Standing::Removed),
        (tally.added, Standing::Added),
        (tally.too_small, Standing::TooSmall),
    ];
    let counted = others.iter().filter(|(count, _)| *count > 0);
    counts.extend(counted.map(|(count, standing)| format!("{count} {}", standing.name())));
    format!("{}: {}", style.paint(tone, &comparison.finding.describe(&b.name)), counts.join(", "))
}

/// Whether a pair has something to tell: a matrix, or a tensor that is known to have been changed. Biases and norms have not.
fn says_something(a: &HashedFile, b: &HashedFile, pair: &TensorPair) -> bool {
    let (_, _, shape) = parts(a, b, pair);
    pair.standing == Standing::Changed || shape.iter().filter(|&&axis| axis > 1).count() >= 2
}

fn draw_tensors(style: &Style, a: &HashedFile, b: &HashedFile, pairs: &[&TensorPair]) -> String {
    let mut columns = vec![Column::left("tensor"), DISTANCE];
    columns.extend(View::ALL.map(|view| Column::right(view.name()).spare()));
    columns.extend([Column::left("shape"), Column::left("tensor in a"), Column::left("tensor in b")]);
    let mut grid = Grid::new(style, &columns);
    for pair in pairs {
        let (name_a, name_b, shape) = parts(a, b, pair);
        let distance = match (pair.how, pair.distance_bits) {
            (Matched::Bytes, _) => "same bytes".to_owned(),
            (Matched::Alone, _) => if pair.a.is_some() { "only in a" } else { "only in b" }.to_owned(),
            (_, Some(bits)) => bits.to_string(),
            (_, None) => "no code".to_owned(),
        };
        let tone = standing_tone(pair.standing);
        let mut cells = vec![(tone, pair.standing.name().to_owned()), (tone, distance)];
        for bits in pair.views.0 {
            cells.push((Tone::Dim, bits.map_or_else(String::new, |bits| bits.to_string())));
        }
        cells.push((Tone::Dim, number::shape(shape)));
        cells.push((Tone::Plain, name_a.unwrap_or("-").to_owned()));
        let same = name_a == name_b;
        cells.push(if same {
            (Tone::Dim, "=".to_owned())
        } else {
            (Tone::Plain, name_b.unwrap_or("-").to_owned())
        });
        grid.row(&cells);
    }
    grid.draw()
}
