//! The tables of inputs and outputs in the READMEs of the modules, in the manner of [terraform-docs](https://terraform-docs.io).
//!
//! They are derived from the code, which is read by its form: `terraform fmt` leaves the arguments of a top-level block on lines
//! with exactly two spaces before them, and closes the block with a brace in the first column.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::sources;

const BEGIN: &str = "<!-- BEGIN_TF_DOCS: cargo xtask terraform --write-readme -->";
const END: &str = "<!-- END_TF_DOCS -->";

/// A `variable` of a module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) name: String,
    description: String,
    kind: String,
    default: Option<String>,
}

/// Fails unless each README has the tables of the code beside it.
pub(super) fn check(terraform: &Path) -> Result<String> {
    let folders = documented(terraform)?;
    let mut rows = 0;
    for folder in &folders {
        let (path, is, should) = read(folder)?;
        ensure!(
            is == should,
            "{} is not in step with the code beside it; `cargo xtask terraform --write-readme` writes its tables",
            path.display()
        );
        rows += should.matches("\n| `").count();
    }
    Ok(format!(
        "{rows} inputs and outputs of {} modules",
        folders.len()
    ))
}

/// Writes the tables.
pub(super) fn write(terraform: &Path) -> Result<()> {
    for folder in documented(terraform)? {
        let (path, is, should) = read(&folder)?;
        if is != should {
            fs::write(&path, should)?;
            println!("wrote {}", path.display());
        }
    }
    Ok(())
}

/// The modules and the demo.
fn documented(terraform: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![terraform.join("demo")];
    for entry in fs::read_dir(terraform.join("modules"))? {
        folders.push(entry?.path());
    }
    folders.sort();
    Ok(folders)
}

/// The README of a module: its path, its text, and what its text should be.
fn read(folder: &Path) -> Result<(PathBuf, String, String)> {
    let path = folder.join("README.md");
    let text =
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("{} has no line `{BEGIN}`", path.display()))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("{} has no line `{END}`", path.display()))?;
    let should = format!("{before}{BEGIN}\n{}{END}{after}", tables(folder)?);
    Ok((path, text, should))
}

fn tables(folder: &Path) -> Result<String> {
    let versions = fs::read_to_string(folder.join("versions.tf"))?;
    let versions = blocks(&versions, "terraform");
    let (_, requirements) = versions
        .first()
        .with_context(|| format!("{} asks for no version", folder.display()))?;
    let terraform = argument(requirements, "required_version").unwrap_or_default();
    let provider = requirements
        .iter()
        .find_map(|line| line.trim().strip_prefix("version = "))
        .unwrap_or_default();
    let mut text = format!(
        "\n## Requirements\n\n| Name | Version |\n|---|---|\n| terraform | {} |\n| hashicorp/aws | {} |\n",
        unquote(&terraform),
        unquote(provider)
    );
    text.push_str("\n## Inputs\n\n| Name | Description | Type | Default |\n|---|---|---|---|\n");
    for input in inputs(folder)? {
        let default = input
            .default
            .as_ref()
            .map_or("required".to_owned(), |default| format!("`{default}`"));
        text.push_str(&format!(
            "| `{}` | {} | `{}` | {default} |\n",
            input.name, input.description, input.kind
        ));
    }
    text.push_str("\n## Outputs\n\n| Name | Description |\n|---|---|\n");
    for (name, description) in outputs(folder)? {
        text.push_str(&format!("| `{name}` | {description} |\n"));
    }
    text.push('\n');
    Ok(text)
}

/// The inputs of a module, by name.
pub(super) fn inputs(folder: &Path) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for (name, lines) in all_blocks(folder, "variable")? {
        let description = argument(&lines, "description").with_context(|| {
            format!(
                "the variable {name} of {} has no description",
                folder.display()
            )
        })?;
        let kind = argument(&lines, "type")
            .with_context(|| format!("the variable {name} of {} has no type", folder.display()))?;
        inputs.push(Input {
            description: unquote(&description),
            default: argument(&lines, "default"),
            kind,
            name,
        });
    }
    inputs.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(inputs)
}

fn outputs(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut outputs = Vec::new();
    for (name, lines) in all_blocks(folder, "output")? {
        let description = argument(&lines, "description").with_context(|| {
            format!(
                "the output {name} of {} has no description",
                folder.display()
            )
        })?;
        outputs.push((name, unquote(&description)));
    }
    outputs.sort();
    Ok(outputs)
}

fn all_blocks(folder: &Path, kind: &str) -> Result<Vec<(String, Vec<String>)>> {
    let mut found = Vec::new();
    for file in sources::files(folder, "tf")? {
        // Not those of the examples below it.
        if file.parent() == Some(folder) {
            found.extend(blocks(&fs::read_to_string(&file)?, kind));
        }
    }
    Ok(found)
}

/// The label and the lines of each top-level block of this kind.
fn blocks(code: &str, kind: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut open = false;
    for line in code.lines() {
        if line == "}" {
            open = false;
        } else if open {
            if let Some((_, lines)) = found.last_mut() {
                lines.push(line.to_owned());
            }
        } else if let Some(label) = line
            .strip_prefix(kind)
            .filter(|rest| rest.starts_with(' '))
            .and_then(|rest| rest.strip_suffix('{'))
        {
            found.push((unquote(label.trim()), Vec::new()));
            open = true;
        }
    }
    found
}

/// The value of an argument on one line: of the lines that follow it, those belong to it that stand further in, and the one that
/// closes them.
fn argument(lines: &[String], name: &str) -> Option<String> {
    let start = lines.iter().position(|line| {
        line.strip_prefix("  ")
            .and_then(|line| line.strip_prefix(name))
            .is_some_and(|rest| rest.trim_start().starts_with("= "))
    })?;
    let (_, first) = lines.get(start)?.split_once("= ")?;
    let mut value = first.to_owned();
    for line in lines.iter().skip(start + 1) {
        let inner = line.starts_with("    ");
        let closes = line.starts_with("  }") || line.starts_with("  ]");
        if !inner && !closes {
            break;
        }
        let line = collapse(line);
        let separator = if value.ends_with(['{', '[']) || line.starts_with(['}', ']']) {
            " "
        } else {
            ", "
        };
        value.push_str(separator);
        value.push_str(&line);
        if closes {
            break;
        }
    }
    Some(value)
}

/// One space where `terraform fmt` has aligned things by more.
fn collapse(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unquote(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
        .replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = r#"
variable "plain" {
  description = "Plain \"thing\"."
  type        = string

  validation {
    condition     = var.plain != ""
    error_message = "No."
  }
}

variable "nested" {
  description = "Nested."
  type = list(object({
    name     = string
    branches = optional(list(string), [])
  }))
  default = null
}

output "other" {
  description = "Another block."
}
"#;

    #[test]
    fn arguments_are_read_over_several_lines() {
        let found = blocks(CODE, "variable");
        assert_eq!(found.len(), 2);
        let (name, lines) = &found[0];
        assert_eq!(name, "plain");
        assert_eq!(
            unquote(&argument(lines, "description").unwrap()),
            "Plain \"thing\"."
        );
        assert_eq!(argument(lines, "default"), None);
        assert_eq!(argument(lines, "condition"), None);
        let (name, lines) = &found[1];
        assert_eq!(name, "nested");
        assert_eq!(
            argument(lines, "type").unwrap(),
            "list(object({ name = string, branches = optional(list(string), []) }))"
        );
        assert_eq!(argument(lines, "default").unwrap(), "null");
    }

    #[test]
    fn a_readme_that_is_behind_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("modules/one");
        fs::create_dir_all(&module).unwrap();
        let demo = folder.path().join("demo");
        fs::create_dir_all(&demo).unwrap();
        for place in [&module, &demo] {
            fs::write(
                place.join("versions.tf"),
                "terraform {\n  required_version = \">= 1.7\"\n\n  required_providers {\n    aws = {\n      source  = \"hashicorp/aws\"\n      version = \">= 5.0\"\n    }\n  }\n}\n",
            )
            .unwrap();
            fs::write(place.join("variables.tf"), CODE).unwrap();
            fs::write(
                place.join("README.md"),
                format!("# One\n\n{BEGIN}\n{END}\n"),
            )
            .unwrap();
        }
        assert!(check(folder.path()).is_err());
        write(folder.path()).unwrap();
        check(folder.path()).unwrap();
        let text = fs::read_to_string(module.join("README.md")).unwrap();
        assert!(text.contains("| `plain` | Plain \"thing\". | `string` | required |"));
        assert!(text.contains("| hashicorp/aws | >= 5.0 |"));
        fs::write(module.join("variables.tf"), CODE.replace("Nested.", "New.")).unwrap();
        assert!(check(folder.path()).is_err());
    }
}
