//! Owns [`Pool`]: buffers of numbers that go from tensor to tensor, so that memory is not asked of the system, and filled
//! with zeros by it, again for each. What must hold: what a pool keeps is bounded, whatever was given to it.

/// Larger buffers are not kept.
const MOST_LEN: usize = 1 << 20;
/// More buffers are not kept.
const MOST_BUFFERS: usize = 16;

/// Buffers for later use: at most 64 MiB.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Vec<Vec<f32>>,
}

impl Pool {
    /// An empty buffer with room for `len` numbers.
    pub(crate) fn take(&mut self, len: usize) -> Vec<f32> {
        let mut buffer = self.free.pop().unwrap_or_default();
        buffer.clear();
        buffer.reserve_exact(len);
        buffer
    }

    /// A buffer of `len` zeros.
    pub(crate) fn zeros(&mut self, len: usize) -> Vec<f32> {
        let mut buffer = self.take(len);
        buffer.resize(len, 0.0);
        buffer
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, buffer: Vec<f32>) {
        if buffer.capacity() <= MOST_LEN && self.free.len() < MOST_BUFFERS {
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_empty_and_the_largest_are_let_go() {
        let mut pool = Pool::default();
        pool.give(vec![7.0; 100]);
        assert_eq!(pool.zeros(50), [0.0; 50]);
        pool.give(vec![0.0; MOST_LEN + 1]);
        assert!(pool.free.is_empty());
        (0..2 * MOST_BUFFERS).for_each(|_| pool.give(vec![1.0; 8]));
        assert_eq!(pool.free.len(), MOST_BUFFERS);
    }
}
