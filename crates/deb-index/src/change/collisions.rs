//! Packages of one name, of which devices take neither for newer, although their files differ.
//!
//! apt and dpkg compare versions by their order, not by their text: `1.0`, `01.0`, `0:1.0` and `1.0-0` are equal. A device reads
//! the packages for its own architecture and those for all, of all its components. Of equal versions apt offers the one that it
//! reads first, and going from one to the other is no upgrade (`pkgCacheGenerator::MergeListVersion`, `apt-pkg/pkgcachegen.cc`;
//! tried with apt 2.6). So a suite takes in no such pair. It may have one from before: other programs make them.

use std::collections::BTreeMap;

use super::{
    base::read,
    edit::Intent,
    plan::{PlainIndexes, PlanError},
};
use crate::{
    digest::Sha256,
    index::{IndexPath, packages::Packages},
    name::Component,
    package_id::PackageId,
    stanza::{Stanza, StanzaRef},
    suite::commit::Commit,
    version::Version,
};

/// What devices tell packages apart by, and the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub architecture: &'a str,
    /// None if the index does not say.
    pub sha256: Option<Sha256>,
}

impl Seen<'_> {
    /// Whether some device sees both, different files, and neither is newer.
    #[must_use]
    pub fn collides_with(&self, other: &Seen<'_>) -> bool {
        let is_one_version = || match [self.version, other.version].map(str::parse::<Version>) {
            [Ok(one), Ok(two)] => one.compare(&two).is_eq(),
            _ => false,
        };
        self.name == other.name
            && self.meets(other)
            && self.sha256 != other.sha256
            && (self.version == other.version || is_one_version())
    }

    /// Whether some device sees both.
    fn meets(&self, other: &Seen<'_>) -> bool {
        let [one, two] = [self.architecture, other.architecture];
        one == two || [one, two].contains(&"all")
    }
}

impl<'a> From<&'a Stanza> for Seen<'a> {
    fn from(stanza: &'a Stanza) -> Self {
        Self {
            sha256: Some(stanza.sha256),
            ..Self::identity(&stanza.borrowed())
        }
    }
}

impl<'a> From<&StanzaRef<'a>> for Seen<'a> {
    fn from(stanza: &StanzaRef<'a>) -> Self {
        Self {
            sha256: stanza.sha256(),
            ..Self::identity(stanza)
        }
    }
}

impl<'a> Seen<'a> {
    fn identity(stanza: &StanzaRef<'a>) -> Self {
        Self {
            name: stanza.name,
            version: stanza.version,
            architecture: stanza.architecture,
            sha256: None,
        }
    }
}

/// All pairs of packages that collide. A version is parsed only if another package has its name.
pub fn pairs<'a, T: Copy + 'a>(
    packages: impl IntoIterator<Item = T>,
    seen: impl Fn(T) -> Seen<'a>,
) -> Vec<(T, T)> {
    let mut all: Vec<_> = packages.into_iter().collect();
    // Linear for what is in order already.
    all.sort_by(|one, two| seen(*one).name.cmp(seen(*two).name));
    let mut pairs = Vec::new();
    for of_name in all.chunk_by(|one, two| seen(*one).name == seen(*two).name) {
        if of_name.len() == 1 {
            continue;
        }
        let versions = of_name.iter().filter_map(|package| {
            let version = seen(*package).version.parse::<Version>();
            Some((version.ok()?, *package))
        });
        let mut versions: Vec<_> = versions.collect();
        versions.sort_by(|(one, _), (two, _)| one.compare(two));
        for equal in versions.chunk_by(|(one, _), (two, _)| one.compare(two).is_eq()) {
            for (at, (_, one)) in equal.iter().enumerate() {
                let others = equal[at + 1..].iter().map(|(_, other)| *other);
                let others = others.filter(|other| seen(*one).collides_with(&seen(*other)));
                pairs.extend(others.map(|other| (*one, other)));
            }
        }
    }
    pairs
}

/// Those of a component's index that collide with a package, other than another build of the very same.
pub(super) fn colliding<'i, 'a>(
    index: &'i Packages<'a>,
    component: &'i Component,
    stanza: &'i Stanza,
) -> impl Iterator<Item = StanzaRef<'a>> + 'i {
    let id = &stanza.id;
    let is_same = move |other: &StanzaRef<'_>| {
        *component == id.component
            && other.version == id.version.as_str()
            && other.architecture == id.architecture.as_str()
    };
    let equal = index.of_version(id.name.as_str(), &id.version).iter();
    let others = equal.filter(move |other| !is_same(other));
    let others = others.filter(move |other| Seen::from(stanza).collides_with(&Seen::from(*other)));
    others.copied()
}

/// Lets only packages into a suite that collide with nothing. Those that it has already may.
#[derive(Debug)]
pub(super) struct Guard<'a> {
    base: Option<&'a Commit>,
    plain: &'a PlainIndexes,
    /// Indexes of the base that had to be looked at.
    parsed: BTreeMap<IndexPath, Packages<'a>>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(base: Option<&'a Commit>, plain: &'a PlainIndexes) -> Self {
        Self {
            base,
            plain,
            parsed: BTreeMap::new(),
        }
    }

    /// Compares the packages that an intent adds with each other.
    pub(super) fn check(&mut self, intent: &Intent) -> Result<(), PlanError> {
        let added = intent.additions().map(|(stanza, _)| stanza);
        for (one, two) in pairs(added, Seen::from) {
            if !(self.was_there(one)? && self.was_there(two)?) {
                let ids = (one.id.clone(), two.id.clone());
                return Err(PlanError::Collision(Box::new(ids)));
            }
        }
        Ok(())
    }

    /// Compares a package that comes into the suite with the index of a component as it is then.
    pub(super) fn admit(
        &mut self,
        index: &Packages<'_>,
        component: &Component,
        stanza: &Stanza,
    ) -> Result<(), PlanError> {
        let Some(other) = colliding(index, component, stanza).next() else {
            return Ok(());
        };
        if self.was_there(stanza)? {
            return Ok(());
        }
        let other = other.to_owned(component.clone()).map_err(|error| {
            let path = IndexPath::packages(component, &stanza.id.architecture);
            PlanError::Broken(path, error)
        })?;
        let ids: (PackageId, PackageId) = (stanza.id.clone(), other.id);
        Err(PlanError::Collision(Box::new(ids)))
    }

    /// Whether the suite has the very file.
    fn was_there(&mut self, stanza: &Stanza) -> Result<bool, PlanError> {
        let component = &stanza.id.component;
        let architectures = self
            .base
            .iter()
            .flat_map(|base| &base.settings.architectures);
        for architecture in architectures.filter(|it| stanza.id.is_in(component, it)) {
            let path = IndexPath::packages(component, architecture);
            if !self.plain.contains_key(&path) {
                continue;
            }
            if !self.parsed.contains_key(&path) {
                self.parsed.insert(path.clone(), read(self.plain, &path)?);
            }
            let there = self
                .parsed
                .get(&path)
                .and_then(|index| index.get(&stanza.id));
            if there.and_then(StanzaRef::sha256) == Some(stanza.sha256) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Seen<'_> {
        let mut parts = text.split('_');
        let mut part = || parts.next().unwrap();
        Seen {
            name: part(),
            version: part(),
            architecture: part(),
            sha256: Some(Sha256::of(part().as_bytes())),
        }
    }

    #[test]
    fn equal_versions_that_a_device_sees_collide() {
        for (one, two, expected) in [
            ("a_1.0_all_x", "a_1.0_amd64_y", true),
            ("a_1.0_amd64_x", "a_01.0_amd64_y", true),
            ("a_1.0_amd64_x", "a_0:1.0_all_y", true),
            ("a_1.0_all_x", "a_1.0-0_all_y", true),
            ("a_1.0_all_x", "a_1.0_all_y", true),
            ("a_1.0_all_x", "a_1.0_all_x", false),
            ("a_1.0_amd64_x", "a_1.0_arm64_y", false),
            ("a_1.0_amd64_x", "a_01.0_arm64_y", false),
            ("a_1.0_all_x", "a_1.1_amd64_y", false),
            ("a_1.0_all_x", "a_1.0-1_all_y", false),
            ("a_1.0_all_x", "b_1.0_all_y", false),
            ("a_v1_all_x", "a_v01_all_y", false),
        ] {
            let (a, b) = (seen(one), seen(two));
            assert_eq!(a.collides_with(&b), expected, "{one} {two}");
            assert_eq!(b.collides_with(&a), expected, "{two} {one}");
            let found = pairs([&a, &b], |seen| *seen).len();
            assert_eq!(found, usize::from(expected), "{one} {two}");
        }
    }

    #[test]
    fn all_pairs_are_found() {
        let all = [
            "b_1_all_1",
            "a_1_amd64_2",
            "a_2_all_3",
            "b_01_amd64_4",
            "a_0:1_all_5",
            "a_1_arm64_6",
        ];
        let all = all.map(seen);
        let found = pairs(&all, |seen| *seen);
        let names = found.iter().map(|(one, two)| {
            format!(
                "{} {} {} {}",
                one.name, one.architecture, two.name, two.architecture
            )
        });
        let names: Vec<_> = names.collect();
        assert_eq!(names, ["a amd64 a all", "a all a arm64", "b all b amd64"]);
    }
}
