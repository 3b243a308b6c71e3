//! The programs of each platform, started: on the machine itself, or by an emulator of the user's side of Linux
//! (<https://www.qemu.org/docs/master/user/main.html>).

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::{
    build::Built,
    platform::{Architecture, Libc},
    product::Product,
    release::Release,
    source::Source,
};
use crate::process;

/// Whose C library foreign programs are started with: the oldest one's.
const OLDEST: &str = "bullseye";

/// Starts both programs. `false` where that is not possible for want of an emulator.
pub(crate) fn try_programs(source: &Source, built: &Built, cache: &Path) -> Result<bool> {
    let architecture = built.platform.architecture;
    if Architecture::native() == Some(architecture) {
        start(source, built, &|program| Command::new(program))?;
        return Ok(true);
    }
    let emulator = format!("qemu-{}-static", architecture.machine());
    if !process::on_path(&emulator) {
        return Ok(false);
    }
    let libc = match built.platform.libc {
        Libc::Musl => None,
        Libc::Glibc => {
            let release = Release::find(OLDEST).context("the oldest release is not listed")?;
            Some(release.libc_of(architecture.debian(), cache)?)
        }
    };
    start(source, built, &|program| {
        let mut command = Command::new(&emulator);
        if let Some(libc) = &libc {
            command.arg("-L").arg(libc.path());
        }
        command.arg(program);
        command
    })?;
    Ok(true)
}

fn start(source: &Source, built: &Built, command: &dyn Fn(&Path) -> Command) -> Result<()> {
    let run = |product: Product, arguments: &[&str]| {
        process::run(command(&built.program(product)).args(arguments))?
            .success()
            .with_context(|| format!("{}: {} does not start", built.platform, product.name()))
    };
    run(Product::Debucket, &["--version"])?.expect_text(&format!("debucket {}", source.version))?;
    // It says what it can do, and ends with its input.
    let said = run(Product::AptMethodS3, &[])?;
    ensure!(
        said.stdout.starts_with("100 Capabilities\n"),
        "{}: the method does not begin with its capabilities\n{}",
        built.platform,
        said.report()
    );
    Ok(())
}
