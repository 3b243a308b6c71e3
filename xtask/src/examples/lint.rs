//! The linters of each trade over the examples: they are to be copied, so they are to be clean.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::{Needs, Scenario, example, github, tools::require};
use crate::{e2e::world::World, process};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "lint-ansible",
        about: "ansible-lint, profile production",
        needs: Needs::Nothing,
        run: ansible,
    },
    Scenario {
        name: "lint-github-actions",
        about: "actionlint with shellcheck, the schemas of workflows and actions, the action's scripts",
        needs: Needs::Nothing,
        run: github_actions,
    },
    Scenario {
        name: "lint-others",
        about: "GitLab's schema, hadolint, shellcheck",
        needs: Needs::Nothing,
        run: others,
    },
];

/// Runs a tool that is silent or says little when all is well.
fn check(tool: &str, arguments: &[&str], files: &[&Path], folder: &Path) -> Result<()> {
    require(tool)?;
    process::run(
        Command::new(tool)
            .args(arguments)
            .args(files)
            .current_dir(folder),
    )?
    .success()?;
    Ok(())
}

fn ansible(_: &World<'_>) -> Result<()> {
    check(
        "ansible-lint",
        &[
            "--offline",
            "--strict",
            "--profile",
            "production",
            "--nocolor",
        ],
        &[],
        &example("ansible"),
    )
}

fn github_actions(world: &World<'_>) -> Result<()> {
    require("shellcheck")?;
    // actionlint looks into a local action only where the folder is a project: a git repository.
    let project = world.folder.join("project");
    github::checkout(&project, &[])?;
    check("actionlint", &["-no-color"], &[], &project)?;
    let workflows = [
        ".github/workflows/package.yml",
        ".github/workflows/robot.yml",
        ".github/workflows/dashboard.yml",
    ];
    check(
        "check-jsonschema",
        &["--builtin-schema", "vendor.github-workflows"],
        &workflows.map(Path::new),
        &project,
    )?;
    check(
        "check-jsonschema",
        &["--builtin-schema", "vendor.github-actions"],
        &[Path::new(github::ACTION)],
        &project,
    )?;
    // actionlint leaves the scripts of an action alone.
    for (number, script) in github::scripts(&project.join(github::ACTION))?
        .iter()
        .enumerate()
    {
        let file = world.folder.join(format!("script-{number}.sh"));
        std::fs::write(&file, script)?;
        check("shellcheck", &["--shell=bash"], &[&file], &project)?;
    }
    Ok(())
}

fn others(_: &World<'_>) -> Result<()> {
    check(
        "check-jsonschema",
        &[
            "--builtin-schema",
            "vendor.gitlab-ci",
            "--data-transform",
            "gitlab-ci",
        ],
        &[Path::new(".gitlab-ci.yml")],
        &example("gitlab-ci"),
    )?;
    check(
        "hadolint",
        &[],
        &[Path::new("Dockerfile")],
        &example("docker"),
    )?;
    check(
        "shellcheck",
        &[],
        &[Path::new("build.sh")],
        &example("mmdebstrap"),
    )
}
