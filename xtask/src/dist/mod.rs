//! `cargo xtask dist`: the packages and tarballs that are shipped, made reproducibly, and tried where they are to be installed.

mod build;
mod changelog;
mod contents;
mod elf;
mod install;
mod licences;
mod lint;
mod manifest;
mod package;
mod platform;
mod product;
mod release;
mod rotation;
pub(crate) mod sample;
mod share;
mod source;
mod start;
mod tarball;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use self::{
    build::{Built, Profile},
    platform::{Architecture, Libc, Platform},
    product::Product,
    release::{RELEASES, Release},
    source::Source,
};
use crate::{image, interrupt::TempFolder};

/// Builds the packages and the tarballs that are shipped
#[derive(Debug, Args)]
pub(crate) struct Dist {
    /// Only for these architectures
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ARCH")]
    arch: Vec<Architecture>,
    /// Only of these kinds
    #[arg(long, value_enum, value_delimiter = ',')]
    kind: Vec<Kind>,
    /// The folder for what is made [default: dist in the target folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Without the optimiser: quick to build, and nothing to ship
    #[arg(long)]
    quick: bool,
    /// Build all a second time, from a copy of the sources in another place: it must be the same bytes
    #[arg(long)]
    twice: bool,
    /// Try what was built: lintian, start the programs, and as root install the packages on each release
    #[arg(long)]
    test: bool,
    /// With --test: install only on these releases (bullseye, bookworm, trixie, jammy, noble)
    #[arg(long, value_delimiter = ',', value_name = "CODENAME", value_parser = release)]
    on: Vec<Release>,
}

/// What is made of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Packages, against glibc.
    Deb,
    /// A tarball, static.
    Tarball,
}

fn release(codename: &str) -> Result<Release, String> {
    Release::find(codename).ok_or_else(|| {
        let known = RELEASES.map(|release| release.codename);
        format!("there are {}", known.join(", "))
    })
}

/// A build and the files that were made of it.
struct Made {
    built: Built,
    files: Vec<PathBuf>,
}

impl Dist {
    /// Builds, packs, checks, and tries what is asked for.
    pub(crate) fn run(&self) -> Result<()> {
        build::require_tools()?;
        let source = Source::here()?;
        let platforms = self.platforms();
        let packs = |libc| platforms.iter().any(|platform| platform.libc == libc);
        if self.test && packs(Libc::Glibc) {
            image::require_tools()?;
        }
        let out = self.out(&source)?;
        let mut all = Vec::new();
        for platform in &platforms {
            all.push(self.make(&source, *platform, &out)?);
        }
        if self.twice {
            self.make_again(&source, &all)?;
        }
        if self.test {
            self.try_out(&source, &all)?;
        }
        for made in &all {
            for file in &made.files {
                println!("{}", file.display());
            }
        }
        Ok(())
    }

    fn profile(&self) -> Profile {
        if self.quick {
            Profile::Quick
        } else {
            Profile::Release
        }
    }

    fn platforms(&self) -> Vec<Platform> {
        let mut platforms = Vec::new();
        for architecture in Architecture::value_variants() {
            for (kind, libc) in [(Kind::Deb, Libc::Glibc), (Kind::Tarball, Libc::Musl)] {
                let is_chosen = (self.arch.is_empty() || self.arch.contains(architecture))
                    && (self.kind.is_empty() || self.kind.contains(&kind));
                if is_chosen {
                    platforms.push(Platform {
                        architecture: *architecture,
                        libc,
                    });
                }
            }
        }
        platforms
    }

    fn out(&self, source: &Source) -> Result<PathBuf> {
        let name = if self.quick { "dist-quick" } else { "dist" };
        let out = self.out.clone().unwrap_or_else(|| source.target.join(name));
        fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
        Ok(std::path::absolute(out)?)
    }

    fn make(&self, source: &Source, platform: Platform, out: &Path) -> Result<Made> {
        let started = Instant::now();
        let built = build::build(source, platform, self.profile())?;
        share::write(
            source,
            Some(&platform.triple()),
            &built.folder.join("share"),
        )?;
        contents::check_programs(source, &built)?;
        let files = match platform.libc {
            Libc::Glibc => Product::ALL
                .into_iter()
                .map(|product| {
                    let file = package::pack(source, &built, product, out)?;
                    contents::check_package(source, &built, product, &file)?;
                    Ok(file)
                })
                .collect::<Result<Vec<_>>>()?,
            Libc::Musl => {
                let file = tarball::pack(source, &built, out)?;
                contents::check_tarball(source, &built, &file)?;
                vec![file]
            }
        };
        println!("{platform}: built and packed in {}", since(started));
        Ok(Made { built, files })
    }

    /// The same again: other paths, another target folder, later.
    fn make_again(&self, source: &Source, all: &[Made]) -> Result<()> {
        let elsewhere = TempFolder::new("elsewhere")?;
        let copy = source.copy_to(&elsewhere.path().join("a/copy"))?;
        let out = elsewhere.path().join("out");
        fs::create_dir_all(&out)?;
        for first in all {
            let again = self.make(&copy, first.built.platform, &out)?;
            for (one, two) in first.files.iter().zip(&again.files) {
                if fs::read(one)? != fs::read(two)? {
                    let kept = PathBuf::from(format!("{}.again", one.display()));
                    fs::copy(two, &kept)?;
                    bail!(
                        "{} came out differently the second time; `diffoscope {} {}` shows where",
                        name(one),
                        one.display(),
                        kept.display()
                    );
                }
                println!("{}: the same bytes twice", name(one));
            }
        }
        Ok(())
    }

    fn try_out(&self, source: &Source, all: &[Made]) -> Result<()> {
        let cache = source.target.join("keyrings");
        for made in all {
            let started = Instant::now();
            let platform = made.built.platform;
            if start::try_programs(source, &made.built, &cache)? {
                println!("{platform}: both programs start ({})", since(started));
            } else {
                println!(
                    "### NOT STARTED: {platform} is not this machine's, and there is no emulator (apt-get install qemu-user-static)"
                );
            }
            if platform.libc == Libc::Musl {
                continue;
            }
            let started = Instant::now();
            lint::lint(&made.files)?;
            println!("{platform}: lintian is content ({})", since(started));
            if Architecture::native() != Some(platform.architecture) {
                continue;
            }
            let releases = if self.on.is_empty() {
                &RELEASES[..]
            } else {
                &self.on
            };
            for release in releases {
                let started = Instant::now();
                install::try_on(*release, source, &made.files, &cache)?;
                println!(
                    "{}: the packages were installed, used and removed ({})",
                    release.title,
                    since(started)
                );
            }
        }
        Ok(())
    }
}

fn name(file: &Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn since(started: Instant) -> String {
    format!("{:.0} s", started.elapsed().as_secs_f64())
}
