//! Section 2: the arithmetic. Everything is written for a real type `T`: f32 where the text says so, and f64 to see what
//! f32 loses. What must hold: operations in the order of the text, none fused.

use std::ops::{Add, Div, Mul, Sub};

/// A real number of the matrices.
pub(crate) trait Real:
    Copy + PartialOrd + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
    fn root(self) -> Self;
    fn magnitude(self) -> Self;
}

impl Real for f32 {
    #[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
    fn of(x: f64) -> f32 {
        x as f32
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn root(self) -> f32 {
        self.sqrt()
    }
    fn magnitude(self) -> f32 {
        self.abs()
    }
}

impl Real for f64 {
    fn of(x: f64) -> f64 {
        x
    }
    fn wide(self) -> f64 {
        self
    }
    fn root(self) -> f64 {
        self.sqrt()
    }
    fn magnitude(self) -> f64 {
        self.abs()
    }
}

/// A length as a number.
#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
pub(crate) fn real(n: usize) -> f64 {
    n as f64
}

/// Sixteen lanes from +0; element i goes to lane i mod 16; then 8 are added to 8, 4 to 4, 2 to 2, 1 to 1.
pub(crate) fn lanes<T: Real>(x: &[T]) -> T {
    let mut lane = [T::of(0.0); 16];
    for (i, &value) in x.iter().enumerate() {
        lane[i % 16] = lane[i % 16] + value;
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lane[i] = lane[i] + lane[i + half];
        }
    }
    lane[0]
}

pub(crate) fn dot<T: Real>(x: &[T], y: &[T]) -> T {
    assert_eq!(x.len(), y.len());
    let products: Vec<T> = (0..x.len()).map(|i| x[i] * y[i]).collect();
    lanes(&products)
}

/// The sum of f64 numbers in ascending order.
pub(crate) fn ascending(x: &[f64]) -> f64 {
    let mut total = 0.0;
    for value in x {
        total += value;
    }
    total
}
