//! `examples/ansible`: the playbook, run by `ansible-playbook` over its own ssh connection.
//!
//! What answers at the other end is no sshd: `ansible_ssh_executable` names a script that enters a root file system instead
//! of a host, and runs there what ssh would have run.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{Needs, Scenario, device, example, packages, tools::require};
use crate::{
    apt_root, demo_deb,
    e2e::world::World,
    process::{self, Outcome},
    root_fs::RootFs,
};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "ansible",
    about: "check mode, a first run that changes, a second that does not; unattended-upgrades; the method by URL",
    needs: Needs::Root,
    run: ansible,
}];

const PLAYBOOKS: std::time::Duration = std::time::Duration::from_secs(400);

fn ansible(world: &World<'_>) -> Result<()> {
    require("ansible-playbook")?;
    let method = packages::method(world)?;
    let first = demo_deb::build("0.1", &world.folder)?;
    process::run(&mut world.publish_signed(&[&first], &["--origin", "Acme"]))?.success()?;

    let device = device::fresh(world, "device")?;
    let control = Control::prepare(world, &device)?;
    let from_file = json!({ "apt_s3_repository_method_deb": method });

    control.play(&from_file, &["--check"])?;
    for file in [
        "etc/apt/sources.list.d/acme.sources",
        "usr/lib/apt/methods/s3",
    ] {
        ensure!(!device.path(file).exists(), "--check made /{file}");
    }
    let recap = control.play(&from_file, &[])?;
    ensure!(
        recap.changed > 0,
        "the first run changed nothing\n{}",
        recap.outcome.report()
    );
    device.expect_greeting("0.1")?;
    expect_pinned(&device, "100")?;
    let recap = control.play(&from_file, &[])?;
    ensure!(
        recap.changed == 0,
        "the second run changed something\n{}",
        recap.outcome.report()
    );

    // What the device does by itself from here on.
    let second = demo_deb::build("0.2", &world.folder)?;
    world.bucket.next_second();
    world.signed(&[&second])?;
    process::run(device.command("apt-get").arg("update"))?.success()?;
    process::run(device.command("unattended-upgrade").arg("--verbose"))?.success()?;
    device.expect_greeting("0.2")?;

    method_by_url(world, &control, &device, &method)
}

/// The method's package from the bucket itself, at an address that needs no method.
fn method_by_url(
    world: &World<'_>,
    control: &Control<'_>,
    device: &RootFs,
    method: &Path,
) -> Result<()> {
    let url = packages::serve(world, method)?;
    process::run(device.command("dpkg").args(["--purge", packages::METHOD]))?.success()?;
    fs::remove_dir_all(device.path("var/lib/apt-s3-repository"))?;
    let variables = json!({
        "apt_s3_repository_method_url": url.address,
        "apt_s3_repository_method_sha256": url.sha256,
        "apt_s3_repository_preferred_packages": ["helloworld"],
    });
    control.play(&variables, &[])?;
    ensure!(
        device.path("usr/lib/apt/methods/s3").is_file(),
        "the method did not come back"
    );
    // What was asked for in the same run.
    expect_pinned(device, "990")?;
    Ok(())
}

fn expect_pinned(device: &RootFs, priority: &str) -> Result<()> {
    let policy =
        process::run(device.command("apt-cache").args(["policy", "helloworld"]))?.success()?;
    ensure!(
        policy
            .stdout
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("*** "))
            .any(|version| version.ends_with(&format!(" {priority}"))),
        "helloworld is not pinned at {priority}\n{}",
        policy.report()
    );
    Ok(())
}

/// Where `ansible-playbook` is run.
struct Control<'a> {
    world: &'a World<'a>,
    ssh: std::path::PathBuf,
}

/// How a run ended.
struct Recap {
    changed: u32,
    outcome: Outcome,
}

impl<'a> Control<'a> {
    fn prepare(world: &'a World<'a>, device: &RootFs) -> Result<Self> {
        let ssh = world.folder.join("ssh");
        let enter = process::render(device.command("sh").arg("-c"));
        // The command for the other side is ssh's last argument.
        let script = format!("#!/bin/sh\nfor command; do :; done\nexec {enter} \"$command\"\n");
        crate::deb::write(&ssh, script.as_bytes(), 0o755)?;
        Ok(Self { world, ssh })
    }

    /// Runs `site.yml` with the variables of this store; fails unless it succeeds.
    fn play(&self, variables: &serde_json::Value, options: &[&str]) -> Result<Recap> {
        let store = self.world.store;
        let inventory = json!({ "devices": { "hosts": { "device": null } } });
        let mut all = json!({
            "ansible_become": false,
            "ansible_python_interpreter": "/usr/bin/python3",
            "apt_s3_repository_uri": self.world.repo(),
            "apt_s3_repository_key": fs::read_to_string(&self.world.keys.public)?,
            "apt_s3_repository_settings": { "Region": store.region, "Endpoint": store.endpoint },
            "apt_s3_repository_access_key_id": store.keys.id,
            "apt_s3_repository_secret_access_key": store.keys.secret,
            // Those of group_vars are replaced by what a call gives.
            "apt_s3_repository_method_deb": "",
        });
        if let (Some(all), Some(more)) = (all.as_object_mut(), variables.as_object()) {
            all.extend(more.clone());
        }
        let file = |name: &str, content: &serde_json::Value| -> Result<_> {
            let path = self.world.folder.join(name);
            fs::write(&path, content.to_string())?;
            Ok(path)
        };
        let mut command = Command::new("ansible-playbook");
        apt_root::isolate(&mut command);
        command
            .current_dir(example("ansible"))
            .env("LC_ALL", "C.UTF-8")
            .env("ANSIBLE_HOME", self.world.folder.join("ansible"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_SSH_EXECUTABLE", &self.ssh)
            .env("ANSIBLE_SSH_TRANSFER_METHOD", "piped")
            .arg("site.yml")
            .arg("--inventory")
            .arg(file("inventory.json", &inventory)?)
            .arg("--extra-vars")
            .arg(format!("@{}", file("variables.json", &all)?.display()))
            .args(["--diff"])
            .args(options);
        let outcome = process::run_within(&mut command, PLAYBOOKS)?.success()?;
        let changed = changed(&outcome.stdout)
            .with_context(|| format!("there is no recap\n{}", outcome.report()))?;
        println!(
            "    ansible-playbook {}: {changed} changed, {:.1} s",
            options.join(" "),
            outcome.elapsed.as_secs_f64()
        );
        ensure!(
            !outcome.text().contains(&store.keys.secret),
            "the secret was printed"
        );
        Ok(Recap { changed, outcome })
    }
}

/// The number behind `changed=` in the recap of a run with one host.
fn changed(output: &str) -> Option<u32> {
    let (_, recap) = output.split_once("PLAY RECAP")?;
    recap
        .split_whitespace()
        .find_map(|word| word.strip_prefix("changed="))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::changed;

    #[test]
    fn the_recap_is_read() {
        let output = "TASK [x]\nchanged: [device]\n\nPLAY RECAP ****\ndevice : ok=18   changed=3    unreachable=0\n";
        assert_eq!(changed(output), Some(3));
        assert_eq!(changed("changed=3"), None);
    }
}
