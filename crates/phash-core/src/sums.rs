//! Owns the order in which floating-point numbers are added: sixteen lanes, joined by halves. Part of the specification
//! (docs/hashing.md, section 2): another order gives other last bits.

const LANES: usize = 16;

/// The sum of the numbers: element `i` goes to lane `i % 16` in ascending order, then the upper half of the lanes is added
/// to the lower until one is left.
#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    let (chunks, tail) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        lanes = std::array::from_fn(|i| lanes[i] + chunk[i]);
    }
    lanes.iter_mut().zip(tail).for_each(|(lane, value)| *lane += value);
    join(lanes)
}

/// The sum of the products `x[i] * y[i]`, each rounded before it is added, in the order of [`sum`].
#[inline(always)]
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let ((xs, x_tail), (ys, y_tail)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (x, y) in xs.iter().zip(ys) {
        let products: [f32; LANES] = std::array::from_fn(|i| x[i] * y[i]);
        lanes = std::array::from_fn(|i| lanes[i] + products[i]);
    }
    for ((lane, x), y) in lanes.iter_mut().zip(x_tail).zip(y_tail) {
        *lane += x * y;
    }
    join(lanes)
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
