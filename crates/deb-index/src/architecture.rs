//! The architectures that dpkg knows.
//!
//! The names follow from dpkg's `cputable`, `ostable` and `tupletable`: those of Debian 11 and 12, of
//! which Debian 13 has kept a part. `dpkg-architecture -L` prints them.

use crate::name::Architecture;

/// Processors. Linux with glibc is named by the processor alone.
const CPUS: &str = "alpha amd64 arc arm arm64 armeb avr32 hppa i386 ia64 loong64 m32r m68k mips mips64 \
    mips64el mips64r6 mips64r6el mipsel mipsr6 mipsr6el nios2 or1k powerpc powerpcel \
    ppc64 ppc64el riscv64 s390 s390x sh3 sh3eb sh4 sh4eb sparc sparc64 tilegx";

/// Systems that are named before the processor.
const SYSTEMS: &str = "aix darwin dragonflybsd freebsd hurd kfreebsd knetbsd kopensolaris musl-linux netbsd \
    openbsd solaris uclibc-linux uclinux";

/// Names of their own, for another ABI of a processor.
const OTHERS: &str = "arm64ilp32 armel armhf kfreebsd-armhf mint-m68k mipsn32 mipsn32el mipsn32r6 \
    mipsn32r6el musl-linux-armhf powerpcspe uclibc-linux-armel uclinux-armel x32";

impl Architecture {
    /// Whether some version of dpkg knows the architecture, or it is `all`. A device never sees packages
    /// of any other.
    #[must_use]
    pub fn is_known_to_dpkg(&self) -> bool {
        let name = self.as_str();
        let (system, cpu) = name.rsplit_once('-').unwrap_or(("", name));
        let listed = |names: &str, name| names.split(' ').any(|one| one == name);
        self.is_all()
            || listed(OTHERS, name)
            || (listed(CPUS, cpu) && (system.is_empty() || listed(SYSTEMS, system)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown() {
        let known = |name| Architecture::new(name).unwrap().is_known_to_dpkg();
        let names = "all amd64 arm64 armhf riscv64 loong64 kfreebsd-amd64 musl-linux-armhf x32";
        for name in names.split(' ') {
            assert!(known(name), "{name}");
        }
        let names = "noarch aarch64 386 x86-64 armv7 any linux-any linux-amd64 all-amd64 source amd64- amd64--";
        for name in names.split(' ') {
            assert!(!known(name), "{name}");
        }
    }
}
