//! `examples/gitlab-ci`: two packages' pipelines at once, each job in a container of its own, which is a root file system here.
//!
//! The lines of `before_script` and `script` are run as they stand, by bash and stopped at the first error as GitLab's runner does it.
//! The jobs get keys from AWS for GitLab's token; a small token service stands at that place. `rules` are checked by
//! the schema only: which jobs belong to which event is GitLab's own part.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Needs, Scenario, device, example, packages,
    pipelines::{PROJECT, at_once, install_on_device, listed, write_sources},
    token_service::TokenService,
    yaml,
};
use crate::{e2e::world::World, process, root_fs::RootFs};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "gitlab-ci",
    about: "two packages' pipelines at once: a push into testing, a tag into stable, keys for GitLab's token",
    needs: Needs::Root,
    run: gitlab_ci,
}];

const ROLE: &str = "arn:aws:iam::123456789012:role/apt-publisher";
const TOKEN: &str =
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwcm9qZWN0X3BhdGg6YWNtZS9yb2JvdHMifQ.c2lnbmF0dXJl";
const JOB_LIMIT: std::time::Duration = std::time::Duration::from_secs(300);

/// What all jobs share.
struct Project<'a> {
    world: &'a World<'a>,
    document: Value,
    variables: Vec<(String, String)>,
}

fn gitlab_ci(world: &World<'_>) -> Result<()> {
    let service = TokenService::start(TOKEN, ROLE, &world.store.keys)?;
    let download = packages::serve(world, &packages::debucket(world)?)?;
    let project = Project {
        world,
        document: yaml::read(&example("gitlab-ci").join(".gitlab-ci.yml"))?,
        variables: [
            // Those of the project, as README.md lists them.
            ("DEBUCKET_REPO", world.repo()),
            ("DEBUCKET_URL", download.address),
            ("DEBUCKET_SHA256", download.sha256),
            (
                "DEBUCKET_SIGN_KEY",
                "/builds/acme/robots.tmp/DEBUCKET_SIGN_KEY".into(),
            ),
            ("APT_ORIGIN", "Acme".into()),
            ("AWS_ROLE_ARN", ROLE.into()),
            ("AWS_REGION", world.store.region.clone()),
            // In the place of AWS.
            ("AWS_ENDPOINT_URL", world.store.endpoint.clone()),
            ("AWS_ENDPOINT_URL_STS", service.url()),
            // GitLab's own.
            ("CI_COMMIT_TIMESTAMP", "2026-01-01T12:00:00+01:00".into()),
            ("CI_COMMIT_SHORT_SHA", "1a2b3c4d".into()),
            ("CI_PIPELINE_ID", "1007".into()),
            ("CI_PIPELINE_IID", "7".into()),
            ("CI_PROJECT_PATH", "acme/robots".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec(),
    };
    at_once(|package| project.pipelines(package))?;
    ensure!(
        service.given() == 4,
        "keys were given {} times to 4 jobs",
        service.given()
    );

    for (suite, version) in [("testing", "1.2.0~git7.1a2b3c4d"), ("stable", "1.2.0")] {
        let found = listed(world, suite)?;
        let expected = ["dashboard", "robot"].map(|package| format!("{package} {version} all"));
        ensure!(found == expected, "{suite} holds {found:?}");
    }
    install_on_device(world)
}

impl Project<'_> {
    /// A push and then a tag, for one package.
    fn pipelines(&self, package: &str) -> Result<()> {
        // The image of both jobs; the second starts from what the first one's `apt-get` brought.
        let container = device::fresh(self.world, &format!("container-{package}"))?;
        let builds = container.path("builds/acme/robots");
        fs::create_dir_all(builds.with_extension("tmp"))?;
        fs::copy(
            &self.world.keys.secret,
            builds.with_extension("tmp").join("DEBUCKET_SIGN_KEY"),
        )?;
        let tag = format!("{package}-v1.2.0");
        for tag in [None, Some(tag.as_str())] {
            for stage in ["build", "publish"] {
                // Artifacts are all that a job finds of the one before.
                let kept = builds.with_file_name("dist");
                let has_artifacts = stage == "publish";
                if has_artifacts {
                    fs::rename(builds.join("dist"), &kept)?;
                }
                if builds.exists() {
                    fs::remove_dir_all(&builds)?;
                }
                write_sources(&builds, &PROJECT)?;
                if has_artifacts {
                    fs::rename(&kept, builds.join("dist"))?;
                }
                let job = format!("{stage}-{package}");
                self.job(&container, &job, tag)
                    .with_context(|| format!("the job {job}, tag {tag:?}"))?;
            }
        }
        Ok(())
    }

    fn job(&self, container: &RootFs, name: &str, tag: Option<&str>) -> Result<()> {
        let property = |property: &str| self.property(name, property);
        let mut lines = yaml::texts(property("before_script")).join("\n");
        lines.push('\n');
        lines.push_str(&yaml::texts(property("script")).join("\n"));
        container.write("script.sh", &lines)?;

        let mut variables = self.variables.clone();
        for (variable, value) in property("variables").as_object().into_iter().flatten() {
            variables.push((
                variable.clone(),
                value.as_str().unwrap_or_default().to_owned(),
            ));
        }
        for (variable, token) in property("id_tokens").as_object().into_iter().flatten() {
            ensure!(
                token["aud"] == "sts.amazonaws.com",
                "the token is for {}",
                token["aud"]
            );
            variables.push((variable.clone(), TOKEN.to_owned()));
        }
        match tag {
            Some(tag) => variables.push(("CI_COMMIT_TAG".into(), tag.into())),
            None => variables.push(("CI_COMMIT_BRANCH".into(), "main".into())),
        }
        variables.push(("CI_COMMIT_REF_NAME".into(), tag.unwrap_or("main").into()));
        let inside = "cd /builds/acme/robots && exec bash -eo pipefail /script.sh";
        let mut command = container.command_with(&[] as &[(&Path, &str)], &variables, "sh");
        process::run_within(command.args(["-c", inside]), JOB_LIMIT)?.success()?;
        Ok(())
    }

    /// What a job has of its own or by `extends`, the last one named first.
    fn property(&self, job: &str, property: &str) -> &Value {
        let own = &self.document[job][property];
        if !own.is_null() {
            return own;
        }
        yaml::texts(&self.document[job]["extends"])
            .into_iter()
            .rev()
            .map(|parent| self.property(parent, property))
            .find(|value| !value.is_null())
            .unwrap_or(&Value::Null)
    }
}
