//! `examples/cloud-init`: the user-data, checked and then carried out by cloud-init itself in a root file system.
//!
//! cloud-init gets it as on a machine with the data source `NoCloud` and runs the three modules that the file asks for. The others
//! (growing disks, setting names, keys of ssh) are switched off: they are about a real machine.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::{Needs, Scenario, device, example, packages};
use crate::{demo_deb, e2e::world::World, process};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "cloud-init",
    about: "the schema of the user-data; a first boot that ends with helloworld",
    needs: Needs::Root,
    run: cloud_init,
}];

const CONFIG: &str = "\
datasource_list: [NoCloud]
network: {config: disabled}
cloud_init_modules: [write_files]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts_user]
";

fn cloud_init(world: &World<'_>) -> Result<()> {
    let package = demo_deb::build("0.1", &world.folder)?;
    process::run(&mut world.publish_signed(&[&package], &["--origin", "Acme"]))?.success()?;
    let machine = device::fresh(world, "machine")?;
    let original = fs::read_to_string(example("cloud-init").join("user-data.yaml"))?;
    let ours = for_this_store(world, &original)?;
    // Both: what is published, and what is run.
    for (name, text) in [("original", &original), ("ours", &ours)] {
        let file = format!("tmp/{name}.yaml");
        machine.write(&file, text)?;
        let mut check = machine.command("cloud-init");
        check.args(["schema", "--config-file", &format!("/{file}")]);
        process::run(&mut check)?
            .success()?
            .expect_text("Valid cloud-config")?;
    }
    machine.write("etc/cloud/cloud.cfg.d/99_test.cfg", CONFIG)?;
    machine.write(
        "var/lib/cloud/seed/nocloud/meta-data",
        "instance-id: test\n",
    )?;
    machine.write("var/lib/cloud/seed/nocloud/user-data", &ours)?;
    for stage in [
        &["init"][..],
        &["modules", "--mode", "config"],
        &["modules", "--mode", "final"],
    ] {
        process::run(machine.command("cloud-init").args(stage))?.success()?;
    }
    machine.expect_greeting("0.1")?;
    let mode = process::run(
        Command::new("stat")
            .args(["--format=%a"])
            .arg(machine.path("etc/apt/s3auth.conf")),
    )?;
    ensure!(
        mode.stdout.trim() == "600",
        "s3auth.conf has the mode {}",
        mode.stdout
    );
    Ok(())
}

/// The user-data with this store's names, keys and addresses in the place of the sample's.
fn for_this_store(world: &World<'_>, text: &str) -> Result<String> {
    let method = packages::serve(world, &packages::method(world)?)?;
    let store = world.store;
    let (before, rest) = text
        .split_once("      -----BEGIN PGP")
        .context("there is no key")?;
    let (_, after) = rest
        .split_once("END PGP PUBLIC KEY BLOCK-----\n")
        .context("the key has no end")?;
    let mut text = before.to_owned();
    for line in fs::read_to_string(&world.keys.public)?.lines() {
        text.push_str(format!("      {line}").trim_end());
        text.push('\n');
    }
    text.push_str(after);
    for (sample, ours) in [
        ("s3://acme-apt", world.repo()),
        ("[acme-apt]", format!("[{}]", world.bucket.name)),
        (
            "Acquire::s3::acme-apt::Region \"eu-central-1\";",
            format!(
                "Acquire::s3::{0}::Region \"{1}\";\n      Acquire::s3::{0}::Endpoint \"{2}\";",
                world.bucket.name, store.region, store.endpoint
            ),
        ),
        ("AKIAIOSFODNN7EXAMPLE", store.keys.id.clone()),
        (
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            store.keys.secret.clone(),
        ),
        (
            "https://downloads.example.com/apt-method-s3_0.1.0_amd64.deb",
            method.address,
        ),
        (
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            method.sha256,
        ),
    ] {
        ensure!(text.contains(sample), "the sample has no `{sample}`");
        text = text.replace(sample, &ours);
    }
    Ok(text)
}
