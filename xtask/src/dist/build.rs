//! The release builds, by cargo-zigbuild (<https://github.com/rust-cross/cargo-zigbuild>).
//!
//! zig is a C compiler and linker for every target at once, and links against any version of glibc. With musl Rust links by itself:
//! it has a linker and musl's library, and makes a static-pie program where its target knows of that, which zig does not.
//!
//! What makes a build differ from place to place are paths, in panics and in C's `__FILE__`: both compilers are told to write
//! others.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::{
    platform::{Libc, Platform},
    product::Product,
    source::Source,
};
use crate::{binaries, process};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As shipped.
    Release,
    /// Without the optimiser, in a quarter of the time.
    Quick,
}

impl Profile {
    /// Its name in `Cargo.toml`, which is that of its folder too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Quick => "quick",
        }
    }
}

/// The programs of one platform.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) platform: Platform,
    pub(crate) profile: Profile,
    /// The folder that they lie in, to which cargo-deb gives the name `target/release`.
    pub(crate) folder: PathBuf,
}

impl Built {
    pub(crate) fn program(&self, product: Product) -> PathBuf {
        self.folder.join(product.name())
    }
}

/// Fails unless the tools are there, and says where they come from.
pub(crate) fn require_tools() -> Result<()> {
    for (program, advice) in [
        (
            "cargo-zigbuild",
            "pip install cargo-zigbuild ziglang (in a venv)",
        ),
        ("cargo-deb", "cargo install --locked cargo-deb"),
        ("readelf", "apt-get install binutils"),
        ("git", "apt-get install git"),
    ] {
        ensure!(
            process::on_path(program),
            "`{program}` is missing: {advice}"
        );
    }
    Ok(())
}

/// Builds both programs for `platform`.
pub(crate) fn build(source: &Source, platform: Platform, profile: Profile) -> Result<Built> {
    let paths = source.paths()?;
    let rust_flags: Vec<_> = paths
        .iter()
        .map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()))
        .collect();
    let c_flags: Vec<_> = paths
        .iter()
        .map(|(path, name)| format!("-ffile-prefix-map={}={name}", path.display()))
        .collect();
    let triple = platform.triple();
    let variable = triple.replace('-', "_");
    let mut command = source.cargo();
    command
        .args(["zigbuild", "--locked", "--profile", profile.name()])
        .args(["--target", &platform.zig_target()])
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags.join("\u{1f}"))
        .env(format!("CFLAGS_{variable}"), c_flags.join(" "));
    if platform.libc == Libc::Musl {
        let linker = format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase());
        command.env(linker, "rust-lld");
    }
    for product in Product::ALL {
        command.args(["--package", product.name()]);
    }
    let executables = binaries::run_build(&mut command).with_context(|| {
        format!("no build for {platform}; the target comes with `rustup target add {triple}`")
    })?;
    let folder = source.target.join(&triple).join(profile.name());
    for product in Product::ALL {
        let program = folder.join(product.name());
        ensure!(
            executables.contains(&program),
            "cargo built no {}",
            program.display()
        );
    }
    Ok(Built {
        platform,
        profile,
        folder,
    })
}
