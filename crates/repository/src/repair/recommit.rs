//! A head that is written again, or a commit that says again what was lost: the state of a head whose commit is gone, indexes of
//! which no file is left, or a whole suite of which only the package files are.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use deb_index::{
    change::{Edit, IndexPlan, Intent, PlainIndexes, Plan, collisions::Seen, plan},
    digest::Sha256,
    index::IndexPath,
    name::PackageName,
    stanza::Stanza,
    suite::{
        commit::Authorship,
        foreign::ForeignRelease,
        founding::Founding,
        layout,
        release::{self, Release},
        settings::Settings,
    },
};
use s3_storage::ETag;

use crate::{
    Allow, Error, Head, HeadSignatures, Keys, Silent, Suite,
    commit::{
        Run, committed,
        draft::Planned,
        followers,
        keys::{Signed, signature_time},
        prepare::Prepared,
    },
    gc::inventory::Inventory,
    read::{head::SignedHead, loss::is_unreadable},
    repair::rebuild::architecture_in,
};

/// Package files that are read at once.
const READ: usize = 8;

impl Suite<'_> {
    /// Builds a commit on the head `on`, which has the tag `instead_of`, with these indexes in place of its own. Does nothing if
    /// there is another head by now.
    ///
    /// # Errors
    /// Keys that may not sign the suite; those of the store.
    pub(crate) async fn recommit(
        &self,
        on: Sha256,
        instead_of: Option<&ETag>,
        written: BTreeMap<IndexPath, Bytes>,
        authorship: &Authorship,
    ) -> Result<(), Error> {
        let signed = self.head_to_build_on().await?;
        let Some(signed) = signed.filter(|signed| signed.release.commit == on) else {
            return Ok(());
        };
        let head = match self.read_commit(&on).await {
            Ok(commit) => self.head_of(signed, commit)?,
            Err(error) if is_unreadable(&error) => self.without_commit(signed)?,
            Err(error) => return Err(error),
        };
        self.check_requirements(on, &head.commit)?;
        self.spare_all(None, &head.commit, &written).await?;
        self.build_on(&head, instead_of, written, authorship).await
    }

    /// Builds a commit on a head, with these indexes in place of its own; with other keys, if those that it has are lost.
    async fn build_on(
        &self,
        head: &Head,
        instead_of: Option<&ETag>,
        mut written: BTreeMap<IndexPath, Bytes>,
        authorship: &Authorship,
    ) -> Result<(), Error> {
        let indexes = head.commit.indexes.keys().map(|path| {
            let plan = written
                .remove(path)
                .map_or(IndexPlan::Keep, IndexPlan::Write);
            (path.clone(), plan)
        });
        let mut settings = head.commit.settings.clone();
        if matches!(self.keys, Keys::Replace { .. }) {
            settings.signing_keys = self.keys.certificates();
        }
        let plan = Plan {
            settings,
            changes: Arc::default(),
            phases: Vec::new(),
            there: Vec::new(),
            indexes: indexes.collect(),
            unmatched: Vec::new(),
            refreshes: false,
            closes: false,
        };
        self.write(plan, Some(head), instead_of, authorship).await
    }

    /// The head, or where it cannot be used, what `Release` shows of it.
    async fn head_to_build_on(&self) -> Result<Option<SignedHead>, Error> {
        match self.signed_head().await {
            Err(error @ Error::Storage(_)) => Err(error),
            Ok(Some(head)) if !(self.keys.is_signed() && head.signatures().is_unsigned()) => {
                Ok(Some(head))
            }
            Ok(_) | Err(_) => self.head_beside().await,
        }
    }

    /// Begins the suite anew with the package files that no other suite has, in place of the head with the tag `instead_of`.
    ///
    /// # Errors
    /// Keys that may not sign the suite; those of the store.
    pub(crate) async fn begin_again(
        &self,
        instead_of: Option<&ETag>,
        authorship: &Authorship,
    ) -> Result<(), Error> {
        let inventory = self.repository.inventory().await?;
        let others = self.named_by_others(&inventory).await?;
        let stanzas = self.pool(&inventory, |key| !others.contains(key)).await?;
        let architectures = stanzas.iter().map(|stanza| &stanza.id.architecture);
        let architectures: BTreeSet<_> = architectures.filter(|one| !one.is_all()).collect();
        let mut settings = self.settings_of_release().await?;
        for architecture in architectures {
            if !settings.architectures.contains(architecture) {
                settings.architectures.push(architecture.clone());
            }
        }
        let new = Settings::of_new_suite(self.keys.certificates());
        if settings.architectures.is_empty() {
            settings.architectures = new.architectures;
        }
        settings.formats = new.formats;
        settings.signing_keys = new.signing_keys;
        let additions = stanzas.into_iter().map(|stanza| Edit::Add {
            stanza,
            replace: true,
        });
        let edits = [Edit::Exist(settings.into())].into_iter().chain(additions);
        let intent = Intent(edits.collect());
        let plan = plan(None, &PlainIndexes::new(), &intent)?;
        if !matches!(self.founding().await?.0, Some(Founding::Suite { .. })) {
            self.restore_founding(self.keys.is_signed()).await?;
        }
        self.write(plan, None, instead_of, authorship).await
    }

    /// Writes the head anew as a commit says, in place of one that is missing, damaged or older: of the one with the tag
    /// `instead_of`, and none that was written meanwhile. It gets the date of the commit, so devices that have the commit see
    /// no change. If its keys are lost, a commit with other ones is built on it instead.
    ///
    /// # Errors
    /// Keys that may not sign for the commit; those of the store.
    pub(crate) async fn restore_head(
        &self,
        id: Sha256,
        instead_of: Option<&ETag>,
        authorship: &Authorship,
    ) -> Result<(), Error> {
        let commit = self.read_commit(&id).await?;
        if commit.suite != self.name {
            return Err(Error::OtherSuite {
                suite: self.name.clone(),
                found: commit.suite,
            });
        }
        self.check_requirements(id, &commit)?;
        let settings = &commit.settings;
        let signatures = match settings.signing_keys[..] {
            [] => HeadSignatures::Unsigned,
            [..] => HeadSignatures::Unchecked,
        };
        let signed = Some(Signed {
            signatures: &signatures,
            settings,
        });
        let refused = |error| lost_keys(error, settings);
        self.keys.check(&self.name, signed).map_err(refused)?;
        let text = Bytes::from(release::render(&commit, &id));
        if matches!(self.keys, Keys::Replace { .. }) {
            let release = Release::parse(&text).map_err(|source| Error::Release {
                suite: self.name.clone(),
                source,
            })?;
            self.spare_all(Some(id), &commit, &BTreeMap::new()).await?;
            let head = Head {
                etag: instead_of.cloned().unwrap_or(ETag(String::new())),
                signatures,
                bytes: text.clone(),
                text,
                release,
                commit: commit.into(),
                store_time: self.founding().await?.1,
                put_back: None,
            };
            return self
                .build_on(&head, instead_of, BTreeMap::new(), authorship)
                .await;
        }
        let time = signature_time(commit.time)?;
        let chosen = self
            .keys
            .choose(&self.name, signed, settings, time, false)
            .map_err(refused)?;
        let signed = self.keys.sign(&text, time, &chosen).await?;
        self.require_conditional_writes().await?;
        self.spare_all(Some(id), &commit, &BTreeMap::new()).await?;
        let prepared = Prepared {
            id,
            commit: commit.into(),
            text,
            signed,
            files: HashMap::new(),
        };
        let run = self.repair_run(authorship);
        self.take_place(&run, instead_of, prepared).await
    }

    async fn write(
        &self,
        plan: Plan,
        head: Option<&Head>,
        instead_of: Option<&ETag>,
        authorship: &Authorship,
    ) -> Result<(), Error> {
        let run = self.repair_run(authorship);
        let signed = head.map(Head::signed);
        self.keys.check(&self.name, signed)?;
        let store_time = match head {
            Some(head) => {
                self.prove_conditional_writes(Some(head)).await?;
                head.store_time
            }
            None => {
                self.require_conditional_writes().await?;
                self.founding().await?.1
            }
        };
        run.check_clock(store_time)?;
        let time = store_time.max(head.map(|head| head.release.date));
        let time = signature_time(time.ok_or(Error::NoStoreTime)?)?;
        let next = &plan.settings;
        let planned = Planned {
            chosen: self.keys.choose(&self.name, signed, next, time, false)?,
            plan,
            view_changes: Vec::new(),
        };
        let prepared = self
            .prepare(&planned, head, authorship, store_time, run.allow)
            .await?;
        self.take_place(&run, instead_of, prepared).await
    }

    fn repair_run<'r>(&'r self, authorship: &'r Authorship) -> Run<'r> {
        Run {
            suite: self,
            authorship,
            allow: Allow::default(),
            observer: &Silent,
            files: &[],
        }
    }

    /// Moves the head, unless another publisher was faster.
    async fn take_place(
        &self,
        run: &Run<'_>,
        instead_of: Option<&ETag>,
        prepared: Prepared,
    ) -> Result<(), Error> {
        match run.put_head(instead_of, &prepared).await? {
            Ok(etag) => {
                let (_, leader) = committed(prepared, Vec::new(), Some(etag));
                if let Some(leader) = leader {
                    // Followers of what is lost stay a problem of their own.
                    let _ = followers::bring_up(self, leader, None).await;
                }
                Ok(())
            }
            Err(Some(doubt)) => Err(run.unknown(doubt.into())),
            Err(None) => Ok(()),
        }
    }

    /// The packages in the pool at keys that are `wanted`, each once: the newest file.
    async fn pool(
        &self,
        inventory: &Inventory,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Stanza>, Error> {
        use futures::{StreamExt as _, TryStreamExt as _};
        let mut files: Vec<_> = inventory.below(layout::POOL).collect();
        files.retain(|(key, _)| wanted(key) && architecture_in(key).is_some());
        files.sort_by_key(|(_, object)| object.modified);
        // Nothing names them, so they may be about to be collected. What is there to be read after this stays.
        let keys = files.iter().map(|(key, _)| key.as_str());
        self.repository.spare(&keys.collect()).await?;
        let reads = files.into_iter().map(|(key, _)| async move {
            let Some(component) = layout::component_of(key) else {
                return Ok(None);
            };
            let deb = self.repository.describe(key).await?;
            let stanza = deb.map(|deb| Stanza::of_deb(component, &deb).at_key(key.clone()));
            Ok::<_, Error>(stanza)
        });
        let stanzas: Vec<Stanza> = futures::stream::iter(reads.collect::<Vec<_>>())
            .buffered(READ)
            .try_filter_map(async |stanza| Ok(stanza))
            .try_collect()
            .await?;
        // Of versions that are equal for devices, the newest file.
        let mut newest: HashMap<PackageName, Vec<Stanza>> = HashMap::new();
        for stanza in stanzas.into_iter().rev() {
            let others = newest.entry(stanza.id.name.clone()).or_default();
            let seen = Seen::from(&stanza);
            let is_taken =
                |other: &Stanza| other.id == stanza.id || seen.collides_with(&other.into());
            if !others.iter().any(is_taken) {
                others.push(stanza);
            }
        }
        Ok(newest.into_values().flatten().collect())
    }

    /// The settings that a `Release` shows, if there is one.
    async fn settings_of_release(&self) -> Result<Settings, Error> {
        let release = self
            .find_follower(layout::in_suite(&self.name, "Release"))
            .await?;
        let release = release.and_then(|text| ForeignRelease::parse(&self.name, &text).ok());
        Ok(release.map(|release| release.settings).unwrap_or_default())
    }
}

/// What is missing where a head is signed again is every key that signed it: no other key can be added before there is a head.
fn lost_keys(error: Error, settings: &Settings) -> Error {
    match error {
        Error::NotAccepted { suite, .. } | Error::SignerMissing { suite, .. } => {
            Error::KeysOfLost {
                suite,
                keys: settings
                    .signing_keys
                    .iter()
                    .map(|key| key.fingerprint)
                    .collect(),
            }
        }
        error => error,
    }
}
