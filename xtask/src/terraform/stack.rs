//! A folder of Terraform code and what is done with it. The code is copied first: Terraform leaves its lock file, its state and
//! its providers beside it.

use std::{
    fmt::Display,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{sources::files, tools::Tools};
use crate::{
    apt_root,
    interrupt::Group,
    process::{self, Outcome},
};

/// The most that one command may take: the provider waits for a minute where AWS is slow to settle.
const LIMIT: Duration = Duration::from_secs(600);

/// A root module.
pub(super) struct Stack<'a> {
    tools: &'a Tools,
    folder: PathBuf,
    variables: Vec<String>,
}

impl<'a> Stack<'a> {
    /// The one in `folder`.
    pub(super) fn new(tools: &'a Tools, folder: PathBuf) -> Self {
        Self {
            tools,
            folder,
            variables: Vec::new(),
        }
    }

    /// Gives an input a value.
    pub(super) fn set(&mut self, name: &str, value: impl Display) {
        self.variables.push(format!("-var={name}={value}"));
    }

    /// Fetches the provider and the modules.
    pub(super) fn init(&self) -> Result<()> {
        // Its way to the registry may lead through a proxy: the environment is left as it is.
        self.run(&mut self.tools.init()).map(drop)
    }

    /// The code is right, and nothing in it will be gone in the next version.
    pub(super) fn validate(&self) -> Result<()> {
        let outcome = self.run(self.command().args(["validate", "-json"]))?;
        let report: Value = serde_json::from_str(&outcome.stdout)?;
        ensure!(
            report["valid"] == true && report["diagnostics"].as_array().is_some_and(Vec::is_empty),
            "terraform validate has something to say\n{}",
            outcome.report()
        );
        Ok(())
    }

    /// Runs the files in `tests`, and says how many runs there were.
    pub(super) fn test(&self) -> Result<String> {
        let outcome = self.run(self.command().arg("test"))?;
        let verdict = outcome
            .stdout
            .lines()
            .find(|line| line.starts_with("Success!"))
            .with_context(|| format!("no run succeeded\n{}", outcome.report()))?;
        ensure!(
            !verdict.contains(" 0 passed"),
            "there is nothing to test\n{}",
            outcome.report()
        );
        Ok(verdict
            .trim_start_matches("Success! ")
            .trim_end_matches('.')
            .to_owned())
    }

    /// Creates everything, and says how much that was.
    pub(super) fn apply(&self) -> Result<String> {
        let outcome = self.run(
            self.command()
                .args(["apply", "-auto-approve"])
                .args(&self.variables),
        )?;
        ensure!(
            !outcome.text().contains("Warning:"),
            "terraform apply warns\n{}",
            outcome.report()
        );
        let done = outcome
            .stdout
            .lines()
            .find(|line| line.starts_with("Apply complete!"));
        Ok(done
            .unwrap_or_default()
            .trim_start_matches("Apply complete! ")
            .to_owned())
    }

    /// The value of an output.
    pub(super) fn output(&self, name: &str) -> Result<Value> {
        let outcome = self.run(self.command().args(["output", "-json", name]))?;
        serde_json::from_str(&outcome.stdout)
            .with_context(|| format!("{name} is no JSON\n{}", outcome.report()))
    }

    /// The same where it is text.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        let value = self.output(name)?;
        Ok(value
            .as_str()
            .with_context(|| format!("the output {name} is no text: {value}"))?
            .to_owned())
    }

    pub(super) fn destroy(&self) -> Result<()> {
        self.run(
            self.command()
                .args(["destroy", "-auto-approve"])
                .args(&self.variables),
        )?;
        let left = self.run(self.command().args(["state", "list"]))?;
        ensure!(
            left.stdout.trim().is_empty(),
            "after terraform destroy its state still has\n{}",
            left.stdout
        );
        Ok(())
    }

    /// Terraform without the credentials and settings of the person who runs xtask.
    fn command(&self) -> Command {
        let mut command = self.tools.terraform();
        apt_root::isolate(&mut command);
        command
    }

    fn run(&self, command: &mut Command) -> Result<Outcome> {
        // The provider is a process of its own, which would outlive a Terraform that is killed.
        let running = process::start(command.current_dir(&self.folder).process_group(0))?;
        let _group = Group::of(running.id());
        running
            .finish(LIMIT)?
            .success()
            .with_context(|| format!("in {}", self.folder.display()))
    }
}

/// `terraform fmt` would change nothing.
pub(super) fn check_format(source: &Path) -> Result<String> {
    let outcome = process::run(
        Command::new("terraform")
            .env("TF_CLI_CONFIG_FILE", "/dev/null")
            .args(["fmt", "-check", "-recursive", "-diff", "-no-color"])
            .arg(source),
    )?;
    ensure!(
        outcome.code() == 0,
        "`terraform fmt -recursive terraform` has something to do\n{}",
        outcome.report()
    );
    Ok(format!("{} files", files(source, "tf")?.len()))
}
