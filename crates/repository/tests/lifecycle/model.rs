//! What each operation is to do, on plain data. Nothing here is taken from the library.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    script::{ARCHITECTURE_LISTS, FORMAT_LISTS, File, Setting},
    shelf::{ARCHITECTURES, COMPONENTS, NAMES, Package},
};

/// A suite as devices see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Packages, and which build of each.
    pub(crate) packages: BTreeMap<Package, usize>,
    pub(crate) components: Vec<&'static str>,
    pub(crate) architectures: Vec<&'static str>,
    pub(crate) formats: &'static [&'static str],
    pub(crate) label: Option<usize>,
    pub(crate) not_automatic: bool,
    pub(crate) keep: Option<u32>,
    pub(crate) is_valid_for_a_week: bool,
    /// Keys that sign; none in an unsigned suite.
    pub(crate) keys: BTreeSet<usize>,
}

/// What an operation comes to, with what it has read before it was planned.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    Publish {
        component: usize,
        files: Vec<File>,
        replace: bool,
        keep: Option<u32>,
    },
    Remove(usize),
    Promote {
        source: Content,
        selector: usize,
        mirror: bool,
        replace: bool,
    },
    Prune(usize, u32),
    Rollback(Content),
    /// The date is not part of the content.
    Refresh,
    Set(Setting),
    AddKey(usize),
    RetireKey(usize),
}

/// Why an operation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Conflict,
    /// There is no such suite, or no such commit.
    Missing,
    Architectures,
    ReleaseInfo,
    Keys,
    /// Something that an earlier commit needs was deleted.
    Collected,
}

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
    fn new(is_signed: bool) -> Self {
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
        }
    }

    fn add(&mut self, new: &BTreeMap<Package, usize>, replace: bool) -> Result<(), Refusal> {
        for (package, build) in new {
            let there = self.packages.get(package);
            if !replace && there.is_some_and(|there| there != build) {
                return Err(Refusal::Conflict);
            }
        }
        self.packages.extend(new);
        for package in new.keys() {
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
    fn keep(&mut self, newest: u32, may_go: impl Fn(&Package) -> bool) {
        let all: Vec<_> = self.packages.keys().copied().collect();
        self.packages.retain(|one, _| {
            let later = all.iter().filter(|other| {
                let version = one.version;
                other.version > version && Package { version, ..**other } == *one
            });
            !may_go(one) || later.count() < newest as usize
        });
    }

    /// The suite's own policy, after something was published.
    fn keep_as_set(&mut self, new: &BTreeMap<Package, usize>) {
        if let Some(newest) = self.keep {
            let line = |one: &Package| Package { version: 0, ..*one };
            let published: BTreeSet<_> = new.keys().map(line).collect();
            self.keep(newest, |one| {
                published.contains(&line(one)) && !new.contains_key(one)
            });
        }
    }
}

impl Wish {
    /// What becomes of a suite.
    pub(crate) fn apply(
        &self,
        base: Option<&Content>,
        is_signed: bool,
        has_all_keys: bool,
    ) -> Result<Content, Refusal> {
        if base.is_some_and(|base| is_signed && !has_all_keys && !base.keys.contains(&0)) {
            return Err(Refusal::Keys);
        }
        let creates = matches!(self, Self::Publish { .. } | Self::Promote { .. });
        let mut next = match base {
            Some(base) => base.clone(),
            None if creates => Content::new(is_signed),
            None => return Err(Refusal::Missing),
        };
        let mut is_release_info_allowed = true;
        match self {
            Self::Publish {
                component,
                files,
                replace,
                keep,
            } => {
                let mut new = BTreeMap::new();
                for file in files {
                    let package = Package {
                        component: *component,
                        name: file.name,
                        architecture: file.architecture,
                        version: file.version,
                    };
                    let other = new.insert(package, file.build);
                    if other.is_some_and(|other| other != file.build) {
                        return Err(Refusal::Conflict);
                    }
                }
                // In the order of the files.
                for file in files {
                    let package = Package {
                        component: *component,
                        name: file.name,
                        architecture: file.architecture,
                        version: file.version,
                    };
                    next.add(&BTreeMap::from([(package, file.build)]), *replace)?;
                }
                if let Some(newest) = keep {
                    let names: BTreeSet<_> = files.iter().map(|file| file.name).collect();
                    next.keep(*newest, |one| {
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
            } => {
                if base.is_none() {
                    next.components.clone_from(&source.components);
                    next.architectures.clone_from(&source.architectures);
                    next.formats = source.formats;
                }
                let mut new = source.packages.clone();
                new.retain(|package, _| *mirror || is_meant(*selector, package));
                next.add(&new, *replace)?;
                if *mirror {
                    next.packages.retain(|package, _| new.contains_key(package));
                }
                next.keep_as_set(&new);
            }
            Self::Remove(selector) => next.packages.retain(|one, _| !is_meant(*selector, one)),
            Self::Prune(selector, newest) => next.keep(*newest, |one| is_meant(*selector, one)),
            Self::Rollback(then) => next.packages.clone_from(&then.packages),
            Self::Refresh => {}
            Self::Set(setting) => match setting {
                Setting::NotAutomatic(is) => next.not_automatic = *is,
                Setting::Label(label, allowed) => {
                    next.label = *label;
                    is_release_info_allowed = *allowed;
                }
                Setting::Keep(keep) => next.keep = *keep,
                Setting::Valid(is) => next.is_valid_for_a_week = *is,
                Setting::Formats(list) => next.formats = FORMAT_LISTS[*list],
                Setting::Component(component) => {
                    let component = COMPONENTS[*component];
                    if !next.components.contains(&component) {
                        next.components.push(component);
                    }
                }
                Setting::Architectures(list) => {
                    let list = ARCHITECTURE_LISTS[*list];
                    if next.architectures.iter().any(|old| !list.contains(old)) {
                        return Err(Refusal::Architectures);
                    }
                    next.architectures = list.to_vec();
                }
            },
            Self::AddKey(key) => drop(next.keys.insert(*key)),
            Self::RetireKey(key) => drop(next.keys.remove(key)),
        }
        let has_keys = has_all_keys || next.keys == BTreeSet::from([0]);
        if is_signed && (next.keys.is_empty() || !has_keys) {
            return Err(Refusal::Keys);
        }
        if base.is_some_and(|base| base.label != next.label) && !is_release_info_allowed {
            return Err(Refusal::ReleaseInfo);
        }
        Ok(next)
    }
}
