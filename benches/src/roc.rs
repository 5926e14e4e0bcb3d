//! Owns the area under the ROC curve: how probably a pair that belongs together scores lower than one that does not.

/// The area for scores of which smaller means nearer; equal scores count half. `None` if either side is empty. O(n log n).
#[must_use]
pub fn area(related: &[f64], unrelated: &[f64]) -> Option<f64> {
    if related.is_empty() || unrelated.is_empty() {
        return None;
    }
    let mut sorted = unrelated.to_vec();
    sorted.sort_by(f64::total_cmp);
    let above = |score: f64| {
        let (below, not_above) =
            (sorted.partition_point(|&x| x < score), sorted.partition_point(|&x| x <= score));
        (sorted.len() - not_above) as f64 + (not_above - below) as f64 / 2.0
    };
    let pairs = related.len() as f64 * sorted.len() as f64;
    Some(related.iter().map(|&score| above(score)).sum::<f64>() / pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_count_half() {
        assert_eq!(area(&[1.0, 2.0], &[3.0, 4.0]), Some(1.0));
        assert_eq!(area(&[1.0, 3.0], &[3.0, 2.0]), Some((2.0 + 0.5) / 4.0));
        assert_eq!(area(&[], &[1.0]), None);
    }
}
