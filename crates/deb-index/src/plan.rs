//! The plan: (a suite as it is, what somebody wants) → (the suite as it shall be). Pure.
//!
//! A publisher that loses the race for the head plans its *intent* again on the new base, so planning is idempotent: what is
//! there already is no change. Only other bytes for a name, version and architecture that is taken are a conflict.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    commit::{Action, Change, Commit},
    compression::Format,
    deb::Deb,
    digest::Sha256,
    name::{Architecture, Component},
    packages::{self, Packages, PackagesError},
    pool,
    settings::{Description, Settings},
};

/// Formats of a new suite's indexes: every client reads gz, and modern ones prefer zstd, which is fast on both sides.
const DEFAULT_FORMATS: [Format; 2] = [Format::Gz, Format::Zst];

/// Architectures of a new suite, beside those of its packages: what fleets of Debian and Ubuntu machines run on.
const DEFAULT_ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// A package that shall be in the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The component that it belongs to.
    pub component: Component,
    /// What was read from its file.
    pub deb: Deb,
    /// Its key, relative to the repository.
    pub filename: String,
}

impl Addition {
    /// A package under the key that is its own by the rules of [`pool`].
    pub fn new(component: Component, deb: Deb) -> Self {
        let filename = pool::package_key(
            &component,
            deb.source(),
            &deb.package,
            &deb.version,
            &deb.architecture,
        );
        Self {
            component,
            deb,
            filename,
        }
    }

    /// Name, version and architecture, as dpkg's file names have them.
    pub fn identity(&self) -> String {
        format!(
            "{}_{}_{}",
            self.deb.package, self.deb.version, self.deb.architecture
        )
    }

    /// Digest of the file.
    pub fn sha256(&self) -> Sha256 {
        self.deb.digests.sha256()
    }

    fn belongs_in(&self, id: &IndexId) -> bool {
        let architecture = &self.deb.architecture;
        self.component == id.component
            && (architecture.is_all() || *architecture == id.architecture)
    }

    fn change(&self, action: Action) -> Change {
        Change {
            action,
            component: self.component.clone(),
            package: self.deb.package.clone(),
            version: self.deb.version.clone(),
            architecture: self.deb.architecture.clone(),
            sha256: self.sha256(),
            filename: self.filename.clone(),
        }
    }
}

/// What somebody wants of a suite.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// Packages that shall be in it.
    pub additions: Vec<Addition>,
    /// Whether an addition may take the place of other bytes of the same name, version and architecture.
    pub replace: bool,
    /// All its architectures, `all` left out; `None`: as they are, and those of the additions.
    pub architectures: Option<Vec<Architecture>>,
    /// Words for its `Release`.
    pub description: Description,
    /// Fingerprints of the keys that sign it from its first commit on.
    pub signing_keys: Vec<String>,
    /// Whether the caller vouches for being the only writer, in a store without conditional writes.
    pub single_writer: bool,
}

/// An index of a suite.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexId {
    /// Its component.
    pub component: Component,
    /// Its architecture.
    pub architecture: Architecture,
}

/// A suite as it shall be, beside what stays as it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its settings.
    pub settings: Settings,
    /// What changes, in the order of the intent. Empty: nothing to do, unless the settings change.
    pub changes: Vec<Change>,
    /// The plain indexes that change.
    pub indexes: BTreeMap<IndexId, Vec<u8>>,
}

/// Why an intent cannot be carried out on this base.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Two additions of one intent are the same version with other bytes.
    #[error("two files are given for {identity} in {component}, with different content")]
    Clash {
        /// Name, version and architecture.
        identity: String,
        /// The component.
        component: Component,
    },
    /// The version is taken.
    #[error("{identity} is in {component} already, with other content: {filename}")]
    Conflict {
        /// Name, version and architecture.
        identity: String,
        /// The component.
        component: Component,
        /// Key of what is there.
        filename: String,
    },
    /// The given architectures lack one that the suite has.
    #[error("the suite has packages for {0}: its architectures can be added to, not taken away")]
    DropsArchitecture(Architecture),
    /// The given architectures lack one that is to be added.
    #[error(
        "{identity} is for {architecture}, which is not among the architectures that were given"
    )]
    ForeignArchitecture {
        /// Name, version and architecture.
        identity: String,
        /// Its architecture.
        architecture: Architecture,
    },
    /// `all` is not an architecture that a suite has an index for.
    #[error(
        "`all` cannot be among the architectures of a suite: such packages are in the index of each"
    )]
    AllIsNone,
    /// A base index was not given to the plan.
    #[error("the index of {component} for {architecture} was not read")]
    Missing {
        /// The component.
        component: Component,
        /// The architecture.
        architecture: Architecture,
    },
    /// A base index is broken.
    #[error("the repository's index of {component} for {architecture} is broken: {source}")]
    Broken {
        /// The component.
        component: Component,
        /// The architecture.
        architecture: Architecture,
        /// How.
        source: PackagesError,
    },
}

impl Plan {
    /// Whether the suite stays as it is.
    pub fn is_empty(&self, base: Option<&Commit>) -> bool {
        self.indexes.is_empty() && base.is_some_and(|base| base.settings == self.settings)
    }
}

impl PlanError {
    /// Whether somebody's *content* stands in the way, as opposed to a wrong call or a broken repository.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Clash { .. } | Self::Conflict { .. })
    }
}

impl Intent {
    /// Drops additions that are given twice.
    ///
    /// # Errors
    /// [`PlanError::Clash`] where two are the same version with other bytes.
    pub fn deduplicate(&mut self) -> Result<(), PlanError> {
        let mut seen: BTreeMap<(Component, String), Sha256> = BTreeMap::new();
        let mut clash = None;
        self.additions.retain(|addition| {
            let sha256 = addition.sha256();
            let Some(first) =
                seen.insert((addition.component.clone(), addition.identity()), sha256)
            else {
                return true;
            };
            if first != sha256 {
                let (identity, component) = (addition.identity(), addition.component.clone());
                clash = Some(PlanError::Clash {
                    identity,
                    component,
                });
            }
            false
        });
        clash.map_or(Ok(()), Err)
    }

    /// The indexes of the base that [`plan`] has to see.
    pub fn reads(&self, base: Option<&Commit>) -> BTreeSet<IndexId> {
        let Some(base) = base else {
            return BTreeSet::new();
        };
        let architectures = self.suite_architectures(Some(base));
        let is_new =
            |architecture: &&Architecture| !base.settings.architectures.contains(architecture);
        let grows = architectures
            .iter()
            .any(|architecture| is_new(&architecture));
        let touched = self.additions.iter().flat_map(|addition| {
            indexes_of(&addition.deb.architecture, &architectures)
                .into_iter()
                .map(|architecture| IndexId {
                    component: addition.component.clone(),
                    architecture,
                })
        });
        // The `all` packages of a new architecture's indexes are copied from the first one's.
        let first = base.settings.architectures.first().filter(|_| grows);
        let copied = first.into_iter().flat_map(|architecture| {
            base.settings.components.iter().map(|component| IndexId {
                component: component.clone(),
                architecture: architecture.clone(),
            })
        });
        touched
            .chain(copied)
            .filter(|id| base.index(&id.component, &id.architecture).is_some())
            .collect()
    }

    /// The architectures that the suite shall have, in order of appearance.
    fn suite_architectures(&self, base: Option<&Commit>) -> Vec<Architecture> {
        if let Some(architectures) = &self.architectures {
            return unique(architectures.iter().cloned());
        }
        let own = self
            .additions
            .iter()
            .map(|addition| addition.deb.architecture.clone());
        let there = match base {
            Some(base) => base.settings.architectures.clone(),
            None => DEFAULT_ARCHITECTURES
                .iter()
                .filter_map(|name| name.parse().ok())
                .collect(),
        };
        unique(
            there
                .into_iter()
                .chain(own.filter(|architecture| !architecture.is_all())),
        )
    }

    fn settings(&self, base: Option<&Commit>) -> Result<Settings, PlanError> {
        let architectures = self.suite_architectures(base);
        if architectures.iter().any(Architecture::is_all) {
            return Err(PlanError::AllIsNone);
        }
        let old = base
            .map(|base| base.settings.clone())
            .unwrap_or_else(|| Settings {
                formats: DEFAULT_FORMATS.to_vec(),
                signing_keys: self.signing_keys.clone(),
                ..Settings::default()
            });
        if let Some(dropped) = old
            .architectures
            .iter()
            .find(|old| !architectures.contains(old))
        {
            return Err(PlanError::DropsArchitecture(dropped.clone()));
        }
        let known = |addition: &&Addition| {
            let architecture = &addition.deb.architecture;
            architecture.is_all() || architectures.contains(architecture)
        };
        if let Some(foreign) = self.additions.iter().find(|addition| !known(addition)) {
            return Err(PlanError::ForeignArchitecture {
                identity: foreign.identity(),
                architecture: foreign.deb.architecture.clone(),
            });
        }
        let own = self
            .additions
            .iter()
            .map(|addition| addition.component.clone());
        Ok(Settings {
            description: old.description.updated(&self.description),
            components: unique(old.components.into_iter().chain(own)),
            architectures,
            single_writer: self.single_writer,
            ..old
        })
    }

    fn touches(&self, id: &IndexId) -> bool {
        self.additions
            .iter()
            .any(|addition| addition.belongs_in(id))
    }
}

/// The architectures whose indexes a package stands in.
fn indexes_of(architecture: &Architecture, suite: &[Architecture]) -> Vec<Architecture> {
    if architecture.is_all() {
        suite.to_vec()
    } else {
        vec![architecture.clone()]
    }
}

fn unique<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.fold(Vec::new(), |mut kept, item| {
        if !kept.contains(&item) {
            kept.push(item);
        }
        kept
    })
}

/// The plain indexes that were read of a suite.
pub type PlainIndexes<B> = BTreeMap<IndexId, B>;

/// Plans `intent` on `base` (`None`: the suite does not exist), of which `indexes` holds what [`Intent::reads`] asks for.
///
/// # Errors
/// [`PlanError`]; nothing is planned then.
pub fn plan<B: AsRef<[u8]>>(
    base: Option<&Commit>,
    indexes: &PlainIndexes<B>,
    intent: &Intent,
) -> Result<Plan, PlanError> {
    let settings = intent.settings(base)?;
    let mut changes = Changes {
        intent,
        changes: vec![None; intent.additions.len()],
    };
    let mut changed = BTreeMap::new();
    for component in &settings.components {
        for architecture in &settings.architectures {
            let id = IndexId {
                component: component.clone(),
                architecture: architecture.clone(),
            };
            let is_new = base.is_none_or(|base| base.index(component, architecture).is_none());
            if !is_new && !intent.touches(&id) {
                continue;
            }
            let copied = if is_new {
                base.and_then(|base| all_packages_from(base, component))
            } else {
                Some(id.clone())
            };
            let plain = copied.map_or(Ok(&[][..]), |id| {
                let plain = indexes.get(&id).map(AsRef::as_ref);
                plain.ok_or(PlanError::Missing {
                    component: id.component,
                    architecture: id.architecture,
                })
            })?;
            if let Some(plain) = changes.apply(&id, plain, is_new)? {
                changed.insert(id, plain);
            }
        }
    }
    Ok(Plan {
        settings,
        changes: changes.changes.into_iter().flatten().collect(),
        indexes: changed,
    })
}

/// The index that has the `all` packages of a component, where the suite has any.
fn all_packages_from(base: &Commit, component: &Component) -> Option<IndexId> {
    let architecture = base.settings.architectures.first()?.clone();
    base.index(component, &architecture)?;
    Some(IndexId {
        component: component.clone(),
        architecture,
    })
}

/// What an intent changes, index by index: a package in several indexes is one change.
struct Changes<'a> {
    intent: &'a Intent,
    changes: Vec<Option<Change>>,
}

impl Changes<'_> {
    /// The index `id` with the additions that belong in it, or `None` if it stays as it is. Of `plain`, a new index takes only
    /// the `all` packages.
    fn apply(
        &mut self,
        id: &IndexId,
        plain: &[u8],
        is_new: bool,
    ) -> Result<Option<Vec<u8>>, PlanError> {
        let broken = |source| PlanError::Broken {
            component: id.component.clone(),
            architecture: id.architecture.clone(),
            source,
        };
        let mut index = Packages::parse(plain).map_err(broken)?;
        if is_new {
            index.retain(|entry| entry.architecture == "all");
        }
        let mut stanzas = Vec::new();
        for (at, addition) in self.intent.additions.iter().enumerate() {
            if !addition.belongs_in(id) {
                continue;
            }
            let Some(action) = self.action(&index, addition)? else {
                continue;
            };
            stanzas.push(packages::stanza(addition));
            self.changes[at].get_or_insert_with(|| addition.change(action));
        }
        if stanzas.is_empty() && !is_new {
            return Ok(None);
        }
        Ok(Some(index.with(&stanzas).map_err(broken)?.render()))
    }

    fn action(
        &self,
        index: &Packages<'_>,
        addition: &Addition,
    ) -> Result<Option<Action>, PlanError> {
        let deb = &addition.deb;
        let Some(there) = index.get(&deb.package, &deb.version, &deb.architecture) else {
            return Ok(Some(Action::Add));
        };
        if there.field("SHA256") == Some(&addition.sha256().to_string()) {
            return Ok(None);
        }
        if self.intent.replace {
            return Ok(Some(Action::Replace));
        }
        Err(PlanError::Conflict {
            identity: addition.identity(),
            component: addition.component.clone(),
            filename: there.field("Filename").unwrap_or_default().to_owned(),
        })
    }
}
