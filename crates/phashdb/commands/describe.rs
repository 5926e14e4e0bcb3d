//! How things that several commands show are put: views, digests, closeness.

use phash_library::{Closeness, PerView, Standing, View, WEAK_FEATURES};

use crate::output::table::{Column, Tone};
use crate::output::{Value, number};

/// One value for each view, by name.
pub(super) fn per_view<T: Copy + Into<Value>>(values: &PerView<Option<T>>) -> Value {
    Value::object(values.iter().map(|(view, value)| (view.name(), Value::from(*value))))
}

/// Bytes in order, two digits each.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The columns of [`views`].
pub(super) const VIEW: Column = Column::left("view");
pub(super) const OTHER_VIEWS: Column = Column::left("others\n(bits)").spare();

/// The best view, and the distances in the others: `energy`, `blocks 73`.
pub(super) fn views(best: View, distances: &PerView<Option<u32>>) -> [(Tone, String); 2] {
    let others: Vec<String> = distances
        .iter()
        .filter(|&(view, _)| view != best)
        .filter_map(|(view, bits)| bits.map(|bits| format!("{view} {bits}")))
        .collect();
    [(Tone::Plain, best.to_string()), (Tone::Dim, others.join(", "))]
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
