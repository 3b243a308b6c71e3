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
mod call;
mod clock;
mod connector;
mod credentials;
mod environment;
mod exchange;
mod get;
mod list;
mod multipart;
mod put;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use aws_config::{provider_config::ProviderConfig, sts::AssumeRoleProvider};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::{
    Client,
    config::{
        Builder, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
    types::{ObjectCannedAcl, ServerSideEncryption},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures::stream::BoxStream;
use tokio::sync::Mutex;

#[cfg(feature = "test-util")]
pub use self::admin::{
    create_bucket, delete_bucket, delete_bucket_policy, open_uploads, put_bucket_policy,
};
pub use self::clock::LocalClock;
use self::{clock::StoreClock, connector::Http, multipart::OpenUploads};
use crate::{
    Acl, Credentials, Error, GetOptions, GetReply, Listed, ObjectMeta, Payload, PutOptions,
    PutReply, S3Config, Sse, Storage,
};

/// Where a bucket is looked for if nothing says otherwise: the region that redirects to all others.
const DEFAULT_REGION: &str = "us-east-1";

/// A bucket on S3. Clones share connections and credentials.
#[derive(Clone)]
pub struct S3 {
    inner: Arc<Inner>,
}

struct Inner {
    config: S3Config,
    endpoint: Option<String>,
    /// Everything but the region.
    builder: Builder,
    clock: StoreClock,
    metadata: Option<aws_config::imds::Client>,
    /// The region that was found, and the client for it. Filled by the first request.
    client: Mutex<Option<(String, Client)>>,
    /// The region that the configuration names.
    region: Option<String>,
    uploads: OpenUploads,
}

impl S3 {
    /// Prepares access to a bucket. Reads the environment and local files, and does not touch the
    /// network: wrong credentials, a wrong endpoint and a missing bucket are found by the first
    /// request.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed bucket, endpoint, proxy,
    /// certificate bundle or program name.
    pub async fn connect(config: S3Config) -> Result<Self, Error> {
        Self::connect_by(config, clock::system_clock()).await
    }

    /// As [`S3::connect`], with another local clock: for tests of clocks that are wrong.
    ///
    /// # Errors
    /// As [`S3::connect`].
    pub async fn connect_with_clock(config: S3Config, local: LocalClock) -> Result<Self, Error> {
        Self::connect_by(config, local).await
    }

    async fn connect_by(config: S3Config, local: clock::LocalClock) -> Result<Self, Error> {
        environment::check_bucket(&config.bucket)?;
        let http = SharedHttpClient::new(Http::new(environment::network(&config)?));
        let clock = StoreClock::new(Arc::clone(&local));
        let sdk = environment::load(&config, http.clone(), local).await?;
        let endpoint = environment::endpoint(&config, &sdk)?;
        let region = sdk.region().map(|region| region.as_ref().to_owned());
        let provider_config = ProviderConfig::without_region()
            .with_http_client(http)
            .with_region(Some(Region::new(
                region.clone().unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            )));

        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.silence_timeout)
            .disable_read_timeout()
            .disable_operation_timeout()
            .disable_operation_attempt_timeout()
            .build();
        let mut builder = Builder::from(&sdk)
            .time_source(clock.clone())
            // Corrected by our clock, which also judges when credentials expire.
            .disable_clock_skew_correction(true)
            .retry_config(RetryConfig::standard().with_max_attempts(config.max_attempts.max(1)))
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .force_path_style(environment::path_style(&config, endpoint.is_some()));
        builder.set_endpoint_url(endpoint.clone());
        let base = match &config.credentials {
            Credentials::Anonymous => None,
            Credentials::Chain => Some(SharedCredentialsProvider::new(credentials::Chain::new(
                &provider_config,
                config.profile.as_deref(),
            ))),
            Credentials::Static {
                access_key_id,
                secret_access_key,
                session_token,
            } => Some(SharedCredentialsProvider::new(
                aws_credential_types::Credentials::new(
                    access_key_id,
                    secret_access_key,
                    session_token.clone(),
                    None,
                    "static",
                ),
            )),
        };
        match (base, &config.role_arn) {
            (None, _) => builder = builder.allow_no_auth(),
            (Some(base), None) => {
                builder.set_credentials_provider(Some(base));
            }
            (Some(base), Some(role)) => {
                let sdk = match sdk.region() {
                    Some(_) => sdk.clone(),
                    None => sdk.to_builder().region(Region::new(DEFAULT_REGION)).build(),
                };
                let name = config
                    .app_name
                    .clone()
                    .unwrap_or_else(|| "debucket".to_owned());
                let assumed = AssumeRoleProvider::builder(role)
                    .session_name(name)
                    .configure(&sdk)
                    .build_from_provider(base)
                    .await;
                builder.set_credentials_provider(Some(SharedCredentialsProvider::new(assumed)));
            }
        }
        let builder = builder.identity_cache(
            IdentityCache::lazy()
                .load_timeout(credentials::TOTAL_TIMEOUT)
                .build(),
        );
        let ask_metadata = region.is_none()
            && endpoint.is_none()
            && matches!(config.credentials, Credentials::Chain);
        let metadata = ask_metadata.then(|| credentials::metadata_client(&provider_config));
        let inner = Inner {
            config,
            endpoint,
            builder,
            clock,
            metadata,
            client: Mutex::new(None),
            region,
            uploads: OpenUploads::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.inner.config.bucket
    }

    /// The custom endpoint, as it came out of the configuration and the environment; `None` is AWS.
    pub fn endpoint(&self) -> Option<&str> {
        self.inner.endpoint.as_deref()
    }

    fn config(&self) -> &S3Config {
        &self.inner.config
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("bucket", &self.inner.config.bucket)
            .field("endpoint", &self.inner.endpoint)
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

    async fn abort_uploads(&self) {
        self.abort_open_uploads().await;
    }
}
