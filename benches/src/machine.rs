//! Owns what a figure is worth nothing without: the machine, its load, and its physical limits in the same run.

use std::fs;
use std::hint::black_box;

use crate::random::SplitMix;
use crate::timing::median_ns;

/// One line: CPU, hardware threads, memory, load. Unknown parts say so.
#[must_use]
pub fn line() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| -> Option<String> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let cpu = read("/proc/cpuinfo");
    let unknown = || "unknown".to_owned();
    let model = field(&cpu, "model name").unwrap_or_else(unknown);
    let family = field(&cpu, "cpu family").unwrap_or_else(unknown);
    let number = field(&cpu, "model\t").unwrap_or_else(unknown);
    let cache = field(&cpu, "cache size").unwrap_or_else(unknown);
    let threads = std::thread::available_parallelism().map_or_else(|_| unknown(), |n| n.to_string());
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_else(unknown);
    let load = read("/proc/loadavg").split(' ').next().map(str::to_owned).unwrap_or_default();
    format!(
        "{model} (family {family} model {number}, cache {cache}), {threads} threads, memory {memory}, load {load}"
    )
}

/// Sequential read of `words`, one thread: bytes per nanosecond, that is GB/s.
#[must_use]
pub fn sequential_gb_per_s(words: &[u64]) -> f64 {
    let ns = median_ns(5, || {
        let mut sums = [0u64; 32];
        let (chunks, _) = words.as_chunks::<32>();
        for chunk in chunks {
            for (sum, word) in sums.iter_mut().zip(chunk) {
                *sum ^= word;
            }
        }
        black_box(sums);
    });
    size_of_val(words) as f64 / ns
}

/// Independent random 8-byte reads of `words`, one thread: nanoseconds a read.
#[must_use]
pub fn random_read_ns(words: &[u64]) -> f64 {
    const READS: u32 = 1_000_000;
    let ns = median_ns(3, || {
        let mut random = SplitMix::new(1);
        let mut sum = 0;
        for _ in 0..READS {
            sum ^= words[random.place(words.len())];
        }
        black_box(sum);
    });
    ns / f64::from(READS)
}
