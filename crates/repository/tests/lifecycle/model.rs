//! What each operation is to do, on plain data. Nothing here is taken from the library.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    script::{ARCHITECTURE_LISTS, FORMAT_LISTS, File, Setting},
    shelf::{ARCHITECTURES, Build, COMPONENTS, NAMES, Package},
};

/// A suite as devices see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) packages: BTreeMap<Package, Build>,
    pub(crate) components: Vec<&'static str>,
    pub(crate) architectures: Vec<&'static str>,
    pub(crate) formats: &'static [&'static str],
    pub(crate) label: Option<usize>,
    pub(crate) not_automatic: bool,
    pub(crate) keep: Option<u32>,
    pub(crate) is_valid_for_a_week: bool,
    /// Keys that sign; none in an unsigned suite.
    pub(crate) keys: BTreeSet<usize>,
    pub(crate) has_alias: bool,
    /// It is being deleted, and cannot be changed.
    pub(crate) is_closed: bool,
}

/// What an operation comes to, with what it has read before it was planned.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Publish {
        component: usize,
        files: Vec<File>,
        replace: bool,
        phase: Option<u8>,
        keep: Option<u32>,
    },
    Remove(usize),
    Promote {
        source: Content,
        selector: usize,
        mirror: bool,
        replace: bool,
        phase: Option<u8>,
        to: Option<usize>,
    },
    Prune {
        selector: usize,
        newest: u32,
        below: Option<usize>,
        only: Option<BTreeSet<(Package, usize)>>,
    },
    Rollback(Content),
    Phase(Targets, u8),
    /// Packages, and what takes their place.
    Halt(Targets, Vec<(Package, Build)>),
    /// The date is not part of the content.
    Refresh,
    Set(Setting, bool),
    Create(Setting),
    AddKey(usize),
    RetireKey(usize),
    ResetKeys(usize),
    /// What another program has made.
    Adopt(Content),
    Close,
}

/// Packages whose phase changes: whatever it is, or only if it is not all devices.
#[derive(Debug, Clone)]
pub(crate) struct Targets {
    pub(crate) packages: Vec<Package>,
    is_named: bool,
}

impl Targets {
    fn changes(&self, package: &Package, build: Build) -> bool {
        self.packages.contains(package) && (self.is_named || build.phase != 100)
    }
}

/// Why an operation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Conflict,
    /// The suite to create is there, with other settings.
    Exists,
    /// There is no such suite, or no such commit.
    Missing,
    Architectures,
    Component,
    ReleaseInfo,
    Keys,
    /// Something that an earlier commit needs was deleted.
    Collected,
    /// The suite is being deleted.
    Deleting,
    /// The alias is another suite's.
    AliasTaken,
}

/// The selector that names a version.
const NAMES_VERSION: usize = 3;

/// What the selectors mean.
pub(crate) fn is_meant(selector: usize, package: &Package) -> bool {
    let (name, architecture) = (NAMES[package.name], ARCHITECTURES[package.architecture]);
    match selector {
        0 => true,
        1 => name == "alpha",
        2 => name == "libbeta" && architecture == "amd64",
        3 => name == "alpha" && package.version == 0,
        4 => name == "libbeta" && package.version >= 1,
        _ => name == "alpha" && architecture == "all",
    }
}

impl Content {
    /// A suite that does not exist yet. The first key signs it, if any does.
    pub(crate) fn new(is_signed: bool) -> Self {
        Self {
            packages: BTreeMap::new(),
            components: Vec::new(),
            architectures: vec!["amd64", "arm64"],
            formats: FORMAT_LISTS[0],
            label: None,
            not_automatic: false,
            keep: None,
            is_valid_for_a_week: false,
            keys: is_signed.then_some(0).into_iter().collect(),
            has_alias: false,
            is_closed: false,
        }
    }

    /// The packages that are being phased, or whose version the selector names; of each name the newest.
    pub(crate) fn targets(&self, selector: usize) -> Targets {
        let is_named = selector == NAMES_VERSION;
        let packages = self
            .packages
            .iter()
            .filter(|(one, build)| is_meant(selector, one) && (is_named || build.phase != 100));
        let meant = packages.map(|(package, _)| package);
        let is_newest = |one: &&Package| {
            let mut others = meant.clone();
            !others.any(|other| other.name == one.name && other.version > one.version)
        };
        let packages = meant.clone().filter(is_newest);
        Targets {
            packages: packages.copied().collect(),
            is_named,
        }
    }

    /// Whether devices of an architecture see a package.
    pub(crate) fn shows(&self, architecture: &str, package: &Package) -> bool {
        let own = ARCHITECTURES[package.architecture];
        own == architecture || own == "all"
    }

    /// Only what its components and architectures have.
    fn trim(&mut self) {
        let (components, architectures) = (&self.components, &self.architectures);
        self.packages.retain(|package, _| {
            let own = ARCHITECTURES[package.architecture];
            components.contains(&COMPONENTS[package.component])
                && (own == "all" || architectures.contains(&own))
        });
    }

    /// New packages must not be what devices take for other ones, or take their place.
    fn make_way(&mut self, new: &BTreeMap<Package, usize>, replace: bool) -> Result<(), Refusal> {
        let is_new = |(package, build): &(&Package, &usize)| {
            let there = self.packages.get(package);
            there.is_none_or(|there| there.content != **build)
        };
        for (package, content) in new.iter().filter(is_new) {
            let there = self.packages.iter();
            let there = there.map(|(other, build)| (other, build.content));
            let there = there.filter(|(other, _)| !replace || new.contains_key(other));
            let mut there = there.chain(new.iter().map(|(other, build)| (other, *build)));
            if there.any(|(other, build)| package.collides_with(*content, other, build)) {
                return Err(Refusal::Conflict);
            }
        }
        if replace {
            self.packages.retain(|other, there| {
                let mut new = new.iter();
                !new.any(|(package, build)| package.collides_with(*build, other, there.content))
            });
        }
        Ok(())
    }

    /// New packages are for all devices, or for a part of them.
    fn add(
        &mut self,
        new: &BTreeMap<Package, usize>,
        replace: bool,
        phase: Option<u8>,
    ) -> Result<(), Refusal> {
        let phase = phase.unwrap_or(100);
        for (package, content) in new {
            match self.packages.get(package) {
                // Its phase stays.
                Some(there) if there.content == *content => continue,
                Some(_) if !replace => return Err(Refusal::Conflict),
                _ => {
                    let content = *content;
                    self.packages.insert(*package, Build { content, phase });
                }
            }
        }
        // In the order in which a suite lists its packages.
        let mut new: Vec<_> = new.keys().collect();
        new.sort_by_key(|one| (one.name, one.version, one.architecture, one.component));
        for package in new {
            let component = COMPONENTS[package.component];
            if !self.components.contains(&component) {
                self.components.push(component);
            }
            let architecture = ARCHITECTURES[package.architecture];
            if architecture != "all" && !self.architectures.contains(&architecture) {
                self.architectures.push(architecture);
            }
        }
        Ok(())
    }

    /// Of the packages that may go, the `newest` versions of each name and architecture stay.
    fn keep(&mut self, newest: u32, may_go: impl Fn(&Package, &Build) -> bool) {
        let all: Vec<_> = self.packages.keys().copied().collect();
        self.packages.retain(|one, build| {
            let later = all.iter().filter(|other| {
                let version = one.version;
                other.version > version && Package { version, ..**other } == *one
            });
            !may_go(one, build) || later.count() < newest as usize
        });
    }

    /// The suite's own policy, after something was published.
    fn keep_as_set(&mut self, new: &BTreeMap<Package, usize>) {
        if let Some(newest) = self.keep {
            let line = |one: &Package| Package { version: 0, ..*one };
            let published: BTreeSet<_> = new.keys().map(line).collect();
            self.keep(newest, |one, _| {
                published.contains(&line(one)) && !new.contains_key(one)
            });
        }
    }
}

/// What a suite has dropped comes back at the end.
fn bring_back(now: &mut Vec<&'static str>, then: &[&'static str]) {
    let missing = then.iter().copied().filter(|one| !now.contains(one));
    now.extend(BTreeSet::from_iter(missing));
}

/// What a promotion adds, in this component or in that of each package.
fn promoted(
    source: &Content,
    is_meant: impl Fn(&Package) -> bool,
    to: Option<usize>,
) -> impl Iterator<Item = (Package, usize)> {
    let meant = source.packages.iter();
    let meant = meant.filter(move |(package, _)| is_meant(package));
    meant.map(move |(package, build)| {
        let component = to.unwrap_or(package.component);
        let package = Package {
            component,
            ..*package
        };
        (package, build.content)
    })
}

impl Wish {
    /// Whether it adds two different builds of one package.
    fn clashes(&self) -> bool {
        let added: Vec<_> = match self {
            Self::Publish { files, .. } => {
                let file = |file: &File| (file.package(0), file.build);
                files.iter().map(file).collect()
            }
            Self::Promote {
                source,
                selector,
                mirror,
                to,
                ..
            } => promoted(source, |one| *mirror || is_meant(*selector, one), *to).collect(),
            _ => Vec::new(),
        };
        let mut builds = BTreeMap::new();
        let mut added = added.into_iter();
        added.any(|(package, build)| *builds.entry(package).or_insert(build) != build)
    }

    /// What becomes of a suite.
    pub(crate) fn apply(
        &self,
        base: Option<&Content>,
        is_signed: bool,
        has_all_keys: bool,
    ) -> Result<Content, Refusal> {
        if self.clashes() {
            return Err(Refusal::Conflict);
        }
        if base.is_some_and(|base| is_signed && !has_all_keys && !base.keys.contains(&0)) {
            return Err(Refusal::Keys);
        }
        if base.is_some_and(|base| base.is_closed) && !matches!(self, Self::Close) {
            return Err(Refusal::Deleting);
        }
        let creates = matches!(
            self,
            Self::Publish { .. } | Self::Promote { .. } | Self::Adopt(_) | Self::Create(_)
        );
        let mut next = match base {
            Some(base) => base.clone(),
            None if creates => Content::new(is_signed),
            None => return Err(Refusal::Missing),
        };
        if matches!(self, Self::Create(_)) && base.is_none() {
            next.components.push(COMPONENTS[0]);
        }
        match self {
            Self::Publish {
                component,
                files,
                replace,
                phase,
                keep,
            } => {
                let mut new = BTreeMap::new();
                for file in files {
                    new.insert(file.package(*component), file.build);
                }
                next.make_way(&new, *replace)?;
                // In the order of the files.
                for file in files {
                    let package = file.package(*component);
                    next.add(&BTreeMap::from([(package, file.build)]), *replace, None)?;
                    if let (Some(phase), Some(build)) = (phase, next.packages.get_mut(&package)) {
                        build.phase = *phase;
                    }
                }
                if let Some(newest) = keep {
                    let names: BTreeSet<_> = files.iter().map(|file| file.name).collect();
                    next.keep(*newest, |one, _| {
                        one.component == *component
                            && names.contains(&one.name)
                            && !new.contains_key(one)
                    });
                }
                next.keep_as_set(&new);
            }
            Self::Promote {
                source,
                selector,
                mirror,
                replace,
                phase,
                to,
            } => {
                if base.is_none() {
                    next.components = match to {
                        Some(to) => vec![COMPONENTS[*to]],
                        None => source.components.clone(),
                    };
                    next.architectures.clone_from(&source.architectures);
                    next.formats = source.formats;
                }
                let is_meant = |package: &Package| *mirror || is_meant(*selector, package);
                let new = promoted(source, is_meant, *to).collect();
                next.make_way(&new, *replace)?;
                next.add(&new, *replace, *phase)?;
                if *mirror {
                    next.packages.retain(|package, _| {
                        to.is_some_and(|to| package.component != to) || new.contains_key(package)
                    });
                }
                next.keep_as_set(&new);
            }
            Self::Remove(selector) => next.packages.retain(|one, _| !is_meant(*selector, one)),
            Self::Prune {
                selector,
                newest,
                below,
                only,
            } => next.keep(*newest, |one, build| {
                let file = (one.in_first_component(), build.content);
                is_meant(*selector, one)
                    && below.is_none_or(|limit| one.version < limit)
                    && only.as_ref().is_none_or(|only| only.contains(&file))
            }),
            Self::Rollback(then) => {
                next.packages.clone_from(&then.packages);
                bring_back(&mut next.components, &then.components);
                bring_back(&mut next.architectures, &then.architectures);
            }
            Self::Phase(of, percent) => {
                for (package, build) in &mut next.packages {
                    if of.changes(package, *build) {
                        build.phase = *percent;
                    }
                }
            }
            Self::Halt(of, earlier) => {
                let is_halted = |package: &Package, build: &mut Build| of.changes(package, *build);
                next.packages
                    .retain(|package, build| !is_halted(package, build));
                let staying = of.packages.iter().copied();
                let staying = staying.filter(|package| next.packages.contains_key(package));
                let staying: Vec<_> = staying.collect();
                let left = next.packages.clone();
                for (package, build) in earlier {
                    let takes_its_place = |other: &&Package| {
                        let [one, two] = [package, *other].map(|it| ARCHITECTURES[it.architecture]);
                        (other.component, other.name) == (package.component, package.name)
                            && (one == two || [one, two].contains(&"all"))
                    };
                    let mut of = of.packages.iter().filter(takes_its_place);
                    if of.any(|halted| !staying.contains(halted)) {
                        if left.iter().any(|(other, there)| {
                            package.collides_with(build.content, other, there.content)
                        }) {
                            return Err(Refusal::Conflict);
                        }
                        next.packages.entry(*package).or_insert(*build);
                    }
                }
                next.trim();
            }
            Self::Refresh => {}
            Self::Adopt(found) => next.clone_from(found),
            Self::Close => next.is_closed = true,
            Self::Set(setting, _) | Self::Create(setting) => match setting {
                Setting::NotAutomatic(is) => next.not_automatic = *is,
                Setting::Label(label) => next.label = *label,
                Setting::Keep(keep) => next.keep = *keep,
                Setting::Valid(is) => next.is_valid_for_a_week = *is,
                Setting::Formats(list) => next.formats = FORMAT_LISTS[*list],
                Setting::Component(component) => {
                    let component = COMPONENTS[*component];
                    if !next.components.contains(&component) {
                        next.components.push(component);
                    }
                }
                Setting::DropComponent(component) => {
                    let component = COMPONENTS[*component];
                    next.components.retain(|own| *own != component);
                    if next.components.is_empty() {
                        return Err(Refusal::Component);
                    }
                    next.trim();
                }
                Setting::Architectures(list, drops) => {
                    // An index of packages for all architectures, which only another program makes, stays.
                    let all = next.architectures.iter().filter(|own| **own == "all");
                    let list = all.chain(ARCHITECTURE_LISTS[*list]).copied();
                    let list: Vec<_> = list.collect();
                    let is_dropped = |old: &&str| !list.contains(old);
                    let mut published = base.iter().flat_map(|base| &base.architectures);
                    if !drops && published.any(is_dropped) {
                        return Err(Refusal::Architectures);
                    }
                    next.architectures = list;
                    next.trim();
                }
                Setting::Alias(has) => next.has_alias = *has,
            },
            Self::AddKey(key) => drop(next.keys.insert(*key)),
            Self::RetireKey(key) => drop(next.keys.remove(key)),
            Self::ResetKeys(key) => next.keys = BTreeSet::from([*key]),
        }
        if matches!(self, Self::Create(_)) && base.is_some_and(|base| *base != next) {
            return Err(Refusal::Exists);
        }
        let has_keys = has_all_keys || next.keys == BTreeSet::from([0]);
        if is_signed && (next.keys.is_empty() || !has_keys) {
            return Err(Refusal::Keys);
        }
        let is_news = |base: &Content| {
            let mut components = base.components.iter();
            let mut architectures = base.architectures.iter();
            base.label != next.label
                || base.not_automatic != next.not_automatic
                || components.any(|old| !next.components.contains(old))
                || architectures.any(|old| !next.architectures.contains(old))
        };
        if matches!(self, Self::Set(_, false)) && base.is_some_and(is_news) {
            return Err(Refusal::ReleaseInfo);
        }
        Ok(next)
    }
}
