//! The first commit of a suite.
//!
//! A missing head means a new suite only if the suite never had one. And since a signed suite has its head at another key than an
//! unsigned one, two first publishers that disagree would not meet there: `suite.json` decides between them.

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    suite::{founding::Founding, layout},
};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use s3_storage::{Cas, ConditionalWrites, Current, ErrorKind, Payload, PutMode, PutOptions, Swap};

use crate::{Error, Head, Suite, Writes, succession::is_unreadable};

/// Commits that are read to find out whether one of them had a parent.
const SEARCHED: usize = 200;
/// The most bytes of `suite.json` that are read.
const LIMIT: u64 = 1 << 20;
/// Tries to create it.
const TRIES: u32 = 5;

impl Suite<'_> {
    /// Fails if a suite without a head has had one. Commits without a parent prove nothing: the first publish was killed before
    /// it wrote the head. Returns the store's clock.
    pub(crate) async fn check_is_new(&self) -> Result<Option<Timestamp>, Error> {
        let store_time = self.check_founding().await?;
        if self.has_history().await? && self.signed_head().await?.is_none() {
            return Err(Error::HeadVanished {
                suite: self.name.clone(),
            });
        }
        Ok(store_time)
    }

    /// Fails if an earlier first commit, which may still run or was killed, decided otherwise about signing. Returns the store's
    /// clock.
    pub(crate) async fn check_founding(&self) -> Result<Option<Timestamp>, Error> {
        match self.founded_as().await? {
            (Some(is_signed), _) if is_signed != self.keys.is_signed() => {
                Err(Error::FoundedOtherwise {
                    suite: self.name.clone(),
                    is_signed,
                })
            }
            (_, store_time) => Ok(store_time),
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

    /// Before the first head: finds out whether the store honours preconditions, and whether the suite is signed. Returns the
    /// store's clock.
    pub(crate) async fn found(&self) -> Result<Option<Timestamp>, Error> {
        self.require_conditional_writes().await?;
        let is_signed = self.keys.is_signed();
        let (content, mut options) = founding(is_signed);
        options.mode = self.repository.writes.mode(PutMode::Create);
        let key = layout::founding_key(&self.name);
        let mut tries = 0;
        loop {
            let payload = Payload::Bytes(content.clone());
            let written = self.repository.storage.put(&key, payload, options.clone());
            let error = match written.await {
                Ok(reply) => return Ok(reply.date),
                Err(error) => error,
            };
            let may_be_there = matches!(
                error.kind(),
                ErrorKind::PreconditionFailed | ErrorKind::Conflict
            );
            if !may_be_there && !error.is_ambiguous() {
                return Err(error.into());
            }
            tries += 1;
            match self.founded_as().await? {
                (Some(founded), store_time) if founded == is_signed => return Ok(store_time),
                (Some(is_signed), _) => {
                    return Err(Error::FoundedOtherwise {
                        suite: self.name.clone(),
                        is_signed,
                    });
                }
                (None, _) if tries == TRIES => return Err(error.into()),
                (None, _) => {}
            }
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
    /// serves as an object that exists; its content does not change even if the store takes the writes.
    pub(crate) async fn prove_conditional_writes(&self, head: Option<&Head>) -> Result<(), Error> {
        let Some(head) = head.filter(|_| self.repository.writes == Writes::Conditional) else {
            return Ok(());
        };
        if !head.commit.settings.single_writer {
            let key = layout::founding_key(&self.name);
            let storage = self.repository.storage.as_ref();
            let (content, options) = founding(self.keys.is_signed());
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

    /// Whether the suite was founded as an unsigned one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_founded_unsigned(&self) -> Result<bool, Error> {
        match self.founded_as().await {
            Ok((founded, _)) => Ok(founded == Some(false)),
            Err(Error::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes `suite.json` anew, as the head shows that it has to be.
    pub(crate) async fn restore_founding(&self, signed: bool) -> Result<(), Error> {
        let (content, _) = founding(signed);
        let object = Cas {
            key: &layout::founding_key(&self.name),
            limit: LIMIT,
            conditional: self.repository.writes == Writes::Conditional,
        };
        let write = |current: &Current| {
            Ok::<_, Error>(match &current.bytes {
                Some(bytes) if *bytes == content => Swap::Keep(()),
                _ => Swap::Write(content.clone(), ()),
            })
        };
        object.update(self.repository.storage.as_ref(), write).await
    }

    /// Whether the suite was founded as a signed one, none if it was not founded; and the store's clock.
    pub(crate) async fn founded_as(&self) -> Result<(Option<bool>, Option<Timestamp>), Error> {
        let key = layout::founding_key(&self.name);
        let (meta, bytes) = match self.repository.storage.get_bytes(&key, LIMIT).await {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((None, error.date())),
            Err(error) => return Err(error.into()),
        };
        match Founding::parse(&bytes) {
            Some(Founding { signed }) => Ok((Some(signed), meta.date)),
            None => Err(self.damaged(
                key,
                "says neither that the suite is signed nor that it is not",
            )),
        }
    }
}

/// `suite.json`, and how it is written.
fn founding(signed: bool) -> (Bytes, PutOptions) {
    let content = Bytes::from(Founding { signed }.to_bytes());
    let mut options = PutOptions::new(PutMode::Create);
    options.sha256 = Some(Sha256::of(&content).0);
    options.content_type = Some("application/json");
    (content, options)
}
