//! YAML files, read by the parser that Ansible itself uses: PyYAML, which comes with it.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::tools::require;
use crate::process;

/// Prints a file as JSON. A key such as `on` is a boolean in YAML 1.1; JSON makes it the word `true`.
const AS_JSON: &str =
    "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";

/// The content of a YAML file.
pub(super) fn read(file: &Path) -> Result<Value> {
    require("ansible-playbook")?;
    // PyYAML is where ansible-playbook is: in the same virtual environment, or in the system's Python.
    let outcome = process::run(Command::new("python3").args(["-c", AS_JSON]).arg(file))?
        .success()
        .context("python3 with PyYAML could not read the file")?;
    serde_json::from_str(&outcome.stdout)
        .with_context(|| format!("{} is no JSON when printed as such", file.display()))
}

/// The texts of a list of texts; a list within it, as a YAML anchor gives it, is taken for its items.
pub(super) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}
