//! Owns the threads of measurements that are no timings: one item at a time on each, results in the order of the items.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The work done on each item, on all threads of the machine.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else { break };
                    let result = work(item);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((place, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|&(place, _)| place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Does the work on each item, on all threads of the machine, in any order.
pub fn consume<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let items = Mutex::new(items.into_iter());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let item = items.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                    let Some(item) = item else { break };
                    work(item);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_stand_in_the_order_of_the_items() {
        // The first items take longest.
        let work = |item: &u64| {
            (0..(100 - item) * 10_000).fold(2 * item, |sum, i| std::hint::black_box(sum + i % 2))
        };
        let items: Vec<u64> = (0..100).collect();
        let expected: Vec<u64> = items.iter().map(work).collect();
        assert_eq!(super::map(&items, work), expected);
    }
}
