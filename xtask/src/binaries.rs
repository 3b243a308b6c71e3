//! The programs of this workspace, built by cargo and found where cargo put them.
//!
//! cargo itself says where (`--message-format=json`, <https://doc.rust-lang.org/cargo/reference/external-tools.html>),
//! so `CARGO_TARGET_DIR`, a configured target folder and a profile's folder name are all taken as they are.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::process;

/// The two programs that the project ships.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    pub(crate) debucket: PathBuf,
    pub(crate) method: PathBuf,
}

/// Which cargo profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Fast to build.
    Dev,
    /// As shipped.
    Release,
}

impl Binaries {
    /// Takes them from `folder`, or builds them; cargo shows its progress on standard error.
    pub(crate) fn provide(folder: Option<&Path>, profile: Profile) -> Result<Self> {
        if let Some(folder) = folder {
            let folder = std::path::absolute(folder)?;
            let binaries = Self {
                debucket: folder.join("debucket"),
                method: folder.join("apt-method-s3"),
            };
            for path in [&binaries.debucket, &binaries.method] {
                if !path.is_file() {
                    bail!("{} does not exist", path.display());
                }
            }
            return Ok(binaries);
        }
        let mut built = build_all(profile)?;
        let mut take = |name: &str| {
            let at = built
                .iter()
                .position(|path| path.file_name().is_some_and(|file| file == name));
            at.map(|at| built.swap_remove(at))
                .with_context(|| format!("cargo built no `{name}`"))
        };
        Ok(Self {
            debucket: take("debucket")?,
            method: take("apt-method-s3")?,
        })
    }
}

/// Builds all programs of the workspace and gives their paths.
pub(crate) fn build_all(profile: Profile) -> Result<Vec<PathBuf>> {
    // With xtask among them, cargo chooses the same features of all dependencies as it did for xtask
    // itself, and need not build them twice.
    let packages = ["xtask", "debucket", "apt-method-s3"].map(|name| ["--package", name]);
    cargo_build(packages.as_flattened(), profile)
}

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The folder that cargo builds into, where what a run leaves for the next one may lie.
pub(crate) fn target_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), PathBuf::from);
    std::path::absolute(&target).unwrap_or(target)
}

/// cargo itself: the one that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What `cargo run` says of xtask: build scripts look at it (ring's does), and would run, and all that
    // rests on them be built, each time anew.
    for (name, _) in std::env::vars_os() {
        let of_xtask = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if name
            .to_str()
            .is_some_and(|name| of_xtask.iter().any(|prefix| name.starts_with(prefix)))
        {
            command.env_remove(name);
        }
    }
    command.current_dir(workspace()).stdin(Stdio::null());
    command
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
}

/// Builds what `arguments` name and gives the executables that came of it.
fn cargo_build(arguments: &[&str], profile: Profile) -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command.arg("build").args(arguments);
    if profile == Profile::Release {
        command.arg("--release");
    }
    run_build(&mut command)
}

/// Runs a command of cargo that builds, its progress on standard error, and gives the executables that came of it.
pub(crate) fn run_build(command: &mut Command) -> Result<Vec<PathBuf>> {
    let output = command
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`{}` failed", process::render(command));
    }
    executables(&String::from_utf8_lossy(&output.stdout))
}

fn executables(messages: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Message =
            serde_json::from_str(line).context("cargo sent a message that is not understood")?;
        if message.reason == "compiler-artifact" {
            found.extend(message.executable);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_read_from_cargo_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","executable":"/t/debug/debucket"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(
            executables(messages).unwrap(),
            [PathBuf::from("/t/debug/debucket")]
        );
    }

    #[test]
    fn the_workspace_is_found() {
        assert!(workspace().join("Cargo.lock").is_file());
    }
}
