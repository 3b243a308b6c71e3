//! `examples/docker`: the instructions of the Dockerfile, carried out in a root file system.
//!
//! This is no image builder: `FROM` is a fresh root file system, `COPY` copies, and `RUN` runs its line by `sh -c` with each `--mount`
//! as a bind mount that only this line sees, which is what BuildKit makes of it
//! (<https://docs.docker.com/reference/dockerfile/#run---mount>). So what is shown is what the lines do, not how Docker keeps layers.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Needs, Scenario, device, example, packages};
use crate::{deb, demo_deb, e2e::world::World, process, root_fs::RootFs};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "docker",
    about: "each instruction of the Dockerfile; the secret is there for one line and nowhere afterwards",
    needs: Needs::Root,
    run: docker,
}];

const RUN_LIMIT: std::time::Duration = std::time::Duration::from_secs(300);

fn docker(world: &World<'_>) -> Result<()> {
    let package = demo_deb::build("0.1", &world.folder)?;
    world.signed(&[&package])?;
    let image = device::fresh(world, "image")?;

    // The build context, and the secret beside it.
    let context = world.folder.join("context");
    let sources = fs::read_to_string(example("docker").join("acme.sources"))?;
    ensure!(
        sources.contains("URIs: s3://acme-apt\n"),
        "the sample's address is another one\n{sources}"
    );
    deb::write(
        &context.join("acme.sources"),
        sources.replace("s3://acme-apt", &world.repo()).as_bytes(),
        0o644,
    )?;
    fs::copy(&world.keys.public, context.join("acme.asc"))?;
    fs::copy(packages::method(world)?, context.join("apt-method-s3.deb"))?;
    let secret = world.folder.join("s3auth.conf");
    deb::write(
        &secret,
        world
            .store
            .s3auth(&world.store.endpoint, Some(&world.store.keys))
            .as_bytes(),
        0o600,
    )?;

    let text = fs::read_to_string(example("docker").join("Dockerfile"))?;
    let mut command_of_image = None;
    for instruction in instructions(&text) {
        let (word, rest) = instruction
            .split_once(' ')
            .context("an instruction of one word")?;
        match word {
            "FROM" => ensure!(rest.starts_with("debian:"), "the base is {rest}"),
            "COPY" => {
                let (from, to) = rest.split_once(' ').context("COPY has two words")?;
                deb::write(
                    &image.path(to.trim_start_matches('/')),
                    &fs::read(context.join(from))?,
                    0o644,
                )?;
            }
            "RUN" => run(&image, rest, &context, &secret).with_context(|| instruction.clone())?,
            "CMD" => command_of_image = Some(serde_json::from_str::<Vec<String>>(rest)?),
            _ => bail!("`{word}` is not known here"),
        }
    }
    image.expect_nowhere(&world.store.keys.secret)?;
    ensure!(
        !image.path("etc/apt/s3auth.conf").exists(),
        "the mount point stayed"
    );
    ensure!(
        command_of_image.as_deref() == Some(&["helloworld".to_owned()]),
        "CMD is {command_of_image:?}"
    );
    image.expect_greeting("0.1")
}

/// Runs one line.
fn run(image: &RootFs, line: &str, context: &Path, secret: &Path) -> Result<()> {
    let mut rest = line;
    let mut mounts: Vec<(PathBuf, String)> = Vec::new();
    while let Some(option) = rest.strip_prefix("--mount=") {
        let (mount, after) = option
            .split_once(' ')
            .context("a mount and nothing to run")?;
        rest = after.trim_start();
        let value = |name: &str| {
            mount
                .split(',')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let source = match (value("type"), value("source"), value("id")) {
            (Some("bind"), Some(source), _) => context.join(source),
            (Some("secret"), _, Some("s3auth")) => {
                ensure!(
                    value("required") == Some("true"),
                    "a build without the secret would go on"
                );
                secret.to_owned()
            }
            _ => bail!("`{mount}` is not known here"),
        };
        mounts.push((
            source,
            value("target")
                .context("a mount without a target")?
                .to_owned(),
        ));
    }
    // Made for the mount, and gone with it.
    for (_, target) in &mounts {
        image.write(target.trim_start_matches('/'), "")?;
    }
    let borrowed: Vec<_> = mounts
        .iter()
        .map(|(source, target)| (source.as_path(), target.as_str()))
        .collect();
    process::run_within(
        image.command_with(&borrowed, &[], "sh").args(["-c", rest]),
        RUN_LIMIT,
    )?
    .success()?;
    for (_, target) in &mounts {
        fs::remove_file(image.path(target.trim_start_matches('/')))?;
    }
    Ok(())
}

/// The instructions, each on one line; comments are left out.
fn instructions(text: &str) -> Vec<String> {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    joined
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::instructions;

    #[test]
    fn a_line_goes_on_behind_a_backslash() {
        let text =
            "# syntax=x\nFROM a\n\n# why\nRUN --mount=b \\\n    c \\\n    && d\nCMD [\"e\"]\n";
        assert_eq!(
            instructions(text),
            ["FROM a", "RUN --mount=b c && d", "CMD [\"e\"]"]
        );
    }
}
