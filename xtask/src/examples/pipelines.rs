//! The sample project of both CI systems: two packages in one repository, whose pipelines run at once.

use std::{path::Path, thread};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    deb,
    e2e::world::{World, expect_installed},
};

pub(super) const PROJECT: [&str; 2] = ["robot", "dashboard"];

/// Writes `packages/NAME`, as the pipelines expect it.
pub(super) fn write_sources(folder: &Path, packages: &[&str]) -> Result<()> {
    for package in packages {
        let tree = folder.join("packages").join(package);
        let control = format!(
            "Package: {package}\nVersion: 1.2.0\nArchitecture: all\nMaintainer: Ada <ada@acme.example>\nDescription: part of a sample project\n"
        );
        deb::write(&tree.join("DEBIAN/control"), control.as_bytes(), 0o644)?;
        deb::write(
            &tree.join(format!("usr/share/{package}/part")),
            package.as_bytes(),
            0o644,
        )?;
    }
    Ok(())
}

/// Runs `pipeline` for each package, side by side.
pub(super) fn at_once(pipeline: impl Fn(&str) -> Result<()> + Sync) -> Result<()> {
    let pipeline = &pipeline;
    thread::scope(|scope| {
        let running = PROJECT.map(|package| (package, scope.spawn(move || pipeline(package))));
        for (package, pipeline) in running {
            pipeline
                .join()
                .map_err(|_| anyhow!("the pipeline panicked"))
                .flatten()
                .with_context(|| format!("the pipeline of {package}"))?;
        }
        Ok(())
    })
}

/// What `suite` holds, sorted: name, version, architecture.
pub(super) fn listed(world: &World<'_>, suite: &str) -> Result<Vec<String>> {
    let document = world.json(&["list", "--suite", suite])?;
    let packages = document["packages"]
        .as_array()
        .context("`packages` is no list")?;
    let mut lines: Vec<_> = packages
        .iter()
        .map(|package| {
            let field = |name: &str| package[name].as_str().unwrap_or_default();
            format!(
                "{} {} {}",
                field("package"),
                field("version"),
                field("architecture")
            )
        })
        .collect();
    lines.sort();
    Ok(lines)
}

/// A device installs what the tags released.
pub(super) fn install_on_device(world: &World<'_>) -> Result<()> {
    let apt = world.device("device")?;
    apt.update()?;
    apt.install(&PROJECT)?;
    for package in PROJECT {
        expect_installed(&apt, package, "1.2.0")?;
    }
    Ok(())
}
