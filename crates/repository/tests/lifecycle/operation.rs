//! Operations as the library carries them out, put together as the commands of the program do.

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use deb_index::{
    change::{Edit, Intent, Retention, Retired, Selector, SettingsPatch},
    digest::Sha256,
    suite::{commit::Authorship, settings::Settings},
};
use jiff::{SignedDuration, Timestamp};
use repository::{
    Allow, CollectOptions, Depth, Error, Outcome, PackageFile, RepairOptions, Repository, Revision,
    Silent, accepted_key,
};

use crate::{
    script::{ARCHITECTURE_LISTS, FORMAT_LISTS, LABELS, Operation, SELECTORS, Setting},
    shelf::{COMPONENTS, Package, SUITES, Shelf, suite},
};

pub(crate) const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// A process.
pub(crate) struct Job {
    pub(crate) repository: Repository,
    /// Its own, or two that do the same at the same time make one commit.
    pub(crate) author: String,
    pub(crate) suite: usize,
    pub(crate) operation: Operation,
    pub(crate) shelf: Rc<Shelf>,
    pub(crate) read: Rc<Cell<Option<Read>>>,
}

/// What an operation has read before it was planned.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Read {
    /// The commit that it takes packages from.
    Commit(Sha256),
    /// The date that it asks for.
    Since(Timestamp),
}

#[derive(Debug)]
pub(crate) enum Done {
    /// A commit was made, or was not needed; and whether the followers were left behind.
    Changed {
        is_new: bool,
        is_stale: bool,
    },
    Repaired,
    Collected,
}

/// The suite that packages are promoted from.
pub(crate) fn source(from: usize, to: usize) -> usize {
    if from == to {
        (from + 1) % SUITES.len()
    } else {
        from
    }
}

impl Job {
    pub(crate) async fn run(self) -> Result<Done, Error> {
        let has_all_keys = self.operation.has_all_keys();
        let keys = self.shelf.publisher(self.suite, has_all_keys);
        let suite = self.repository.suite(suite(self.suite), keys);
        let mut allow = Allow::default();
        let mut files = Vec::new();
        let edits = match &self.operation {
            Operation::Publish {
                component,
                packages,
                replace,
                keep,
                ..
            } => {
                let package = |file: &crate::script::File| Package {
                    component: *component,
                    name: file.name,
                    architecture: file.architecture,
                    version: file.version,
                };
                files.extend(
                    packages
                        .iter()
                        .map(|file| self.shelf.file(package(file), file.build)),
                );
                let mut edits = vec![Edit::Exist(new_suite(suite.name(), &self).into())];
                edits.extend(additions(&files, *replace));
                if let Some(newest) = *keep {
                    let ids = files.iter().map(|file| &file.stanza.id);
                    let of = ids.map(|id| Selector::package(&id.name, Some(id.component.clone())));
                    edits.push(retention(of.collect(), newest));
                }
                edits
            }
            Operation::Remove { selector } => vec![Edit::Remove {
                of: SELECTORS[*selector].parse().unwrap(),
                except: Default::default(),
            }],
            Operation::Promote { .. } => self.promotion().await?,
            Operation::Prune { selector, newest } => {
                vec![retention(
                    vec![SELECTORS[*selector].parse().unwrap()],
                    *newest,
                )]
            }
            Operation::Rollback { back } => {
                let head = suite.existing_head().await?;
                let to: Revision = format!("@~{back}").parse().unwrap();
                let (id, commit) = suite.revision(&head, &to).await?;
                self.read.set(Some(Read::Commit(id)));
                vec![suite.restored(&head, id, &commit).await?]
            }
            Operation::Refresh => {
                let head = suite.existing_head().await?;
                let since = head.store_time.unwrap();
                self.read.set(Some(Read::Since(since)));
                vec![Edit::Refresh { since }]
            }
            Operation::Set(setting) => {
                allow.release_info_change = matches!(setting, Setting::Label(_, true));
                vec![Edit::Set(patch(setting))]
            }
            Operation::AddKey(key) => vec![Edit::Set(SettingsPatch {
                accept_keys: vec![accepted_key(self.shelf.signer(*key).certificate())],
                ..SettingsPatch::default()
            })],
            Operation::RetireKey(key) => {
                let fingerprint = self.shelf.signer(*key).certificate().fingerprint();
                vec![Edit::Set(SettingsPatch {
                    retire_keys: Retired::These(vec![fingerprint]),
                    ..SettingsPatch::default()
                })]
            }
            Operation::Repair => return self.repair().await,
            Operation::Collect { keep_days } => return self.collect(*keep_days).await,
        };
        let draft = suite.draft(Intent(edits), allow).await?;
        let by = Authorship {
            author: self.author,
            ..Authorship::default()
        };
        let published = draft.commit(&files, &by, &Silent).await?;
        Ok(Done::Changed {
            is_new: matches!(published.outcome, Outcome::Committed(_)),
            is_stale: published.stale_followers.is_some(),
        })
    }

    async fn promotion(&self) -> Result<Vec<Edit>, Error> {
        let Operation::Promote {
            from,
            selector,
            mirror,
            replace,
        } = self.operation
        else {
            unreachable!()
        };
        let from = source(from, self.suite);
        let source = self.repository.suite(suite(from), self.shelf.reader(from));
        let of = if mirror { "*" } else { SELECTORS[selector] };
        let copies = source
            .copies(source.existing_head().await?, &[of.parse().unwrap()], None)
            .await?;
        self.read.set(Some(Read::Commit(copies.head.id())));
        let theirs = &copies.head.commit.settings;
        let mut edits = vec![Edit::Exist(
            Settings {
                components: theirs.components.clone(),
                architectures: theirs.architectures.clone(),
                formats: theirs.formats.clone(),
                ..new_suite(&suite(self.suite), self)
            }
            .into(),
        )];
        let stanzas = copies.stanzas.iter();
        let except = stanzas.map(|stanza| (stanza.id.component.clone(), stanza.sha256));
        let except = except.collect();
        let stanzas = copies.stanzas.into_iter();
        edits.extend(stanzas.map(|stanza| Edit::Add { stanza, replace }));
        if mirror {
            let of = Selector::all(None);
            edits.push(Edit::Remove { of, except });
        }
        Ok(edits)
    }

    async fn repair(&self) -> Result<Done, Error> {
        let suites = (0..SUITES.len()).map(|number| {
            let keys = self.shelf.publisher(number, true);
            self.repository.suite(suite(number), keys)
        });
        let suites: Vec<_> = suites.collect();
        let found = self.repository.verify(&suites, Depth::Content).await?;
        let options = RepairOptions::default();
        self.repository.repair(&suites, &found, &options).await?;
        Ok(Done::Repaired)
    }

    async fn collect(&self, keep_days: i64) -> Result<Done, Error> {
        let (ours, others) = self.repository.all_suites().await?;
        assert!(others.is_empty());
        let suites = ours.into_iter().map(|name| {
            let number = SUITES.iter().position(|suite| *suite == name.to_string());
            let keys = self.shelf.reader(number.unwrap());
            self.repository.suite(name, keys)
        });
        let options = CollectOptions {
            grace: GRACE,
            keep_history: SignedDuration::from_hours(24 * keep_days),
            dry_run: false,
            leave_pool: false,
        };
        let suites: Vec<_> = suites.collect();
        self.repository.collect(&suites, options).await?;
        Ok(Done::Collected)
    }
}

fn additions(files: &[PackageFile], replace: bool) -> impl Iterator<Item = Edit> {
    let stanzas = files.iter().map(|file| file.stanza.clone());
    stanzas.map(move |stanza| Edit::Add { stanza, replace })
}

fn retention(of: Vec<Selector>, newest: u32) -> Edit {
    Edit::Keep(Retention {
        of,
        newest: newest.try_into().unwrap(),
        below: None,
        only: None,
    })
}

fn new_suite(name: &deb_index::name::SuiteName, job: &Job) -> Settings {
    // Who has all keys does not sign a new suite with all.
    let number = SUITES.iter().position(|suite| *suite == name.to_string());
    let mut keys = job.shelf.publisher(number.unwrap(), true).certificates();
    keys.truncate(1);
    Settings {
        architectures: ["amd64", "arm64"]
            .map(|name| name.parse().unwrap())
            .to_vec(),
        formats: FORMAT_LISTS[0]
            .iter()
            .map(|&name| name.to_owned())
            .collect(),
        signing_keys: keys,
        ..Settings::default()
    }
}

fn patch(setting: &Setting) -> SettingsPatch {
    let field = |name: &str, value: Option<&str>| {
        let name = name.to_owned().try_into().unwrap();
        BTreeMap::from([(name, value.map(|value| value.parse().unwrap()))])
    };
    let mut patch = SettingsPatch::default();
    match setting {
        Setting::NotAutomatic(is) => patch.fields = field("NotAutomatic", is.then_some("yes")),
        Setting::Label(label, _) => patch.fields = field("Label", label.map(|at| LABELS[at])),
        Setting::Keep(keep) => patch.keep_versions = Some(keep.map(|n| n.try_into().unwrap())),
        Setting::Valid(is) => {
            let week = 7 * 24 * 3600;
            patch.valid_seconds = Some(is.then(|| week.try_into().unwrap()));
        }
        Setting::Architectures(list) => {
            let list = ARCHITECTURE_LISTS[*list].iter();
            patch.architectures = Some(list.map(|name| name.parse().unwrap()).collect());
        }
        Setting::Formats(list) => {
            let list = FORMAT_LISTS[*list].iter();
            patch.formats = Some(list.map(|name| name.parse().unwrap()).collect());
        }
        Setting::Component(component) => {
            patch.components = vec![COMPONENTS[*component].parse().unwrap()];
        }
    }
    patch
}
