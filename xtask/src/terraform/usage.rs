//! The stacks in use: packages are published and installed with the policies that Terraform rendered and no other rights.
//!
//! The repository of the demo, and the one in a folder of the example `complete`, are used at the embedded server (see
//! [`super::world`]), which evaluates conditions; the latter also at moto, where Terraform made it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{
    Stacks,
    attempts::Intruder,
    emulator::Moto,
    policies::{Policies, bucket_and_folder},
    step,
    world::World,
};
use crate::{
    apt_root,
    binaries::Binaries,
    deb::Package,
    demo_deb,
    process::{self, Outcome},
    store::{Keys, REGION},
};

/// The head of the suite.
pub(super) const HEAD: &str = "dists/stable/InRelease";
/// One of its packages.
pub(super) const PACKAGE: &str = "pool/main/h/helloworld/helloworld_0.1_all.deb";
/// Above what debucket sends in one request, so that parts are seen, too; in bytes.
const LARGE: usize = 17 << 20;

/// Uses both stacks.
pub(super) fn run(
    stacks: &Stacks<'_>,
    moto: &Moto,
    binaries: &Binaries,
    method_package: &Path,
    folder: &Path,
) -> Result<()> {
    let stage = Stage::prepare(binaries, folder)?;
    let demo = |name: &str| stacks.demo.text(name);
    let complete = stacks.examples.output("complete")?;
    let arn = |role: &str| complete["policy_arns"][role].as_str().unwrap_or_default();
    let complete = |name: &str| -> Result<String> {
        let value = complete[name].as_str();
        Ok(value
            .with_context(|| format!("the example `complete` has no output {name}"))?
            .to_owned())
    };
    let repository = format!("s3://{}", demo("bucket_name")?);
    let in_folder = complete("repository_url")?;

    step("policies are debucket's own", || {
        Policies::compare(&repository, &binaries.debucket, demo)?;
        Policies::compare(&in_folder, &binaries.debucket, complete)?;
        Ok("reader and publisher, of a bucket and of a folder".into())
    })?;
    step("use: the demo", || {
        let policies = Policies::read(&repository, demo)?;
        let world = World::start(&stage, &policies)?;
        world.boot_and_install(&demo("bootstrap")?, method_package)?;
        Ok(world.judge()?.0)
    })?;
    step("use: a folder, an organization", || {
        let policies = Policies::read(&in_folder, complete)?;
        let world = World::start(&stage, &policies)?;
        world.publish_and_read()?;
        let (found, reader) = world.judge()?;
        let asked = policies.judge_organization("o-a1b2c3d4e5", &reader)?;
        Ok(format!("{found}; {asked} questions of accounts"))
    })?;
    step("use: on moto", || {
        on_moto(&stage, moto, &in_folder, arn("reader"), arn("publisher"))
    })
}

/// Makes the key pair that signs; returns where the public half is, for the demo's device.
pub(super) fn make_key(debucket: &Path, folder: &Path) -> Result<PathBuf> {
    let public = folder.join("acme.asc");
    let mut command = Command::new(debucket);
    apt_root::isolate(&mut command);
    command
        .args(["key", "generate", "--user-id", "Acme <apt@acme.example>"])
        .arg("--out")
        .arg(folder.join("signing-key.asc"))
        .arg("--public-out")
        .arg(&public);
    process::run(&mut command)?
        .success()
        .context("no key could be made")?;
    Ok(public)
}

/// What all uses need.
pub(super) struct Stage<'a> {
    pub(super) binaries: &'a Binaries,
    pub(super) folder: &'a Path,
    packages: [PathBuf; 3],
}

impl<'a> Stage<'a> {
    fn prepare(binaries: &'a Binaries, folder: &'a Path) -> Result<Self> {
        let packages = [
            demo_deb::build("0.1", folder)?,
            demo_deb::build("0.2", folder)?,
            Package::new("firmware", "1.0")
                .payload_of(LARGE)
                .build(folder)?,
        ];
        Ok(Self {
            binaries,
            folder,
            packages,
        })
    }

    /// `debucket COMMAND …` at a store, as who has these keys.
    pub(super) fn debucket(
        &self,
        endpoint: &str,
        keys: &Keys,
        ca_bundle: Option<&Path>,
        arguments: &[&str],
    ) -> Result<Outcome> {
        let mut command = Command::new(&self.binaries.debucket);
        apt_root::isolate(&mut command);
        command
            .args(arguments)
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", &keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
            .env("DEBUCKET_SIGN_KEY", self.folder.join("signing-key.asc"))
            .env("DEBUCKET_AUTHOR", "xtask");
        if let Some(bundle) = ca_bundle {
            command.env("AWS_CA_BUNDLE", bundle);
        }
        process::run(&mut command)?.success()
    }

    /// All that a publisher does: the first commit of a suite, the same again, the next version with a package that goes in
    /// parts (unless the store cannot do that), and looking.
    pub(super) fn publish(
        &self,
        in_parts: bool,
        run: impl Fn(&[&str]) -> Result<Outcome>,
    ) -> Result<()> {
        let [first, second, large] = self.packages.each_ref().map(|path| path.to_string_lossy());
        run(&["publish", &first])?.expect_text("created suite stable")?;
        run(&["publish", &first])?.expect_text("nothing to do")?;
        if in_parts {
            run(&["publish", &large])?;
        }
        run(&["publish", &second])?;
        run(&["list", "--long"])?.expect_text("0.2")?;
        run(&["show", "helloworld"])?;
        run(&["log"])?;
        run(&["list", "--suites"])?.expect_text("stable")?;
        Ok(())
    }
}

/// The bucket that Terraform made is published into where it was made; then moto enforces what its IAM understands.
fn on_moto(
    stage: &Stage<'_>,
    moto: &Moto,
    repository: &str,
    reader_arn: &str,
    publisher_arn: &str,
) -> Result<String> {
    // The last reply to an upload in parts has a root element of another name than S3's, which the SDK does not take.
    stage.publish(false, |arguments| {
        let arguments = [arguments, &["--repo", repository]].concat();
        stage.debucket(moto.endpoint(), &Moto::keys(), None, &arguments)
    })?;
    let users = [("reader", reader_arn), ("publisher", publisher_arn)];
    let mut keys = Vec::new();
    for (name, arn) in users {
        keys.push(moto.create_user(name, arn)?);
    }
    moto.enforce(true)?;
    let refused = enforced(stage, moto, repository, &keys);
    moto.enforce(false)?;
    for ((name, arn), keys) in users.iter().zip(&keys) {
        moto.delete_user(name, arn, keys)?;
    }
    Ok(format!(
        "published into the bucket of Terraform; {} attempts of its users refused",
        refused?
    ))
}

fn enforced(stage: &Stage<'_>, moto: &Moto, repository: &str, keys: &[Keys]) -> Result<usize> {
    let (bucket, prefix) = bucket_and_folder(repository)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut refused = 0;
    for (number, keys) in keys.iter().enumerate() {
        let intruder = Intruder {
            runtime: &runtime,
            endpoint: moto.endpoint(),
            ca_bundle: None,
            bucket,
            keys,
        };
        refused += intruder.is_refused(prefix, HEAD, PACKAGE)?;
        if number == 0 {
            refused += intruder.only_reads(prefix, HEAD)?;
        }
        // What the policy allows without a condition suffices for reading the suite.
        stage
            .debucket(moto.endpoint(), keys, None, &["list", "--repo", repository])?
            .expect_text("helloworld")?;
    }
    Ok(refused)
}
