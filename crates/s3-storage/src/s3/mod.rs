//! A bucket of Amazon S3 or of a store that speaks its protocol, on the AWS SDK.
//!
//! The protocol is <https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html>. What this module
//! adds to the SDK:
//! - every written payload is signed and sent with its SHA-256 (`x-amz-content-sha256`,
//!   `x-amz-checksum-sha256`), known or computed beforehand, so that no store needs to know the
//!   SDK's checksum trailers and none stores other bytes than were meant;
//! - a precondition holds on both ways of writing: in one request and in parts;
//! - a wrong region is corrected by the store's answer, a wrong local clock by its `Date`;
//! - a request ends when nothing moves, not when it takes long.

#[cfg(feature = "test-util")]
mod admin;
mod answer;
mod body;
mod bucket_state;
mod call;
mod copy;
mod get;
mod list;
mod multipart;
mod put;
mod request;
mod retry;
mod rights;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use aws_access::Access;
use aws_sdk_s3::{
    config::{Builder, RequestChecksumCalculation, ResponseChecksumValidation},
    types::{ObjectCannedAcl, RequestPayer, ServerSideEncryption},
};
use futures::stream::BoxStream;
use tokio::sync::Mutex;

#[cfg(feature = "test-util")]
pub use self::admin::{
    create_bucket, delete_bucket, delete_bucket_policy, open_uploads, put_bucket_policy,
};
pub use self::bucket_state::{
    AclGrants, Clocks, Encryption, Greeting, Lifecycle, PublicAccessBlock, UnfinishedUpload,
    Versioning,
};
pub use self::rights::Condition;
use self::{copy::Copies, multipart::OpenUploads};
use crate::{
    Acl, Address, Credentials, Error, ErrorKind, GetOptions, GetReply, Listed, ObjectMeta, Payload,
    PutOptions, PutReply, S3Config, Sse, Storage,
};

/// A bucket on S3. Clones share connections and credentials.
#[derive(Clone)]
pub struct S3 {
    inner: Arc<Inner>,
}

struct Inner {
    config: S3Config,
    access: Access,
    /// Everything but the region.
    builder: Builder,
    /// The region that the bucket is known to be in. Found by the first request.
    region: Mutex<Option<String>>,
    uploads: OpenUploads,
    copies: Copies,
}

impl S3 {
    /// Prepares access to a bucket. Reads the environment and local files, and does not touch the
    /// network: wrong credentials, a wrong endpoint and a missing bucket are found by the first
    /// request.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a malformed bucket, endpoint, proxy, certificate bundle or program
    /// name.
    pub async fn connect(config: S3Config) -> Result<Self, Error> {
        let invalid =
            |message: String| Error::new(ErrorKind::Invalid, "configuration", "", message);
        if !config.has_sound_bucket() {
            return Err(invalid(format!(
                "{:?} is not a bucket's name",
                config.bucket
            )));
        }
        let access = Access::prepare(&config.access, "S3")
            .await
            .map_err(|error| {
                invalid("the bucket cannot be reached like this".into()).with_source(error)
            })?;
        let endpoint = access.endpoint().map(str::to_owned);
        let mut builder = Builder::from(access.sdk())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .force_path_style(config.is_path_style(endpoint.is_some()));
        builder.set_endpoint_url(endpoint);
        if matches!(config.access.credentials, Credentials::Anonymous) {
            builder = builder.allow_no_auth();
        }
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                access,
                builder,
                region: Mutex::default(),
                uploads: OpenUploads::default(),
                copies: Copies::default(),
            }),
        })
    }

    /// The custom endpoint, as it came out of the configuration and the environment; `None` is AWS.
    pub fn endpoint(&self) -> Option<&str> {
        self.inner.access.endpoint()
    }

    fn bucket(&self) -> &str {
        &self.inner.config.bucket
    }

    /// What reading requests say about who pays for them.
    fn request_payer(&self) -> Option<RequestPayer> {
        self.config()
            .requester_pays
            .then_some(RequestPayer::Requester)
    }

    fn config(&self) -> &S3Config {
        &self.inner.config
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("bucket", &self.inner.config.bucket)
            .field("access", &self.inner.access)
            .finish_non_exhaustive()
    }
}

impl From<Acl> for ObjectCannedAcl {
    fn from(acl: Acl) -> Self {
        Self::from(acl.as_str())
    }
}

impl Sse {
    /// The headers for it: the algorithm and the key.
    fn headers(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match self {
            Self::BucketDefault => (None, None),
            Self::S3 => (Some(ServerSideEncryption::Aes256), None),
            Self::Kms { key_id } => (Some(ServerSideEncryption::AwsKms), key_id.clone()),
        }
    }
}

#[async_trait]
impl Storage for S3 {
    async fn get(&self, key: &str, options: GetOptions) -> Result<GetReply, Error> {
        self.get_object(key, options).await
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        self.head_object(key).await
    }

    async fn put(
        &self,
        key: &str,
        payload: Payload,
        options: PutOptions,
    ) -> Result<PutReply, Error> {
        self.put_payload(key, payload, options).await
    }

    fn list(&self, prefix: &str, delimiter: Option<&str>) -> BoxStream<'_, Result<Listed, Error>> {
        self.list_objects(prefix.to_owned(), delimiter.map(str::to_owned))
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        self.delete_objects(keys).await
    }

    fn address(&self, key: &str) -> Option<Address> {
        Some(Address {
            endpoint: self.endpoint().map(str::to_owned),
            bucket: self.bucket().to_owned(),
            key: key.to_owned(),
        })
    }

    async fn abort_uploads(&self) {
        self.abort_open_uploads().await;
    }
}
