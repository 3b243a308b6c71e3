//! From a suite as it is and what is wanted to the suite as it will be. Pure.
//!
//! Only the suite's own indexes make a conflict: other bytes for a package that one of them names, or for a version that devices
//! take for equal. Another suite's build of the same version is not a conflict.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use super::{
    additions::{Additions, key_of},
    base::{before, gone, has, leaves, read},
    collisions::Guard,
    differences::differences,
    edit::{Edit, Intent, Retention},
    new_settings::settings,
    phasing::{self, Halts},
    plan::{IndexPlan, PlainIndexes, Plan, PlanError},
    retention::keep,
};
use crate::{
    digest::Sha256,
    index::{IndexPath, packages::Packages},
    name::{Architecture, Component},
    package_id::PackageId,
    phase::Percentage,
    stanza::{Stanza, StanzaRef},
    suite::{
        commit::{Change, Commit, Index, TakenBack},
        settings::Settings,
    },
};

/// Plans `intent` on `base` (none: the suite does not exist), of which `indexes` holds what [`Intent::reads`] asks for.
///
/// # Errors
/// [`PlanError`].
pub fn plan(
    base: Option<&Commit>,
    indexes: &PlainIndexes,
    intent: &Intent,
) -> Result<Plan, PlanError> {
    check(intent)?;
    let settings = settings(base, intent)?;
    let restored = intent.restored();
    let kept = base.filter(|_| restored.is_none());
    let kept = kept.into_iter().flat_map(|base| base.indexes.keys());
    let mut planned: BTreeMap<_, _> = kept.map(|path| (path.clone(), IndexPlan::Keep)).collect();
    for (path, index) in restored.iter().flat_map(|restored| &restored.indexes) {
        planned.insert(path.clone(), IndexPlan::Restore(index.clone()));
    }
    let old = base.map_or(&settings, |base| &base.settings);
    let dropped = |path: &IndexPath| leaves(path, old, &settings);
    planned.retain(|path, _| !dropped(path));
    let read = |component: &Component, architecture: &Architecture| {
        let path = IndexPath::packages(component, architecture);
        before(base, indexes, component, &path)
    };
    let mut guard = Guard::new(base, indexes);
    guard.check(intent)?;
    let mut planner = Planner {
        base,
        plain: indexes,
        intent,
        settings: &settings,
        halts: Halts::of(intent.halted().collect(), &settings, read)?,
        guard,
        added: intent
            .additions()
            .map(|(stanza, _)| (stanza.id.component.clone(), stanza.sha256))
            .collect(),
        there: BTreeMap::new(),
        taken_back: base
            .filter(|_| intent.respects_halts())
            .map(|base| &base.taken_back),
        matched: vec![false; intent.0.len()],
        changes: Vec::new(),
        recorded: HashSet::new(),
    };
    for component in &settings.components {
        for architecture in &settings.architectures {
            let index = planner.index(component, architecture)?;
            planned.insert(IndexPath::packages(component, architecture), index);
        }
    }
    for path in base.iter().flat_map(|base| base.indexes.keys()) {
        if let (true, Some((component, _))) = (dropped(path), old.packages(path)) {
            let gone = gone(indexes, &settings, &component, path)?;
            planner.record(&component, &gone, &Packages::default());
        }
    }
    if let Some(base) = base {
        // What was restored may be what is there.
        for (path, index) in &mut planned {
            if matches!(index, IndexPlan::Restore(restored) if base.indexes.get(path) == Some(&*restored))
            {
                *index = IndexPlan::Keep;
            }
        }
    }
    let unmatched = intent.0.iter().zip(planner.matched);
    let unmatched = unmatched.flat_map(|(edit, is_matched)| match edit {
        Edit::Remove { of, except } if except.is_empty() && !is_matched => vec![of.to_string()],
        Edit::Keep(Retention { of, .. }) if !is_matched => {
            of.iter().map(ToString::to_string).collect()
        }
        _ => Vec::new(),
    });
    let there = planner.there.into_values();
    let (there, phases) = there
        .map(|(stanza, phase)| {
            let id = stanza.id.clone();
            (stanza, (id, phase))
        })
        .unzip();
    let plan = Plan {
        unmatched: unmatched.collect(),
        changes: planner.changes.into(),
        there,
        phases,
        refreshes: base.is_some_and(|base| intent.refreshes(base)),
        closes: intent.closes() && !base.is_some_and(Commit::is_closed),
        settings,
        indexes: planned,
    };
    let is_new = intent.0.iter().any(|edit| matches!(edit, Edit::New));
    if is_new && base.is_some() && !plan.is_empty(base) {
        return Err(PlanError::Exists);
    }
    Ok(plan)
}

/// Whether an intent makes sense on any base.
///
/// # Errors
/// [`PlanError::Clash`].
pub fn check(intent: &Intent) -> Result<(), PlanError> {
    let mut seen: HashMap<&PackageId, Sha256> = HashMap::new();
    for (stanza, _) in intent.additions() {
        let first = seen.entry(&stanza.id).or_insert(stanza.sha256);
        if *first != stanza.sha256 {
            return Err(PlanError::Clash(stanza.id.clone()));
        }
    }
    Ok(())
}

struct Planner<'a> {
    base: Option<&'a Commit>,
    plain: &'a PlainIndexes,
    intent: &'a Intent,
    settings: &'a Settings,
    halts: Halts<'a>,
    guard: Guard<'a>,
    /// The files that the intent adds. Retention leaves them alone.
    added: HashSet<(Component, Sha256)>,
    /// Packages to add that the suite has already, by their keys, and the parts of the devices that they are for.
    there: BTreeMap<String, (Stanza, Percentage)>,
    /// What must not be added, because it was taken back.
    taken_back: Option<&'a BTreeSet<TakenBack>>,
    /// For each edit that selects packages, whether some index has one of them.
    matched: Vec<bool>,
    changes: Vec<Change>,
    /// Packages for all architectures that are among the changes: they are in several indexes.
    recorded: HashSet<(Component, String, String)>,
}

impl<'a> Planner<'a> {
    /// What becomes of the index of a component and an architecture.
    fn index(
        &mut self,
        component: &Component,
        architecture: &Architecture,
    ) -> Result<IndexPlan, PlanError> {
        let path = IndexPath::packages(component, architecture);
        let is_new = !has(self.base, &path);
        let has_new_formats = self
            .base
            .is_some_and(|base| base.settings.formats != self.settings.formats);
        if !is_new && !has_new_formats && !self.intent.meets(component, architecture) {
            return Ok(IndexPlan::Keep);
        }
        let before = before(self.base, self.plain, component, &path)?;
        // Stanzas that an edit writes anew are held here.
        let space = vec![OnceCell::new(); self.intent.0.len()];
        let after = self.edited(component, architecture, &path, before.clone(), &space)?;
        let differs = self.record(component, &before, &after);
        if !differs && !is_new && !has_new_formats {
            return Ok(IndexPlan::Keep);
        }
        let plain = after.render();
        let restored = self.intent.restored();
        let earlier = restored.and_then(|restored| restored.indexes.get(&path));
        Ok(match earlier {
            Some(earlier) if self.has_formats(earlier) && earlier.sha256 == Sha256::of(&plain) => {
                IndexPlan::Restore(earlier.clone())
            }
            _ => IndexPlan::Write(plain.into()),
        })
    }

    /// Records what differs. Returns whether anything does.
    fn record(
        &mut self,
        component: &Component,
        before: &Packages<'_>,
        after: &Packages<'_>,
    ) -> bool {
        let mut differs = false;
        differences(before, after, |difference| {
            differs = true;
            let stanza = difference.stanza;
            let id = || {
                let (name, version) = (stanza.name.to_owned(), stanza.version.to_owned());
                (component.clone(), name, version)
            };
            if stanza.architecture != "all" || self.recorded.insert(id()) {
                let mut change = Change::new(difference.action, component, &stanza);
                change.phase = difference.phase;
                change.taken_back =
                    difference.action == Change::REMOVE && self.halts.contains(component, &stanza);
                self.changes.push(change);
            }
        });
        differs
    }

    fn has_formats(&self, index: &Index) -> bool {
        let mut formats = self.settings.formats.iter();
        formats.all(|format| index.files.contains_key(format))
    }

    /// An index after all edits.
    fn edited<'s>(
        &mut self,
        component: &Component,
        architecture: &Architecture,
        path: &IndexPath,
        before: Packages<'a>,
        space: &'s [OnceCell<Vec<Vec<u8>>>],
    ) -> Result<Packages<'s>, PlanError>
    where
        'a: 's,
    {
        let intent = self.intent;
        let mut index: Packages<'s> = before;
        let mut published = HashSet::new();
        let mut additions = Additions::default();
        let mut fresh = HashSet::new();
        let is_here = |id: &PackageId| id.is_in(component, architecture);
        for ((edit, is_matched), space) in intent.0.iter().zip(&mut self.matched).zip(space) {
            if let Edit::Add { stanza, replace } = edit {
                let id = &stanza.id;
                if is_here(id) {
                    published.insert((id.name.as_str(), id.architecture.as_str()));
                    match key_of(&index, stanza, *replace)? {
                        None => {
                            if self.taken_back.is_some_and(|of| of.contains(&id.into())) {
                                return Err(PlanError::TakenBack(id.clone()));
                            }
                            fresh.insert(id);
                            additions.add(stanza);
                        }
                        Some(key) => {
                            let there = || {
                                let phase = index.get(id).map(StanzaRef::phase);
                                let phase = phase.unwrap_or(Percentage::ALL);
                                (stanza.at_key(key.to_owned()), phase)
                            };
                            self.there.entry(key.to_owned()).or_insert_with(there);
                        }
                    }
                }
                if *replace {
                    let stays = |other: &StanzaRef<'_>| is_among(&self.added, component, other);
                    additions.displace(&index, component, stanza, stays);
                } else if id.meets(architecture) {
                    self.guard.admit(&index, component, stanza)?;
                }
                continue;
            }
            additions.apply(&mut index);
            match edit {
                Edit::Remove { of, except } => {
                    let length = index.stanzas().len();
                    index.retain(|stanza| {
                        !of.matches(component, stanza) || is_among(except, component, stanza)
                    });
                    *is_matched |= index.stanzas().len() < length;
                }
                Edit::Keep(retention) => {
                    let is_added = |it: &StanzaRef<'_>| is_among(&self.added, component, it);
                    *is_matched |= retention.apply(&mut index, component, is_added);
                }
                Edit::Phase {
                    of,
                    percentage,
                    only,
                } => {
                    let of = of.iter().filter(|id| is_here(id));
                    phasing::set(&mut index, of, (*only, *percentage), &fresh, space);
                }
                Edit::Halt { of, earlier, only } => {
                    let of = (of.as_slice(), *only);
                    let admit = |index: &_, stanza: &_| self.guard.admit(index, component, stanza);
                    self.halts
                        .apply(&mut index, (component, architecture), of, earlier, admit)?;
                }
                Edit::Moved(stanza) if is_here(&stanza.id) => {
                    let there = index.get(&stanza.id).and_then(StanzaRef::sha256);
                    if there == Some(stanza.sha256) {
                        // All else stays as the suite has it, such as the part of the devices.
                        index.rewrite([&stanza.id], |there| there.at_key(&stanza.key), space);
                    }
                }
                Edit::Restore(restored) => {
                    let plain = &restored.plain;
                    let of_component = |path: &&IndexPath| {
                        path.as_packages()
                            .is_some_and(|(other, _)| other == *component)
                    };
                    index = if plain.contains_key(path) {
                        read(plain, path)?
                    } else if let Some(other) = plain.keys().find(of_component) {
                        // The architecture is newer than the commit, and has only what all have.
                        read(plain, other)?.for_all_architectures()
                    } else {
                        Packages::default()
                    };
                }
                Edit::Add { .. }
                | Edit::Moved(_)
                | Edit::Exist(_)
                | Edit::Set(_)
                | Edit::RespectHalts
                | Edit::Refresh { .. }
                | Edit::New
                | Edit::Close => {}
            }
        }
        additions.apply(&mut index);
        if let Some(newest) = self.settings.keep_versions {
            // Not all of that name: those for all architectures are in indexes, too, that this change does not touch.
            keep(&mut index, newest, |stanza| {
                published.contains(&(stanza.name, stanza.architecture))
                    && !is_among(&self.added, component, stanza)
            });
        }
        Ok(index)
    }
}

fn is_among(
    files: &HashSet<(Component, Sha256)>,
    component: &Component,
    stanza: &StanzaRef<'_>,
) -> bool {
    !files.is_empty()
        && stanza
            .sha256()
            .is_some_and(|sha256| files.contains(&(component.clone(), sha256)))
}
