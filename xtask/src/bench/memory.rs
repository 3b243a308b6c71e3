//! The most memory that a process ever had resident, while it runs.
//!
//! Read from `/proc` (`VmHWM`, proc(5)), because what the kernel tells of an ended child (`ru_maxrss`) begins with the size of the
//! parent that started it.

use std::fs;

/// The peak of a process so far, in MB; `None` when it has ended.
pub(crate) fn peak_megabytes(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    Some(peak.parse::<f64>().ok()? * 1024.0 / 1e6)
}
