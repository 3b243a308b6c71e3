//! The first commit of a suite.
//!
//! A missing head means a new suite only if the suite never had one. And since a signed suite has its head at another key than an
//! unsigned one, two first publishers that disagree would not meet there: `suite.json` decides between them.

use std::collections::HashMap;

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    suite::{founding::Founding, layout},
};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use s3_storage::{
    Cas, ConditionalWrites, Current, ErrorKind, Listed, Payload, PutMode, PutOptions, Swap,
};

use crate::{Error, Folder, Head, Keys, Suite, Writes, read::loss::is_unreadable};

/// Commits that are read to find out whether one of them had a parent.
const SEARCHED: usize = 200;
/// Longer than it takes until a first head arrives, from when its publisher has written the commit just before.
const HEAD_ARRIVES: SignedDuration = SignedDuration::from_mins(5);
/// Commits that are read at once.
const CONCURRENT: usize = 16;
/// The most bytes of `suite.json` that are read.
const LIMIT: u64 = 1 << 20;
/// What is wrong with one that says nothing.
pub(crate) const UNKNOWN: &str = "says neither that the suite is signed nor that it is not";

impl Suite<'_> {
    /// Fails if a suite without a head has had one. Commits without a parent prove nothing: the first publish was killed before
    /// it wrote the head. Returns the store's clock.
    pub(crate) async fn check_is_new(&self) -> Result<Option<Timestamp>, Error> {
        let store_time = self.check_founding().await?;
        if self.has_history().await? && self.signed_head().await?.is_none() {
            let suite = self.name.clone();
            self.check_not_deleting(self.what_it_is().await?.as_ref())?;
            return Err(Error::HeadVanished { suite });
        }
        Ok(store_time)
    }

    /// Fails if an earlier first commit, which may still run or was killed, decided otherwise about signing. Returns the store's
    /// clock.
    pub(crate) async fn check_founding(&self) -> Result<Option<Timestamp>, Error> {
        let (founding, store_time) = self.founding().await?;
        self.check_kind(founding.as_ref()).await?;
        Ok(store_time)
    }

    /// The head; none if the suite never had one.
    ///
    /// # Errors
    /// [`Error::HeadVanished`]; those of [`Suite::head`].
    pub(crate) async fn head_if_ever(&self) -> Result<Option<Head>, Error> {
        loop {
            if let Some(head) = self.head().await? {
                return Ok(Some(head));
            }
            if !self.has_history().await? {
                return Ok(None);
            }
            // Otherwise its first publish was just now.
            if self.signed_head().await?.is_none() {
                return Err(Error::HeadVanished {
                    suite: self.name.clone(),
                });
            }
        }
    }

    pub(crate) async fn has_history(&self) -> Result<bool, Error> {
        let storage = &self.repository.storage;
        let records = layout::succession(&self.name);
        if storage.list(&records, None).try_next().await?.is_some() {
            return Ok(true);
        }
        let folder = layout::commits(&self.name);
        let commits = storage.list(&folder, None).take(SEARCHED);
        let commits =
            commits.try_filter_map(async |entry| Ok(layout::commit_at(&self.name, entry.key())));
        for id in commits.try_collect::<Vec<_>>().await? {
            match self.read_commit(&id).await {
                Ok(commit) if commit.parent.is_some() => return Ok(true),
                Ok(_) => {}
                Err(error) if is_unreadable(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Until when a first head may still arrive that is not in the history of `head`: its commit has no parent, and was written
    /// just now.
    pub(crate) async fn first_heads_until(
        &self,
        head: Sha256,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        let storage = &self.repository.storage;
        let folder = layout::commits(&self.name);
        let young = storage.list(&folder, None).err_into().try_filter_map(
            async |entry| -> Result<_, Error> {
                let id = layout::commit_at(&self.name, entry.key());
                let written = match &entry {
                    Listed::Object(object) => object.last_modified,
                    Listed::Folder(_) => None,
                };
                let until = written.and_then(|time| time.checked_add(HEAD_ARRIVES).ok());
                Ok(id.zip(until.filter(|until| *until >= now)))
            },
        );
        let young = young.map_ok(async |(id, until)| match self.read_commit(&id).await {
            Ok(commit) => Ok(Some((id, (commit.parent, until)))),
            Err(error) if is_unreadable(&error) => Ok(None),
            Err(error) => Err(error),
        });
        let young: Vec<_> = young.try_buffer_unordered(CONCURRENT).try_collect().await?;
        let mut young: HashMap<_, _> = young.into_iter().flatten().collect();
        let mut own = Some(head);
        while let Some((parent, _)) = own.and_then(|id| young.remove(&id)) {
            own = parent;
        }
        let firsts = young.into_values().filter(|(parent, _)| parent.is_none());
        Ok(firsts.map(|(_, until)| until).max())
    }

    /// Before the first head: finds out whether the store honours preconditions, and whether the suite is signed. Returns what
    /// `suite.json` says now, and the store's clock.
    pub(crate) async fn found(&self) -> Result<(Founding, Option<Timestamp>), Error> {
        self.found_as(&self.new_founding()).await
    }

    /// The same, where `own` is what `suite.json` says if it did not say that there is a suite.
    pub(crate) async fn found_as(
        &self,
        own: &Founding,
    ) -> Result<(Founding, Option<Timestamp>), Error> {
        self.require_conditional_writes().await?;
        let (content, mut options) = written(own);
        options.mode = self.repository.writes.mode(PutMode::Create);
        let key = layout::founding_key(&self.name);
        let payload = Payload::Bytes(content);
        match self.repository.storage.put(&key, payload, options).await {
            Ok(reply) => return Ok((own.clone(), reply.date)),
            Err(error) if error.is_ambiguous() || error.is_refused_condition() => {}
            Err(error) => return Err(error.into()),
        }
        loop {
            let (founding, store_time) = self.founding().await?;
            self.check_kind(founding.as_ref()).await?;
            if let Some(founding @ Founding::Suite { .. }) = founding {
                return Ok((founding, store_time));
            }
            // The name was that of a suite that is deleted.
            self.swap_founding(founding.as_ref(), own).await?;
        }
    }

    /// What `suite.json` says of a new suite.
    pub(crate) fn new_founding(&self) -> Founding {
        new_suite(self.keys.is_signed())
    }

    /// Writes `suite.json` if it still says what it said, or is still missing. Whether it says `next` now.
    pub(crate) async fn swap_founding(
        &self,
        before: Option<&Founding>,
        next: &Founding,
    ) -> Result<bool, Error> {
        self.change_founding(|now| {
            Ok(match now.as_ref() {
                now if now == Some(next) => Swap::Keep(true),
                now if now == before => Swap::Write(next.to_bytes().into(), true),
                _ => Swap::Keep(false),
            })
        })
        .await
    }

    /// Changes `suite.json` by compare and swap.
    pub(crate) async fn change_founding<T>(
        &self,
        mut change: impl FnMut(Option<Founding>) -> Result<Swap<T>, Error>,
    ) -> Result<T, Error> {
        let key = layout::founding_key(&self.name);
        let cas = Cas {
            key: &key,
            limit: LIMIT,
            conditional: self.repository.writes == Writes::Conditional,
        };
        let change = |current: &Current| {
            let founding = current.bytes.as_deref().map(Founding::parse);
            change(founding.map(|founding| founding.as_of(current.date)))
        };
        cas.update(self.repository.storage.as_ref(), change).await
    }

    /// Fails if the folder is neither free nor that of a suite that is signed as this one.
    async fn check_kind(&self, founding: Option<&Founding>) -> Result<(), Error> {
        let name = || self.name.clone();
        match founding {
            None | Some(Founding::Deleted) => Ok(()),
            Some(Founding::Suite { signed, .. }) if *signed == self.keys.is_signed() => Ok(()),
            Some(Founding::Suite { signed, .. }) => Err(Error::FoundedOtherwise {
                suite: name(),
                is_signed: *signed,
            }),
            Some(Founding::AliasOf { suite, .. }) => Err(Error::IsAlias {
                alias: name(),
                suite: suite.clone(),
            }),
            Some(Founding::Deleting(_)) => {
                self.check_not_deleting(self.what_it_is().await?.as_ref())
            }
            Some(Founding::Unknown) => match self.what_it_is().await? {
                None | Some(Folder::Deleted) => Ok(()),
                Some(_) => Err(self.damaged(layout::founding_key(&self.name), UNKNOWN)),
            },
        }
    }

    /// Tries the store, unless the caller promised to be the only publisher.
    pub(crate) async fn require_conditional_writes(&self) -> Result<(), Error> {
        if self.repository.writes == Writes::SingleWriter {
            return Ok(());
        }
        match s3_storage::probe(self.repository.storage.as_ref()).await? {
            ConditionalWrites::Supported => Ok(()),
            ConditionalWrites::Unsupported(gap) => Err(Error::NoConditionalWrites(gap)),
        }
    }

    /// Before every later head: the store must still refuse what it must, whatever is between it and us by now. `suite.json`
    /// serves as an object that exists: should the store take the writes, it gets another number and says the same. Where it is
    /// missing, this writes it.
    pub(crate) async fn prove_conditional_writes(&self, head: Option<&Head>) -> Result<(), Error> {
        let Some(head) = head.filter(|_| self.repository.writes == Writes::Conditional) else {
            return Ok(());
        };
        if !head.commit.settings.single_writer {
            let key = layout::founding_key(&self.name);
            let storage = self.repository.storage.as_ref();
            let (content, options) = written(&self.new_founding());
            if s3_storage::still_refuses(storage, &key, content, &options)
                .await?
                .is_none()
            {
                return Ok(());
            }
        }
        // The object may also have been missing: the whole test decides.
        self.require_conditional_writes().await
    }

    /// Goes on without keys if the suite was founded as an unsigned one. Returns whether it was.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn recognize_unsigned(&mut self) -> Result<bool, Error> {
        let founding = self.founding().await?.0;
        let is_unsigned = founding.is_some_and(|founding| founding.is_suite(false));
        if is_unsigned {
            self.keys = Keys::Unsigned;
        }
        Ok(is_unsigned)
    }

    /// Writes `suite.json` anew, as the head shows that it has to be, unless the deletion of the suite has begun meanwhile.
    pub(crate) async fn restore_founding(&self, signed: bool) -> Result<(), Error> {
        let seen = self.founding().await?.0;
        // After that, because a deletion closes the suite before it begins to say so.
        let what = self.what_it_is().await?;
        self.check_not_deleting(what.as_ref())?;
        if let Some(Folder::Alias(suite)) = what {
            let alias = self.name.clone();
            return Err(Error::IsAlias { alias, suite });
        }
        if !seen.as_ref().is_some_and(|seen| seen.is_suite(signed)) {
            self.swap_founding(seen.as_ref(), &new_suite(signed))
                .await?;
        }
        Ok(())
    }

    /// What `suite.json` says, if it is there; and the store's clock.
    pub(crate) async fn founding(&self) -> Result<(Option<Founding>, Option<Timestamp>), Error> {
        let key = layout::founding_key(&self.name);
        match self.repository.storage.get_bytes(&key, LIMIT).await {
            Ok((meta, bytes)) => Ok((Some(Founding::parse(&bytes).as_of(meta.date)), meta.date)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok((None, error.date())),
            Err(error) => Err(error.into()),
        }
    }
}

fn new_suite(signed: bool) -> Founding {
    let id = Some(fastrand::u64(..));
    Founding::Suite { signed, id }
}

/// The content of `suite.json`, and how it is written.
fn written(founding: &Founding) -> (Bytes, PutOptions) {
    let content = Bytes::from(founding.to_bytes());
    let mut options = PutOptions::new(PutMode::Create);
    options.sha256 = Some(Sha256::of(&content).0);
    options.content_type = Some("application/json");
    (content, options)
}
