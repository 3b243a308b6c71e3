//! The key of a suite changes, as the apt of a release sees it: up to Debian 12 it checks signatures with gpgv, from 13 on with sqv.

use std::fs;

use anyhow::{Result, ensure};

use crate::{
    process::{self, Outcome},
    root_fs::RootFs,
};

/// What the devices are called: by the keys that they know.
const DEVICES: [&str; 3] = ["old", "both", "new"];

/// Goes through a rotation of the suite `stable` of `s3://acme-apt`, signed with `/root/key.asc`. Devices with the right keys succeed
/// at each step, and others are refused.
pub(super) fn rotate(
    system: &RootFs,
    debucket: &dyn Fn(&[&str]) -> Result<Outcome>,
    package: &str,
) -> Result<()> {
    let (old, new) = ("/root/key.asc", "/root/next.asc");
    let next = debucket(&["key", "generate", "--out", new, "--output", "json"])?;
    let next = json(&next)?["fingerprint"].clone();
    let list = [
        "key",
        "list",
        "stable",
        "--repo",
        "s3://acme-apt",
        "--output",
        "json",
    ];
    let first = json(&debucket(&list)?)?["keys"][0]["fingerprint"].clone();
    let [first, next] = [&first, &next].map(|key| key.as_str().unwrap_or_default());
    for (name, key) in [("old", old), ("new", new)] {
        let out = format!("/etc/apt/{name}.gpg");
        debucket(&[
            "key",
            "export",
            "--binary",
            "--sign-key",
            key,
            "--out",
            &out,
        ])?;
    }
    let path = |name: &str| system.path(&format!("etc/apt/{name}"));
    let keyring = [fs::read(path("old.gpg"))?, fs::read(path("new.gpg"))?].concat();
    fs::write(path("both.gpg"), keyring)?;
    for name in DEVICES {
        let source = format!("deb [signed-by=/etc/apt/{name}.gpg] s3://acme-apt stable main\n");
        fs::write(path(&format!("{name}.list")), source)?;
    }
    let change = |arguments: &[&str], keys: &[&str]| {
        let mut arguments = [arguments, &["--repo", "s3://acme-apt"]].concat();
        keys.iter()
            .for_each(|key| arguments.extend(["--sign-key", key]));
        debucket(&arguments)
    };
    expect(system, &["old", "both"])?;
    change(&["key", "add", "stable", next], &[old, new])?;
    expect(system, &DEVICES)?;
    change(&["publish", package, "--component", "extra"], &[new, old])?;
    expect(system, &DEVICES)?;
    change(&["key", "retire", "stable", first], &[new])?;
    expect(system, &["both", "new"])?;
    change(&["remove", "helloworld"], &[new])?;
    expect(system, &["both", "new"])
}

fn json(outcome: &Outcome) -> Result<serde_json::Value> {
    Ok(serde_json::from_str(&outcome.stdout)?)
}

/// Fails unless these devices and no others accept the suite. Each is one that has never seen it before.
fn expect(system: &RootFs, accepting: &[&str]) -> Result<()> {
    for name in DEVICES {
        let lists = format!("/var/lib/apt/lists-{name}");
        system.run("rm", &["-rf", &lists])?;
        system.run("mkdir", &["-p", &format!("{lists}/partial")])?;
        let mut update = system.command("apt-get");
        for setting in [
            format!("Dir::Etc::sourcelist=/etc/apt/{name}.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={lists}"),
        ] {
            update.args(["-o", &setting]);
        }
        let outcome = process::run(update.arg("update"))?;
        let text = outcome.text();
        let is_complaint = |line: &str| line.starts_with("W:") || line.starts_with("E:");
        let is_fine = outcome.code() == 0 && !text.lines().any(is_complaint);
        ensure!(
            is_fine == accepting.contains(&name),
            "the device that knows {name}: {}",
            outcome.report()
        );
    }
    Ok(())
}
