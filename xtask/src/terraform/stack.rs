//! A folder of Terraform code and what is done with it. The code is copied first: Terraform leaves its lock file, its state and
//! its providers beside it.

use std::{
    fmt::{Display, Write as _},
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{readme, tools::Tools};
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

    /// Removes everything.
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

/// Every file below `folder` with this extension, sorted, but for what Terraform leaves there.
pub(super) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Copies the code, and nothing that Terraform has left beside it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') || name.to_string_lossy().contains("tfstate") {
            continue;
        }
        let target = to.join(&name);
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Writes the root module `examples`, which has all examples of all modules as its own modules, and an output for each of them.
/// Those that ask for a network get one.
pub(super) fn write_examples(terraform: &Path) -> Result<()> {
    let root = terraform.join("examples");
    fs::create_dir(&root)?;
    let mut code = String::from(
        "provider \"aws\" {}\n\
         resource \"aws_vpc\" \"this\" {\n  cidr_block = \"10.30.0.0/24\"\n}\n\
         resource \"aws_subnet\" \"this\" {\n  vpc_id     = aws_vpc.this.id\n  cidr_block = \"10.30.0.0/26\"\n}\n\
         resource \"aws_route_table\" \"this\" {\n  vpc_id = aws_vpc.this.id\n}\n",
    );
    let mut modules: Vec<_> = fs::read_dir(terraform.join("modules"))?.collect::<Result<_, _>>()?;
    modules.sort_by_key(fs::DirEntry::file_name);
    for module in modules {
        let examples = module.path().join("examples");
        for example in fs::read_dir(&examples)
            .with_context(|| format!("{} has no examples", module.path().display()))?
        {
            let example = example?;
            // A module takes the provider of the root.
            let main = example.path().join("main.tf");
            fs::write(&main, without_provider(&fs::read_to_string(&main)?))?;
            let name = example.file_name().to_string_lossy().into_owned();
            let source = format!(
                "../modules/{}/examples/{name}",
                module.file_name().to_string_lossy()
            );
            writeln!(code, "module \"{name}\" {{\n  source = \"{source}\"")?;
            for input in readme::inputs(&example.path())? {
                let value = match input.name.as_str() {
                    "vpc_id" => "aws_vpc.this.id",
                    "subnet_id" => "aws_subnet.this.id",
                    "route_table_id" => "aws_route_table.this.id",
                    "ami_id" => super::emulator::AMI,
                    other => anyhow::bail!("{source} asks for {other}, which is not known here"),
                };
                writeln!(code, "  {} = {value}", input.name)?;
            }
            writeln!(
                code,
                "}}\noutput \"{name}\" {{\n  value = module.{name}\n}}"
            )?;
        }
    }
    fs::write(root.join("main.tf"), code)?;
    fs::copy(terraform.join("demo/versions.tf"), root.join("versions.tf"))?;
    Ok(())
}

/// The code without its settings of the provider.
fn without_provider(code: &str) -> String {
    let mut kept = String::new();
    let mut within = false;
    for line in code.lines() {
        within = within || line.starts_with("provider ");
        if !within {
            kept.push_str(line);
            kept.push('\n');
        }
        within = within && line != "}";
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_provider_goes() {
        let code = "# First.\n\nprovider \"aws\" {\n  region = \"x\"\n}\n\nmodule \"a\" {\n}\n";
        assert_eq!(without_provider(code), "# First.\n\n\nmodule \"a\" {\n}\n");
    }
}
