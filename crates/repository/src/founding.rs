//! The first commit of a suite.
//!
//! A missing head means a new suite only if the suite never had one. And since a signed suite has its head at another key than an
//! unsigned one, two first publishers that disagree would not meet there: `suite.json` decides between them.

use bytes::Bytes;
use deb_index::{digest::Sha256, suite::layout};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use s3_storage::{ConditionalWrites, ErrorKind, Payload, PutMode, PutOptions};

use crate::{Error, Head, Suite, Writes};

/// Commits that are read to find out whether one of them had a parent.
const SEARCHED: usize = 200;

impl Suite<'_> {
    /// Fails if a suite without a head has had one. Commits without a parent prove nothing: the first publish was killed before
    /// it wrote the head.
    pub(crate) async fn check_is_new(&self) -> Result<(), Error> {
        self.check_founding().await?;
        if self.has_history().await? && self.signed_head().await?.is_none() {
            return Err(Error::HeadVanished {
                suite: self.name.clone(),
            });
        }
        Ok(())
    }

    /// Fails if an earlier first commit, which may still run or was killed, decided otherwise about signing.
    pub(crate) async fn check_founding(&self) -> Result<(), Error> {
        match self.founded_as().await? {
            Some(is_signed) if is_signed != self.keys.is_signed() => Err(Error::FoundedOtherwise {
                suite: self.name.clone(),
                is_signed,
            }),
            _ => Ok(()),
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
                Ok(_) | Err(Error::Damaged { .. } | Error::Commit { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Before the first head: finds out whether the store honours preconditions, and whether the suite is signed. Returns the
    /// store's clock.
    pub(crate) async fn found(&self) -> Result<Option<Timestamp>, Error> {
        self.require_conditional_writes().await?;
        let (content, mut options) = founding(self.keys.is_signed());
        options.mode = self.repository.writes.mode(PutMode::Create);
        let key = layout::founding_key(&self.name);
        let payload = Payload::Bytes(content);
        match self.repository.storage.put(&key, payload, options).await {
            Ok(reply) => Ok(reply.date),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::PreconditionFailed | ErrorKind::Conflict
                ) || error.is_ambiguous() =>
            {
                match self.founded_as().await? {
                    Some(is_signed) if is_signed == self.keys.is_signed() => Ok(None),
                    Some(is_signed) => Err(Error::FoundedOtherwise {
                        suite: self.name.clone(),
                        is_signed,
                    }),
                    None => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
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

    /// Whether the suite was founded as a signed one; none if it was not founded.
    async fn founded_as(&self) -> Result<Option<bool>, Error> {
        let key = layout::founding_key(&self.name);
        match self.find(&key).await? {
            None => Ok(None),
            Some((_, bytes)) if bytes == content(true) => Ok(Some(true)),
            Some((_, bytes)) if bytes == content(false) => Ok(Some(false)),
            Some(_) => Err(self.damaged(
                key,
                "says neither that the suite is signed nor that it is not",
            )),
        }
    }
}

fn content(is_signed: bool) -> Bytes {
    format!("{{\"signed\": {is_signed}}}\n").into()
}

/// `suite.json`, and how it is written.
fn founding(is_signed: bool) -> (Bytes, PutOptions) {
    let content = content(is_signed);
    let mut options = PutOptions::new(PutMode::Create);
    options.sha256 = Some(Sha256::of(&content).0);
    options.content_type = Some("application/json");
    (content, options)
}
