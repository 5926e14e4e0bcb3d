//! Owns the order in which floating-point numbers are added: sixteen lanes, joined by halves. Part of the specification
//! (docs/hashing.md, section 2): another order gives other last bits.

use pulp::Simd;

const LANES: usize = 16;

/// The sum of the numbers: element `i` goes to lane `i % 16` in ascending order, then the upper half of the lanes is added
/// to the lower until one is left.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, values: &[f32]) -> f32 {
    match S::F32_LANES {
        16 => Lanes::<S, 1>::sum(simd, values),
        8 => Lanes::<S, 2>::sum(simd, values),
        4 => Lanes::<S, 4>::sum(simd, values),
        _ => Lanes::<S, LANES>::sum(simd, values),
    }
}

/// The sum of the products `x[i] * y[i]`, each rounded before it is added, in the order of [`sum`].
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, x: &[f32], y: &[f32]) -> f32 {
    match S::F32_LANES {
        16 => Lanes::<S, 1>::dot(simd, x, y),
        8 => Lanes::<S, 2>::dot(simd, x, y),
        4 => Lanes::<S, 4>::dot(simd, x, y),
        _ => Lanes::<S, LANES>::dot(simd, x, y),
    }
}

/// The lanes in `N` registers of `LANES / N` each.
struct Lanes<S: Simd, const N: usize>([S::f32s; N]);

impl<S: Simd, const N: usize> Lanes<S, N> {
    #[inline(always)]
    fn sum(simd: S, values: &[f32]) -> f32 {
        let (chunks, tail) = values.as_chunks::<LANES>();
        let mut lanes = [simd.splat_f32s(0.0); N];
        for chunk in chunks {
            for (lanes, &values) in lanes.iter_mut().zip(S::as_simd_f32s(chunk).0) {
                *lanes = simd.add_f32s(*lanes, values);
            }
        }
        let mut lanes = Self(lanes).all();
        for (lane, value) in lanes.iter_mut().zip(tail) {
            *lane += value;
        }
        join(lanes)
    }

    #[inline(always)]
    fn dot(simd: S, x: &[f32], y: &[f32]) -> f32 {
        let ((xs, x_tail), (ys, y_tail)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
        let mut lanes = [simd.splat_f32s(0.0); N];
        for (x, y) in xs.iter().zip(ys) {
            let (x, y) = (S::as_simd_f32s(x).0, S::as_simd_f32s(y).0);
            for ((lanes, &x), &y) in lanes.iter_mut().zip(x).zip(y) {
                *lanes = simd.add_f32s(*lanes, simd.mul_f32s(x, y));
            }
        }
        let mut lanes = Self(lanes).all();
        for ((lane, x), y) in lanes.iter_mut().zip(x_tail).zip(y_tail) {
            *lane += x * y;
        }
        join(lanes)
    }

    /// The lanes, in order.
    #[inline(always)]
    fn all(self) -> [f32; LANES] {
        let mut all = [0.0; LANES];
        all.copy_from_slice(pulp::bytemuck::cast_slice(&self.0));
        all
    }
}

#[inline(always)]
fn join(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    struct SumAndDot<'a>(&'a [f32], &'a [f32]);

    impl pulp::WithSimd for SumAndDot<'_> {
        type Output = [f32; 2];

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> [f32; 2] {
            [sum(simd, self.0), dot(simd, self.0, self.1)]
        }
    }

    /// By the words of the specification, one number at a time.
    fn expected(values: impl Iterator<Item = f32>) -> f32 {
        let mut lanes = [0.0f32; 16];
        values.enumerate().for_each(|(i, value)| lanes[i % 16] += value);
        for half in [8, 4, 2, 1] {
            (0..half).for_each(|i| lanes[i] += lanes[i + half]);
        }
        lanes[0]
    }

    #[test]
    fn numbers_are_added_in_sixteen_lanes_at_any_simd_width() {
        let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
        for len in [0, 1, 15, 16, 17, 100, 256] {
            let x: Vec<f32> = (0..len).map(value).collect();
            let y: Vec<f32> = (0..len).map(|i| value(i + 7_777)).collect();
            let products = x.iter().zip(&y).map(|(x, y)| x * y);
            let expected = [expected(x.iter().copied()), expected(products)].map(f32::to_bits);
            for arch in [pulp::Arch::new(), pulp::Arch::Scalar] {
                assert_eq!(arch.dispatch(SumAndDot(&x, &y)).map(f32::to_bits), expected, "{len}");
            }
        }
    }
}
