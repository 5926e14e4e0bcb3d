//! Owns the statistics of a match: the probability that unrelated codes come so close, and the E-value, the expected
//! number of unrelated models in a library at or under a distance (docs/hashing.md, section 7).

use crate::view::View;

/// The probability that the codes of two unrelated models differ in at most `distance_bits` bits.
///
/// `features` is the smaller number of features of the two models in that view: few features lower the effective
/// number of bits. Between 0 and 1, monotone in the distance.
pub fn p_value(_view: View, _features: u32, _distance_bits: u32) -> f64 {
    1.0
}

/// The expected number of unrelated models at or under that distance: `models * views * p_value`, at most
/// `models * views`.
///
/// `models` is the number of models compared with, `views` the number of views that were searched.
pub fn e_value(view: View, features: u32, distance_bits: u32, models: u64, views: u32) -> f64 {
    models as f64 * f64::from(views) * p_value(view, features, distance_bits)
}

/// The largest distance in bits whose E-value is at most `e_max`, or `None` if even distance 0 exceeds it.
pub fn radius_for_e_value(
    _view: View,
    _features: u32,
    _e_max: f64,
    _models: u64,
    _views: u32,
) -> Option<u32> {
    None
}
