//! Merges: the weighted mean of two independently trained models of one architecture.

use super::Tensor;

/// The parent's shares of the merge, in percent, one row each; the other parent has the rest.
pub(super) const SHARES: [u8; 5] = [90, 10, 70, 30, 50];

/// The name of the row.
pub(super) fn name(share: u8) -> String {
    let larger = share.max(100 - share);
    let merge = format!("merge .{}/.{} with a twin", larger / 10, 10 - larger / 10);
    if share == 50 { format!("{merge}, to either") } else { format!("{merge}, to the .{}", share / 10) }
}

/// Whether two models have the same tensors, by shape and in the order of their names.
pub(super) fn mergeable(a: &[Tensor], b: &[Tensor]) -> bool {
    a.len() == b.len() && by_name(a).iter().zip(by_name(b)).all(|(a, b)| a.shape == b.shape)
}

/// `share` percent of `a` and the rest of `b`, which must be [`mergeable`].
pub(super) fn merge(a: &[Tensor], b: &[Tensor], share: u8) -> Vec<Tensor> {
    let share = f32::from(share) / 100.0;
    let mean = |(a, b): (&Tensor, &Tensor)| {
        let values = a.values.iter().zip(&b.values).map(|(a, b)| share * a + (1.0 - share) * b).collect();
        Tensor { values, ..a.clone() }
    };
    by_name(a).into_iter().zip(by_name(b)).map(mean).collect()
}

fn by_name(tensors: &[Tensor]) -> Vec<&Tensor> {
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_meet_by_name_and_shares_add_up() {
        let tensor = |name: &str, values: [f32; 2]| Tensor {
            name: name.to_owned(),
            shape: vec![2],
            values: values.to_vec(),
        };
        let (a, b) = (tensor("a", [1.0, 2.0]), tensor("b", [8.0, 8.0]));
        let other = [tensor("b", [0.0, 0.0]), tensor("a", [3.0, 4.0])];
        assert!(mergeable(&[a.clone(), b.clone()], &other));
        let merged = merge(&[a, b], &other, 50);
        assert_eq!((&merged[0].values[..], &merged[1].values[..]), (&[2.0, 3.0][..], &[4.0, 4.0][..]));
    }
}
