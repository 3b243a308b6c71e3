//! What a publisher wants of a suite: a list of edits, whatever the suite looks like now.
//!
//! An intent is a pure function of the base. A publisher that loses the race for the head applies it again to the new base, so
//! every edit is idempotent: applied twice in a row, the second time changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    num::NonZeroU32,
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    phasing::Phasing,
    plan::{IndexPlan, PlainIndexes, Plan},
    selector::Selector,
};
use crate::{
    digest::Sha256,
    fingerprint::Fingerprint,
    index::{IndexPath, compression::Format, packages::Packages},
    name::{Architecture, Component, SuiteName},
    package_id::PackageId,
    phase::Percentage,
    stanza::Stanza,
    suite::{
        commit::{Commit, Index},
        settings::{AcceptedKey, FieldName, Line, Settings},
    },
    version::Version,
};

/// Edits whose packages take little memory.
const FEW: usize = 1_000;

/// One change to a suite.
#[derive(Debug, Clone)]
pub enum Edit {
    /// The suite exists. The settings are those of a new one; an existing suite keeps its own.
    /// (Boxed, as [`Edit::Set`] is, since there may be tens of thousands of other edits.)
    Exist(Box<Settings>),
    /// The suite is new. One that exists is a conflict, unless it is as it is wanted.
    New,
    /// Some of the settings have these values.
    Set(Box<SettingsPatch>),
    /// A package is in the suite. Unless `replace` is set, other bytes for the same package are a conflict.
    Add { stanza: Stanza, replace: bool },
    /// The file of a package that is in the suite is at the key of this stanza, because other content is at the key where it was.
    Moved(Stanza),
    /// The packages that are meant are not in the suite, except those in these components whose files have these digests.
    Remove {
        of: Selector,
        except: HashSet<(Component, Sha256)>,
    },
    /// Only the newest versions are in the suite.
    Keep(Retention),
    /// These packages, as far as they are in the suite, are for this part of the devices.
    Phase {
        of: Vec<PackageId>,
        percentage: Percentage,
        only: Phasing,
    },
    /// These packages are not in the suite, and in their place the earlier ones that they had taken the place of: of the same name,
    /// and for an architecture of theirs.
    Halt {
        of: Vec<PackageId>,
        earlier: Vec<Stanza>,
        only: Phasing,
    },
    /// A package to add that was taken back and has not come in since is a conflict.
    RespectHalts,
    /// The indexes are those of an earlier commit, and its components and architectures are among the suite's. Other settings stay,
    /// and so do components and architectures that are newer.
    Restore(Arc<Restored>),
    /// A head that is dated before this is followed by another, whose `Valid-Until` is no earlier.
    Refresh { since: Timestamp },
    /// Nobody builds on the commit, because the suite is going to be deleted.
    Close,
}

/// Settings to change; the others stay as they are.
#[derive(Debug, Clone, Default)]
pub struct SettingsPatch {
    /// Fields of `Release`; none removes the field.
    pub fields: BTreeMap<FieldName, Option<Line>>,
    /// Components to add, with an empty index for each architecture.
    pub components: Vec<Component>,
    /// Components that leave the suite, with their packages. Devices that use one have to accept that.
    pub remove_components: Vec<Component>,
    /// All architectures of the suite, without `all`.
    pub architectures: Option<Vec<Architecture>>,
    /// Whether architectures that are not among these leave the suite, with their packages, which devices have to accept.
    /// Otherwise leaving one out is an error.
    pub drops_architectures: bool,
    /// Forms in which indexes are stored from now on.
    pub formats: Option<Vec<Format>>,
    /// How many versions of a package a publish leaves in the suite; an inner none: all.
    pub keep_versions: Option<Option<NonZeroU32>>,
    /// How long after its `Date` a `Release` is valid, in seconds; an inner none: for ever.
    pub valid_seconds: Option<Option<NonZeroU32>>,
    /// Whether `Release` names the keys that sign it.
    pub signed_by: Option<bool>,
    /// Further names of the suite.
    pub add_aliases: BTreeSet<SuiteName>,
    /// Names that it has no longer.
    pub drop_aliases: BTreeSet<SuiteName>,
    /// Newer copies of certificates, for those that sign the suite. All of their keys may sign from now on.
    pub renew_keys: Vec<AcceptedKey>,
    /// Certificates that sign the suite from now on, beside those that do already. Of those, this is a newer copy; the keys
    /// that devices know stay as they are.
    pub accept_keys: Vec<AcceptedKey>,
    /// Certificates that no longer sign it.
    pub retire_keys: Retired,
}

/// Certificates of a suite that no longer sign it.
#[derive(Debug, Clone)]
pub enum Retired {
    These(Vec<Fingerprint>),
    /// All but those to accept.
    Others,
}

/// Which versions of the packages that are meant stay.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Packages that are meant by any of these.
    pub of: Vec<Selector>,
    /// How many versions stay of each name and architecture, the newest.
    pub newest: NonZeroU32,
    /// Only versions below this one go.
    pub below: Option<Version>,
    /// Only packages whose files have these digests go.
    pub only: Option<HashSet<Sha256>>,
}

/// The indexes of an earlier commit.
#[derive(Debug)]
pub struct Restored {
    pub indexes: BTreeMap<IndexPath, Index>,
    /// The plain `Packages` among them, of the components and architectures that the suite had.
    pub plain: PlainIndexes,
}

/// A list of edits, applied in order.
#[derive(Debug, Clone, Default)]
pub struct Intent(pub Vec<Edit>);

impl Default for Retired {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl Edit {
    /// Whether it may change the index of a component and an architecture.
    fn touches(&self, component: &Component, architecture: &Architecture) -> bool {
        match self {
            // What it takes the place of may be in any of them.
            Self::Add { replace: true, .. } => true,
            Self::Add { stanza, .. } | Self::Moved(stanza) => {
                stanza.id.is_in(component, architecture)
            }
            Self::Remove { of, .. } => of.is_in(component, architecture),
            Self::Keep(retention) => {
                let mut of = retention.of.iter();
                of.any(|selector| selector.is_in(component, architecture))
            }
            Self::Phase { of, .. } => of.iter().any(|id| id.is_in(component, architecture)),
            Self::Halt { of, earlier, .. } => {
                let mut ids = of.iter().chain(earlier.iter().map(|stanza| &stanza.id));
                ids.any(|id| id.is_in(component, architecture))
            }
            Self::Set(patch) => patch.formats.is_some() || patch.drops(component, architecture),
            Self::Restore(_) => true,
            Self::Exist(_)
            | Self::New
            | Self::RespectHalts
            | Self::Refresh { .. }
            | Self::Close => false,
        }
    }

    /// Whether it may change the index, or depends on it: what it brings in must not collide with what devices see there.
    fn meets(&self, component: &Component, architecture: &Architecture) -> bool {
        let brought = match self {
            Self::Add { stanza, .. } => std::slice::from_ref(stanza),
            Self::Halt { earlier, .. } => earlier,
            _ => &[],
        };
        let mut brought = brought.iter();
        self.touches(component, architecture) || brought.any(|it| it.id.meets(architecture))
    }
}

impl Intent {
    /// The packages to add, in order, and whether each may replace another build.
    pub fn additions(&self) -> impl Iterator<Item = (&Stanza, bool)> {
        self.0.iter().filter_map(|edit| match edit {
            Edit::Add { stanza, replace } => Some((stanza, *replace)),
            _ => None,
        })
    }

    /// Puts the packages to add on the bytes of the indexes that a plan of it writes, as far as these have them, so that what they
    /// were read from can be freed. A few stay where they are: finding them costs as much as reading an index.
    pub fn rest_on(&mut self, plan: &Plan) {
        if self.0.len() < FEW {
            return;
        }
        for (path, index) in &plan.indexes {
            let (IndexPlan::Write(plain), Some((component, _))) = (index, path.as_packages())
            else {
                continue;
            };
            let index = Packages::parse(plain).unwrap_or_default();
            for edit in &mut self.0 {
                if let Edit::Add { stanza, .. } = edit
                    && stanza.id.component == component
                    && let Some(there) = index.get(&stanza.id)
                    && there.bytes == stanza.bytes
                {
                    stanza.bytes = plain.slice_ref(there.bytes);
                }
            }
        }
    }

    /// Keys of files that are no longer where the suite has them.
    pub fn moved(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|edit| match edit {
            Edit::Moved(stanza) => Some(stanza.key.as_str()),
            _ => None,
        })
    }

    /// Whether the index of a component and an architecture may change, or has a say.
    pub(super) fn meets(&self, component: &Component, architecture: &Architecture) -> bool {
        let mut edits = self.0.iter();
        edits.any(|edit| edit.meets(component, architecture))
    }

    /// The indexes that [`plan`](super::plan) has to see, of a suite with these components and architectures. Paths of indexes
    /// that the suite does not have may be among them.
    #[must_use]
    pub fn reads(
        &self,
        components: &[Component],
        architectures: &[Architecture],
    ) -> BTreeSet<IndexPath> {
        let is_new = |architecture: &Architecture| {
            !architecture.is_all() && !architectures.contains(architecture)
        };
        // The index of a new architecture begins with the packages for all architectures, which are in every other index.
        let grows = self.0.iter().any(|edit| match edit {
            Edit::Add { stanza, .. } => is_new(&stanza.id.architecture),
            Edit::Set(patch) => patch.architectures.iter().flatten().any(is_new),
            _ => false,
        });
        let mut paths = BTreeSet::new();
        for component in components {
            for (at, architecture) in architectures.iter().enumerate() {
                if (grows && at == 0) || self.meets(component, architecture) {
                    paths.insert(IndexPath::packages(component, architecture));
                }
            }
        }
        paths
    }

    /// The settings that follow from the edits, before architectures and components of packages are added.
    pub(super) fn settings(&self, base: Option<&Commit>) -> Settings {
        let mut settings = base.map(|base| base.settings.clone());
        for edit in &self.0 {
            match edit {
                Edit::Exist(new) => {
                    settings.get_or_insert_with(|| new.as_ref().clone());
                }
                Edit::Set(patch) => patch.apply(settings.get_or_insert_default()),
                Edit::Restore(restored) => restored.apply(settings.get_or_insert_default()),
                _ => {}
            }
        }
        settings.unwrap_or_default()
    }

    /// The architectures that the suite is to have, if the edits say so, and whether it may lose others.
    pub(super) fn architectures(&self) -> Option<(&Vec<Architecture>, bool)> {
        self.0.iter().rev().find_map(|edit| match edit {
            Edit::Set(patch) => Some((patch.architectures.as_ref()?, patch.drops_architectures)),
            _ => None,
        })
    }

    /// Packages of an earlier commit that are brought back.
    pub fn brought_back(&self) -> impl Iterator<Item = &Stanza> {
        let edits = self.0.iter().map(|edit| match edit {
            Edit::Halt { earlier, .. } => earlier.as_slice(),
            _ => &[],
        });
        edits.flatten()
    }

    /// Whether a package that was taken back must not be added.
    pub(super) fn respects_halts(&self) -> bool {
        let mut edits = self.0.iter();
        edits.any(|edit| matches!(edit, Edit::RespectHalts))
    }

    /// Packages that are taken back.
    pub(super) fn halted(&self) -> impl Iterator<Item = &PackageId> {
        let edits = self.0.iter().map(|edit| match edit {
            Edit::Halt { of, .. } => of.as_slice(),
            _ => &[],
        });
        edits.flatten()
    }

    /// Whether the suite is to be dated anew.
    pub(super) fn refreshes(&self, base: &Commit) -> bool {
        self.0.iter().any(|edit| match edit {
            Edit::Refresh { since } => base.time < *since,
            _ => false,
        })
    }

    /// Whether nobody may build on the suite from now on.
    pub fn closes(&self) -> bool {
        self.0.iter().any(|edit| matches!(edit, Edit::Close))
    }

    pub(super) fn restored(&self) -> Option<&Restored> {
        self.0.iter().rev().find_map(|edit| match edit {
            Edit::Restore(restored) => Some(restored.as_ref()),
            _ => None,
        })
    }
}

impl Restored {
    /// Adds the components and architectures that its packages need.
    fn apply(&self, settings: &mut Settings) {
        for (component, architecture) in self.plain.keys().filter_map(IndexPath::as_packages) {
            if !settings.components.contains(&component) {
                settings.components.push(component);
            }
            if !settings.architectures.contains(&architecture) {
                settings.architectures.push(architecture);
            }
        }
    }
}

impl SettingsPatch {
    /// Whether an index leaves the suite.
    fn drops(&self, component: &Component, architecture: &Architecture) -> bool {
        let is_dropped = |all: &Vec<Architecture>| {
            self.drops_architectures && !architecture.is_all() && !all.contains(architecture)
        };
        self.remove_components.contains(component)
            || self.architectures.as_ref().is_some_and(is_dropped)
    }

    fn apply(&self, settings: &mut Settings) {
        for (name, value) in &self.fields {
            settings.set_field(name, value.clone());
        }
        let is_removed = |component: &Component| self.remove_components.contains(component);
        settings
            .components
            .retain(|component| !is_removed(component));
        for component in &self.components {
            if !settings.components.contains(component) {
                settings.components.push(component.clone());
            }
        }
        if let Some(formats) = &self.formats {
            settings.formats.clear();
            for format in formats {
                let extension = format.extension().to_owned();
                if !settings.formats.contains(&extension) {
                    settings.formats.push(extension);
                }
            }
        }
        if let Some(number) = self.keep_versions {
            settings.keep_versions = number;
        }
        if let Some(seconds) = self.valid_seconds {
            settings.valid_seconds = seconds;
        }
        if let Some(signed_by) = self.signed_by {
            settings.signed_by = signed_by;
        }
        settings.aliases.extend(self.add_aliases.iter().cloned());
        let is_dropped = |alias: &SuiteName| self.drop_aliases.contains(alias);
        settings.aliases.retain(|alias| !is_dropped(alias));
        for new in &self.accept_keys {
            let mut known = settings.signing_keys.iter_mut();
            match known.find(|old| old.fingerprint == new.fingerprint) {
                Some(old) => old.certificate.clone_from(&new.certificate),
                None => settings.signing_keys.push(new.clone()),
            }
        }
        for new in &self.renew_keys {
            let mut known = settings.signing_keys.iter_mut();
            if let Some(old) = known.find(|old| old.fingerprint == new.fingerprint) {
                old.keys.clone_from(&new.keys);
                old.certificate.clone_from(&new.certificate);
            }
        }
        settings.signing_keys.retain(|key| match &self.retire_keys {
            Retired::These(keys) => !keys.contains(&key.fingerprint),
            Retired::Others => {
                let mut stay = self.accept_keys.iter();
                stay.any(|stays| stays.fingerprint == key.fingerprint)
            }
        });
    }
}
