//! `examples/github-actions`: two packages' pipelines at once, on a push and on a tag, their steps run as the YAML has them.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Needs, Scenario, example,
    github_job::{Job, Names, fill, filled},
    packages,
    pipelines::{PROJECT, at_once, install_on_device, listed, write_sources},
    tools::require,
    yaml,
};
use crate::{deb, e2e::world::World, process};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "github-actions",
    about: "two packages' pipelines at once: a push into testing, a tag into stable, a job run again",
    needs: Needs::OwnStore,
    run: github_actions,
}];

/// The composite action.
pub(super) const ACTION: &str = ".github/actions/debucket-publish/action.yml";

/// What starts the pipelines.
#[derive(Clone, Copy)]
enum Event {
    Push { run: u32 },
    Tag,
}

fn github_actions(world: &World<'_>) -> Result<()> {
    require("jq")?;
    let debucket = packages::debucket(world)?;
    let source = world.folder.join("source");
    checkout(&source, &PROJECT)?;
    // One pipeline takes the package, the other a tarball.
    let downloads = BTreeMap::from([
        (PROJECT[0], packages::serve(world, &debucket)?),
        (PROJECT[1], packages::serve(world, &tarball(world)?)?),
    ]);
    let run = |event: Event| {
        at_once(|package| pipeline(world, &source, package, event, &downloads[package]))
    };

    run(Event::Push { run: 7 })?;
    let testing = listed(world, "testing")?;
    ensure!(
        testing.len() == 2 && testing.iter().all(|line| line.contains(" 1.2.0~git7.")),
        "testing holds {testing:?}"
    );
    // A job that is run again is no second commit, and no conflict.
    let commits = |world: &World<'_>| -> Result<usize> {
        let log = world.json(&["log", "--suite", "testing"])?;
        Ok(log.as_array().context("the log is no list")?.len())
    };
    let before = commits(world)?;
    run(Event::Push { run: 7 })?;
    ensure!(
        commits(world)? == before,
        "a job that was run again made a commit"
    );

    run(Event::Tag)?;
    let stable = listed(world, "stable")?;
    ensure!(
        stable == ["dashboard 1.2.0 all", "robot 1.2.0 all"],
        "stable holds {stable:?}"
    );
    install_on_device(world)
}

/// debucket as a tarball has it: in a folder.
fn tarball(world: &World<'_>) -> Result<std::path::PathBuf> {
    let folder = world.folder.join("debucket-0");
    deb::write(
        &folder.join("debucket"),
        &fs::read(&world.binaries.debucket)?,
        0o755,
    )?;
    let file = world.folder.join("debucket-0.tar");
    let mut command = Command::new("tar");
    command
        .arg("--create")
        .arg("--file")
        .arg(&file)
        .arg("--directory")
        .arg(&world.folder)
        .arg("debucket-0");
    process::run(&mut command)?.success()?;
    Ok(file)
}

/// Runs the workflow of `package`, which calls the one that both share.
fn pipeline(
    world: &World<'_>,
    source: &Path,
    package: &str,
    event: Event,
    download: &packages::Download,
) -> Result<()> {
    let machine = tempfile::tempdir_in(&world.folder)?;
    let caller = yaml::read(&source.join(format!(".github/workflows/{package}.yml")))?;
    let call = &caller["jobs"]["package"];
    let workflow = call["uses"]
        .as_str()
        .and_then(|uses| uses.strip_prefix("./"))
        .context("no workflow is called")?;
    let variables = github_variables(source, package, event)?;

    let mut outer = Names::new();
    for (name, value) in [
        (
            "secrets.APT_SIGN_KEY",
            fs::read_to_string(&world.keys.secret)?,
        ),
        ("secrets.APT_SIGN_KEY_PASSPHRASE", String::new()),
    ] {
        outer.insert(name.into(), value);
    }
    let mut names = Names::from([
        (
            "vars.APT_PUBLISHER_ROLE".into(),
            "arn:aws:iam::123456789012:role/apt-publisher".into(),
        ),
        ("vars.APT_REGION".into(), world.store.region.clone()),
        ("vars.APT_REPO".into(), world.repo()),
        ("vars.APT_ORIGIN".into(), "Acme".into()),
        ("vars.DEBUCKET_URL".into(), download.address.clone()),
        ("vars.DEBUCKET_SHA256".into(), download.sha256.clone()),
        (
            "github.repository".into(),
            variables["GITHUB_REPOSITORY"].clone(),
        ),
        (
            "github.ref_name".into(),
            variables["GITHUB_REF_NAME"].clone(),
        ),
        ("github.sha".into(), variables["GITHUB_SHA"].clone()),
    ]);
    for (kind, group) in [("inputs", "with"), ("secrets", "secrets")] {
        let values = filled(&call[group], &outer)?;
        names.extend(
            values
                .into_iter()
                .map(|(name, value)| (format!("{kind}.{name}"), value)),
        );
    }

    let document = yaml::read(&source.join(workflow))?;
    let jobs = document["jobs"]
        .as_object()
        .context("`jobs` is no object")?;
    // The one that needs the other comes second.
    let mut order: Vec<_> = jobs.iter().collect();
    order.sort_by_key(|(_, job)| !job["needs"].is_null());
    for (name, job) in order {
        let folder = machine.path().join(name);
        run_job(world, source, &folder, job, &variables, &mut names)
            .with_context(|| format!("the job {name}"))?
            .into_iter()
            .for_each(|(output, value)| {
                names.insert(format!("needs.{name}.outputs.{output}"), value);
            });
    }
    Ok(())
}

/// Runs a job on a fresh machine, which is `folder`; gives its outputs.
fn run_job(
    world: &World<'_>,
    source: &Path,
    folder: &Path,
    job: &Value,
    variables: &BTreeMap<String, String>,
    names: &mut Names,
) -> Result<Names> {
    let (workspace, temp) = (folder.join("workspace"), folder.join("temp"));
    fs::create_dir_all(&temp)?;
    let artifacts = folder.parent().unwrap_or(folder).join("artifacts");
    process::run(
        Command::new("git")
            .args(["clone", "--quiet"])
            .arg(source)
            .arg(&workspace),
    )?
    .success()?;
    let credentials = [
        ("AWS_ENDPOINT_URL", &world.store.endpoint),
        ("AWS_ACCESS_KEY_ID", &world.store.keys.id),
        ("AWS_SECRET_ACCESS_KEY", &world.store.keys.secret),
    ]
    .map(|(name, value)| (name.to_owned(), value.clone()));
    let mut machine = Job {
        workspace,
        temp,
        artifacts: &artifacts,
        variables: variables.clone(),
        credentials: &credentials,
        path: Vec::new(),
    };
    // The role goes to the job that may ask for a token, and to no other.
    let may_ask = job["permissions"]["id-token"] == "write";
    let asks = job["steps"].as_array().is_some_and(|steps| {
        let uses =
            |step: &Value| Some(step["uses"].as_str()?.contains("configure-aws-credentials"));
        steps.iter().any(|step| uses(step) == Some(true))
    });
    ensure!(
        may_ask == asks,
        "the permission id-token and its use do not go together"
    );
    machine.run(&job["steps"], names)?;
    let outputs = job["outputs"].as_object().into_iter().flatten();
    outputs
        .map(|(name, value)| {
            Ok((
                name.clone(),
                fill(value.as_str().unwrap_or_default(), names)?,
            ))
        })
        .collect()
}

/// The variables that GitHub gives every step.
fn github_variables(
    source: &Path,
    package: &str,
    event: Event,
) -> Result<BTreeMap<String, String>> {
    let sha = process::run(
        Command::new("git")
            .args(["rev-parse", "HEAD"])
            .current_dir(source),
    )?
    .success()?;
    let (kind, name, run) = match event {
        Event::Push { run } => ("branch", "main".to_owned(), run),
        Event::Tag => ("tag", format!("{package}-v1.2.0"), 8),
    };
    Ok([
        ("GITHUB_REF_TYPE", kind.to_owned()),
        ("GITHUB_REF_NAME", name),
        ("GITHUB_RUN_NUMBER", run.to_string()),
        ("GITHUB_SHA", sha.stdout.trim().to_owned()),
        ("GITHUB_REPOSITORY", "acme/robots".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into())
}

/// Makes a git repository of the example with the sources of `packages`.
pub(super) fn checkout(folder: &Path, packages: &[&str]) -> Result<()> {
    process::run(
        Command::new("cp")
            .arg("--recursive")
            .arg(example("github-actions"))
            .arg(folder),
    )?
    .success()?;
    write_sources(folder, packages)?;
    let git = |arguments: &[&str]| -> Result<()> {
        let mut command = Command::new("git");
        command.args([
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@acme.example",
            "-c",
            "init.defaultBranch=main",
        ]);
        process::run(command.args(arguments).current_dir(folder))?.success()?;
        Ok(())
    };
    git(&["init", "--quiet"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", "Begin"])
}

/// The scripts of an action.
pub(super) fn scripts(action: &Path) -> Result<Vec<String>> {
    let document = yaml::read(action)?;
    let steps = document["runs"]["steps"]
        .as_array()
        .context("an action without steps")?;
    Ok(steps
        .iter()
        .filter_map(|step| step["run"].as_str())
        .map(str::to_owned)
        .collect())
}
