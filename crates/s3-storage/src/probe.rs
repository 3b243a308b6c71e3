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
    /// It keeps them.
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
}

/// Tries what `storage` does with preconditions. Needs the right to write and delete below
/// `debucket-probe/`.
///
/// # Errors
/// Those of the requests; [`ErrorKind::Unexpected`] where the store's answers make no sense.
pub async fn probe(storage: &dyn Storage) -> Result<ConditionalWrites, Error> {
    let random = format!(
        "{:016x}{:016x}",
        RandomState::new().hash_one(1),
        RandomState::new().hash_one(2)
    );
    let keys: Vec<String> = ["one", "missing", "race"]
        .iter()
        .map(|name| format!("{FOLDER}{random}/{name}"))
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

/// Temporary.
pub async fn still_refuses(storage: &dyn Storage, key: &str, bytes: Bytes) -> Result<bool, Error> {
    let put = |mode| storage.put(key, Payload::Bytes(bytes.clone()), PutOptions::new(mode));
    let other = ETag("\"00000000000000000000000000000000\"".to_owned());
    let (create, update) = futures::join!(put(PutMode::Create), put(PutMode::Update(other)));
    let mut refused = true;
    for result in [create, update] {
        match result {
            Ok(_) => refused = false,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::PreconditionFailed | ErrorKind::Conflict
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
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
    content: &'static [u8],
    mode: PutMode,
) -> Result<Outcome, Error> {
    let written = storage
        .put(
            key,
            Payload::Bytes(Bytes::from_static(content)),
            PutOptions::new(mode),
        )
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

async fn try_all(
    storage: &dyn Storage,
    one: &str,
    missing: &str,
    race: &str,
) -> Result<(), Finding> {
    // The key is random: a refusal can only mean that an earlier attempt of this very request was
    // there first.
    let first = match write(storage, one, b"first", PutMode::Create).await? {
        Outcome::Written(etag) => etag,
        Outcome::Refused | Outcome::Again => storage.head(one).await?.etag,
        Outcome::Unknown => return Err(Finding::Gap(Gap::CreateRefused)),
    };
    if let Outcome::Written(_) = write(storage, one, b"second", PutMode::Create).await? {
        return Err(Finding::Gap(Gap::CreateIgnored));
    }
    let other = ETag("\"00000000000000000000000000000000\"".to_owned());
    match write(storage, one, b"third", PutMode::Update(other.clone())).await? {
        Outcome::Written(_) => return Err(Finding::Gap(Gap::UpdateIgnored)),
        Outcome::Unknown => return Err(Finding::Gap(Gap::UpdateRefused)),
        Outcome::Refused | Outcome::Again => {}
    }
    if let Outcome::Written(_) = write(storage, missing, b"none", PutMode::Update(other)).await? {
        return Err(Finding::Gap(Gap::UpdateOfMissing));
    }
    match write(storage, one, b"fourth", PutMode::Update(first)).await? {
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
        let left = write(storage, key, left, mode.clone());
        let right = write(storage, key, right, mode.clone());
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

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use async_trait::async_trait;
    use futures::stream::BoxStream;

    use super::*;
    use crate::{GetOptions, GetReply, Listed, Memory, ObjectMeta};

    /// A store that ignores some preconditions.
    #[derive(Debug)]
    struct Careless {
        memory: Memory,
        create: bool,
        update: bool,
        atomic: bool,
    }

    #[async_trait]
    impl Storage for Careless {
        async fn get(&self, key: &str, options: GetOptions) -> Result<GetReply, Error> {
            self.memory.get(key, options).await
        }
        async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
            self.memory.head(key).await
        }
        async fn put(
            &self,
            key: &str,
            payload: Payload,
            mut options: PutOptions,
        ) -> Result<PutReply, Error> {
            let held = match &options.mode {
                PutMode::Create => self.create,
                PutMode::Update(_) => self.update,
                PutMode::Overwrite => true,
            };
            if !held {
                options.mode = PutMode::Overwrite;
            } else if !self.atomic
                && options.mode == PutMode::Create
                && self.memory.read(key).is_none()
            {
                // Looked, found nothing, and writes later.
                tokio::task::yield_now().await;
                options.mode = PutMode::Overwrite;
            }
            self.memory.put(key, payload, options).await
        }
        fn list(
            &self,
            prefix: &str,
            delimiter: Option<&str>,
        ) -> BoxStream<'_, Result<Listed, Error>> {
            self.memory.list(prefix, delimiter)
        }
        async fn delete(&self, keys: &[String]) -> Result<(), Error> {
            self.memory.delete(keys).await
        }
    }

    #[tokio::test]
    async fn each_gap_is_told_from_the_others_and_nothing_is_left() {
        let cases = [
            (true, true, true, ConditionalWrites::Supported),
            (
                false,
                true,
                true,
                ConditionalWrites::Unsupported(Gap::CreateIgnored),
            ),
            (
                true,
                false,
                true,
                ConditionalWrites::Unsupported(Gap::UpdateIgnored),
            ),
            (
                true,
                true,
                false,
                ConditionalWrites::Unsupported(Gap::NotAtomic),
            ),
        ];
        for (create, update, atomic, expected) in cases {
            let store = Careless {
                memory: Memory::new(),
                create,
                update,
                atomic,
            };
            assert_eq!(probe(&store).await.unwrap(), expected);
            assert_eq!(store.memory.keys(), Vec::<String>::new());
        }
    }
}
