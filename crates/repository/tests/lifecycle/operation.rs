//! Operations as the library carries them out, put together as the commands of the program do.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use deb_index::{
    change::{Edit, Intent, Phasing, Retention, Retired, Selector, SettingsPatch},
    digest::Sha256,
    name::Component,
    package_id::PackageId,
    stanza::Stanza,
    suite::{commit::Authorship, settings::Settings},
};
use jiff::{SignedDuration, Timestamp};
use repository::{
    Accept, Adoption, Allow, CollectOptions, Depth, Error, Head, Keys, Outcome, PackageFile,
    Published, RepairOptions, Repository, Silent, Suite, accepted_key,
};

use crate::{
    script::{
        ARCHITECTURE_LISTS, FORMAT_LISTS, File, LABELS, Operation, SELECTORS, SPANS, Setting,
    },
    shelf::{
        ALIAS, Build, COMPONENTS, Package, SIGNED, SUITES, Shelf, VERSIONS, repository_of, suite,
        suites_of,
    },
};

pub(crate) const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// A process.
pub(crate) struct Job {
    pub(crate) repositories: Vec<Repository>,
    /// Its own, or two that do the same at the same time make one commit.
    pub(crate) author: String,
    pub(crate) suite: usize,
    pub(crate) operation: Operation,
    pub(crate) shelf: Rc<Shelf>,
    pub(crate) read: Rc<RefCell<Option<Read>>>,
}

/// What an operation has read before it was planned.
#[derive(Debug, Clone)]
pub(crate) enum Read {
    /// The commit that it takes packages from.
    Commit(Sha256),
    /// The head that it goes back from, to a commit before, or to what was there at a time; and the commit that it has found.
    Back(Sha256, Option<Timestamp>, Option<Sha256>),
    /// The commit whose packages it prunes, and those among them that it has found to be there since before a time.
    Old(Sha256, Timestamp, BTreeSet<(Package, usize)>),
    /// The date that it asks for.
    Since(Timestamp),
    /// The commit whose newest packages it takes back, and what it has found to take their place.
    Halting(Sha256, Vec<(Package, Build)>),
}

/// What became of a suite: a commit was made, or was not needed; and whether the followers were left behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Changed {
    pub(crate) suite: usize,
    pub(crate) is_new: bool,
    pub(crate) is_stale: bool,
}

#[derive(Debug)]
pub(crate) enum Done {
    Changed(Vec<Changed>),
    /// A suite was deleted; whether its name is anyone's.
    Deleted {
        is_free: bool,
    },
    Repaired,
    Collected,
}

impl Job {
    fn repository(&self) -> &Repository {
        &self.repositories[repository_of(self.suite)]
    }

    fn suite(&self, number: usize, keys: Keys) -> Suite<'_> {
        self.repositories[repository_of(number)].suite(suite(number), keys)
    }

    fn note(&self, read: Read) {
        *self.read.borrow_mut() = Some(read);
    }

    pub(crate) async fn run(self) -> Result<Done, Error> {
        let has_all_keys = self.operation.has_all_keys();
        let keys = match self.operation {
            Operation::ResetKeys(key, has_old) => self.shelf.replacing(key, has_old),
            _ => self.shelf.publisher(self.suite, has_all_keys),
        };
        let mut suite = self.suite(self.suite, keys);
        if matches!(self.operation, Operation::DeleteAlias) {
            let keys = self.shelf.publisher(SIGNED, true);
            suite = self.repository().suite(ALIAS.parse().unwrap(), keys);
        }
        let by = Authorship {
            author: self.author.clone(),
            ..Authorship::default()
        };
        let mut allow = Allow::default();
        let mut files = Vec::new();
        let edits = match &self.operation {
            Operation::Publish { .. } => return self.publish(&by).await,
            Operation::Remove { selector } => vec![Edit::Remove {
                of: SELECTORS[*selector].parse().unwrap(),
                except: Default::default(),
            }],
            Operation::Promote { .. } => {
                let (edits, copied) = self.promotion().await?;
                files = copied;
                edits
            }
            Operation::Prune {
                selector,
                newest,
                below,
                older_than,
            } => {
                let mut only = None;
                if let Some(span) = *older_than {
                    let head = suite.existing_head().await?;
                    let limit = ago(&head, span);
                    let (old, _) = suite.older_than(&head, limit).await?;
                    let found = old.iter().map(|sha256| self.shelf.by_digest[sha256]);
                    self.note(Read::Old(head.id(), limit, found.collect()));
                    only = Some(old);
                }
                let of = vec![SELECTORS[*selector].parse().unwrap()];
                vec![Edit::Keep(Retention {
                    below: below.map(|version| VERSIONS[version].parse().unwrap()),
                    only,
                    ..retention(of, *newest)
                })]
            }
            Operation::Rollback { back, ago: span } => {
                let head = suite.existing_head().await?;
                let time = span.map(|span| ago(&head, span));
                self.note(Read::Back(head.id(), time, None));
                let to = time.map_or_else(|| format!("@~{back}"), |time| time.to_string());
                let (id, commit) = suite.revision(&head, &to.parse().unwrap()).await?;
                self.note(Read::Back(head.id(), time, Some(id)));
                vec![suite.restored(&head, id, &commit).await?]
            }
            Operation::Phase { selector, percent } => {
                let head = suite.existing_head().await?;
                self.note(Read::Commit(head.id()));
                let of = [SELECTORS[*selector].parse().unwrap()];
                let targets = suite.phase_targets(&head, &of).await?;
                let of = [
                    (Phasing::Named, targets.named),
                    (Phasing::Begun, targets.phased),
                ];
                of.map(|(only, of)| phased(of, *percent, only)).into()
            }
            Operation::Halt { selector } => self.halt(&suite, *selector).await?,
            Operation::Refresh => {
                let head = suite.existing_head().await?;
                let since = head.store_time.unwrap();
                self.note(Read::Since(since));
                vec![Edit::Refresh { since }]
            }
            Operation::Set(setting, _) | Operation::Create(setting) => {
                // What devices of an alias have to accept is not in the model.
                let is_alias = matches!(setting, Setting::Alias(_));
                allow.release_info_change =
                    is_alias || matches!(self.operation, Operation::Set(_, true));
                let mut edits = Vec::new();
                if matches!(self.operation, Operation::Create(_)) {
                    let mut new = new_suite(suite.name(), &self);
                    new.components.push(Component::main());
                    edits = vec![Edit::New, Edit::Exist(new.into())];
                }
                edits.push(Edit::Set(patch(setting).into()));
                edits
            }
            Operation::AddKey(key) | Operation::ResetKeys(key, _) => {
                let mut patch = SettingsPatch {
                    accept_keys: vec![accepted_key(self.shelf.signer(*key).certificate())],
                    ..SettingsPatch::default()
                };
                if matches!(self.operation, Operation::ResetKeys(..)) {
                    patch.retire_keys = Retired::Others;
                }
                vec![Edit::Set(patch.into())]
            }
            Operation::RetireKey(key) => {
                let fingerprint = self.shelf.signer(*key).certificate().fingerprint();
                vec![Edit::Set(Box::new(SettingsPatch {
                    retire_keys: Retired::These(vec![fingerprint]),
                    ..SettingsPatch::default()
                }))]
            }
            Operation::Adopt => {
                return match suite.adoption(Accept::default(), allow).await? {
                    Adoption::Ours(_) => Ok(Done::Changed(vec![Changed {
                        suite: self.suite,
                        is_new: false,
                        is_stale: true,
                    }])),
                    Adoption::Foreign(takeover) => {
                        let published = takeover.commit(&by, &Silent).await?;
                        Ok(Done::Changed(vec![changed(self.suite, &published)]))
                    }
                };
            }
            Operation::Delete | Operation::DeleteAlias => {
                let planned = suite.deletion(Allow::default()).await?;
                let deleted = suite.delete_all(planned, allow, &by, &Silent).await?;
                let is_free = deleted.reserved_until.is_none();
                return Ok(Done::Deleted { is_free });
            }
            Operation::Repair => return self.repair().await,
            Operation::Collect { keep_days } => return self.collect(*keep_days).await,
        };
        let draft = suite.draft(Intent(edits), allow).await?;
        let published = draft.commit(&files, &by, &Silent).await?;
        Ok(Done::Changed(vec![changed(self.suite, &published)]))
    }

    /// All is planned before the first suite is changed.
    async fn publish(&self, by: &Authorship) -> Result<Done, Error> {
        let Operation::Publish {
            component,
            packages,
            replace,
            phase,
            keep,
            has_all_keys,
            ..
        } = &self.operation
        else {
            unreachable!()
        };
        let file = |file: &File| self.shelf.file(file.package(*component), file.build);
        let mut files: Vec<_> = packages.iter().map(file).collect();
        let numbers = self.operation.suites(self.suite);
        let suites = numbers.iter().map(|&number| {
            let keys = self.shelf.publisher(number, *has_all_keys);
            self.suite(number, keys)
        });
        let suites: Vec<_> = suites.collect();
        let mut drafts = Vec::new();
        for suite in &suites {
            let mut edits = vec![Edit::Exist(new_suite(suite.name(), self).into())];
            edits.extend(additions(&files, *replace));
            let of = files.iter().map(|file| file.stanza.id.clone()).collect();
            edits.extend(phase.map(|percent| phased(of, percent, Phasing::Named)));
            if let Some(newest) = *keep {
                let ids = files.iter().map(|file| &file.stanza.id);
                let of = ids.map(|id| Selector::package(&id.name, Some(id.component.clone())));
                edits.push(Edit::Keep(retention(of.collect(), newest)));
            }
            drafts.push(suite.draft(Intent(edits), Allow::default()).await?);
        }
        let mut done = Vec::new();
        for (number, draft) in numbers.into_iter().zip(drafts) {
            let published = draft.commit(&files, by, &Silent).await?;
            done.push(changed(number, &published));
            files.iter_mut().for_each(|file| file.is_sent = true);
        }
        Ok(Done::Changed(done))
    }

    async fn halt(&self, suite: &Suite<'_>, selector: usize) -> Result<Vec<Edit>, Error> {
        let head = suite.existing_head().await?;
        let of = [SELECTORS[selector].parse().unwrap()];
        let targets = suite.phase_targets(&head, &of).await?;
        let all: Vec<_> = targets
            .named
            .iter()
            .chain(&targets.phased)
            .cloned()
            .collect();
        let earlier = suite.halting(&head, &all).await?.earlier;
        let found = earlier.iter().map(|stanza| self.shelf.package(stanza));
        self.note(Read::Halting(head.id(), found.collect()));
        let of = [
            (Phasing::Named, targets.named),
            (Phasing::Begun, targets.phased),
        ];
        let edit = |(only, of)| Edit::Halt {
            of,
            earlier: earlier.clone(),
            only,
        };
        Ok(of.map(edit).into())
    }

    async fn promotion(&self) -> Result<(Vec<Edit>, Vec<PackageFile>), Error> {
        let (
            Operation::Promote {
                selector,
                mirror,
                replace,
                phase,
                to,
                ..
            },
            Some(from),
        ) = (&self.operation, self.operation.source(self.suite))
        else {
            unreachable!()
        };
        let (selector, mirror, replace) = (*selector, *mirror, *replace);
        let to = to.map(|component| COMPONENTS[component].parse().unwrap());
        let source = self.suite(from, self.shelf.reader(from));
        let of = if mirror { "*" } else { SELECTORS[selector] };
        let copies = source
            .copies(
                source.existing_head().await?,
                &[of.parse().unwrap()],
                to.as_ref(),
            )
            .await?;
        self.note(Read::Commit(copies.head.id()));
        let theirs = &copies.head.commit.settings;
        let mut edits = vec![Edit::Exist(
            Settings {
                components: match &to {
                    Some(to) => vec![to.clone()],
                    None => theirs.components.clone(),
                },
                architectures: theirs.architectures.clone(),
                formats: theirs.formats.clone(),
                ..new_suite(&suite(self.suite), self)
            }
            .into(),
        )];
        let stanzas = copies.stanzas.iter();
        let except = stanzas.map(|stanza| (stanza.id.component.clone(), stanza.sha256));
        let except = except.collect();
        let mut stanzas = copies.stanzas;
        let mut files = Vec::new();
        if repository_of(from) != repository_of(self.suite) {
            files = source.files_to_copy(&stanzas);
            stanzas = files.iter().map(|file| file.stanza.clone()).collect();
        }
        let add = |stanza: &Stanza| Edit::Add {
            stanza: stanza.clone(),
            replace,
        };
        edits.extend(stanzas.iter().map(add));
        let of = stanzas.iter().map(|stanza| stanza.id.clone()).collect();
        edits.extend(phase.map(|percent| phased(of, percent, Phasing::Added)));
        if mirror {
            let of = Selector::all(to);
            edits.push(Edit::Remove { of, except });
        }
        Ok((edits, files))
    }

    async fn repair(&self) -> Result<Done, Error> {
        let suites = suites_of(repository_of(self.suite));
        let suites = suites.map(|number| self.suite(number, self.shelf.publisher(number, true)));
        let suites: Vec<_> = suites.collect();
        let found = self.repository().verify(&suites, Depth::Content).await?;
        let options = RepairOptions::default();
        self.repository().repair(&suites, &found, &options).await?;
        Ok(Done::Repaired)
    }

    async fn collect(&self, keep_days: i64) -> Result<Done, Error> {
        let (ours, others) = self.repository().all_suites().await?;
        assert!(others.is_empty());
        let suites = ours.into_iter().map(|name| {
            let number = SUITES.iter().position(|suite| *suite == name.to_string());
            // An alias that is being deleted.
            let keys = number.map_or(Keys::Unchecked, |number| self.shelf.reader(number));
            self.repository().suite(name, keys)
        });
        let options = CollectOptions {
            grace: GRACE,
            keep_history: SignedDuration::from_hours(24 * keep_days),
            dry_run: false,
            leave_pool: false,
        };
        let suites: Vec<_> = suites.collect();
        self.repository().collect(&suites, options).await?;
        Ok(Done::Collected)
    }
}

fn changed(suite: usize, published: &Published) -> Changed {
    Changed {
        suite,
        is_new: matches!(published.outcome, Outcome::Committed(_)),
        is_stale: published.stale_followers.is_some(),
    }
}

fn additions(files: &[PackageFile], replace: bool) -> impl Iterator<Item = Edit> {
    let stanzas = files.iter().map(|file| file.stanza.clone());
    stanzas.map(move |stanza| Edit::Add { stanza, replace })
}

fn phased(of: Vec<PackageId>, percent: u8, only: Phasing) -> Edit {
    let percentage = percent.try_into().unwrap();
    Edit::Phase {
        of,
        percentage,
        only,
    }
}

fn retention(of: Vec<Selector>, newest: u32) -> Retention {
    Retention {
        of,
        newest: newest.try_into().unwrap(),
        below: None,
        only: None,
    }
}

/// The time so long ago, by the store's clock.
fn ago(head: &Head, span: usize) -> Timestamp {
    head.store_time.unwrap() - SignedDuration::from_secs(SPANS[span].try_into().unwrap())
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
        Setting::Label(label) => patch.fields = field("Label", label.map(|at| LABELS[at])),
        Setting::Keep(keep) => patch.keep_versions = Some(keep.map(|n| n.try_into().unwrap())),
        Setting::Valid(is) => {
            let week = 7 * 24 * 3600;
            patch.valid_seconds = Some(is.then(|| week.try_into().unwrap()));
        }
        Setting::Architectures(list, drops) => {
            patch.drops_architectures = *drops;
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
        Setting::DropComponent(component) => {
            patch.remove_components = vec![COMPONENTS[*component].parse().unwrap()];
        }
        Setting::Alias(has) => {
            let alias = BTreeSet::from([ALIAS.parse().unwrap()]);
            *(if *has {
                &mut patch.add_aliases
            } else {
                &mut patch.drop_aliases
            }) = alias;
        }
    }
    patch
}
