//! Whether a store keeps the preconditions of writes: tried out, because one that does not know
//! them answers 200.
//!
//! Garage and Backblaze B2 take `If-None-Match` and `If-Match` and ignore them; a commit on such a
//! store loses other people's commits in silence. The probe writes a few small objects under a
//! random key, looks at what is refused, lets two writes race, and removes the objects again.

use std::hash::{BuildHasher as _, RandomState};

use bytes::Bytes;

use crate::{ETag, Error, ErrorKind, Payload, PutMode, PutOptions, PutReply, Storage};

/// Where the probe's objects live.
const FOLDER: &str = "debucket-probe/";

/// How many races are run until one has a winner: a store may refuse both ("come again").
const RACES: usize = 5;

/// What a store does with the preconditions of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionalWrites {
    Supported,
    /// It does not: a commit would not be safe.
    Unsupported(Gap),
}

/// What a store lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// `If-None-Match: *` was refused as unknown.
    #[error("it does not know If-None-Match on a write")]
    CreateRefused,
    /// `If-None-Match: *` on an existing key was answered with success.
    #[error("it ignores If-None-Match on a write: an existing object was overwritten")]
    CreateIgnored,
    /// `If-Match` was refused as unknown, or although the tag was right.
    #[error("it does not know If-Match on a write")]
    UpdateRefused,
    /// `If-Match` with the tag of another object was answered with success.
    #[error("it ignores If-Match on a write: another object than the named one was overwritten")]
    UpdateIgnored,
    /// `If-Match` on a missing key was answered with success.
    #[error(
        "it ignores If-Match on a write of a missing key: an object was made that should have been updated"
    )]
    UpdateOfMissing,
    /// Two writes of which only one could succeed both did.
    #[error("it checks a precondition and writes in two steps: two writes at once both succeeded")]
    NotAtomic,
    /// A write was answered without an ETag, or with a weak one.
    #[error("it gives no strong ETag to what was written, so that no later write can name it")]
    NoStrongETag,
}

/// A folder that nobody else uses, for objects that are removed again: `debucket-probe/<32 hex digits>/`.
pub fn probe_folder() -> String {
    format!(
        "{FOLDER}{:016x}{:016x}/",
        RandomState::new().hash_one(1),
        RandomState::new().hash_one(2)
    )
}

/// Tries what `storage` does with preconditions. Needs the right to write and delete below
/// `debucket-probe/`.
///
/// # Errors
/// Those of the requests. A store that refuses the same writes without a precondition lacks
/// something else ([`Error::refused`]). [`ErrorKind::Unexpected`] where the store's answers make no
/// sense.
pub async fn probe(storage: &dyn Storage) -> Result<ConditionalWrites, Error> {
    let folder = probe_folder();
    let keys: Vec<String> = ["one", "missing", "race"]
        .iter()
        .map(|name| format!("{folder}{name}"))
        .collect();
    let result = try_all(storage, &keys[0], &keys[1], &keys[2]).await;
    if let Err(error) = storage.delete(&keys).await {
        tracing::warn!(%error, "the probe's objects are left below {FOLDER}");
    }
    match result {
        Ok(()) => Ok(ConditionalWrites::Supported),
        Err(Finding::Gap(gap)) => Ok(ConditionalWrites::Unsupported(gap)),
        Err(Finding::Error(error)) => Err(error),
    }
}

enum Finding {
    Gap(Gap),
    Error(Error),
}

impl From<Error> for Finding {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// How a conditional write ended.
enum Outcome {
    Written(ETag),
    Refused,
    Again,
    Unknown,
}

async fn write(
    storage: &dyn Storage,
    key: &str,
    content: impl Into<Bytes>,
    options: PutOptions,
) -> Result<Outcome, Error> {
    let written = storage
        .put(key, Payload::Bytes(content.into()), options)
        .await;
    match written {
        Ok(PutReply { etag, .. }) => Ok(Outcome::Written(etag)),
        Err(error) => match error.kind() {
            ErrorKind::PreconditionFailed => Ok(Outcome::Refused),
            ErrorKind::Conflict => Ok(Outcome::Again),
            ErrorKind::Unsupported | ErrorKind::Invalid => Ok(Outcome::Unknown),
            _ => Err(error),
        },
    }
}

/// An ETag that no object has.
pub(crate) fn unknown_etag() -> ETag {
    ETag("\"00000000000000000000000000000000\"".to_owned())
}

/// What a store lacks that refuses a conditional write as unknown: the conditions, if it takes the
/// same write without one. Otherwise it is the ACL or the encryption that it refuses.
async fn unknown(storage: &dyn Storage, key: &str, gap: Gap) -> Finding {
    let options = PutOptions::new(PutMode::Overwrite);
    let plain = Payload::Bytes(Bytes::from_static(b"plain"));
    match storage.put(key, plain, options).await {
        Ok(_) => Finding::Gap(gap),
        Err(error) => Finding::Error(error),
    }
}

async fn try_all(
    storage: &dyn Storage,
    one: &str,
    missing: &str,
    race: &str,
) -> Result<(), Finding> {
    let write =
        |key, content: &'static [u8], mode| write(storage, key, content, PutOptions::new(mode));
    // The key is random: a refusal can only mean that an earlier attempt of this very request was
    // there first.
    let first = match write(one, b"first", PutMode::Create).await? {
        Outcome::Written(etag) => etag,
        Outcome::Refused | Outcome::Again => storage.head(one).await?.etag,
        Outcome::Unknown => return Err(unknown(storage, one, Gap::CreateRefused).await),
    };
    if !first.is_strong() {
        return Err(Finding::Gap(Gap::NoStrongETag));
    }
    if let Outcome::Written(_) = write(one, b"second", PutMode::Create).await? {
        return Err(Finding::Gap(Gap::CreateIgnored));
    }
    match write(one, b"third", PutMode::Update(unknown_etag())).await? {
        Outcome::Written(_) => return Err(Finding::Gap(Gap::UpdateIgnored)),
        Outcome::Unknown => return Err(unknown(storage, one, Gap::UpdateRefused).await),
        Outcome::Refused | Outcome::Again => {}
    }
    if let Outcome::Written(_) = write(missing, b"none", PutMode::Update(unknown_etag())).await? {
        return Err(Finding::Gap(Gap::UpdateOfMissing));
    }
    match write(one, b"fourth", PutMode::Update(first)).await? {
        Outcome::Written(_) => {}
        Outcome::Refused | Outcome::Again | Outcome::Unknown => {
            return Err(Finding::Gap(Gap::UpdateRefused));
        }
    }
    let created = one_winner(
        storage,
        race,
        &PutMode::Create,
        [b"create, left", b"create, right"],
    )
    .await?;
    one_winner(
        storage,
        race,
        &PutMode::Update(created),
        [b"update, left", b"update, right"],
    )
    .await?;
    Ok(())
}

/// Two writes at once, one of which must win. Their contents are new ones: on AWS an ETag depends
/// on the content alone, so that an update to what is there already would leave the other's
/// precondition true.
async fn one_winner(
    storage: &dyn Storage,
    key: &str,
    mode: &PutMode,
    [left, right]: [&'static [u8]; 2],
) -> Result<ETag, Finding> {
    for _ in 0..RACES {
        let left = write(storage, key, left, PutOptions::new(mode.clone()));
        let right = write(storage, key, right, PutOptions::new(mode.clone()));
        match futures::join!(left, right) {
            (Ok(Outcome::Written(_)), Ok(Outcome::Written(_))) => {
                return Err(Finding::Gap(Gap::NotAtomic));
            }
            (Ok(Outcome::Written(etag)), Ok(_)) | (Ok(_), Ok(Outcome::Written(etag))) => {
                return Ok(etag);
            }
            // A winner whose reply was lost.
            (Ok(Outcome::Refused), Ok(Outcome::Refused)) => {
                return Ok(storage.head(key).await?.etag);
            }
            (Ok(_), Ok(_)) => {}
            (Err(error), _) | (_, Err(error)) => return Err(error.into()),
        }
    }
    Err(Error::new(
        ErrorKind::Unexpected,
        "PutObject",
        key,
        "of two conditional writes at once none ever succeeded",
    )
    .into())
}

/// Whether the store that was once found to keep preconditions still does: another one may be behind
/// its name by now, or a proxy that drops the headers. Two requests at once, each to be refused:
/// to create an object that is there, and to update it with a wrong ETag. `bytes` are the object's
/// own, and `options` those that it was written with, so that a store that ignores the precondition
/// changes nothing; `options.mode` is not looked at.
///
/// # Errors
/// Those of the requests.
pub async fn still_refuses(
    storage: &dyn Storage,
    key: &str,
    bytes: Bytes,
    options: &PutOptions,
) -> Result<Option<Gap>, Error> {
    let attempt = |mode| {
        let options = PutOptions {
            mode,
            ..options.clone()
        };
        write(storage, key, bytes.clone(), options)
    };
    let (created, updated) = futures::join!(
        attempt(PutMode::Create),
        attempt(PutMode::Update(unknown_etag()))
    );
    Ok(match (created?, updated?) {
        (Outcome::Written(_), _) => Some(Gap::CreateIgnored),
        (_, Outcome::Written(_)) => Some(Gap::UpdateIgnored),
        (Outcome::Unknown, _) => Some(Gap::CreateRefused),
        (_, Outcome::Unknown) => Some(Gap::UpdateRefused),
        _ => None,
    })
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Careless, Flaw, Memory, error::Refusable};

    const GAPS: [(Flaw, Gap); 8] = [
        (Flaw::IgnoresConditions, Gap::CreateIgnored),
        (Flaw::IgnoresCreate, Gap::CreateIgnored),
        (Flaw::IgnoresUpdate, Gap::UpdateIgnored),
        (Flaw::RefusesConditions, Gap::CreateRefused),
        (Flaw::RefusesUpdate, Gap::UpdateRefused),
        (Flaw::ChecksThenWrites, Gap::NotAtomic),
        (Flaw::GivesWeakETags, Gap::NoStrongETag),
        (Flaw::GivesNoETags, Gap::NoStrongETag),
    ];

    #[tokio::test]
    async fn each_gap_is_told_from_the_others_and_nothing_is_left() {
        for (flaw, gap) in GAPS {
            let memory = Arc::new(Memory::new());
            let store = Careless::new(Arc::clone(&memory), flaw);
            let found = probe(&store).await.unwrap();
            assert_eq!(found, ConditionalWrites::Unsupported(gap), "{flaw:?}");
            assert!(memory.keys().is_empty(), "{flaw:?}");
        }
        let sound = Memory::new();
        assert_eq!(probe(&sound).await.unwrap(), ConditionalWrites::Supported);
        assert!(sound.keys().is_empty());
    }

    #[tokio::test]
    async fn a_store_that_refuses_every_write_lacks_something_else() {
        let refused = Refusable {
            acl: true,
            ..Refusable::default()
        };
        let store = Careless::new(Memory::new(), Flaw::RefusesAcl);
        let error = probe(&store).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.refused(), Some(refused));
    }

    #[tokio::test]
    async fn a_store_that_no_longer_refuses_is_found_out_and_nothing_is_changed() {
        let options = PutOptions::new(PutMode::Create);
        for (flaw, gap) in &GAPS[..5] {
            let memory = Arc::new(Memory::new());
            memory.write("object", "content");
            let before = memory.head("object").await.unwrap().etag;
            let check = async |store: &dyn Storage| {
                still_refuses(store, "object", "content".into(), &options).await
            };
            assert_eq!(check(&*memory).await.unwrap(), None);
            let store = Careless::new(Arc::clone(&memory), *flaw);
            assert_eq!(check(&store).await.unwrap(), Some(*gap), "{flaw:?}");
            assert_eq!(memory.head("object").await.unwrap().etag, before);
        }
        let failing = crate::Faulty::new(Memory::new());
        failing.always(crate::On::Writes, crate::Fault::Fail(ErrorKind::Throttled));
        let error = still_refuses(&failing, "object", "content".into(), &options).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Throttled);
    }
}
