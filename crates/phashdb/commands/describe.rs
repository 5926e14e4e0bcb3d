//! How things that several commands show are put: views, digests, closeness.

use std::collections::BTreeSet;
use std::path::Path;

use phash_library::{Closeness, Error, HashedFile, PerView, Standing, Verdict, View, WEAK_FEATURES};

use crate::message;
use crate::output::table::{Column, Style, Tone};
use crate::output::{Value, number};

/// One value for each view, by name.
pub(super) fn per_view<T: Copy + Into<Value>>(values: &PerView<Option<T>>) -> Value {
    Value::object(values.iter().map(|(view, value)| (view.name(), Value::from(*value))))
}

/// Says on standard error that a model was hashed from a sample of its bytes.
pub(super) fn note_sample(file: &HashedFile) {
    if file.hash.sampled {
        message::note(&sample_note(&file.name));
    }
}

/// What it means that a model was hashed from a sample.
pub(super) fn sample_note(name: &str) -> String {
    format!("{name}: hashed from a sample: the same codes, but digests of their own (--read whole reads all)")
}

/// How much was read, as in `--read`.
pub(super) fn read_name(sampled: bool) -> &'static str {
    if sampled { "sample" } else { "whole" }
}

/// Says on standard error which index segments cannot be used.
pub(super) fn warn_of_segments<'e>(db: &Path, unusable: impl IntoIterator<Item = &'e Error>) {
    for error in unusable {
        message::warning(&format!("{}: {error}; searches are complete but slower", db.display()));
    }
}

/// The columns of [`views`]: the closest view, then the distance in each, which a narrow terminal does without.
pub(super) fn view_columns() -> Vec<Column> {
    let mut columns = vec![Column::left("view")];
    columns.extend(View::ALL.map(|view| Column::right(view.name()).spare()));
    columns
}

/// The closest view, and the distance in each view: `energy`, `12`, `73`, and so on.
pub(super) fn views(closest: View, distances: &PerView<Option<u32>>) -> Vec<(Tone, String)> {
    let mut cells = vec![(Tone::Plain, closest.to_string())];
    cells.extend(distances.0.map(|bits| (Tone::Dim, bits.map_or_else(String::new, |bits| bits.to_string()))));
    cells
}

/// The cells of [`view_columns`] where there is nothing to say.
pub(super) fn no_views() -> Vec<(Tone, String)> {
    vec![(Tone::Plain, String::new()); 1 + View::COUNT]
}

/// What it tells that a view is the closest one, in words (docs/hashing.md says what each survives).
fn closest_after(view: View) -> &'static str {
    match view {
        View::Energy => "pruned, fine-tuned, or channels' signs flipped",
        View::Blocks => "fine-tuned, or channels rescaled (folded batch-norm)",
        View::Weights => "noise, low precision, merged, or tensors replaced",
        View::Order => "channels permuted",
        View::Orbit => "channels permuted or rescaled",
        other => other.summary(),
    }
}

/// The closest views in a table that tell what was done to a model; 0 bits in each view tell nothing.
#[derive(Default)]
pub(super) struct TellingViews(BTreeSet<View>);

impl TellingViews {
    /// Takes note of a row.
    pub(super) fn note(&mut self, closest: View, distances: &PerView<Option<u32>>) {
        if distances.0.iter().flatten().any(|&bits| bits > 0) {
            self.0.insert(closest);
        }
    }

    /// The legend: what the views tell, a line each. Empty without any.
    pub(super) fn legend(&self, style: &Style) -> String {
        let mut text = String::new();
        for (number, &view) in self.0.iter().enumerate() {
            let lead = if number == 0 { "closest view" } else { "" };
            let line = format!("{lead:<12}  {:<7}  {}", view.name(), closest_after(view));
            text += &format!("{}\n", style.paint(Tone::Dim, &line));
        }
        text
    }
}

/// The tone of an E-value: what it is worth.
pub(super) fn tone(e_value: f64) -> Tone {
    if e_value <= phash_library::RELATED_E_VALUE {
        Tone::Good
    } else if e_value <= phash_library::MATCH_E_VALUE {
        Tone::Number
    } else {
        Tone::Dim
    }
}

/// The tone of how two models are related.
pub(super) fn verdict_tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::IdenticalContents | Verdict::SameWeights | Verdict::NearCopy => Tone::Good,
        Verdict::Related => Tone::Number,
        Verdict::Unrelated => Tone::Care,
    }
}

/// The tone of what became of a tensor.
pub(super) fn standing_tone(standing: Standing) -> Tone {
    match standing {
        Standing::Kept => Tone::Good,
        Standing::Changed => Tone::Number,
        Standing::Replaced | Standing::Removed | Standing::Added => Tone::Care,
        Standing::TooSmall => Tone::Dim,
    }
}

/// Distance and E-value as cells.
pub(super) fn closeness_cells(closeness: &Closeness) -> [(Tone, String); 2] {
    let tone = tone(closeness.e_value);
    [(tone, closeness.distance_bits.to_string()), (tone, number::e_value(closeness.e_value))]
}

/// What is said under a table that shows a weak model.
pub(super) fn weak_remark() -> String {
    format!(
        "weak: fewer than {} independent features, all views together; distances to such a model prove less",
        number::count(WEAK_FEATURES.into())
    )
}
