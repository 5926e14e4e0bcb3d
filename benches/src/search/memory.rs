//! Owns the memory of this process: how much it holds, how much it held at most, and buffers on 2-MiB pages.

use std::fs;
use std::io;

use memmap2::{Advice, MmapMut};

/// Bytes of this process in memory. 0 where the system does not tell.
#[must_use]
pub fn resident_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// Bytes that are free or can be freed for a process. `u64::MAX` where the system does not tell.
#[must_use]
pub fn available_bytes() -> u64 {
    field_bytes("/proc/meminfo", "MemAvailable:").unwrap_or(u64::MAX)
}

/// Does the work; with its result, the bytes this process grew by, and by how much at the most meanwhile.
pub fn of<T>(work: impl FnOnce() -> T) -> (T, u64, Option<u64>) {
    let before = resident_bytes();
    // 5: forget the peak so far (proc(5)).
    let known = fs::write("/proc/self/clear_refs", "5").is_ok();
    let result = work();
    let peak = known.then(|| status_bytes("VmHWM:").saturating_sub(before));
    (result, resident_bytes().saturating_sub(before), peak)
}

fn status_bytes(field: &str) -> u64 {
    field_bytes("/proc/self/status", field).unwrap_or(0)
}

fn field_bytes(path: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Bytes in memory: on the pages that the allocator gave, or, on request, on pages of 2 MiB.
#[derive(Debug)]
pub enum Buffer {
    /// As allocated.
    Usual(Vec<u8>),
    /// On pages of 2 MiB, as far as the system has them.
    Huge(MmapMut),
}

impl Buffer {
    /// A copy on pages of 2 MiB.
    ///
    /// # Errors
    /// As the system gives them.
    pub fn huge(bytes: &[u8]) -> io::Result<Self> {
        let mut map = MmapMut::map_anon(bytes.len().max(1))?;
        #[cfg(target_os = "linux")]
        map.advise(Advice::HugePage)?;
        map[..bytes.len()].copy_from_slice(bytes);
        Ok(Self::Huge(map))
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Usual(bytes) => bytes,
            Self::Huge(map) => map,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_work_takes_and_keeps_is_counted() {
        let (kept, grown, peak) = of(|| {
            drop(std::hint::black_box(vec![1u8; 96 << 20]));
            vec![1u8; 32 << 20]
        });
        assert!(kept[kept.len() - 1] == 1);
        if resident_bytes() > 0 {
            assert!((16 << 20..256 << 20).contains(&grown), "{grown}");
            assert!(peak.is_none_or(|peak| peak >= 64 << 20), "{peak:?}");
        }
    }

    #[test]
    fn a_buffer_on_large_pages_holds_the_same_bytes() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        assert_eq!(Buffer::huge(&bytes).unwrap().as_ref()[..bytes.len()], bytes);
    }
}
