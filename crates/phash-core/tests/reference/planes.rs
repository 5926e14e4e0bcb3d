//! Section 3, second half: planes, the energies E and F, normalising, orbits and equilibrating.

use super::cut::{Cut, Places};
use super::real::{Real, dot, lanes, real};

/// A matrix by rows.
pub(crate) type Plane<T> = Vec<Vec<T>>;

/// Everything that the views need of a sample or of a whole matrix.
pub(crate) struct Matrix<T> {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) e: Plane<T>,
    pub(crate) f: Plane<T>,
    pub(crate) row_sum: Vec<T>,
    pub(crate) column_sum: Vec<T>,
    pub(crate) normalised: Vec<Plane<T>>,
    side: Option<usize>,
}

impl<T: Real> Matrix<T> {
    pub(crate) fn new(cut: &Cut, places: &Places) -> Self {
        let value = |element: usize| T::of(cut.value(places, element));
        let (rows, columns) = (places.rows.len(), places.columns.len());
        let plane = |kernel: &usize| -> Plane<T> {
            let row =
                |row: &usize| places.columns.iter().map(|column| value(row + column + kernel)).collect();
            places.rows.iter().map(row).collect()
        };
        let planes: Vec<Plane<T>> = places.kernel.iter().map(plane).collect();
        let mean = |term: fn(T) -> T| -> Plane<T> {
            let mut means = filled(rows, columns);
            for r in 0..rows {
                for c in 0..columns {
                    let mut total = T::of(0.0);
                    for plane in &planes {
                        total = total + term(plane[r][c]);
                    }
                    means[r][c] = total / T::of(real(planes.len()));
                }
            }
            means
        };
        let (e, f) = (mean(|w| w * w), mean(|w| (w * w) * (w * w)));
        let row_sum = e.iter().map(|row| lanes(row)).collect();
        let column_sum = (0..columns)
            .map(|c| {
                let mut total = T::of(0.0);
                for row in &e {
                    total = total + row[c];
                }
                total
            })
            .collect();
        let normalised = planes.into_iter().map(normalise).collect();
        Self { rows, columns, e, f, row_sum, column_sum, normalised, side: cut.side }
    }

    /// The factors u of the rows and v of the columns.
    pub(crate) fn equilibrate(&self) -> (Vec<T>, Vec<T>) {
        let inv = |s: T, n: usize| {
            let inverse = T::of(real(n)) / s;
            if s > T::of(0.0) && inverse <= T::of(1e15) { inverse } else { T::of(0.0) }
        };
        let mut u = vec![T::of(0.0); self.rows];
        let mut v = vec![T::of(1.0); self.columns];
        for _ in 0..8 {
            let mut t = vec![T::of(0.0); self.columns];
            for r in 0..self.rows {
                u[r] = inv(dot(&self.e[r], &v), self.columns);
                for c in 0..self.columns {
                    t[c] = t[c] + self.e[r][c] * u[r];
                }
            }
            for c in 0..self.columns {
                v[c] = inv(t[c], self.rows);
            }
        }
        (u, v)
    }

    pub(crate) fn equilibrated(&self, u: &[T], v: &[T]) -> Vec<Plane<T>> {
        let mut planes = self.normalised.clone();
        for plane in &mut planes {
            for r in 0..self.rows {
                for c in 0..self.columns {
                    plane[r][c] = (plane[r][c] * u[r].root()) * v[c].root();
                }
            }
        }
        planes.into_iter().map(normalise).collect()
    }

    /// The planes of the orbits of kernel positions.
    pub(crate) fn orbits(&self, planes: &[Plane<T>]) -> Vec<Plane<T>> {
        let last = planes.len() - 1;
        let turned = |p: usize| self.side.map_or(p, |s| (p % s) * s + p / s);
        let mut seen = vec![false; planes.len()];
        let mut result = Vec::new();
        for first in 0..planes.len() {
            if seen[first] {
                continue;
            }
            let mut orbit = vec![first, last - first, turned(first), last - turned(first)];
            orbit.sort_unstable();
            orbit.dedup();
            for &p in &orbit {
                seen[p] = true;
            }
            let members: Vec<&Plane<T>> = orbit.iter().map(|&p| &planes[p]).collect();
            result.push(sum_of(&members));
        }
        result
    }
}

/// The sum of planes, in order from the first, divided by the root of their number if they are several.
pub(crate) fn sum_of<T: Real>(planes: &[&Plane<T>]) -> Plane<T> {
    let mut total = planes[0].clone();
    for plane in &planes[1..] {
        for r in 0..total.len() {
            for c in 0..total[r].len() {
                total[r][c] = total[r][c] + plane[r][c];
            }
        }
    }
    if planes.len() > 1 {
        scale(&mut total, T::of(1.0) / T::of(real(planes.len())).root());
    }
    total
}

/// The cubes' field: a sum over the equilibrated planes.
pub(crate) fn cubes<T: Real>(equilibrated: &[Plane<T>]) -> Plane<T> {
    let three = T::of(3.0);
    let cube = |w: T| {
        let x = if w > three {
            three
        } else if w < T::of(-3.0) {
            T::of(-3.0)
        } else {
            w
        };
        (x * x * x - three * x) / T::of(2.449_489_8)
    };
    let mut total = filled(equilibrated[0].len(), equilibrated[0][0].len());
    for plane in equilibrated {
        for r in 0..total.len() {
            for c in 0..total[r].len() {
                total[r][c] = total[r][c] + cube(plane[r][c]);
            }
        }
    }
    scale(&mut total, T::of(1.0) / T::of(real(equilibrated.len())).root());
    total
}

fn filled<T: Real>(rows: usize, columns: usize) -> Plane<T> {
    vec![vec![T::of(0.0); columns]; rows]
}

fn scale<T: Real>(plane: &mut Plane<T>, factor: T) {
    for value in plane.iter_mut().flatten() {
        *value = *value * factor;
    }
}

/// Makes the mean square 1.
fn normalise<T: Real>(mut plane: Plane<T>) -> Plane<T> {
    let values = plane.concat();
    let mut q = 0.0;
    for stretch in values.chunks(1024) {
        q += dot(stretch, stretch).wide();
    }
    if q > 0.0 {
        scale(&mut plane, T::of((real(values.len()) / q).sqrt()));
    }
    plane
}
