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

impl Suite<'_> {
    /// Fails if a suite without a head has had one. Commits without a parent prove nothing: the first publish was killed before
    /// it wrote the head. Returns the store's clock.
    pub(crate) async fn check_is_new(&self) -> Result<Option<Timestamp>, Error> {
        let store_time = self.check_founding().await?;
        if self.has_history().await? && self.signed_head().await?.is_none() {
            let suite = self.name.clone();
            return Err(match self.founding().await? {
                // A publisher that was held up while the suite was deleted has left followers.
                (Some(Founding::Deleted), _) => Error::Deleting { suite },
                _ => Error::HeadVanished { suite },
            });
        }
        Ok(store_time)
    }

    /// Fails if an earlier first commit, which may still run or was killed, decided otherwise about signing. Returns the store's
    /// clock.
    pub(crate) async fn check_founding(&self) -> Result<Option<Timestamp>, Error> {
        let (founding, store_time) = self.founding().await?;
        founding.map_or(Ok(()), |founding| self.check_kind(&founding))?;
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

    /// Before the first head: finds out whether the store honours preconditions, and whether the suite is signed. Returns the
    /// store's clock.
    pub(crate) async fn found(&self) -> Result<Option<Timestamp>, Error> {
        self.require_conditional_writes().await?;
        let is_signed = self.keys.is_signed();
        let (content, mut options) = founding(is_signed);
        options.mode = self.repository.writes.mode(PutMode::Create);
        let key = layout::founding_key(&self.name);
        let payload = Payload::Bytes(content.clone());
        match self.repository.storage.put(&key, payload, options).await {
            Ok(reply) => return Ok(reply.date),
            Err(error) if error.is_ambiguous() || error.is_refused_condition() => {}
            Err(error) => return Err(error.into()),
        }
        // The name may have been that of a suite that was deleted.
        self.change_founding(|now| match now {
            None | Some(Founding::Deleted) => Ok(Swap::Write(content.clone(), ())),
            Some(now) => self.check_kind(&now).map(Swap::Keep),
        })
        .await?;
        self.check_founding().await
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
            let now = current.bytes.as_deref();
            change(now.map(|bytes| self.parse_founding(bytes)).transpose()?)
        };
        cas.update(self.repository.storage.as_ref(), change).await
    }

    /// Fails if the folder is not that of a suite that is signed as this one.
    fn check_kind(&self, founding: &Founding) -> Result<(), Error> {
        match founding {
            Founding::Suite { signed } if *signed == self.keys.is_signed() => Ok(()),
            Founding::Suite { signed } => Err(Error::FoundedOtherwise {
                suite: self.name.clone(),
                is_signed: *signed,
            }),
            Founding::AliasOf(suite) => Err(Error::IsAlias {
                alias: self.name.clone(),
                suite: suite.clone(),
            }),
            Founding::Deleting(_) => Err(Error::Deleting {
                suite: self.name.clone(),
            }),
            Founding::Deleted => Ok(()),
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
        match self.founding().await {
            Ok((founding, _)) => Ok(founding == Some(Founding::Suite { signed: false })),
            Err(Error::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes `suite.json` anew, as the head shows that it has to be; unless somebody has begun to delete the suite meanwhile.
    pub(crate) async fn restore_founding(&self, signed: bool) -> Result<(), Error> {
        let (content, _) = founding(signed);
        let object = Cas {
            key: &layout::founding_key(&self.name),
            limit: LIMIT,
            conditional: self.repository.writes == Writes::Conditional,
        };
        let write = |current: &Current| {
            let now = current.bytes.as_deref();
            let is_deleting = matches!(now.and_then(Founding::parse), Some(Founding::Deleting(_)));
            Ok::<_, Error>(match is_deleting || now == Some(&*content) {
                true => Swap::Keep(()),
                false => Swap::Write(content.clone(), ()),
            })
        };
        object.update(self.repository.storage.as_ref(), write).await
    }

    /// What the folder is, none if nothing says; and the store's clock.
    pub(crate) async fn founding(&self) -> Result<(Option<Founding>, Option<Timestamp>), Error> {
        let key = layout::founding_key(&self.name);
        match self.repository.storage.get_bytes(&key, LIMIT).await {
            Ok((meta, bytes)) => Ok((Some(self.parse_founding(&bytes)?), meta.date)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok((None, error.date())),
            Err(error) => Err(error.into()),
        }
    }

    fn parse_founding(&self, bytes: &[u8]) -> Result<Founding, Error> {
        Founding::parse(bytes).ok_or_else(|| {
            let key = layout::founding_key(&self.name);
            self.damaged(
                key,
                "says neither that the suite is signed nor that it is not",
            )
        })
    }
}

/// `suite.json`, and how it is written.
fn founding(signed: bool) -> (Bytes, PutOptions) {
    let content = Bytes::from(Founding::Suite { signed }.to_bytes());
    let mut options = PutOptions::new(PutMode::Create);
    options.sha256 = Some(Sha256::of(&content).0);
    options.content_type = Some("application/json");
    (content, options)
}
