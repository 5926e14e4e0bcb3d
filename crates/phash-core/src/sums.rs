//! Owns the order in which floating-point numbers are added: eight lanes, joined pairwise. Part of the specification
//! (docs/hashing.md, section 2): another order gives other last bits.

/// The sum of the numbers: element `i` goes to lane `i % 8` in ascending order, then lanes are joined
/// `((0+4)+(2+6)) + ((1+5)+(3+7))`.
#[inline(always)]
pub(crate) fn sum(values: &[f64]) -> f64 {
    let (chunks, tail) = values.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for chunk in chunks {
        lanes = std::array::from_fn(|i| lanes[i] + chunk[i]);
    }
    for (lane, value) in lanes.iter_mut().zip(tail) {
        *lane += value;
    }
    join(lanes)
}

/// The sum of the products `x[i] * y[i]`, each rounded before it is added, in the order of [`sum`].
#[inline(always)]
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let ((xs, x_tail), (ys, y_tail)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let mut lanes = [0.0; 8];
    for (x, y) in xs.iter().zip(ys) {
        let products: [f64; 8] = std::array::from_fn(|i| x[i] * y[i]);
        lanes = std::array::from_fn(|i| lanes[i] + products[i]);
    }
    for ((lane, x), y) in lanes.iter_mut().zip(x_tail).zip(y_tail) {
        *lane += x * y;
    }
    join(lanes)
}

#[inline(always)]
fn join(l: [f64; 8]) -> f64 {
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}
