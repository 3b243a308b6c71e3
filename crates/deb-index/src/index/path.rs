//! The identity of an index: its path within the suite, as `Release` lists it, without the extension of a compressed form.
//!
//! A later program may store indexes that this one does not know (`main/source/Sources`, `main/Contents-amd64`,
//! `main/i18n/Translation-en`). They have a path too, so that a commit can carry them over.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    digest::Sha256,
    name::{Architecture, Component},
    reserved::is_own,
};

/// The longest path, in bytes: S3 keys have 1,024, and the prefix, the suite and `by-hash/SHA256/<hex>` need some of them.
const MAX_LENGTH: usize = 400;

/// A path such as `main/binary-amd64/Packages`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IndexPath(String);

/// The text cannot be the path of an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "“{0}” is not the path of an index: expected segments of letters, digits and “+-._~”, none of them hidden or reserved"
)]
pub struct InvalidIndexPath(String);

impl IndexPath {
    /// `<component>/binary-<architecture>/Packages`.
    #[must_use]
    pub fn packages(component: &Component, architecture: &Architecture) -> Self {
        Self(format!("{component}/binary-{architecture}/Packages"))
    }

    /// The component and architecture of a `Packages` index; `None` for an index of another kind.
    #[must_use]
    pub fn as_packages(&self) -> Option<(Component, Architecture)> {
        let (component, folder) = self.0.strip_suffix("/Packages")?.rsplit_once('/')?;
        let architecture = folder.strip_prefix("binary-")?;
        Some((component.parse().ok()?, architecture.parse().ok()?))
    }

    /// The last segment: `Packages`, `Sources`.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of a compressed form: `main/binary-amd64/Packages.gz`.
    #[must_use]
    pub fn with_extension(&self, extension: &str) -> String {
        format!("{}.{extension}", self.0)
    }

    /// The path by which a form of the index is fetched by its digest, which never changes:
    /// `main/binary-amd64/by-hash/SHA256/<hex>`.
    #[must_use]
    pub fn by_hash(&self, sha256: &Sha256) -> String {
        match self.0.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/by-hash/SHA256/{sha256}"),
            None => format!("by-hash/SHA256/{sha256}"),
        }
    }
}

impl FromStr for IndexPath {
    type Err = InvalidIndexPath;

    fn from_str(text: &str) -> Result<Self, InvalidIndexPath> {
        let character = |c: char| c.is_ascii_alphanumeric() || "+-._~".contains(c);
        let segment = |segment: &str| {
            segment.starts_with(|c: char| c.is_ascii_alphanumeric())
                && segment.chars().all(character)
                && !segment.eq_ignore_ascii_case("by-hash")
        };
        let first = text.split('/').next().unwrap_or_default();
        if text.len() <= MAX_LENGTH && text.split('/').all(segment) && !is_own(first) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIndexPath(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for IndexPath {
    type Error = InvalidIndexPath;

    fn try_from(text: String) -> Result<Self, InvalidIndexPath> {
        text.parse()
    }
}

impl From<IndexPath> for String {
    fn from(path: IndexPath) -> Self {
        path.0
    }
}

impl fmt::Display for IndexPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IndexPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packages_index_has_a_component_and_an_architecture() {
        let (main, amd64) = (Component::main(), "amd64".parse().unwrap());
        let path = IndexPath::packages(&main, &amd64);
        assert_eq!(path.as_str(), "main/binary-amd64/Packages");
        assert_eq!(path.as_packages(), Some((main, amd64)));
        assert_eq!(path.with_extension("gz"), "main/binary-amd64/Packages.gz");
        let nested: IndexPath = "updates/main/binary-all/Packages".parse().unwrap();
        let (component, _) = nested.as_packages().unwrap();
        assert_eq!(component.as_str(), "updates/main");
        let digest = Sha256([0xab; 32]);
        assert_eq!(
            path.by_hash(&digest),
            format!("main/binary-amd64/by-hash/SHA256/{digest}")
        );
    }

    #[test]
    fn other_indexes_are_paths_too() {
        for text in [
            "main/source/Sources",
            "main/Contents-amd64",
            "Contents",
            "main/binary-amd64/Release",
            "main/debian-installer/binary-amd64/Packages",
        ] {
            let path: IndexPath = text.parse().unwrap();
            assert_eq!(path.as_packages(), None);
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn a_path_cannot_leave_the_suite_or_name_its_own_folders() {
        for text in [
            "",
            "/etc/passwd",
            "main/../../stable/InRelease",
            "main//Packages",
            "main/",
            "commits/x",
            "Release",
            "inrelease",
            "main/by-hash/SHA256/x",
            "main/Pack ages",
            "main/.hidden",
            "main/Packages\n",
        ] {
            assert!(text.parse::<IndexPath>().is_err(), "{text:?}");
            assert!(serde_json::from_value::<IndexPath>(text.into()).is_err());
        }
    }
}
