//! What becomes of each index of a suite that another program made. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use deb_index::{
    change::{
        IndexPlan,
        collisions::{Seen, pairs},
    },
    index::{IndexPath, compression::Format, packages::Packages},
    name::Architecture,
    stanza::StanzaRef,
    suite::{
        commit::Index,
        foreign::ForeignRelease,
        inspection::{Damage, Inspected, inspect, inspect_files},
        settings::Settings,
    },
};

use super::indexes::{Copy, Found};

/// The forms that all `Packages` are stored in, or gz, which every client reads.
pub(super) fn formats(release: &ForeignRelease, found: &[Found]) -> Vec<String> {
    let ours: HashSet<_> = release.packages().map(|(path, ..)| path).collect();
    let packages = || found.iter().filter(|found| ours.contains(&found.path));
    let has = |format: &Format| {
        let indexes = packages().map(|found| found.index.as_ref());
        let mut files = indexes.map(|index| index.map(|index| &index.files));
        files.all(|files| files.is_some_and(|files| files.contains_key(format.extension())))
    };
    let mut formats = Format::ALL.to_vec();
    formats.retain(has);
    if formats.is_empty() || packages().next().is_none() {
        formats = vec![Format::Gz];
    }
    let extensions = formats.iter().map(|format| format.extension().to_owned());
    extensions.collect()
}

/// What becomes of the indexes that were found.
#[derive(Debug, Default)]
pub(super) struct Planning {
    pub(super) indexes: BTreeMap<IndexPath, IndexPlan>,
    pub(super) copies: Vec<Copy>,
    pub(super) damage: Vec<Damage>,
    pub(super) lacks_index: bool,
    pub(super) packages: usize,
    pub(super) corrected: BTreeSet<String>,
    pub(super) carried_over: Vec<IndexPath>,
    pub(super) left_out: Vec<String>,
    /// Pairs of files, by their keys, of which devices take neither for newer.
    pub(super) collisions: Vec<(String, String)>,
}

impl Planning {
    pub(super) fn of(
        release: &ForeignRelease,
        found: Vec<Found>,
        size_of: impl Fn(&str) -> Option<u64>,
    ) -> Self {
        let mut planning = Self::default();
        let mut packages = BTreeMap::new();
        let ours: HashSet<_> = release.packages().map(|(path, ..)| path).collect();
        for mut found in found {
            planning.damage.append(&mut found.damage);
            if ours.contains(&found.path) {
                planning.lacks_index |= found.plain.is_none();
                packages.insert(found.path.clone(), found);
            } else if let Some(index) = found.index {
                let plain = found.plain.unwrap_or_default();
                let damage = inspect_files(&found.path, &plain, &size_of);
                planning.damage.extend(damage);
                planning.copies.append(&mut found.copies);
                planning.carried_over.push(found.path.clone());
                planning
                    .indexes
                    .insert(found.path, IndexPlan::Restore(index));
            } else {
                planning.left_out.push(found.path.to_string());
            }
        }
        let of_component = |component| {
            let architectures = &release.settings.architectures;
            let inspected = |architecture: &Architecture| {
                let path = IndexPath::packages(component, architecture);
                let plain = packages.get(&path).and_then(|found| found.plain.as_deref());
                let inspected = inspect(&path, component, plain.unwrap_or_default(), &size_of);
                (path, inspected)
            };
            architectures.iter().map(inspected).collect::<Vec<_>>()
        };
        let components = release.settings.components.iter();
        let components: Vec<_> = components.map(of_component).collect();
        planning.collisions = collisions(&components);
        for inspected in components {
            let architectures = &release.settings.architectures;
            // Devices that read the index for all architectures find its packages in their own from now on.
            let of_all = architectures.iter().position(Architecture::is_all);
            let of_all = of_all.filter(|_| release.reads_all);
            let of_all = of_all.and_then(|at| inspected.get(at));
            let for_all: Vec<_> = of_all.iter().flat_map(|(_, all)| all.packages()).collect();
            let counted: HashSet<_> = inspected
                .iter()
                .flat_map(|(_, inspected)| inspected.packages())
                .map(|stanza| identity(&stanza))
                .collect();
            planning.packages += counted.len();
            for (path, inspected) in &inspected {
                let found = packages.get(path);
                planning.index(&release.settings, found, path, inspected, &for_all);
            }
        }
        planning
    }

    /// Keeps a `Packages` index, or writes it anew.
    fn index(
        &mut self,
        settings: &Settings,
        found: Option<&Found>,
        path: &IndexPath,
        inspected: &Inspected<'_>,
        for_all: &[StanzaRef<'_>],
    ) {
        self.damage.extend_from_slice(&inspected.damage);
        let corrected = inspected.corrected.iter();
        self.corrected
            .extend(corrected.map(|stanza| stanza.id.to_string()));
        let mut stanzas: Vec<_> = inspected.packages().collect();
        let there: HashSet<_> = stanzas.iter().map(identity).collect();
        let missing = for_all.iter().copied();
        stanzas.extend(missing.filter(|stanza| !there.contains(&identity(stanza))));
        let is_unchanged = inspected.damage.is_empty()
            && !inspected.repeats
            && stanzas.len() == inspected.stanzas.len();
        let kept = found.filter(|_| is_unchanged).and_then(|found| {
            let mut index = found.index.clone()?;
            let formats = &settings.formats;
            index.files.retain(|format, _| formats.contains(format));
            index.entries = Some(stanzas.len() as u64);
            (index.files.len() == formats.len()).then_some((found, index))
        });
        let plan = match kept {
            Some((found, index)) => {
                let copies = found.copies.iter().filter(|copy| is_of(copy, &index));
                self.copies.extend(copies.cloned());
                IndexPlan::Restore(index)
            }
            None => IndexPlan::Write(Packages::sorted(stanzas).render().into()),
        };
        self.indexes.insert(path.clone(), plan);
    }
}

/// Whether a copy is one of an index that is kept.
fn is_of(copy: &Copy, index: &Index) -> bool {
    index
        .files
        .values()
        .any(|stored| stored.sha256 == copy.sha256)
}

/// Packages of all components that devices take for one version, by the keys of their files.
fn collisions(components: &[Vec<(IndexPath, Inspected<'_>)>]) -> Vec<(String, String)> {
    let inspected = components.iter().flatten();
    let packages = inspected.flat_map(|(_, inspected)| inspected.packages());
    let files: BTreeMap<_, _> = packages
        .map(|stanza| ((stanza.field("Filename"), stanza.sha256()), stanza))
        .collect();
    let pairs = pairs(files.values(), Seen::from);
    let key = |stanza: &StanzaRef<'_>| stanza.field("Filename").unwrap_or_default().to_owned();
    pairs
        .into_iter()
        .map(|(one, other)| (key(one), key(other)))
        .collect()
}

fn identity<'a>(stanza: &StanzaRef<'a>) -> (&'a str, &'a str, &'a str) {
    (stanza.name, stanza.version, stanza.architecture)
}
