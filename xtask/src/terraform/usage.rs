//! The stacks in use: packages are published and installed with the policies that Terraform rendered and no other rights.
//!
//! The repository of the demo, and the one in a folder of the example `complete`, are used at the embedded server (see
//! [`super::world`]), which evaluates conditions; the latter also at moto, where Terraform made it.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{
    Stacks,
    attempts::Intruder,
    emulator::Moto,
    policies::{Policies, bucket_and_folder},
    stage::{HEAD, PACKAGE, Stage},
    step,
    world::World,
};
use crate::{binaries::Binaries, store::Keys};

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
