//! Names of packages, architectures, components and suites.
//!
//! Each becomes a part of a key in the bucket and a word in an index, so each is checked once, where
//! it enters, and is a type of its own from there on. The rules are those of the Debian Policy,
//! [5.6.1](https://www.debian.org/doc/debian-policy/ch-controlfields.html#package) for packages and
//! [5.6.8](https://www.debian.org/doc/debian-policy/ch-controlfields.html#architecture) for
//! architectures; where dpkg is wider, the type says what is accepted.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    quote::printable,
    reserved::{is_index_folder, is_reserved},
};

/// A name that is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} “{name}” {reason}")]
pub struct NameError {
    /// What the name was to be, as `package name`.
    pub kind: &'static str,
    /// The name, shortened and printable.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The longest name taken, in bytes: what one segment of a path may have on common file systems,
/// less room for `_`, a version and `.deb`.
const MAX_NAME: usize = 200;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Box<str>);

        impl $type {
            /// Checks a name.
            ///
            /// # Errors
            /// When it breaks a rule of the type.
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                let name = name.into();
                match $check(&name) {
                    Ok(()) => Ok(Self(name.into_boxed_str())),
                    Err(reason) => Err(NameError {
                        kind: $kind,
                        name: printable(&name),
                        reason,
                    }),
                }
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(name).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// The name of a binary or source package: lowercase letters, digits, `+`, `-` and `.`,
    /// beginning with a letter or digit.
    ///
    /// Uppercase is refused as policy and `dpkg-deb --build` refuse it: dpkg folds case where APT
    /// does not, so such a package is never seen as installed. A single character is taken, as
    /// `dpkg-deb` takes it, though policy asks for two.
    PackageName, "package name", check_package
}

name! {
    /// An architecture: lowercase letters, digits and `-`, beginning with a letter or digit.
    Architecture, "architecture", check_architecture
}

name! {
    /// A component (area) of a suite, as `main`, `non-free` or `updates/main`: path segments joined by single `/`. Those after the
    /// first are not names of folders that other indexes of a component have (`main/debian-installer`).
    Component, "component", check_component
}

name! {
    /// A suite or codename, as `stable` or `bookworm/updates`: path segments joined by single `/`.
    SuiteName, "suite name", check_suite
}

impl Architecture {
    /// The architecture of packages that run everywhere, listed in every architecture's index.
    #[must_use]
    pub fn all() -> Self {
        Self("all".into())
    }

    #[must_use]
    pub fn is_all(&self) -> bool {
        &*self.0 == "all"
    }

    /// True where the name is one that a `.deb` can never have: `source`, and wildcards such as
    /// `any` and `linux-any`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        &*self.0 == "source" || self.0.split('-').any(|part| part == "any")
    }
}

impl Component {
    /// `main`, the component of a suite that has only one.
    #[must_use]
    pub fn main() -> Self {
        Self("main".into())
    }
}

fn check_package(name: &str) -> Result<(), &'static str> {
    let taken = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
    let rule = "may have only lowercase letters, digits, “+”, “-” and “.”";
    check_bytes(name, taken, rule)
}

fn check_architecture(name: &str) -> Result<(), &'static str> {
    let taken = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let rule = "may have only lowercase letters, digits and “-”";
    check_bytes(name, taken, rule)
}

fn check_bytes(
    name: &str,
    taken: impl Fn(u8) -> bool,
    rule: &'static str,
) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("is empty")
    } else if name.len() > MAX_NAME {
        Err("is longer than 200 bytes")
    } else if !name.bytes().all(taken) {
        Err(rule)
    } else if !begins_with_alphanumeric(name) {
        Err("does not begin with a letter or digit")
    } else {
        Ok(())
    }
}

fn check_component(name: &str) -> Result<(), &'static str> {
    let mut inner = name.split('/').skip(1);
    if inner.any(is_index_folder) {
        return Err("has a part that is the name of a folder of other indexes");
    }
    check_suite(name)
}

fn check_suite(name: &str) -> Result<(), &'static str> {
    if name.len() > MAX_NAME {
        return Err("is longer than 200 bytes");
    }
    name.split('/').try_for_each(check_segment)
}

/// One segment of a path under `dists/`.
///
/// Beginning with a letter or digit rules out `.`, `..`, hidden files and what looks like an option.
fn check_segment(name: &str) -> Result<(), &'static str> {
    let taken = |b: u8| b.is_ascii_alphanumeric() || b"+-._~".contains(&b);
    if name.is_empty() {
        Err("is empty, or has an empty part")
    } else if name.len() > MAX_NAME {
        Err("is longer than 200 bytes")
    } else if !name.bytes().all(taken) {
        Err("may have only letters, digits, “+”, “-”, “.”, “_” and “~”")
    } else if !begins_with_alphanumeric(name) {
        Err("has a part that does not begin with a letter or digit")
    } else if is_reserved(name) {
        Err("is, or has a part that is, the name of a file or folder that every suite has")
    } else {
        Ok(())
    }
}

fn begins_with_alphanumeric(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn package_names() {
        for name in ["0ad", "g++-12", "libc6", "lib", "x", "python3.11", "a-"] {
            assert_eq!(name.parse::<PackageName>().unwrap().as_str(), name);
        }
        for name in [
            "", "A", "Foo", "-a", "+a", ".a", "..", "a_b", "a/b", "a b", "a\n", "a\0", "é", "a:b",
        ] {
            assert!(name.parse::<PackageName>().is_err(), "{name:?}");
        }
        assert!("a".repeat(200).parse::<PackageName>().is_ok());
        assert!("a".repeat(201).parse::<PackageName>().is_err());
    }

    #[test]
    fn architectures() {
        for name in ["all", "amd64", "kfreebsd-amd64", "musl-linux-armhf"] {
            assert!(name.parse::<Architecture>().is_ok());
        }
        for name in ["", "-", "amd64 i386", "x86_64", "AMD64", "../x"] {
            assert!(name.parse::<Architecture>().is_err(), "{name:?}");
        }
        assert!(Architecture::all().is_all());
        assert!(Architecture::new("linux-any").unwrap().is_wildcard());
        assert!(Architecture::new("source").unwrap().is_wildcard());
        assert!(!Architecture::new("manyarch").unwrap().is_wildcard());
    }

    #[test]
    fn suites_and_components() {
        for name in ["stable", "bookworm/updates", "a/b/c", "v1.0_x", "X~1"] {
            assert!(name.parse::<SuiteName>().is_ok(), "{name:?}");
        }
        for name in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "./a",
            "-a",
            "a/-b",
            "a b",
            "a\tb",
            "a\0",
            "a\\b",
            "a%2fb",
            "by-hash",
            "a/commits",
        ] {
            assert!(name.parse::<SuiteName>().is_err(), "{name:?}");
            assert!(name.parse::<Component>().is_err(), "{name:?}");
        }
        for name in ["main", "updates/main", "a/b/c", "source"] {
            assert!(name.parse::<Component>().is_ok(), "{name}");
        }
        for name in ["main/debian-installer", "main/Source", "a/i18n/b"] {
            assert!(name.parse::<Component>().is_err(), "{name}");
        }
    }

    #[test]
    fn what_every_suite_has_is_no_name_in_any_case() {
        for name in [
            "InRelease",
            "inrelease",
            "Release",
            "RELEASE",
            "Release.gpg",
            "by-hash",
            "By-Hash",
            "commits",
            "Succession",
            "suite.json",
            "binary-amd64",
            "Binary-x",
            "dists",
            "pool",
        ] {
            assert!(name.parse::<Component>().is_err(), "{name}");
            for suite in [
                name.to_owned(),
                format!("stable/{name}"),
                format!("{name}/x"),
            ] {
                assert!(suite.parse::<SuiteName>().is_err(), "{suite}");
            }
        }
        for name in [
            "release-candidates",
            "binary",
            "commit",
            "inreleases",
            "é-binary-",
        ] {
            assert_eq!(name.parse::<Component>().is_ok(), name.is_ascii(), "{name}");
        }
    }

    #[test]
    fn the_message_names_the_thing() {
        let error = "Foo".parse::<PackageName>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "package name “Foo” may have only lowercase letters, digits, “+”, “-” and “.”"
        );
    }

    #[test]
    fn serde_checks_too() {
        let name: PackageName = serde_json::from_str("\"hello\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"hello\"");
        assert!(serde_json::from_str::<PackageName>("\"../x\"").is_err());
    }

    proptest! {
        #[test]
        fn what_is_taken_is_safe_in_a_path(name in "\\PC{0,12}") {
            let suite = name.parse::<SuiteName>().map(|suite| suite.to_string());
            let component = name.parse::<Component>().map(|component| component.to_string());
            for path in [suite, component].into_iter().flatten() {
                for part in path.split('/') {
                    prop_assert!(!part.is_empty() && !part.starts_with(['.', '-']));
                }
            }
        }
    }
}
