//! A package that is asked for by name, with or without a version, as apt's commands take it.

use std::cmp::Ordering;

use deb_index::{name::PackageName, version::Version};
use repository::Listed;

/// `NAME` or `NAME=VERSION`.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) text: String,
    pub(crate) name: PackageName,
    pub(crate) version: Option<Version>,
}

impl std::str::FromStr for Wanted {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version.parse()?)),
            None => (text, None),
        };
        Ok(Self {
            text: text.to_owned(),
            name: name.parse()?,
            version,
        })
    }
}

impl Wanted {
    /// Versions are the same if dpkg considers them equal: `1.0` and `1.0-0`, but not `1.0-1`.
    pub(crate) fn is(&self, package: &Listed<'_>) -> bool {
        let is_version = |wanted: &Version| {
            let version = package.stanza.version.parse::<Version>();
            version.is_ok_and(|version| version.compare(wanted) == Ordering::Equal)
        };
        package.stanza.name == self.name.as_str() && self.version.as_ref().is_none_or(is_version)
    }
}
