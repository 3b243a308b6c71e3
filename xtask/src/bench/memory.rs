//! The most memory that a process ever had resident, while it runs.
//!
//! Read from `/proc` (`VmHWM`, proc(5)), because what the kernel tells of an ended child (`ru_maxrss`) begins with the size of the
//! parent that started it.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::Result;

use crate::process::start;

/// Time between two looks at the memory of a process.
const LOOK: Duration = Duration::from_millis(2);
/// The most that a measured program may take: tens of thousands of packages are published in minutes.
const TIME_LIMIT: Duration = Duration::from_secs(1_800);

/// Runs the command to its successful end; returns its seconds, and its peak in MB as it was looked up last.
pub(crate) fn measure(command: &mut Command) -> Result<(f64, f64)> {
    let mut running = start(command)?;
    let mut peak = 0.0_f64;
    while !running.has_ended()? {
        peak = peak.max(peak_megabytes(running.id()).unwrap_or(0.0));
        thread::sleep(LOOK);
    }
    let outcome = running.finish(TIME_LIMIT)?.success()?;
    Ok((outcome.elapsed.as_secs_f64(), peak))
}

/// The peak of a process so far, in MB; `None` when it has ended.
pub(crate) fn peak_megabytes(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))?;
    Some(peak.parse::<f64>().ok()? * 1024.0 / 1e6)
}
