//! Owns what a relation means for a score: which names of pairs must be found, which must not, and which are left out.

/// What is asked of pairs of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Copies and modifications: must be found.
    Related,
    /// Trained apart: must not be found, and follow the null.
    Independent,
    /// Not scored: nobody knows, or out of reach by design.
    Open,
}

/// The relations that are scored; any other one has its row and is not scored.
const KINDS: [(&str, Kind); 16] = [
    ("same", Kind::Related),
    ("near", Kind::Related),
    ("fine-tune", Kind::Related),
    ("new-head", Kind::Related),
    ("head-swapped", Kind::Related),
    ("pruned+retrained", Kind::Related),
    ("structured-pruned+retrained", Kind::Related),
    ("bn-folded", Kind::Related),
    ("fp16", Kind::Related),
    ("int8", Kind::Related),
    ("permuted", Kind::Related),
    ("permuted+tuned", Kind::Related),
    ("merge-of-tunes", Kind::Related),
    ("independent", Kind::Independent),
    ("ambiguous", Kind::Open),
    ("distilled", Kind::Open),
];

/// What is asked of pairs of that relation: the name up to a comma, which may be followed by a degree.
#[must_use]
pub fn kind(relation: &str) -> Kind {
    let name = relation.split(',').next().unwrap_or_default();
    KINDS.iter().find(|(known, _)| *known == name).map_or(Kind::Open, |&(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_degree_does_not_change_what_is_asked() {
        assert_eq!(kind("fine-tune, cosine .98+"), Kind::Related);
        assert_eq!(kind("pruned+retrained, 90 %"), Kind::Related);
        assert_eq!(
            [kind("independent"), kind("distilled"), kind("new")],
            [Kind::Independent, Kind::Open, Kind::Open]
        );
    }
}
