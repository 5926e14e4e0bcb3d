//! Attacks on precision: values rounded to what a smaller type can hold, and decoded again.

use half::{bf16, f16};

use super::{Attack, Tensor};

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks = vec![
        Attack::each("bf16", |tensor, _| round(&mut tensor.values, |x| bf16::from_f32(x).to_f32())),
        Attack::each("fp16", |tensor, _| round(&mut tensor.values, |x| f16::from_f32(x).to_f32())),
        Attack::each("fp8 e4m3, scaled per tensor", |tensor, _| {
            let scale = largest(&tensor.values) / 448.0;
            round(&mut tensor.values, |x| if scale > 0.0 { e4m3(x / scale) * scale } else { x });
        }),
        Attack::each("fp8 e5m2", |tensor, _| round(&mut tensor.values, e5m2)),
        Attack::each("int8 per tensor", |tensor, _| int8(&mut tensor.values)),
        Attack::each("int8 per channel", |tensor, _| int8_per_channel(tensor)),
    ];
    attacks.extend([32, 128].map(|group| {
        Attack::each(format!("int4 in groups of {group} (as Q4_0)"), move |tensor, _| {
            int4_in_groups(&mut tensor.values, group);
        })
    }));
    attacks
}

fn round(values: &mut [f32], rounded: impl Fn(f32) -> f32) {
    values.iter_mut().for_each(|value| *value = rounded(*value));
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

/// The nearest FP8 E4M3 (OCP) number, ties to even; beyond 448 the largest one.
fn e4m3(x: f32) -> f32 {
    let exponent = (((x.to_bits() >> 23) & 255) as i32 - 127).max(-6);
    let step = 2f32.powi(exponent - 3);
    ((x / step).round_ties_even() * step).clamp(-448.0, 448.0)
}

/// The nearest FP8 E5M2 number, ties to even: a binary16 that has lost its last 8 bits. Finite for what F16 can hold.
fn e5m2(x: f32) -> f32 {
    let step = 2f32.powi((((x.to_bits() >> 23) & 255) as i32 - 127).max(-14) - 2);
    ((x / step).round_ties_even() * step).clamp(-57_344.0, 57_344.0)
}

/// Symmetric: the largest magnitude becomes 127.
pub(super) fn int8(values: &mut [f32]) {
    let scale = largest(values) / 127.0;
    if scale > 0.0 {
        round(values, |x| (x / scale).round() * scale);
    }
}

/// As [`int8`], with a scale for each index of the channel axis.
pub(super) fn int8_per_channel(tensor: &mut Tensor) {
    let axis = tensor.channel_axis();
    let mut scales = vec![0.0f32; tensor.shape[axis]];
    for (index, run) in tensor.runs(axis) {
        scales[index] = scales[index].max(largest(run) / 127.0);
    }
    for (index, run) in tensor.runs(axis) {
        let scale = scales[index];
        if scale > 0.0 {
            round(run, |x| (x / scale).round() * scale);
        }
    }
}

/// As [`int4`], over groups of neighbours in storage order.
pub(super) fn int4_in_groups(values: &mut [f32], group: usize) {
    values.chunks_mut(group).for_each(int4);
}

/// 16 steps, of which the value of largest magnitude is the lowest (-8), as in GGUF's Q4_0; its scale is an F16.
fn int4(group: &mut [f32]) {
    let extreme = group.iter().copied().fold(0.0f32, |a, b| if b.abs() > a.abs() { b } else { a });
    let scale = f16::from_f32(extreme / -8.0).to_f32();
    if scale != 0.0 {
        round(group, |x| (x / scale).round().clamp(-8.0, 7.0) * scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fp8_has_126_positive_values_and_rounds_to_the_nearest() {
        let mut values: Vec<f32> = (0..=448 * 512).map(|i| e4m3(i as f32 / 512.0)).collect();
        values.dedup();
        assert_eq!(values.len(), 127, "with zero");
        let mut wide: Vec<f32> = (0..=4 * 57_344).map(|i| e5m2(i as f32 / 4.0)).collect();
        wide.dedup();
        assert_eq!(wide.len(), 4 + 4 * 16, "0 to 0.75, and four a power of two from 1 to 57,344");
        assert_eq!(
            [e5m2(9.0), e5m2(-1.1), e5m2(11.0), e5m2(2f32.powi(-16))],
            [8.0, -1.0, 12.0, 2f32.powi(-16)]
        );
        assert_eq!([e4m3(1e9), e4m3(-0.3), e4m3(17.0), e4m3(19.0)], [448.0, -0.3125, 16.0, 20.0]);
    }

    #[test]
    fn quantised_values_are_on_their_grid() {
        let mut group = [-8.0, 7.0, 3.4, 8.0];
        int4(&mut group);
        assert_eq!(group, [-8.0, 7.0, 3.0, 7.0]);
        let mut values = [127.0, -127.0, 0.6, 2.4];
        int8(&mut values);
        assert_eq!(values, [127.0, -127.0, 1.0, 2.0]);
    }
}
