//! What a writer needs, tried on an object below `debucket-probe/` that is removed again. A bucket with versions keeps those of the
//! object, as it does after every probe.

use crate::{
    ConditionalWrites, Error, Gap, Payload, PutMode, PutOptions, Storage,
    probe::{probe, probe_folder, still_refuses},
};

/// What came of creating an object, and of what can be tried on it then.
#[derive(Debug)]
pub struct Trial {
    pub key: String,
    pub create: Result<(), Error>,
    /// None if there was no object to try it on.
    pub further: Option<Further>,
}

/// What was tried on an object.
#[derive(Debug)]
pub struct Further {
    pub read: Result<(), Error>,
    pub replace: Result<(), Error>,
    /// If it failed, the object is left.
    pub delete: Result<(), Error>,
    /// What the store lacks for conditional writes. Where nothing can be deleted, less is tried, so that no further objects are
    /// left.
    pub gap: Result<Option<Gap>, Error>,
}

/// Creates an object, reads it, replaces it and deletes it; and looks whether the store keeps the preconditions of writes.
pub async fn try_object(storage: &dyn Storage) -> Trial {
    let key = format!("{}object", probe_folder());
    let put = |content: &'static str, mode| {
        let payload = Payload::Bytes(content.into());
        storage.put(&key, payload, PutOptions::new(mode))
    };
    let created = match put("one", PutMode::Create).await {
        Ok(created) => created,
        Err(error) => {
            return Trial {
                key,
                create: Err(error),
                further: None,
            };
        }
    };
    let read = storage.get_bytes(&key, 16).await.map(drop);
    let replace = put("two", PutMode::Update(created.etag)).await.map(drop);
    // As long as the object is there.
    let options = PutOptions::new(PutMode::Create);
    let refuses = still_refuses(storage, &key, "two".into(), &options).await;
    let delete = storage.delete(std::slice::from_ref(&key)).await;
    let gap = match (refuses, &delete) {
        (Ok(None), Ok(())) => probe(storage).await.map(|found| match found {
            ConditionalWrites::Supported => None,
            ConditionalWrites::Unsupported(gap) => Some(gap),
        }),
        (refuses, _) => refuses,
    };
    Trial {
        key,
        create: Ok(()),
        further: Some(Further {
            read,
            replace,
            delete,
            gap,
        }),
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Careless, ErrorKind, Fault, Faulty, Flaw, Memory, On};

    #[tokio::test]
    async fn nothing_is_left_and_gaps_are_found() {
        let memory = Arc::new(Memory::new());
        let sound = try_object(&memory).await.further.unwrap();
        assert!(matches!(sound.gap, Ok(None)) && sound.delete.is_ok());
        for (flaw, gap) in [
            (Flaw::IgnoresUpdate, Gap::UpdateIgnored),
            (Flaw::ChecksThenWrites, Gap::NotAtomic),
        ] {
            let store = Careless::new(Arc::clone(&memory), flaw);
            let further = try_object(&store).await.further.unwrap();
            assert_eq!(further.gap.unwrap(), Some(gap));
        }
        assert!(memory.keys().is_empty());
        let failing = Faulty::new(Memory::new());
        failing.always(On::Writes, Fault::Fail(ErrorKind::PermissionDenied));
        let refused = try_object(&failing).await;
        assert!(refused.create.is_err() && refused.further.is_none());
    }
}
