//! What a program needs to start, as `readelf` of binutils sees it: libraries, versions of their symbols, an interpreter.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::platform::GLIBC_FLOOR;
use crate::process;

/// The libraries of libc6, which the packages depend on. Others would be a dependency that is not declared.
const LIBC6: [&str; 7] = [
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// What a program asks of the machine that starts it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) libraries: Vec<String>,
    /// The newest version of glibc among its symbols'.
    pub(crate) glibc: Option<(u32, u32)>,
    /// Whether a dynamic loader starts it.
    pub(crate) has_interpreter: bool,
    /// Whether it can lie at any address, as a static or as a dynamic program.
    pub(crate) is_position_independent: bool,
}

impl Needs {
    /// Of the program at `path`.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let outcome = process::run(
            Command::new("readelf")
                .env("LC_ALL", "C")
                .args([
                    "--wide",
                    "--file-header",
                    "--program-headers",
                    "--dynamic",
                    "--version-info",
                ])
                .arg(path),
        )?
        .success()
        .with_context(|| format!("readelf does not understand {}", path.display()))?;
        Ok(Self::parse(&outcome.stdout))
    }

    fn parse(text: &str) -> Self {
        let library = |line: &str| {
            let (_, name) = line.split_once("Shared library: [")?;
            Some(name.split_once(']')?.0.to_owned())
        };
        Self {
            libraries: text.lines().filter_map(library).collect(),
            glibc: text
                .split_whitespace()
                .filter_map(|word| word.strip_prefix("GLIBC_"))
                .filter_map(|version| {
                    let mut parts = version.split('.').map(|part| part.parse().ok());
                    Some((parts.next()??, parts.next()??))
                })
                .max(),
            has_interpreter: text.contains("[Requesting program interpreter:"),
            is_position_independent: text
                .lines()
                .any(|line| line.trim_start().starts_with("Type:") && line.contains("DYN")),
        }
    }

    /// Fails unless a package may hold it: dynamic, with no library but libc6's, and no symbol newer than the floor.
    pub(crate) fn expect_floor(&self) -> Result<()> {
        ensure!(self.has_interpreter, "this is no dynamic program: {self:?}");
        for library in &self.libraries {
            ensure!(
                LIBC6.contains(&library.as_str()),
                "{library} is needed, which is not libc6's: the packages depend on libc6 alone"
            );
        }
        let (major, minor) = self.glibc.context("it needs no version of glibc at all")?;
        ensure!(
            (major, minor) <= GLIBC_FLOOR,
            "glibc {major}.{minor} is needed, but the floor is {}.{}",
            GLIBC_FLOOR.0,
            GLIBC_FLOOR.1
        );
        Ok(())
    }

    /// Fails unless it is static: nothing but the kernel is needed.
    pub(crate) fn expect_static(&self) -> Result<()> {
        ensure!(
            self.libraries.is_empty() && !self.has_interpreter && self.glibc.is_none(),
            "this is no static program: {self:?}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "  Type:                              DYN (Position-Independent Executable file)\n      [Requesting program interpreter: /lib64/ld-linux-x86-64.so.2]\n 0x1 (NEEDED)             Shared library: [libc.so.6]\n  0x0010:   Name: GLIBC_2.9  Flags: none  Version: 4\n  0x0020:   Name: GLIBC_2.31  Flags: none  Version: 3\n  0x0030:   Name: GLIBC_2.2.5  Flags: none  Version: 2\n";

    #[test]
    fn the_newest_symbol_counts() {
        let needs = Needs::parse(SAMPLE);
        assert_eq!(needs.glibc, Some((2, 31)));
        assert_eq!(needs.libraries, ["libc.so.6"]);
        needs.expect_floor().unwrap();
        assert!(needs.expect_static().is_err());
    }

    #[test]
    fn a_newer_symbol_or_another_library_is_refused() {
        let newer = SAMPLE.replace("GLIBC_2.9 ", "GLIBC_2.34 ");
        let error = Needs::parse(&newer).expect_floor().unwrap_err().to_string();
        assert!(error.contains("2.34"), "{error}");
        let other = SAMPLE.replace("[libc.so.6]", "[libgcc_s.so.1]");
        let error = Needs::parse(&other).expect_floor().unwrap_err().to_string();
        assert!(error.contains("libgcc_s.so.1"), "{error}");
    }

    #[test]
    fn a_program_is_read() {
        let ours = Needs::of(&std::env::current_exe().unwrap()).unwrap();
        assert!(
            ours.has_interpreter && ours.glibc > Some((2, 4)),
            "{ours:?}"
        );
    }
}
