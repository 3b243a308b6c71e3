//! What is built: two architectures, each against glibc for the packages and against musl for the tarballs.
//!
//! A package is linked dynamically, because name resolution and everything that an administrator sets up for it (nsswitch.conf(5))
//! are glibc's. It needs no newer glibc than [`GLIBC_FLOOR`]: zig links against the symbols of that version, whatever the machine
//! has. A tarball is static and runs on any Linux.

use std::fmt;

/// The oldest glibc that the packages run with: that of Debian 11. Ubuntu 22.04 has 2.35.
pub(crate) const GLIBC_FLOOR: (u32, u32) = (2, 31);

/// An architecture, in Debian's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Architecture {
    Amd64,
    Arm64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Libc {
    /// Dynamic, for the packages.
    Glibc,
    /// Static, for the tarballs.
    Musl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Platform {
    /// For which processor.
    pub(crate) architecture: Architecture,
    /// Against which C library.
    pub(crate) libc: Libc,
}

impl Architecture {
    /// In Debian's words.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// In the words of `uname -m`.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// That of this machine, if it is one of the two.
    pub(crate) fn native() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }
}

impl Platform {
    /// Rust's name for it.
    pub(crate) fn triple(self) -> String {
        let libc = match self.libc {
            Libc::Glibc => "gnu",
            Libc::Musl => "musl",
        };
        format!("{}-unknown-linux-{libc}", self.architecture.machine())
    }

    /// Whether programs for it are position-independent. Rust's target for musl on AArch64 has no static-pie.
    pub(crate) fn can_lie_anywhere(self) -> bool {
        self.libc == Libc::Glibc || self.architecture == Architecture::Amd64
    }

    /// The name that cargo-zigbuild takes: with the version of glibc.
    pub(crate) fn zig_target(self) -> String {
        match self.libc {
            Libc::Glibc => format!("{}.{}.{}", self.triple(), GLIBC_FLOOR.0, GLIBC_FLOOR.1),
            Libc::Musl => self.triple(),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.zig_target())
    }
}
