//! A `Packages` index of which no file is left, made again: from the last state of it that is whole, what the history says has
//! changed since, and the files in the pool. Its digest, which the head vouches for, tells whether it is the same again.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    index::{IndexPath, packages::Packages},
    name::{Architecture, Component},
    phase::Percentage,
    stanza::{Stanza, StanzaRef},
    suite::{
        commit::{Change, Commit, Index},
        layout,
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use crate::{
    Error, Keys, Suite, commit::draft::blocking, gc::inventory::Inventory,
    read::loss::is_unreadable, verify::check::Check,
};

/// Commits that are read to find a state that is whole.
const SEARCHED: usize = 1000;
/// Package files that are read at once.
const READ: usize = 8;

/// An index as it was made again.
#[derive(Debug, Clone)]
pub(crate) struct Rebuilt {
    pub(crate) plain: Bytes,
    /// Whether it is byte for byte what the head names.
    pub(crate) is_proven: bool,
    /// Packages in it.
    pub(crate) packages: usize,
}

type Name = (String, String, String);

/// Where the stanza of a package is.
#[derive(Debug, Clone)]
enum Source {
    Here(Bytes),
    /// In the package's file.
    File {
        key: String,
        sha256: Option<Sha256>,
        phase: Percentage,
    },
}

/// What the history tells of an index.
#[derive(Debug, Default)]
struct Recorded {
    packages: BTreeMap<Name, Source>,
    removed: HashSet<Name>,
    /// When the newest state whose changes are known was the head.
    until: Option<Timestamp>,
    /// Whether nothing before that is left out.
    has_beginning: bool,
}

impl Check<'_> {
    /// Makes an index of the head again; none if nothing of it is left.
    pub(crate) async fn rebuilt(
        &self,
        path: &IndexPath,
        index: &Index,
        commit: &Commit,
    ) -> Result<Option<Rebuilt>, Error> {
        let Some((component, architecture)) = path.as_packages() else {
            return Ok(None);
        };
        let mut recorded = self.recorded(path, index, commit).await?;
        self.take_for_all(&mut recorded, path, commit).await?;
        let first = self.rendered(&component, recorded.packages.clone()).await?;
        let is_same = |plain: &Bytes| Sha256::of(plain) == index.sha256;
        if is_same(&first.0) {
            return Ok(Some(Rebuilt::of(first, true)));
        }
        if recorded.has_beginning && !self.is_stand_in {
            return Ok(Some(Rebuilt::of(first, false)));
        }
        // What the lost commits did is not known. The files that are newer may be what they added.
        let since = recorded.until.filter(|_| recorded.has_beginning);
        let more = candidates(self.inventory, &component, &architecture, since);
        let second = self.with(&component, &recorded, &more).await?;
        if is_same(&second.0) {
            return Ok(Some(Rebuilt::of(second, true)));
        }
        let others = self
            .others
            .get_or_try_init(|| self.suite.named_by_others(self.inventory));
        let others = others.await?;
        let own: Vec<_> = more
            .into_iter()
            .filter(|key| !others.contains(key))
            .collect();
        let third = self.with(&component, &recorded, &own).await?;
        let is_proven = is_same(&third.0);
        Ok((third.1 > 0 || is_proven).then(|| Rebuilt::of(third, is_proven)))
    }

    /// What the history tells of an index, from the last state that can be read on.
    async fn recorded(
        &self,
        path: &IndexPath,
        lost: &Index,
        commit: &Commit,
    ) -> Result<Recorded, Error> {
        let suite = self.suite;
        let mut recorded = Recorded::default();
        let mut steps = Vec::new();
        let mut parent = commit.parent;
        if self.is_stand_in {
            parent = match self.found.commit {
                Some(lost) => self.suite.before_lost(lost, commit.time).await?,
                None => None,
            };
        } else {
            recorded.until = Some(commit.time);
            steps.push(commit.changes.clone());
        }
        for _ in 0..SEARCHED {
            let Some(id) = parent else {
                // The first commit began with nothing, or with what another program had made.
                let is_adopted = |change: &Change| change.action == Change::ADOPT;
                recorded.has_beginning = steps
                    .last()
                    .is_some_and(|first: &Arc<Vec<Change>>| !first.iter().any(is_adopted));
                break;
            };
            let before = match suite.read_commit(&id).await {
                Ok(before) if before.suite == suite.name => before,
                Ok(_) => break,
                Err(error) if is_unreadable(&error) => break,
                Err(error) => return Err(error),
            };
            recorded.until = recorded.until.or(Some(before.time));
            let Some(index) = before.indexes.get(path) else {
                recorded.has_beginning = true;
                break;
            };
            if index.sha256 != lost.sha256 {
                let plain = suite.plain_index(&before, path).await?;
                if let Some(plain) = plain
                    && let Ok(packages) = Packages::parse(&plain)
                {
                    recorded.add_all(packages.stanzas());
                    recorded.has_beginning = true;
                    break;
                }
            }
            parent = before.parent;
            steps.push(before.changes);
        }
        let is_in = path.as_packages();
        for change in steps
            .iter()
            .rev()
            .flat_map(|changes| changes.iter().cloned())
        {
            recorded.apply(change, is_in.as_ref());
        }
        Ok(recorded)
    }

    /// Packages for all architectures are in the other indexes of the component, too.
    async fn take_for_all(
        &self,
        recorded: &mut Recorded,
        path: &IndexPath,
        commit: &Commit,
    ) -> Result<(), Error> {
        let component = |path: &IndexPath| path.as_packages().map(|(component, _)| component);
        for other in commit.indexes.keys() {
            if other == path || component(other) != component(path) {
                continue;
            }
            let Some(plain) = self.suite.plain_index(commit, other).await? else {
                continue;
            };
            if let Ok(packages) = Packages::parse(&plain) {
                recorded
                    .packages
                    .retain(|(_, _, architecture), _| architecture != "all");
                recorded.add_all(packages.for_all_architectures().stanzas());
                return Ok(());
            }
        }
        Ok(())
    }

    /// What is recorded, with further packages of which nothing is recorded.
    async fn with(
        &self,
        component: &Component,
        recorded: &Recorded,
        more: &[String],
    ) -> Result<(Bytes, usize), Error> {
        let mut packages = recorded.packages.clone();
        let file = |key: &String| Source::File {
            key: key.clone(),
            sha256: None,
            phase: Percentage::ALL,
        };
        let more = more.iter().map(file).collect();
        for stanza in self.suite.stanzas(component, more).await? {
            let name = name_of(&stanza.borrowed());
            if !recorded.removed.contains(&name) {
                packages.entry(name).or_insert(Source::Here(stanza.bytes));
            }
        }
        self.rendered(component, packages).await
    }

    /// The index of these packages, as far as their stanzas can be had, and how many they are.
    async fn rendered(
        &self,
        component: &Component,
        packages: BTreeMap<Name, Source>,
    ) -> Result<(Bytes, usize), Error> {
        let (mut here, mut files) = (Vec::new(), Vec::new());
        for source in packages.into_values() {
            match source {
                Source::Here(bytes) => here.push(bytes),
                file @ Source::File { .. } => files.push(file),
            }
        }
        let read = self.suite.stanzas(component, files).await?;
        here.extend(read.into_iter().map(|stanza| stanza.bytes));
        Ok(blocking(move || {
            let mut plain = Vec::new();
            for stanza in here {
                plain.extend_from_slice(&stanza);
                plain.extend_from_slice(if stanza.ends_with(b"\n") {
                    b"\n"
                } else {
                    b"\n\n"
                });
            }
            match Packages::parse(&plain) {
                Ok(packages) => (packages.render().into(), packages.stanzas().len()),
                Err(_) => (Bytes::new(), 0),
            }
        })
        .await)
    }
}

impl Rebuilt {
    fn of((plain, packages): (Bytes, usize), is_proven: bool) -> Self {
        Self {
            plain,
            is_proven,
            packages,
        }
    }
}

impl Recorded {
    fn add_all(&mut self, stanzas: &[StanzaRef<'_>]) {
        for stanza in stanzas {
            let bytes = Bytes::copy_from_slice(stanza.bytes);
            self.packages.insert(name_of(stanza), Source::Here(bytes));
        }
    }

    fn apply(&mut self, change: Change, of: Option<&(Component, Architecture)>) {
        let (Some((component, own)), Some(package), Some(version), Some(architecture)) =
            (of, change.package, change.version, change.architecture)
        else {
            return;
        };
        let is_ours = change.component.as_deref() == Some(component.as_str())
            && (architecture == "all" || architecture == own.as_str());
        if !is_ours {
            return;
        }
        let name = (package, version, architecture);
        if change.action == Change::REMOVE {
            self.packages.remove(&name);
            self.removed.insert(name);
        } else if let Some(key) = change.filename {
            let sha256 = change.sha256.and_then(|sha256| sha256.parse().ok());
            let phase = change.phase.map_or(Percentage::ALL, |phase| phase.to);
            let source = match self.packages.remove(&name) {
                Some(Source::Here(bytes)) if change.action == Change::PHASE => {
                    Source::Here(phase.written_to(&bytes).into())
                }
                _ => Source::File { key, sha256, phase },
            };
            self.removed.remove(&name);
            self.packages.insert(name, source);
        }
    }
}

impl Suite<'_> {
    /// The stanzas of package files that are there and whole.
    async fn stanzas(
        &self,
        component: &Component,
        files: Vec<Source>,
    ) -> Result<Vec<Stanza>, Error> {
        let reads = files.into_iter().map(|file| async move {
            let Source::File { key, sha256, phase } = file else {
                return Ok(None);
            };
            let Some(deb) = self.repository.describe(&key).await? else {
                return Ok(None);
            };
            let stanza = Stanza::of_deb(component.clone(), &deb)
                .at_key(key)
                .phased(phase);
            let is_it = sha256.is_none_or(|sha256| sha256 == stanza.sha256);
            Ok::<_, Error>(is_it.then_some(stanza))
        });
        stream::iter(reads.collect::<Vec<_>>())
            .buffered(READ)
            .try_filter_map(async |stanza| Ok(stanza))
            .try_collect()
            .await
    }

    /// Package files that the heads of other suites name, as far as these can be read.
    pub(crate) async fn named_by_others(
        &self,
        inventory: &Inventory,
    ) -> Result<HashSet<String>, Error> {
        let mut named = HashSet::new();
        for name in inventory
            .marks()
            .into_keys()
            .filter(|name| *name != self.name)
        {
            let other = self.repository.suite(name, Keys::Unchecked);
            let list = match other.head().await {
                Ok(Some(head)) => {
                    let all = crate::Selection::default();
                    other.packages_of(head.id(), head.commit, all).await
                }
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            match list {
                Ok(list) => {
                    let packages = other.sorted(&list).unwrap_or_default();
                    let keys = packages.iter().filter_map(|p| p.stanza.field("Filename"));
                    named.extend(keys.map(ToOwned::to_owned));
                }
                Err(error @ Error::Storage(_)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(named)
    }
}

/// The package files of a component that are for an architecture or for all, by their names, and not older than this.
fn candidates(
    inventory: &Inventory,
    component: &Component,
    architecture: &Architecture,
    since: Option<Timestamp>,
) -> Vec<String> {
    let folder = format!("{}{component}/", layout::POOL);
    let files = inventory.below(&folder).filter(|(key, object)| {
        let is_for_it = |named: &str| named == "all" || named == architecture.as_str();
        let is_new = since.is_none_or(|since| object.modified >= Some(since));
        is_new
            && architecture_in(key).is_some_and(is_for_it)
            && layout::component_of(key).as_ref() == Some(component)
    });
    files.map(|(key, _)| key.clone()).collect()
}

/// The architecture in the name of a package file: `hello_1.0_amd64.deb`, or with digits of its digest `hello_1.0_amd64.0123….deb`.
pub(crate) fn architecture_in(key: &str) -> Option<&str> {
    let (_, end) = key.strip_suffix(".deb")?.rsplit_once('_')?;
    Some(end.split('.').next().unwrap_or(end))
}

fn name_of(stanza: &StanzaRef<'_>) -> Name {
    let [name, version, architecture] =
        [stanza.name, stanza.version, stanza.architecture].map(ToOwned::to_owned);
    (name, version, architecture)
}
