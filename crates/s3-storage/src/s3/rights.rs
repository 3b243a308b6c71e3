//! Rights, tried without an effect: each request is one that cannot succeed, and is refused in another way by a store that would
//! not allow it anyway. A store looks at rights first.

use super::S3;
use crate::{Error, ErrorKind, Payload, PutMode, PutOptions, Storage as _, probe::unknown_etag};

/// The precondition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    None,
    /// There is no object (`If-None-Match: *`).
    Missing,
    /// The object is the one that was read (`If-Match`).
    Unchanged,
}

impl S3 {
    /// Whether a missing key may be deleted. Nothing is: it would have to exist (`If-Match: *`), so that not even a bucket with
    /// versions gets a marker.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`], and others of the request.
    pub async fn try_delete(&self, key: &str) -> Result<(), Error> {
        let deleted = self
            .request("DeleteObject", key)
            .send(|client| {
                let delete = client.delete_object().bucket(self.bucket()).key(key);
                delete.if_match("*").send()
            })
            .await;
        deleted.map(drop).or_else(refused_for_itself)
    }

    /// Whether a missing key may be written under a precondition, or without one. Nothing is: the bytes are not those that were
    /// announced and signed; and one that is to be replaced would have to be there with a tag that no object has.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`], and others of the request.
    pub async fn try_write(&self, key: &str, condition: Condition) -> Result<(), Error> {
        let mode = match condition {
            Condition::None => PutMode::Overwrite,
            Condition::Missing => PutMode::Create,
            Condition::Unchanged => PutMode::Update(unknown_etag()),
        };
        let options = PutOptions {
            sha256: Some([0; 32]),
            ..PutOptions::new(mode)
        };
        let written = self.put(key, Payload::Bytes("probe".into()), options).await;
        written.map(drop).or_else(refused_for_itself)
    }

    /// Begins an upload in parts, and aborts it.
    ///
    /// # Errors
    /// Those of the requests.
    pub async fn try_upload_in_parts(&self, key: &str) -> Result<(), Error> {
        self.begin_and_abort(key).await
    }
}

/// Success where the store refused what was asked for what it was, and not for who asked.
fn refused_for_itself(error: Error) -> Result<(), Error> {
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::PreconditionFailed
        | ErrorKind::Conflict
        | ErrorKind::ChecksumMismatch => Ok(()),
        _ => Err(error),
    }
}
