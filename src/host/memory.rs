//! The memory that this machine can give, so that what cannot fit is refused instead of being
//! killed on its way.

use thiserror::Error;

use crate::remedy::{Remedies, Remedy};

const MIB: f64 = 1048576.0;

/// Something known not to fit.
#[derive(Debug, Clone, PartialEq, Error)]
#[error(
    "{what} needs about {:.0} MiB of memory, and this machine has {:.0} MiB to give",
    *.needed as f64 / MIB,
    *.available as f64 / MIB
)]
pub struct NotEnough {
    /// What needs it.
    pub what: String,
    /// Bytes.
    pub needed: u64,
    /// Bytes.
    pub available: u64,
    /// What to make smaller.
    pub remedies: Vec<Remedy>,
}

impl Remedies for NotEnough {
    fn remedies(&self) -> Vec<Remedy> {
        self.remedies.clone()
    }
}

/// Refuses `needed` bytes that the machine does not have; where it does not say what it has, it is
/// trusted.
///
/// # Errors
/// With the numbers, and `remedies`.
pub fn require(what: &str, needed: u64, remedies: &[Remedy]) -> Result<(), NotEnough> {
    require_of(available(), what, needed, remedies)
}

fn require_of(available: Option<u64>, what: &str, needed: u64, remedies: &[Remedy]) -> Result<(), NotEnough> {
    match available {
        Some(available) if needed > available => {
            Err(NotEnough { what: what.into(), needed, available, remedies: remedies.to_vec() })
        }
        _ => Ok(()),
    }
}

/// Bytes that can be allocated without swapping: what Linux calls available, or less in a control
/// group with a limit. `None` elsewhere.
pub fn available() -> Option<u64> {
    let machine = meminfo_available(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    // "max" stands for no limit and is no number.
    let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
    Some(limit.map_or(machine, |limit| machine.min(limit)))
}

fn meminfo_available(text: &str) -> Option<u64> {
    kilobytes(text, "MemAvailable:")
}

/// Forgets the largest size that this process has had so far, where Linux allows it.
pub fn reset_peak() {
    // 5: the peak of the resident set (proc(5)); where this fails the peak is that of the whole
    // process.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most bytes that this process has had in memory at once, since [`reset_peak`]. `None` where
/// the system does not say.
pub fn peak() -> Option<u64> {
    kilobytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// A line like `MemAvailable:   12345 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remedy::Setting;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_sees_what_was_in_memory() {
        let filled = vec![1u8; 64 << 20];
        assert_eq!(filled.iter().map(|&x| usize::from(x)).sum::<usize>(), 64 << 20);
        drop(filled);
        assert!(peak().unwrap() > 64 << 20);
    }

    #[test]
    fn meminfo_is_read_or_not_believed() {
        let text = "MemTotal:       24576 kB\nMemFree: 1 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(meminfo_available(text), Some(2 << 20));
        let odd = [
            "",
            "MemTotal: 3 kB\n",
            "MemAvailable: lots\n",
            "MemAvailable: 3 MB\n",
            "MemAvailable: 99999999999999999999 kB",
        ];
        for text in odd {
            assert_eq!(meminfo_available(text), None, "{text}");
        }
        if cfg!(target_os = "linux") {
            assert!(available().is_some_and(|bytes| bytes > 1 << 20));
        }
    }

    #[test]
    fn only_what_cannot_fit_is_refused() {
        let remedies = [Remedy::lower(Setting::Train)];
        assert!(require_of(Some(100 << 20), "it", 100 << 20, &remedies).is_ok());
        assert!(require_of(None, "it", u64::MAX, &remedies).is_ok());
        let error = require_of(Some(100 << 20), "it", 200 << 20, &remedies).unwrap_err();
        assert_eq!(error.to_string(), "it needs about 200 MiB of memory, and this machine has 100 MiB to give");
        assert_eq!(error.remedies(), remedies);
    }
}
