//! The tools that the examples are run and checked with.

use anyhow::{Result, ensure};

use crate::process::on_path;

/// What to do about a tool that is missing.
const TOOLS: &[(&str, &str)] = &[
    (
        "actionlint",
        "go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12",
    ),
    ("jq", "apt-get install jq"),
];

/// Fails unless `tool` is on `PATH`, with what to do about it.
pub(super) fn require(tool: &str) -> Result<()> {
    let how = TOOLS
        .iter()
        .find(|(name, _)| *name == tool)
        .map_or("pip install -r xtask/src/examples/requirements.txt, in a virtual environment whose bin folder is on PATH", |(_, how)| how);
    ensure!(on_path(tool), "`{tool}` is not on PATH: {how}");
    Ok(())
}
