//! lintian, Debian's checker of packages (<https://lintian.debian.org>).

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::process;

/// Fails if lintian finds an error or a warning. There is nothing that it must overlook.
pub(crate) fn lint(packages: &[PathBuf]) -> Result<()> {
    ensure!(
        process::on_path("lintian"),
        "`lintian` is missing: apt-get install lintian"
    );
    let mut command = Command::new("lintian");
    command.args(["--allow-root", "--fail-on=error,warning", "--info"]);
    process::run(command.args(packages))?
        .success()
        .context("lintian finds fault with the packages")?;
    Ok(())
}
