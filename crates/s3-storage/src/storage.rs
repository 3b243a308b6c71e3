//! The trait that the publisher and the method see: an S3 bucket's keys, with preconditions.
//!
//! An implementation keeps S3's rules (`docs` of `PutObject`, `GetObject`, `ListObjectsV2`): a
//! write is atomic and visible to every later read; preconditions are checked in the same instant
//! as the write; listing is ordered by key and paged. An implementation never drops a precondition
//! in silence. The conformance suite (feature `test-util`) says all of it in tests.
//!
//! A request is retried below this trait (throttling, 5xx, broken connections), so a conditional
//! write may report [`ErrorKind::PreconditionFailed`](crate::ErrorKind::PreconditionFailed) because
//! of *its own* first attempt, whose reply was lost: a caller to whom it matters reads the object
//! and compares.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;

use crate::{Error, ErrorKind};

/// How often an object is asked for whose body breaks off.
pub(crate) const BODY_TRIES: u32 = 3;

/// The opaque version tag of an object, with its quotes as the store sent it. Never a digest of the
/// content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(pub String);

impl ETag {
    /// Whether it can be the precondition of a write: a weak one (`W/"…"`) never matches
    /// (RFC 9110, 8.8.3.2), and some stores give none.
    pub fn is_strong(&self) -> bool {
        !self.0.is_empty() && !self.0.starts_with("W/")
    }

    /// Whether it is, by S3's convention, that of an object made of parts: `"…-7"`.
    pub(crate) fn is_of_parts(&self) -> bool {
        let bare = self.0.trim_matches('"');
        bare.rsplit_once('-').is_some_and(|(_, parts)| {
            !parts.is_empty() && parts.bytes().all(|byte| byte.is_ascii_digit())
        })
    }
}

/// The precondition of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutMode {
    /// Whatever is there is replaced.
    Overwrite,
    /// Only if the key does not exist (`If-None-Match: *`).
    Create,
    /// Only if the object is still this one (`If-Match`).
    Update(ETag),
}

/// What is written.
#[derive(Debug, Clone)]
pub enum Payload {
    Bytes(Bytes),
    /// A local file of `size` bytes, streamed; a large one in parts.
    File {
        path: PathBuf,
        /// Its length in bytes; a file that has another length by then is an error.
        size: u64,
    },
    /// An object, of this bucket or of any other: copied by the store where it can, read and sent
    /// otherwise. Its content is compared with [`PutOptions::sha256`] before it is an object here.
    /// What goes wrong with the object itself is an error that [`Error::is_of_payload`].
    Object {
        /// The bucket that it is in.
        storage: Arc<dyn Storage>,
        /// Its key there.
        key: String,
        /// Its length in bytes; an object that has another length is an error.
        size: u64,
    },
}

impl Payload {
    /// The length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } | Self::Object { size, .. } => *size,
        }
    }
}

/// Where an object is, for a store that copies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// URL of the store; none for AWS.
    pub endpoint: Option<String>,
    pub bucket: String,
    /// The whole key.
    pub key: String,
}

/// Called with the size in bytes of a piece that was sent.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// How an object is written.
#[derive(Clone)]
pub struct PutOptions {
    pub mode: PutMode,
    /// SHA-256 of the payload: sent along and checked by the store; for a file in parts also
    /// checked against what was read, before the parts become an object.
    pub sha256: Option<[u8; 32]>,
    pub content_type: Option<&'static str>,
    pub cache_control: Option<&'static str>,
    /// User metadata (`x-amz-meta-…`); names in lower case.
    pub metadata: BTreeMap<String, String>,
    /// Called after each piece is sent.
    pub progress: Option<Progress>,
}

impl PutOptions {
    /// Options with nothing but a precondition.
    pub fn new(mode: PutMode) -> Self {
        Self {
            mode,
            sha256: None,
            content_type: None,
            cache_control: None,
            metadata: BTreeMap::new(),
            progress: None,
        }
    }
}

impl fmt::Debug for PutOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutOptions")
            .field("mode", &self.mode)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

/// What the store answered to a write.
#[derive(Debug, Clone)]
pub struct PutReply {
    /// The tag of the object that is there now; empty where the store gave none.
    pub etag: ETag,
    /// The store's clock: the reply's `Date`.
    pub date: Option<Timestamp>,
}

/// The bytes that are asked for, both ends inclusive as in HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first to the last, inclusive.
    Between(u64, u64),
    /// From here to the end.
    From(u64),
}

/// How an object is read. The default reads all of it.
#[derive(Debug, Clone, Default)]
pub struct GetOptions {
    pub range: Option<ByteRange>,
    /// Only this object; another one is
    /// [`ErrorKind::PreconditionFailed`](crate::ErrorKind::PreconditionFailed).
    pub if_match: Option<ETag>,
    /// Nothing but [`GetReply::NotModified`] if the object is still this one.
    pub if_none_match: Option<ETag>,
    /// Nothing but [`GetReply::NotModified`] if the object has not changed since. Where
    /// `if_none_match` is given, too, that one decides.
    pub if_modified_since: Option<Timestamp>,
    /// Compare the content with the checksum that the store keeps of it, if there is one; for a caller that knows none.
    pub check: bool,
}

/// What is known of an object without its content.
#[derive(Debug, Clone)]
pub struct ObjectMeta {
    /// Length of the whole object in bytes (also where only a range was asked for); none where the answer to a read did not tell it.
    pub size: Option<u64>,
    pub etag: ETag,
    /// When it was written, to the second.
    pub last_modified: Option<Timestamp>,
    /// SHA-256 of the whole object, where the store has kept one (not for an object made of parts).
    /// Only [`Storage::head`] asks for it; a reader of the content computes it.
    pub sha256: Option<[u8; 32]>,
    /// User metadata.
    pub metadata: BTreeMap<String, String>,
    /// The store's clock: the reply's `Date`.
    pub date: Option<Timestamp>,
}

/// Pieces of a body, in order. It ends with an error of kind
/// [`ErrorKind::Truncated`](crate::ErrorKind::Truncated) where the connection broke.
pub type Body = BoxStream<'static, Result<Bytes, Error>>;

/// An object, or a range of it, on its way.
pub struct Object {
    /// What is known of the whole object.
    pub meta: ObjectMeta,
    /// Offset of the first byte of `body` within the object.
    pub offset: u64,
    /// Length of `body` in bytes, where the answer told it.
    pub length: Option<u64>,
    pub body: Body,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("meta", &self.meta)
            .field("offset", &self.offset)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// The answer to a read.
#[derive(Debug)]
pub enum GetReply {
    Found(Object),
    /// The object is still the one that the caller has (304).
    NotModified {
        /// The store's clock: the reply's `Date`.
        date: Option<Timestamp>,
    },
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    pub key: String,
    /// Length in bytes.
    pub size: u64,
    pub etag: ETag,
    /// When it was written.
    pub last_modified: Option<Timestamp>,
}

/// An entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    Object(ListedObject),
    /// All keys that have this in common: the listing's prefix and what follows it, up to and
    /// including the first delimiter.
    Folder(String),
}

impl Listed {
    /// The object's key, or the folder: what a listing is ordered by.
    pub fn key(&self) -> &str {
        match self {
            Self::Object(object) => &object.key,
            Self::Folder(folder) => folder,
        }
    }
}

/// A bucket.
#[async_trait]
pub trait Storage: Send + Sync + fmt::Debug {
    /// Reads an object or a range of it.
    async fn get(&self, key: &str, options: GetOptions) -> Result<GetReply, Error>;

    /// Reads what is known of an object.
    async fn head(&self, key: &str) -> Result<ObjectMeta, Error>;

    /// Writes an object, whole or not at all.
    async fn put(
        &self,
        key: &str,
        payload: Payload,
        options: PutOptions,
    ) -> Result<PutReply, Error>;

    /// The keys that start with `prefix`, in order of their bytes; keys with `delimiter` after the
    /// prefix are grouped into folders, each listed once. Pages are requested as the stream is
    /// read, and the stream ends after its first error.
    fn list(&self, prefix: &str, delimiter: Option<&str>) -> BoxStream<'_, Result<Listed, Error>>;

    /// Deletes keys; one that does not exist is no error. Each deletion is sent at most once, unless the store refused it for
    /// certain: repeated after a lost reply, it could take away what another client has written since.
    async fn delete(&self, keys: &[String]) -> Result<(), Error>;

    /// Where an object is; none if no other handle to the store could copy it from there.
    fn address(&self, _key: &str) -> Option<Address> {
        None
    }

    /// Aborts the uploads in parts that were begun through this handle or its clones and neither
    /// completed nor aborted: those whose [`Storage::put`] was dropped before its end. To be called
    /// before the process exits, when no `put` is running any more. A failure is logged only: the
    /// bucket's lifecycle rule removes what is left.
    async fn abort_uploads(&self) {}
}

#[async_trait]
impl<S: Storage + ?Sized> Storage for Arc<S> {
    async fn get(&self, key: &str, options: GetOptions) -> Result<GetReply, Error> {
        (**self).get(key, options).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        (**self).head(key).await
    }

    async fn put(
        &self,
        key: &str,
        payload: Payload,
        options: PutOptions,
    ) -> Result<PutReply, Error> {
        (**self).put(key, payload, options).await
    }

    fn list(&self, prefix: &str, delimiter: Option<&str>) -> BoxStream<'_, Result<Listed, Error>> {
        (**self).list(prefix, delimiter)
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        (**self).delete(keys).await
    }

    fn address(&self, key: &str) -> Option<Address> {
        (**self).address(key)
    }

    async fn abort_uploads(&self) {
        (**self).abort_uploads().await;
    }
}

impl dyn Storage + '_ {
    /// Reads a whole object of at most `limit` bytes. A body that breaks off is asked for again, a few times.
    ///
    /// # Errors
    /// As [`Storage::get`]; [`ErrorKind::Unexpected`] for a larger object.
    pub async fn get_bytes(&self, key: &str, limit: u64) -> Result<(ObjectMeta, Bytes), Error> {
        for tries_left in (0..BODY_TRIES).rev() {
            let GetReply::Found(object) = self.get(key, GetOptions::default()).await? else {
                break;
            };
            match collect(key, object, limit).await {
                Err(error) if error.kind() == ErrorKind::Truncated && tries_left > 0 => {
                    tracing::info!(key, %error, "reading again");
                }
                result => return result,
            }
        }
        Err(Error::new(
            ErrorKind::Unexpected,
            "GetObject",
            key,
            "304 was answered to an unconditional request",
        ))
    }
}

/// Collects the body of `object`, at most `limit` bytes.
///
/// # Errors
/// [`ErrorKind::Unexpected`] for a larger object; those of the body.
pub(crate) async fn collect(
    key: &str,
    mut object: Object,
    limit: u64,
) -> Result<(ObjectMeta, Bytes), Error> {
    use futures::StreamExt as _;
    let announced = object.length.unwrap_or(0);
    let mut bytes = Vec::new();
    if announced <= limit {
        bytes.reserve_exact(usize::try_from(announced).unwrap_or(0));
    }
    while announced.max(bytes.len() as u64) <= limit {
        match object.body.next().await {
            Some(piece) => bytes.extend_from_slice(&piece?),
            None if object
                .length
                .is_none_or(|length| length == bytes.len() as u64) =>
            {
                return Ok((object.meta, bytes.into()));
            }
            None => {
                let message = "the body ended early";
                return Err(Error::new(ErrorKind::Truncated, "GetObject", key, message));
            }
        }
    }
    let message = format!("the object has more than the {limit} bytes that are sensible here");
    Err(Error::new(ErrorKind::Unexpected, "GetObject", key, message))
}
