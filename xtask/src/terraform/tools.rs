//! The programs that the steps call, and how to get one that is missing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{binaries::target_folder, interrupt::TempFolder, process};

/// The oldest Terraform that has all that the tests use.
const OLDEST: (u32, u32) = (1, 9);

/// Terraform and its AWS provider.
#[derive(Debug)]
pub(super) struct Tools {
    plugin_dir: Option<PathBuf>,
    /// Keeps a provider that was downloaded for the next folder that needs it.
    cache: TempFolder,
}

impl Tools {
    /// Makes sure that both are there.
    pub(super) fn find(plugin_dir: Option<&Path>) -> Result<Self> {
        ensure!(
            process::on_path("terraform"),
            "`terraform` is not on PATH; https://developer.hashicorp.com/terraform/install says how to get it ({}.{} or newer)",
            OLDEST.0,
            OLDEST.1
        );
        let plugin_dir = plugin_dir.map(std::path::absolute).transpose()?;
        if let Some(folder) = &plugin_dir {
            ensure!(
                folder.join("registry.terraform.io").is_dir(),
                "{} holds no folder registry.terraform.io",
                folder.display()
            );
        }
        let tools = Self {
            plugin_dir,
            cache: TempFolder::new("terraform-plugins")?,
        };
        let version = process::run(tools.terraform().args(["version", "-json"]))?.success()?;
        let version: Value = serde_json::from_str(&version.stdout)
            .context("`terraform version -json` gave no JSON")?;
        let version = version["terraform_version"].as_str().unwrap_or_default();
        ensure!(
            is_recent(version),
            "Terraform {version} is too old: {}.{} or newer is needed",
            OLDEST.0,
            OLDEST.1
        );
        tools.require_provider()?;
        Ok(tools)
    }

    /// Terraform, quiet and without questions. Where providers are is left to its own settings.
    pub(super) fn terraform(&self) -> Command {
        let mut command = Command::new("terraform");
        ask_nothing(&mut command)
            .env("TF_CLI_ARGS", "-no-color")
            .env("TF_PLUGIN_CACHE_DIR", self.cache.path())
            .env("TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE", "1");
        // A file that is named but missing is worth a warning on each call.
        if env::var_os("TF_CLI_CONFIG_FILE").is_some_and(|file| !Path::new(&file).is_file()) {
            command.env_remove("TF_CLI_CONFIG_FILE");
        }
        command
    }

    /// Lets a Terraform that `command` starts find its provider, and ask nothing.
    pub(super) fn at_any_init(&self, command: &mut Command) {
        ask_nothing(command);
        if let Some(folder) = &self.plugin_dir {
            command.env(
                "TF_CLI_ARGS_init",
                format!("-plugin-dir={}", folder.display()),
            );
        }
    }

    /// `terraform init` for a folder.
    pub(super) fn init(&self) -> Command {
        let mut command = self.terraform();
        command.args(["init", "-backend=false"]);
        if let Some(folder) = &self.plugin_dir {
            command.arg(format!("-plugin-dir={}", folder.display()));
        }
        command
    }

    fn require_provider(&self) -> Result<()> {
        let folder = TempFolder::new("terraform-provider")?;
        let wanted = "terraform {\n  required_providers {\n    aws = { source = \"hashicorp/aws\", version = \">= 5.81, < 7.0\" }\n  }\n}\n";
        fs::write(folder.path().join("main.tf"), wanted)?;
        let outcome = process::run_within(
            self.init().current_dir(folder.path()),
            Duration::from_secs(600),
        )?;
        ensure!(
            outcome.code() == 0,
            "Terraform finds no AWS provider (5.81 or newer, before 7.0): it needs the way to registry.terraform.io, a mirror that its CLI \
             configuration names (https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation), \
             or --plugin-dir with a folder that holds registry.terraform.io/hashicorp/aws/…\n{}",
            outcome.report()
        );
        Ok(())
    }
}

/// Neither the person who runs it nor its maker's server.
fn ask_nothing(command: &mut Command) -> &mut Command {
    command
        .env("TF_IN_AUTOMATION", "1")
        .env("TF_INPUT", "0")
        .env("CHECKPOINT_DISABLE", "1")
}

fn is_recent(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST,
        _ => false,
    }
}

/// A program of the virtual environment that was made for it.
fn in_environment(name: &str, program: &str) -> PathBuf {
    target_folder()
        .join("venv")
        .join(name)
        .join("bin")
        .join(program)
}

/// The pinned versions lie beside this file.
fn how_to_install(name: &str) -> String {
    let environment = target_folder().join("venv").join(name);
    let environment = environment.display();
    format!(
        "python3 -m venv {environment} && {environment}/bin/pip install -r xtask/src/terraform/{name}.txt"
    )
}

/// A Python that has moto: of its environment, or the system's.
pub(super) fn find_moto() -> Result<PathBuf> {
    let own = in_environment("moto", "python");
    for python in [own, PathBuf::from("python3")] {
        let works = process::run(Command::new(&python).args(["-c", "import moto.server, flask"]))
            .is_ok_and(|outcome| outcome.code() == 0);
        if works {
            return Ok(python);
        }
    }
    bail!(
        "moto, the emulator of AWS, is missing; get it by: {}",
        how_to_install("moto")
    );
}

/// checkov: of its environment, or on `PATH`.
pub(super) fn find_checkov() -> Result<PathBuf> {
    let own = in_environment("checkov", "checkov");
    if own.is_file() {
        return Ok(own);
    }
    if process::on_path("checkov") {
        return Ok("checkov".into());
    }
    bail!(
        "checkov is missing; get it by: {}",
        how_to_install("checkov")
    );
}

/// Looks for what is unsafe in the modules; exceptions stand beside the code, with their reasons.
pub(super) fn run_checkov(checkov: &Path, folder: &Path) -> Result<String> {
    let mut command = Command::new(checkov);
    command
        .args(["--framework", "terraform", "--compact", "--quiet"])
        .args(["--output", "json", "--directory"])
        .arg(folder)
        // It asks its maker's server for texts otherwise, and waits where that cannot be reached.
        .args(["--skip-download", "--download-external-modules", "false"]);
    let outcome = process::run(&mut command)?;
    let report: Value = serde_json::from_str(&outcome.stdout)
        .with_context(|| format!("checkov gave no JSON\n{}", outcome.report()))?;
    let count = |what: &str| report["summary"][what].as_u64().unwrap_or_default();
    ensure!(
        outcome.code() == 0 && count("failed") == 0 && count("parsing_errors") == 0,
        "checkov complains; what must stay gets a comment `checkov:skip=ID: reason`\n{}",
        outcome.report()
    );
    ensure!(
        count("passed") > 50,
        "checkov looked at too little: {}",
        report["summary"]
    );
    Ok(format!(
        "{} checks, {} left out with a reason",
        count("passed"),
        count("skipped")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, expected) in [
            ("1.9.0", true),
            ("1.11.4", true),
            ("1.10.0-beta1", true),
            ("2.0.0", true),
            ("1.8.5", false),
            ("", false),
        ] {
            assert_eq!(is_recent(version), expected, "{version}");
        }
    }
}
