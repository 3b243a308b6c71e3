//! Taking over a suite that another program made, in place.
//!
//! Nothing is moved and no stanza is changed: the first commit names the indexes as they are, byte for byte, and the files that
//! they name stay at their keys. New are copies of the indexes under their digests, for clients that fetch by hash. An index is
//! only written anew where something is left out of it or corrected ([`inspection`](deb_index::suite::inspection)), where it gets
//! the packages of an index for all architectures, or if it is stored in no form that this program makes. Indexes of other kinds
//! are carried over.
//!
//! The head is moved on the condition that it is still the one that was read, so a program that writes at the same time is
//! noticed. Unlike other changes this one is not tried again then: what was found would have to be judged anew.

mod head;
mod indexes;
mod planning;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use deb_index::{
    change::{
        IndexPlan, Plan,
        client_view::{ClientView, ViewChange},
    },
    fingerprint::Fingerprint,
    index::IndexPath,
    suite::{
        commit::{Authorship, Change},
        foreign::ForeignRelease,
        inspection::{Damage, folders},
        settings::Settings,
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use repo_signing::{ChooseError, Issuer};

use self::{
    head::ForeignHead,
    indexes::Copy,
    planning::{Planning, formats},
};
use crate::{
    Allow, Error, Head, HeadSignatures, Observer, Published, Suite, Warning,
    commit::{
        Run, committed,
        draft::{Planned, blocking},
        followers::{self, Leader},
        keys::{Signed, signature_time},
        prepare::date,
    },
};

/// Index files that are copied at once.
const CONCURRENT_COPIES: usize = 4;

/// What is taken over only if the caller has said so.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accept {
    /// A suite that is not signed, or by a key that is not known.
    pub unverified: bool,
    /// A suite with broken parts. Packages among them are left out; indexes of other kinds stay as they are.
    pub damage: bool,
}

/// A suite to be taken over.
#[derive(Debug)]
pub enum Adoption<'a> {
    /// It was taken over before, or was never another program's.
    Ours(Box<Head>),
    Foreign(Box<Takeover<'a>>),
}

/// A suite as it would be taken over now.
#[derive(Debug)]
pub struct Takeover<'a> {
    suite: &'a Suite<'a>,
    allow: Allow,
    accept: Accept,
    head: ForeignHead,
    release: ForeignRelease,
    planned: Planned,
    copies: Vec<Copy>,
    pub damage: Vec<Damage>,
    pub warnings: Vec<Warning>,
    /// Whether a `Packages` index is among it, without which nothing can be taken over.
    lacks_index: bool,
    /// Packages in all indexes, each once.
    pub packages: usize,
    /// Packages whose `Filename` was corrected, as dpkg names their files.
    pub corrected: BTreeSet<String>,
    /// Indexes of other kinds, which stay as they are.
    pub carried_over: Vec<IndexPath>,
    /// Files that `Release` lists and that are not taken over.
    pub left_out: Vec<String>,
}

impl Suite<'_> {
    /// Looks at a suite that another program made, and plans its first commit. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no suite; what the caller has not accepted or [allowed](Allow), apart from broken parts;
    /// those of reading.
    pub async fn adoption(&self, accept: Accept, allow: Allow) -> Result<Adoption<'_>, Error> {
        let Some(head) = self.foreign_head(accept).await? else {
            return Ok(Adoption::Ours(Box::new(self.existing_head().await?)));
        };
        if self.has_history().await? {
            return Err(Error::Overwritten {
                suite: self.name.clone(),
            });
        }
        self.check_founding().await?;
        let mut release =
            ForeignRelease::parse(&self.name, &head.text).map_err(|source| Error::Foreign {
                suite: self.name.clone(),
                source,
            })?;
        self.check_nesting(&release.settings, None).await?;
        release.settings.signing_keys = self.keys.certificates();
        let found = self.foreign_indexes(&release).await?;
        release.settings.formats = formats(&release, &found);
        let sizes = {
            let plains = found.iter().filter_map(|found| found.plain.as_deref());
            self.sizes(folders(plains)).await?
        };
        let (release, mut plan) = blocking(move || {
            let plan = Planning::of(&release, found, |key| sizes.get(key).copied());
            (release, plan)
        })
        .await;
        let planned = self.planned(&head, &release, plan.indexes, allow)?;
        let mut left_out = release.left_out.clone();
        left_out.append(&mut plan.left_out);
        let mut damage = release.damage.clone();
        damage.append(&mut plan.damage);
        Ok(Adoption::Foreign(Box::new(Takeover {
            suite: self,
            allow,
            accept,
            head,
            planned,
            copies: plan.copies,
            damage,
            warnings: Warning::of_collisions(&self.name, &plan.collisions)
                .into_iter()
                .collect(),
            lacks_index: plan.lacks_index,
            packages: plan.packages,
            corrected: plan.corrected,
            carried_over: plan.carried_over,
            left_out,
            release,
        })))
    }

    /// The plan of the first commit, unless devices would refuse it.
    fn planned(
        &self,
        head: &ForeignHead,
        release: &ForeignRelease,
        indexes: BTreeMap<IndexPath, IndexPlan>,
        allow: Allow,
    ) -> Result<Planned, Error> {
        let settings = &release.settings;
        let now = head.store_time.max(release.date);
        let time = signature_time(now.unwrap_or_else(|| self.repository.clock.now()))?;
        let signed = Signed {
            signatures: &head.signatures,
            settings,
        };
        let may_be_new = allow.new_signing_key;
        let chosen = self
            .keys
            .choose(&self.name, Some(signed), settings, time, may_be_new)?;
        let next = ClientView::of_settings(&self.name, settings);
        let mut view_changes = release.view.changes_to(&next);
        // No device reads indexes of these.
        view_changes.retain(|change| match change {
            ViewChange::ArchitectureRemoved { architecture } => {
                !["all", "source"].contains(&architecture.as_str())
            }
            _ => true,
        });
        if !view_changes.is_empty() && !allow.release_info_change {
            return Err(Error::ReleaseInfo {
                suite: self.name.clone(),
                changes: view_changes,
            });
        }
        let by = head.verified();
        let own = settings.signing_keys.iter().zip(&chosen);
        for (certificate, state) in own {
            let is_known = by
                .iter()
                .any(|by| by.certificate == certificate.fingerprint);
            if is_known {
                continue;
            }
            if !by.is_empty() && !may_be_new {
                return Err(Error::Key {
                    suite: self.name.clone(),
                    certificate: certificate.fingerprint,
                    source: ChooseError::NewKey {
                        key: state.key,
                        problems: Vec::new(),
                    },
                });
            }
            view_changes.push(ViewChange::SigningKey { key: state.key });
        }
        let signs = |key| {
            settings
                .signing_keys
                .iter()
                .any(|own| own.fingerprint == key)
        };
        let dropped = by
            .iter()
            .map(|by| by.certificate)
            .filter(|key| !signs(*key));
        let dropped = dropped.map(Issuer::Fingerprint);
        let dropped: Vec<_> = dropped.chain(head.others.iter().cloned()).collect();
        if !dropped.is_empty() && !may_be_new {
            return Err(Error::SignaturesDropped {
                suite: self.name.clone(),
                keys: dropped,
            });
        }
        Ok(Planned {
            plan: Plan {
                settings: settings.clone(),
                changes: Arc::default(),
                phases: Vec::new(),
                there: Vec::new(),
                indexes,
                unmatched: Vec::new(),
                refreshes: false,
                closes: false,
            },
            chosen,
            view_changes,
        })
    }
}

impl Takeover<'_> {
    /// The settings of the suite from its first commit on, as one that was made now would have them.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let now = self.time(self.head.store_time);
        let now = now.unwrap_or_else(|| self.suite.repository.clock.now());
        self.suite.settings_at(date(now, None), &self.planned, None)
    }

    /// The time of the first commit. A device ignores a head that is older than the one it has.
    fn time(&self, store_time: Option<Timestamp>) -> Option<Timestamp> {
        let date = self.release.date.filter(|_| !self.allow.reset_date);
        store_time.map(|time| date.map_or(time, |date| time.max(date)))
    }

    /// Who signed what was found.
    #[must_use]
    pub fn signatures(&self) -> &HeadSignatures {
        &self.head.signatures
    }

    /// The keys that will sign the suite although nothing signs it now.
    pub fn begins_to_sign(&self) -> impl Iterator<Item = Fingerprint> {
        let is_unsigned = self.head.signatures.is_unsigned();
        let keys = &self.planned.plan.settings.signing_keys;
        keys.iter()
            .filter(move |_| is_unsigned)
            .map(|key| key.fingerprint)
    }

    /// What devices have to accept.
    #[must_use]
    pub fn view_changes(&self) -> &[ViewChange] {
        &self.planned.view_changes
    }

    /// `Packages` indexes that are written anew.
    pub fn rewritten(&self) -> impl Iterator<Item = &IndexPath> {
        let indexes = self.planned.plan.indexes.iter();
        let written = indexes.filter(|(_, plan)| matches!(plan, IndexPlan::Write(_)));
        written.map(|(path, _)| path)
    }

    /// Fails if something is broken that was not accepted. A `Packages` index that cannot be read never is.
    ///
    /// # Errors
    /// [`Error::Broken`].
    pub fn check(&self) -> Result<(), Error> {
        if self.damage.is_empty() || (self.accept.damage && !self.lacks_index) {
            return Ok(());
        }
        Err(Error::Broken {
            suite: self.suite.name.clone(),
            problems: self.damage.len(),
        })
    }

    /// Writes the first commit.
    ///
    /// # Errors
    /// [`Error::Broken`]; [`Error::ChangedMeanwhile`] if another program wrote at the same time; those of the store.
    pub async fn commit(
        mut self,
        authorship: &Authorship,
        observer: &dyn Observer,
    ) -> Result<Published, Error> {
        self.check()?;
        let suite = self.suite;
        let run = Run {
            suite,
            authorship,
            allow: self.allow,
            observer,
            files: &[],
        };
        let store_time = suite.found().await?.1.max(self.head.store_time);
        run.check_clock(store_time)?;
        stream::iter(&self.copies)
            .map(|copy| suite.copy(copy))
            .buffer_unordered(CONCURRENT_COPIES)
            .try_collect::<()>()
            .await?;
        let mut change = Change {
            action: Change::ADOPT.to_owned(),
            ..Change::default()
        };
        for (name, count) in [("packages", self.packages), ("broken", self.damage.len())] {
            change.rest.insert(name.to_owned(), count.into());
        }
        Arc::make_mut(&mut self.planned.plan.changes).push(change);
        let time = self.time(store_time);
        let prepared = suite
            .prepare(&self.planned, None, authorship, time, self.allow)
            .await?;
        let view_changes = std::mem::take(&mut self.planned.view_changes);
        suite.check_unchanged(&self.head).await?;
        let replaces = prepared.signed.is_some() == self.head.is_inrelease;
        let etag = replaces.then_some(&self.head.etag);
        let etag = match run.put_head(etag, &prepared).await? {
            Ok(etag) => etag,
            Err(doubt) => match (suite.head().await, doubt) {
                (Ok(Some(head)), _) if head.id() == prepared.id => head.etag,
                (_, Some(error)) => return Err(run.unknown(error.into())),
                (_, None) => {
                    return Err(Error::ChangedMeanwhile {
                        suite: suite.name.clone(),
                    });
                }
            },
        };
        let (outcome, leader) = committed(prepared, view_changes, Some(etag));
        let stale_followers = bring_up(suite, leader).await.err();
        Ok(Published {
            outcome,
            stale_followers,
        })
    }
}

async fn bring_up(suite: &Suite<'_>, leader: Option<Leader>) -> Result<(), Error> {
    match leader {
        Some(leader) => followers::bring_up(suite, leader, None).await,
        None => Ok(()),
    }
}
