//! Owns [`Gate`]: the budget of tensor bytes held in memory at one time. What must hold: the permits out sum to at most
//! the budget, or the largest tensor of the model whose tensor came last: memory stays under twice the largest tensor.

use std::sync::{Condvar, Mutex, PoisonError};

/// A counting gate for bytes.
#[derive(Debug)]
pub(super) struct Gate {
    budget_bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    out_bytes: u64,
    permits: usize,
    closed: bool,
}

/// Leave to hold so many bytes; gives them back when dropped.
#[derive(Debug)]
pub(super) struct Permit<'g> {
    gate: &'g Gate,
    len_bytes: u64,
}

impl Gate {
    pub(super) fn new(budget_bytes: u64) -> Self {
        Self { budget_bytes, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits until `len_bytes` more may be held, for a model whose largest tensor has `largest_bytes` (at least
    /// `len_bytes`); `None` once the gate is closed.
    pub(super) fn enter(&self, len_bytes: u64, largest_bytes: u64) -> Option<Permit<'_>> {
        let budget_bytes = self.budget_bytes.max(largest_bytes);
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if state.permits == 0 || state.out_bytes.saturating_add(len_bytes) <= budget_bytes {
                state.permits += 1;
                state.out_bytes = state.out_bytes.saturating_add(len_bytes);
                return Some(Permit { gate: self, len_bytes });
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Turns everybody away from now on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is whole after every statement, so a panicking holder leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.permits -= 1;
        state.out_bytes = state.out_bytes.saturating_sub(self.len_bytes);
        drop(state);
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn bytes_out_stay_within_the_budget_unless_alone() {
        let gate = Gate::new(100);
        let (now, worst) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (gate, now, worst) = (&gate, &now, &worst);
                scope.spawn(move || {
                    for round in 0..200 {
                        let len_bytes = 1 + (thread * 31 + round * 17) % 60;
                        let permit = gate.enter(len_bytes, len_bytes).unwrap();
                        worst.fetch_max(
                            now.fetch_add(len_bytes, Ordering::SeqCst) + len_bytes,
                            Ordering::SeqCst,
                        );
                        // Long enough for the others to come in, if they were let in.
                        (0..5).for_each(|_| std::thread::yield_now());
                        now.fetch_sub(len_bytes, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert!(worst.load(Ordering::SeqCst) <= 100, "{worst:?}");
    }

    #[test]
    fn a_tensor_beyond_the_budget_goes_through_alone() {
        let gate = Gate::new(10);
        let permit = gate.enter(1_000, 1_000).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(1, 1).is_none());
            // Not before the large one has left: the gate is closed first, so whoever waits is turned away.
            gate.close();
            assert!(waiting.join().unwrap());
        });
        drop(permit);
    }
}
