//! Owns the goals: what a query on 10 million codes may take, one thread, layout `fast`; the other layout may take six
//! times that. Figures of one machine: ratios say more.

use super::ours::Layout;
use super::task::Task;

/// How many times the goal of `fast` the layout `compact` may take.
const COMPACT: f64 = 6.0;
/// The most that anything may take, in times of the scan.
pub const SCAN: f64 = 1.1;
/// The most that a batch may take, in times of the better of the two ways.
pub const BATCH: f64 = 1.1;
/// The least that two threads must bring on a batch.
pub const TWO_THREADS: f64 = 1.8;

/// Microseconds that a query may take, if there is a figure for it.
#[must_use]
pub fn query_us(layout: Layout, kind: &str, bits: u32, n: usize, task: Task) -> Option<f64> {
    let fast = match (n, kind, bits, task) {
        (10_000_000, "uniform", 64, Task::Within(4)) => 4.0,
        (10_000_000, "uniform", 64, Task::Within(12)) => 200.0,
        (10_000_000, "skewed", 64, Task::Within(4)) => 18.0,
        (10_000_000, "skewed", 64, Task::Within(12)) => 2_000.0,
        (10_000_000, "uniform", 128, Task::Within(4)) => 0.5,
        (10_000_000, "uniform", 128, Task::Within(12)) => 20.0,
        (10_000_000, "uniform", 128, Task::Within(31)) => 1_600.0,
        (10_000_000, "uniform", 256, Task::Within(4)) => 1.0,
        (10_000_000, "uniform", 256, Task::Within(12)) => 4.0,
        (10_000_000, "uniform", 256, Task::Within(31)) => 120.0,
        (10_000_000, "skewed", 256, Task::Within(4)) => 3.0,
        (10_000_000, "skewed", 256, Task::Within(12)) => 20.0,
        (10_000_000, "skewed", 256, Task::Within(31)) => 900.0,
        (10_000_000, "uniform", 64, Task::Nearest(10)) => 500.0,
        (50_000_000, "uniform", 256, Task::Within(12)) => 10.0,
        (50_000_000, "uniform", 256, Task::Within(31)) => 600.0,
        _ => return None,
    };
    Some(if layout == Layout::Fast { fast } else { COMPACT * fast })
}

/// Bytes a code that the layout may take, the code included.
#[must_use]
pub fn bytes_a_code(layout: Layout, bits: u32) -> Option<f64> {
    match (layout, bits) {
        (Layout::Compact, 64) => Some(64.0),
        (Layout::Compact, 256) => Some(128.0),
        _ => None,
    }
}

/// Seconds that building may take on two threads.
#[must_use]
pub fn build_s(bits: u32, n: usize) -> Option<f64> {
    (bits == 256 && n == 10_000_000).then_some(6.0)
}

/// Milliseconds that opening from a file may take.
#[must_use]
pub fn open_ms(n: usize) -> Option<f64> {
    (n == 10_000_000).then_some(20.0)
}

/// `met`, or by how much it was missed.
#[must_use]
pub fn verdict(value: f64, most: f64) -> String {
    if value <= most { "met".to_owned() } else { format!("missed {:.2}x", value / most) }
}
