//! A change that is planned, and not carried out yet.

use std::{collections::HashSet, sync::Arc};

use deb_index::{
    change::{
        Edit, Intent, PlainIndexes, Plan, SettingsPatch,
        client_view::{ClientView, ViewChange},
        device_view::{PackageChange, package_changes},
        plan,
    },
    fingerprint::Fingerprint,
    suite::{commit::Commit, founding::Founding, layout, settings::Settings},
};
use jiff::Timestamp;
use repo_signing::{Certificate, KeyState};

use crate::{
    Error, Head, Suite, Warning, Writes,
    commit::{keys::signature_time, upload::Lost},
    read::{
        indexes::IndexCache,
        loss::{Mark, TRIES, is_loss},
        succession::Beside,
        warning::key_expiry,
    },
};

/// Times that a damaged file moves to a longer key, where another damaged one may be.
const MOVES: usize = 4;

/// What a change may do only if its caller has said so.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allow {
    /// Change what devices have to accept, such as `Label` in `Release`.
    pub release_info_change: bool,
    /// Sign with the newest key of the signer's certificate, although devices may not have it yet.
    pub new_signing_key: bool,
    /// Build on a head that was put back to an older commit.
    pub put_back: bool,
    /// Believe a store whose clock is days ahead of this machine's.
    pub store_clock: bool,
    /// Let `Date` fall to the store's time. For a suite that was dated by a store whose clock was ahead.
    pub reset_date: bool,
}

impl Allow {
    /// Whether a commit on this head is wanted for its date alone.
    pub(crate) fn is_date_reset(self, head: Option<&Head>) -> bool {
        self.reset_date && head.is_some_and(|head| head.store_time < Some(head.release.date))
    }
}

/// A change as it would be carried out now.
#[derive(Debug)]
pub struct Draft<'a> {
    pub(crate) suite: &'a Suite<'a>,
    pub(crate) allow: Allow,
    pub(crate) intent: Arc<Intent>,
    pub(crate) base: Option<Head>,
    pub(crate) planned: Planned,
    pub(crate) cache: IndexCache,
    pub(crate) beside: Beside,
    /// Packages to add that the suite has, but whose files are lost; with the keys where they belong.
    pub(crate) lost: Vec<Lost>,
    /// Keys of packages to add at which another file is. They go elsewhere.
    pub(crate) damaged: Vec<String>,
    /// Own keys of the packages whose files were stored for it, wherever they are.
    pub(crate) stored: HashSet<String>,
    /// Whether a commit is needed even if it changes no package: it takes the place of a head that was put back, or of its date.
    pub(crate) is_needed: bool,
    /// What `suite.json` said when the first head of the suite was about to be made.
    pub(crate) founding: Option<Founding>,
    /// The store's clock, as far as it has been seen.
    pub(crate) store_time: Option<Timestamp>,
}

/// What an intent means on one base.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// The key of each signer that signs.
    pub(crate) chosen: Vec<KeyState>,
    /// What devices have to accept.
    pub(crate) view_changes: Vec<ViewChange>,
}

impl Draft<'_> {
    /// The head that the change is planned on; none if the suite would be created.
    #[must_use]
    pub fn base(&self) -> Option<&Head> {
        self.base.as_ref()
    }

    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.planned.plan
    }

    /// What devices would get of the packages that change, by component and name. Reads nothing.
    ///
    /// # Errors
    /// [`PlanError`](deb_index::change::PlanError).
    pub fn package_changes(&self) -> Result<Vec<PackageChange>, Error> {
        let base = commit_of(self.base.as_ref());
        let indexes = base.map_or_else(PlainIndexes::new, |base| self.cache.cached(base));
        let plan = &self.planned.plan;
        Ok(package_changes(base, &indexes, &self.intent, plan)?)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.is_needed && self.planned.plan.is_empty(commit_of(self.base.as_ref()))
    }

    /// What devices have to accept of the change. Not empty only if that was allowed.
    #[must_use]
    pub fn view_changes(&self) -> &[ViewChange] {
        &self.planned.view_changes
    }

    /// What will hurt later: keys that expire, a date in the future, keys that do not sign.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let head = self.base.as_ref();
        let mut warnings = head.map_or_else(Vec::new, |head| self.suite.warnings(head));
        let now = self.suite.time_of(head, self.store_time, self.allow);
        let keys = self.planned.chosen.iter();
        let expiring = keys.filter_map(|state| {
            let certificate = self.suite.keys.certificate_of(state.key)?;
            key_expiry(&certificate, state.key, now)
        });
        for warning in expiring.collect::<Vec<_>>() {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        let idle = self.suite.keys.idle(&self.planned.plan.settings);
        warnings.extend(idle.map(|key| Warning::KeyIdle {
            suite: self.suite.name.to_string(),
            key,
        }));
        let is_moved = |key: &String| self.intent.moved().any(|moved| moved == key);
        let lost = self.lost.iter().map(|lost| lost.stanza.key.clone());
        let missing = lost.filter(|key| !is_moved(key));
        warnings.extend(missing.map(|key| Warning::FileMissing { key }));
        let damaged = self.damaged.iter().cloned();
        warnings.extend(damaged.map(|key| Warning::FileDamaged { key }));
        if self.allow.reset_date {
            warnings.retain(|warning| !matches!(warning, Warning::FutureDate { .. }));
        }
        warnings
    }
}

impl Suite<'_> {
    /// Plans an intent on what the suite is now. Writes nothing; all that can be known before sending anything is known then.
    ///
    /// # Errors
    /// Conflicts; keys that may not sign; what the caller has not [allowed](Allow); those of reading.
    pub async fn draft(&self, intent: Intent, allow: Allow) -> Result<Draft<'_>, Error> {
        let mut left = TRIES;
        loop {
            left -= 1;
            let mut seen = None;
            let error = match self.draft_now(intent.clone(), allow, &mut seen).await {
                Err(error) => self.of_name(self.explained(error).await).await,
                draft => return draft,
            };
            let is_new = match &seen {
                Some(seen) if left > 0 && is_loss(&error) => self.has_lost(seen).await,
                _ => false,
            };
            // A suite that was deleted is not created again unasked.
            if !is_new || matches!(error, Error::Deleted { .. }) {
                return Err(error);
            }
        }
    }

    /// `seen`: the head that was read, if there was one.
    async fn draft_now(
        &self,
        mut intent: Intent,
        allow: Allow,
        seen: &mut Option<Mark>,
    ) -> Result<Draft<'_>, Error> {
        if allow.new_signing_key {
            intent.0.push(Edit::Set(Box::new(SettingsPatch {
                renew_keys: self.keys.certificates(),
                ..SettingsPatch::default()
            })));
        }
        deb_index::change::check(&intent)?;
        let mut intent = Arc::new(intent);
        let mut cache = IndexCache::default();
        let mut beside = Beside::default();
        let mut is_needed = false;
        let (base, store_time) = match self.signed_head().await? {
            None => {
                let store_time = self.check_is_new().await?;
                let is_new = |edit: &Edit| matches!(edit, Edit::Exist(_));
                if !intent.0.iter().any(is_new) {
                    return Err(self.missing().into());
                }
                (None, store_time)
            }
            Some(signed) => {
                *seen = Some(signed.mark(&self.name));
                let id = signed.release.commit;
                let view = &signed.release.view;
                let components: Vec<_> = view
                    .components
                    .iter()
                    .flat_map(|name| name.parse())
                    .collect();
                let architectures: Vec<_> = view
                    .architectures
                    .iter()
                    .flat_map(|name| name.parse())
                    .collect();
                let paths = intent.reads(&components, &architectures);
                let (commit, (), evidence) = futures::join!(
                    self.read_commit(&id),
                    cache.prefetch(self, &signed.release, &paths),
                    self.evidence(id),
                );
                let (commit, evidence) = (commit?, evidence?);
                match self.check_newest(&signed, &commit, &evidence).await {
                    Err(error) if allow.put_back && error.is_put_back() => is_needed = true,
                    checked => checked?,
                }
                beside = evidence.beside;
                let head = self.head_of(signed, commit)?;
                let store_time = head.store_time;
                is_needed |= allow.is_date_reset(Some(&head));
                (Some(head), store_time)
            }
        };
        if let (Some(time), false) = (store_time, allow.store_clock) {
            self.repository.clock.check(time)?;
        }
        let mut planned = self
            .plan_on(&intent, base.as_ref(), store_time, &mut cache, allow)
            .await?;
        let read = intent.additions().any(|(_, replace)| replace);
        let mut lost = self.lost(&planned.plan.there, read).await?;
        let (mut damaged, mut moves) = (Vec::new(), Vec::new());
        let wanted = intent.clone();
        for _ in 0..MOVES {
            let before = damaged.len();
            for Lost { stanza, .. } in lost.iter().filter(|lost| lost.is_damaged) {
                damaged.push(stanza.key.clone());
                let key = layout::key_with_digest(&stanza.key, &stanza.sha256);
                moves.push(Edit::Moved(stanza.at_key(key)));
            }
            if damaged.len() == before {
                break;
            }
            let edits = moves.iter().chain(&wanted.0).cloned();
            intent = Arc::new(Intent(edits.collect()));
            planned = self
                .plan_on(&intent, base.as_ref(), store_time, &mut cache, allow)
                .await?;
            lost = self.lost(&planned.plan.there, read).await?;
        }
        drop(wanted);
        Arc::make_mut(&mut intent).rest_on(&planned.plan);
        Ok(Draft {
            suite: self,
            allow,
            intent,
            base,
            planned,
            cache,
            beside,
            lost,
            stored: HashSet::new(),
            damaged,
            is_needed,
            founding: None,
            store_time,
        })
    }

    /// What an intent means on a head.
    pub(crate) async fn plan_on(
        &self,
        intent: &Arc<Intent>,
        head: Option<&Head>,
        store_time: Option<Timestamp>,
        cache: &mut IndexCache,
        allow: Allow,
    ) -> Result<Planned, Error> {
        self.keys.check(&self.name, head.map(Head::signed))?;
        let indexes = match head {
            Some(head) => {
                if self.repository.writes == Writes::Conditional && !head.etag.is_strong() {
                    return Err(Error::WeakTag {
                        suite: self.name.clone(),
                        tag: head.etag.0.clone(),
                    });
                }
                let base = &head.commit;
                self.check_requirements(head.id(), base)?;
                if base.is_closed() && !intent.closes() {
                    let suite = self.name.clone();
                    return Err(Error::Deleting { suite });
                }
                let settings = &base.settings;
                let paths = intent.reads(&settings.components, &settings.architectures);
                cache.load(self, base, paths).await?
            }
            None => Default::default(),
        };
        let time = signature_time(self.time_of(head, store_time, allow))?;
        let plan = {
            let (base, intent) = (head.map(|head| head.commit.clone()), intent.clone());
            blocking(move || plan(base.as_deref(), &indexes, &intent)).await?
        };
        let (followed, ()) = futures::try_join!(
            self.heads_to_follow(&plan.settings, commit_of(head)),
            self.check_nesting(&plan.settings, commit_of(head)),
        )?;
        let chosen = self.keys.choose(
            &self.name,
            head.map(Head::signed),
            &plan.settings,
            time,
            allow.new_signing_key,
        )?;
        let mut view_changes = head.map_or_else(Vec::new, |head| {
            self.view_changes(head, &plan.settings, &chosen)
        });
        let is_release_info = |change: &ViewChange| {
            use ViewChange::{KeyRetired, SigningKey};
            !matches!(change, SigningKey { .. } | KeyRetired { .. })
        };
        // Devices of a new alias know the keys of the suite that had the name before.
        let followed = followed.iter();
        let of_aliases: Vec<_> = followed
            .flat_map(|head| self.view_changes(head, &plan.settings, &chosen))
            .collect();
        let is_refused = !of_aliases.is_empty() || view_changes.iter().any(is_release_info);
        let of_aliases = of_aliases.into_iter();
        let is_new = |change: &ViewChange| !view_changes.contains(change);
        let new: Vec<_> = of_aliases.filter(is_new).collect();
        view_changes.extend(new);
        if !allow.release_info_change && is_refused {
            return Err(Error::ReleaseInfo {
                suite: self.name.clone(),
                changes: view_changes,
            });
        }
        Ok(Planned {
            plan,
            chosen,
            view_changes,
        })
    }

    fn view_changes(
        &self,
        head: &Head,
        settings: &Settings,
        chosen: &[KeyState],
    ) -> Vec<ViewChange> {
        let next = ClientView::of_settings(&self.name, settings);
        let mut changes = head.release.view.changes_to(&next);
        let known = &head.commit.settings.signing_keys;
        let (staying, retired): (Vec<_>, Vec<_>) = known
            .iter()
            .map(|key| key.fingerprint)
            .partition(|key| settings.accepts(key));
        let is_news = |key: &Fingerprint| {
            let is_known = known.iter().any(|accepted| accepted.keys.contains(key));
            // Beside a key that they know, devices need not know the key of another certificate.
            let certificate = self.keys.certificate_of(*key);
            let is_needed = |own: Certificate| staying.contains(&own.fingerprint());
            !is_known && (staying.is_empty() || certificate.is_some_and(is_needed))
        };
        let chosen = chosen.iter().map(|state| state.key);
        changes.extend(
            retired
                .into_iter()
                .map(|key| ViewChange::KeyRetired { key }),
        );
        changes.extend(
            chosen
                .filter(is_news)
                .map(|key| ViewChange::SigningKey { key }),
        );
        changes
    }

    /// The time that a head written now would have: the store's, as far as it is known.
    pub(crate) fn time_of(
        &self,
        head: Option<&Head>,
        store_time: Option<Timestamp>,
        allow: Allow,
    ) -> Timestamp {
        let date = head.filter(|_| !allow.reset_date);
        let time = store_time.max(date.map(|head| head.release.date));
        time.unwrap_or_else(|| self.repository.clock.now())
    }
}

/// Runs what takes processor time on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The commit of a head, where there is one.
pub(crate) fn commit_of(head: Option<&Head>) -> Option<&Commit> {
    head.map(|head| head.commit.as_ref())
}
