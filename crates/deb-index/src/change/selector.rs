//! Packages by name, version and architecture, as people write them on a command line.

use std::{cmp::Ordering, fmt, str::FromStr};

use glob::Pattern;

use crate::{
    name::{Architecture, Component, PackageName},
    relation::{Operator, Relation, VersionRange},
    stanza::StanzaRef,
    suite::commit::Change,
    version::Version,
};

/// Some packages of a suite.
///
/// Written as `NAME`, `NAME=VERSION` or a dpkg relation, `NAME (<< VERSION)`. `NAME` may hold the wildcards `*` and `?`, and
/// `NAME:ARCH` means one architecture. Versions are the same if dpkg considers them equal: `1.0` is `1.0-0`, but not `1.0-1`.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
    name: Pattern,
    versions: Versions,
    architecture: Option<Architecture>,
    /// Only in this component.
    pub component: Option<Component>,
}

#[derive(Debug, Clone)]
enum Versions {
    Any,
    Exactly(Version),
    Range(VersionRange),
}

/// The text is not a [`Selector`].
#[derive(Debug, thiserror::Error)]
pub enum InvalidSelector {
    #[error(
        "expected NAME, NAME=VERSION, NAME:ARCH or 'NAME (<< VERSION)', where NAME may hold * and ?"
    )]
    Malformed(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The architecture follows the version.
    #[error("the architecture comes before the version: {0}")]
    ArchitectureLast(String),
}

impl Selector {
    /// All packages, or all of a component.
    #[must_use]
    pub fn all(component: Option<Component>) -> Self {
        Self {
            text: "*".to_owned(),
            name: Pattern::new("*").unwrap_or_default(),
            versions: Versions::Any,
            architecture: None,
            component,
        }
    }

    /// All versions of a package.
    #[must_use]
    pub fn package(name: &PackageName, component: Option<Component>) -> Self {
        let pattern = Pattern::new(&Pattern::escape(name.as_str()));
        Self {
            text: name.to_string(),
            name: pattern.unwrap_or_default(),
            ..Self::all(component)
        }
    }

    /// Whether a package of a component is meant.
    #[must_use]
    pub fn matches(&self, component: &Component, stanza: &StanzaRef<'_>) -> bool {
        let is_version = |wanted: &dyn Fn(&Version) -> bool| {
            let version = stanza.version.parse::<Version>();
            version.is_ok_and(|version| wanted(&version))
        };
        let architecture = self.architecture.as_ref();
        self.component.as_ref().is_none_or(|only| only == component)
            && self.name.matches(stanza.name)
            && architecture.is_none_or(|only| only.as_str() == stanza.architecture)
            && match &self.versions {
                Versions::Any => true,
                Versions::Exactly(only) => {
                    is_version(&|version| version.compare(only) == Ordering::Equal)
                }
                Versions::Range(range) => is_version(&|version| range.contains(version)),
            }
    }

    /// The same packages in this version only, or in any.
    #[must_use]
    pub fn in_version(&self, version: Option<Version>) -> Self {
        let mut text = self.name.to_string();
        if let Some(architecture) = &self.architecture {
            text.push_str(&format!(":{architecture}"));
        }
        if let Some(version) = &version {
            text.push_str(&format!("={version}"));
        }
        Self {
            text,
            versions: version.map_or(Versions::Any, Versions::Exactly),
            ..self.clone()
        }
    }

    /// The architecture that it names.
    #[must_use]
    pub fn architecture(&self) -> Option<&Architecture> {
        self.architecture.as_ref()
    }

    /// Whether it names one version.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        matches!(self.versions, Versions::Exactly(_))
    }

    /// Whether a change was about such a package.
    #[must_use]
    pub fn is_about(&self, change: &Change) -> bool {
        let text = |text: &'_ Option<String>| text.clone().unwrap_or_default();
        let [name, version, architecture] =
            [&change.package, &change.version, &change.architecture].map(text);
        let stanza = StanzaRef {
            name: &name,
            version: &version,
            architecture: &architecture,
            bytes: &[],
        };
        let component = change
            .component
            .as_deref()
            .and_then(|name| name.parse().ok());
        self.matches(&component.unwrap_or_else(Component::main), &stanza)
    }

    /// Whether the index of a component and an architecture may have such packages.
    pub(super) fn is_in(&self, component: &Component, architecture: &Architecture) -> bool {
        let mine = self.architecture.as_ref();
        self.component.as_ref().is_none_or(|only| only == component)
            && mine.is_none_or(|mine| mine.is_all() || mine == architecture)
    }
}

impl FromStr for Selector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        let source = |error: Box<dyn std::error::Error + Send + Sync>| {
            InvalidSelector::Malformed(Some(error))
        };
        let text = text.trim();
        let (package, versions) = if let Some((package, range)) = text.split_once('(') {
            let relation = format!("x ({range}").parse::<Relation>();
            let relation = relation.map_err(|error| source(error.into()))?;
            let range = relation.versions.ok_or(InvalidSelector::Malformed(None))?;
            let versions = match range.operator {
                Operator::Equal => Versions::Exactly(range.version),
                _ => Versions::Range(range),
            };
            (package.trim_end(), versions)
        } else if let Some((package, version)) = text.split_once('=') {
            let parsed = version.parse();
            let version = parsed.map_err(|error| {
                architecture_last(package, version).unwrap_or_else(|| source(Box::new(error)))
            })?;
            (package, Versions::Exactly(version))
        } else {
            (text, Versions::Any)
        };
        let (name, architecture) = match package.split_once(':') {
            Some((name, architecture)) => {
                let architecture = architecture.parse();
                (
                    name,
                    Some(architecture.map_err(|error| source(Box::new(error)))?),
                )
            }
            None => (package, None),
        };
        let is_allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-._*?[]!".contains(c);
        if name.is_empty() || !name.chars().all(is_allowed) {
            return Err(InvalidSelector::Malformed(None));
        }
        let name = Pattern::new(name).map_err(|error| source(Box::new(error)))?;
        Ok(Self {
            text: text.to_owned(),
            name,
            versions,
            architecture,
            component: None,
        })
    }
}

/// Tells `NAME=VERSION:ARCH` from other mistakes.
fn architecture_last(package: &str, version: &str) -> Option<InvalidSelector> {
    let (version, architecture) = version.rsplit_once(':')?;
    version.parse::<Version>().ok()?;
    architecture.parse::<Architecture>().ok()?;
    let text = format!("{package}:{architecture}={version}");
    text.parse::<Selector>().ok()?;
    Some(InvalidSelector::ArchitectureLast(text))
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.component {
            Some(component) => write!(f, " in component {component}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, package: &str) -> bool {
        let mut parts = package.split('_');
        let mut part = || parts.next().unwrap();
        let stanza = StanzaRef {
            name: part(),
            version: part(),
            architecture: part(),
            bytes: &[],
        };
        let selector: Selector = selector.parse().unwrap();
        selector.matches(&Component::main(), &stanza)
    }

    #[test]
    fn a_selector_means_what_it_says_and_no_more() {
        for (selector, package, expected) in [
            ("tool", "tool_1.0_amd64", true),
            ("tool", "tools_1.0_amd64", false),
            ("tool=1.0", "tool_1.0_amd64", true),
            ("tool=1.0", "tool_1.0-0_amd64", true),
            ("tool=1.0", "tool_1.0-1_amd64", false),
            ("tool=1.0-3", "tool_2:1.0-3_amd64", false),
            ("tool=2:1.0-3", "tool_2:1.0-3_amd64", true),
            ("tool:arm64", "tool_1.0_amd64", false),
            ("tool:all", "tool_1.0_all", true),
            ("tool:arm64=1.0", "tool_1.0_arm64", true),
            ("tool (<< 2.0)", "tool_1.9_amd64", true),
            ("tool(<<2.0)", "tool_2.0~rc1_amd64", true),
            ("tool (<< 2.0)", "tool_2.0_amd64", false),
            ("tool:amd64 (>= 2.0)", "tool_2.0_arm64", false),
            ("lib*", "libc6_2_amd64", true),
            ("lib*-dev", "libx-dev-dev_2_amd64", true),
            ("lib*-dev", "libx-devel_2_amd64", false),
            ("*", "a_1_all", true),
            ("a?c", "abc_1_all", true),
            ("a?c", "ac_1_all", false),
            ("lib* (= 2)", "libc6_2_amd64", true),
        ] {
            assert_eq!(matches(selector, package), expected, "{selector} {package}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            "",
            "=1",
            "tool=",
            "tool:",
            "tool (",
            "tool ()",
            "tool (2.0",
            "a b",
            "tool (<< 2) x",
            "tool=1 0",
            "a/b",
            "Tool",
            "a|b",
            "tool (<< 2), other",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_architecture_after_the_version_is_told_where_it_belongs() {
        for (text, right) in [
            ("tool=1.0:amd64", Some("tool:amd64=1.0")),
            ("t*=2:1.0:all", None),
            ("tool=1.0:amd_64", None),
            ("tool:amd64=1.0:amd64", None),
        ] {
            let told = text
                .parse::<Selector>()
                .err()
                .map(|error| error.to_string());
            let is_told = told
                .as_ref()
                .and_then(|told| told.strip_prefix("the architecture comes before the version: "));
            assert_eq!(is_told, right, "{text} {told:?}");
        }
    }

    #[test]
    fn a_selector_reads_no_index_that_it_cannot_change() {
        let selector = |text: &str| text.parse::<Selector>().unwrap();
        let (main, amd64) = (Component::main(), "amd64".parse().unwrap());
        assert!(selector("a").is_in(&main, &amd64));
        assert!(selector("a:all").is_in(&main, &amd64));
        assert!(!selector("a:arm64").is_in(&main, &amd64));
        let mut elsewhere = selector("a");
        elsewhere.component = Some("extra".parse().unwrap());
        assert!(!elsewhere.is_in(&main, &amd64));
    }
}
