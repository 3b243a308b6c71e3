//! What a runner of GitHub Actions does with the steps of a job, as far as the examples use it.
//!
//! A `run` is executed by bash as it stands, with the files (`GITHUB_OUTPUT`, `GITHUB_PATH`) and variables that a runner gives it. A
//! `uses` is either an action of the checkout, whose steps are run in turn, or one of a few known ones, whose effect is
//! brought about here. Of the expression language only plain names are known; one without a value is an error here, where
//! GitHub takes it for empty.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions>

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::yaml;
use crate::{apt_root, process};

/// Values by their names in expressions, such as `inputs.package`.
pub(super) type Names = BTreeMap<String, String>;

/// A job on its own machine.
pub(super) struct Job<'a> {
    pub(super) workspace: PathBuf,
    /// `RUNNER_TEMP`.
    pub(super) temp: PathBuf,
    /// Where artifacts are kept between jobs.
    pub(super) artifacts: &'a Path,
    /// What every step finds in its environment.
    pub(super) variables: BTreeMap<String, String>,
    /// What the step that assumes a role adds to it.
    pub(super) credentials: &'a [(String, String)],
    /// What `GITHUB_PATH` was given.
    pub(super) path: Vec<PathBuf>,
}

impl Job<'_> {
    /// Runs `steps`; each one's outputs are added to `names`.
    pub(super) fn run(&mut self, steps: &Value, names: &mut Names) -> Result<()> {
        for step in steps.as_array().context("`steps` is no list")? {
            let label = step["name"]
                .as_str()
                .or(step["uses"].as_str())
                .unwrap_or("?");
            let outputs = self
                .step(step, names)
                .with_context(|| format!("the step `{label}`"))?;
            if let Some(id) = step["id"].as_str() {
                names.extend(
                    outputs
                        .into_iter()
                        .map(|(name, value)| (format!("steps.{id}.outputs.{name}"), value)),
                );
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Value, names: &Names) -> Result<Names> {
        if let Some(script) = step["run"].as_str() {
            return self.script(
                script,
                &filled(&step["env"], names)?,
                step["shell"].as_str(),
            );
        }
        let uses = step["uses"]
            .as_str()
            .context("a step has `run` or `uses`")?;
        let with = filled(&step["with"], names)?;
        if let Some(action) = uses.strip_prefix("./") {
            return self.action(action, with);
        }
        let given = |name: &str| {
            with.get(name)
                .with_context(|| format!("{uses} needs `{name}`"))
        };
        match uses.split_once('@').map(|(action, _)| action) {
            Some("actions/checkout") => {}
            Some("actions/upload-artifact") => {
                copy_folder(
                    &self.workspace.join(given("path")?),
                    &self.artifacts.join(given("name")?),
                )?;
            }
            Some("actions/download-artifact") => {
                copy_folder(
                    &self.artifacts.join(given("name")?),
                    &self.workspace.join(given("path")?),
                )?;
            }
            Some("aws-actions/configure-aws-credentials") => {
                given("role-to-assume")?;
                self.variables
                    .insert("AWS_REGION".into(), given("aws-region")?.clone());
                self.variables.extend(self.credentials.iter().cloned());
            }
            _ => bail!("what `{uses}` does is not known here"),
        }
        Ok(Names::new())
    }

    /// Runs a composite action of the checkout and gives its outputs.
    fn action(&mut self, folder: &str, with: Names) -> Result<Names> {
        let action = yaml::read(&self.workspace.join(folder).join("action.yml"))?;
        let mut names = Names::new();
        let inputs = action["inputs"]
            .as_object()
            .context("an action without inputs")?;
        for name in with.keys() {
            ensure!(
                inputs.contains_key(name),
                "the action has no input `{name}`"
            );
        }
        for (name, input) in inputs {
            let value = with
                .get(name)
                .map(String::as_str)
                .or(input["default"].as_str());
            let value = value.with_context(|| format!("the input `{name}` is required"))?;
            names.insert(format!("inputs.{name}"), value.to_owned());
        }
        self.run(&action["runs"]["steps"], &mut names)?;
        let outputs = action["outputs"].as_object().into_iter().flatten();
        outputs
            .map(|(name, output)| {
                let value = output["value"].as_str().unwrap_or_default();
                Ok((name.clone(), fill(value, &names)?))
            })
            .collect()
    }

    fn script(&mut self, script: &str, env: &Names, shell: Option<&str>) -> Result<Names> {
        // What is put into a script's text is run by the shell, and a branch's name can hold anything.
        ensure!(
            !script.contains("${{"),
            "a script holds an expression; give it by `env:`"
        );
        let file = self.temp.join("script.sh");
        let (output, path) = (self.temp.join("output"), self.temp.join("path"));
        fs::write(&file, script)?;
        fs::write(&output, "")?;
        fs::write(&path, "")?;
        let mut command = Command::new("bash");
        match shell {
            Some("bash") => command.args(["--noprofile", "--norc", "-eo", "pipefail"]),
            None => command.arg("-e"),
            Some(other) => bail!("the shell `{other}` is not known here"),
        };
        apt_root::isolate(&mut command);
        command
            .arg(&file)
            .current_dir(&self.workspace)
            .envs(&self.variables)
            .env("PATH", process::path_with(&self.path)?)
            .env("RUNNER_TEMP", &self.temp)
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_PATH", &path)
            .envs(env);
        process::run(&mut command)?.success()?;
        self.path
            .extend(fs::read_to_string(&path)?.lines().map(PathBuf::from));
        fs::read_to_string(&output)?
            .lines()
            .map(|line| {
                let (name, value) = line
                    .split_once('=')
                    .with_context(|| format!("`{line}` is no output"))?;
                Ok((name.to_owned(), value.to_owned()))
            })
            .collect()
    }
}

/// The texts of an object, with their expressions replaced by values.
pub(super) fn filled(object: &Value, names: &Names) -> Result<Names> {
    let entries = object.as_object().into_iter().flatten();
    entries
        .map(|(key, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            Ok((key.clone(), fill(&text, names)?))
        })
        .collect()
}

/// `text` with each `${{ name }}` replaced by its value.
pub(super) fn fill(text: &str, names: &Names) -> Result<String> {
    let mut parts = text.split("${{");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part
            .split_once("}}")
            .with_context(|| format!("`{text}` has no end"))?;
        let name = name.trim();
        let value = names
            .get(name)
            .with_context(|| format!("`{name}` has no value"))?;
        result.push_str(value);
        result.push_str(rest);
    }
    Ok(result)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("there is no {}", from.display()))? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_replaced_by_values_and_never_by_nothing() {
        let names = Names::from([
            ("inputs.a".into(), "1".into()),
            ("github.b".into(), "two".into()),
        ]);
        assert_eq!(
            fill("x ${{ inputs.a }}/${{github.b}}", &names).unwrap(),
            "x 1/two"
        );
        assert!(fill("${{ inputs.c }}", &names).is_err());
        assert!(fill("${{ inputs.a", &names).is_err());
    }
}
