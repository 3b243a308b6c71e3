//! One service of AWS, ready to be asked.

use std::{fmt, sync::Arc};

use aws_config::{
    SdkConfig,
    identity::IdentityCache,
    imds::{self, region::ImdsRegionProvider},
    provider_config::ProviderConfig,
    retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig,
    sts::AssumeRoleProvider,
    timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::region::Region;

use crate::{
    Config, ConfigError, CredentialError, CredentialProblem, CredentialSource, Credentials, Keys,
    StoreClock,
    chain::Chain,
    connector::{Http, Network},
    credentials::{FromSdk, TOTAL_TIMEOUT, ToSdk, within},
    environment,
    iot::OfIotCore,
    metadata, plain,
};

/// The region if nothing names one.
const DEFAULT_REGION: &str = "us-east-1";

/// How one service is reached. Clones share connections and credentials.
#[derive(Clone)]
pub struct Access {
    sdk: SdkConfig,
    clock: StoreClock,
    endpoint: Option<String>,
    metadata: Option<imds::Client>,
    source: Option<Arc<dyn CredentialSource>>,
}

impl Access {
    /// Prepares access to the service that the SDK calls `service_id` (`S3`: its endpoint is in
    /// `AWS_ENDPOINT_URL_S3`). Reads the environment and local files, and does not touch the
    /// network.
    ///
    /// # Errors
    /// A malformed endpoint, proxy, certificate bundle or program name.
    pub async fn prepare(config: &Config, service_id: &str) -> Result<Self, ConfigError> {
        let network = environment::network(config)?;
        let http = SharedHttpClient::new(Http::new(network.clone()));
        let found = environment::load(config, http.clone()).await?;
        let runs_a_program = environment::profile_runs_a_program(config)?;
        let endpoint = environment::endpoint(config, service_id, &found)?;
        let region = found.region().cloned();
        let for_providers = ProviderConfig::without_region()
            .with_http_client(http.clone())
            .with_use_fips(found.use_fips())
            .with_use_dual_stack(found.use_dual_stack())
            .with_region(Some(region.clone().unwrap_or(Region::new(DEFAULT_REGION))));
        let asks_metadata = config.metadata_disabled != Some(true)
            && region.is_none()
            && endpoint.is_none()
            && matches!(config.credentials, Credentials::Chain);

        let clock = StoreClock::new(config.clock.clone());
        let mut sdk = found.to_builder();
        let source =
            credentials(config, network, found, &for_providers, runs_a_program, http).await;
        let provider = |source: &_| SharedCredentialsProvider::new(ToSdk(Arc::clone(source)));
        sdk.set_credentials_provider(source.as_ref().map(provider))
            .set_time_source(Some(SharedTimeSource::new(clock.clone())))
            // Corrected by our clock, which also judges when credentials expire.
            .set_disable_clock_skew_correction(Some(true))
            .set_retry_config(Some(
                RetryConfig::standard().with_max_attempts(config.max_attempts.max(1)),
            ))
            .set_timeout_config(Some(
                TimeoutConfig::builder()
                    .connect_timeout(config.silence_timeout)
                    .disable_read_timeout()
                    .disable_operation_timeout()
                    .disable_operation_attempt_timeout()
                    .build(),
            ))
            .set_stalled_stream_protection(Some(StalledStreamProtectionConfig::disabled()));
        // Our own time limit, whose error says more, is the shorter one.
        let cache = IdentityCache::lazy().load_timeout(TOTAL_TIMEOUT * 2);
        Ok(Self {
            sdk: sdk.identity_cache(cache.build()).build(),
            clock,
            endpoint,
            metadata: asks_metadata.then(|| metadata::client(&for_providers)),
            source,
        })
    }

    /// What a service's client is made from: everything but the region where nothing names one, and
    /// the endpoint.
    pub fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The keys that requests are signed with, from their source, which is asked each time.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn keys(&self) -> Result<Keys, CredentialError> {
        match &self.source {
            Some(source) => within(TOTAL_TIMEOUT, "all", source).await?.cleaned(),
            None => Err(CredentialError::new(
                CredentialProblem::Missing,
                "requests are not signed",
            )),
        }
    }

    /// The clock that requests are signed by.
    pub fn clock(&self) -> &StoreClock {
        &self.clock
    }

    /// The custom endpoint, as it came out of the configuration and the environment; `None` is AWS.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The region: the one that something names, else the instance's (asked for a short time), else
    /// `us-east-1`, which redirects to all others.
    pub async fn region(&self) -> String {
        if let Some(region) = self.sdk.region() {
            return region.to_string();
        }
        let of_instance = match &self.metadata {
            None => None,
            Some(metadata) => {
                let provider = ImdsRegionProvider::builder()
                    .imds_client(metadata.clone())
                    .build();
                let asked =
                    tokio::time::timeout(metadata::TO_BE_FOUND, async { provider.region().await });
                let region = asked.await.ok().flatten();
                region.and_then(|region| plain::region(region.as_ref()))
            }
        };
        of_instance.unwrap_or_else(|| DEFAULT_REGION.to_owned())
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("region", &self.sdk.region())
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// The source of credentials; `None` for requests that are not signed.
async fn credentials(
    config: &Config,
    network: Network,
    found: SdkConfig,
    for_providers: &ProviderConfig,
    runs_a_program: bool,
    http: SharedHttpClient,
) -> Option<Arc<dyn CredentialSource>> {
    let base: Arc<dyn CredentialSource> = match &config.credentials {
        Credentials::Anonymous => return None,
        Credentials::Chain => Arc::new(Chain::new(for_providers, config, runs_a_program, http)),
        Credentials::IotCore(core) => Arc::new(OfIotCore::new(core, network, config)),
        Credentials::Source(source) => Arc::clone(source),
        Credentials::Static(keys) => Arc::new(keys.clone()),
    };
    let Some(role) = &config.role_arn else {
        return Some(base);
    };
    let region = found.region().cloned();
    let sdk = found
        .into_builder()
        .region(region.unwrap_or(Region::new(DEFAULT_REGION)))
        .build();
    let named = config
        .role_session_name
        .as_deref()
        .or(config.app_name.as_deref());
    let mut assumed = AssumeRoleProvider::builder(role)
        .session_name(named.unwrap_or("aws-access"))
        .configure(&sdk);
    if let Some(id) = &config.external_id {
        assumed = assumed.external_id(id);
    }
    let assumed = assumed.build_from_provider(ToSdk(base)).await;
    Some(Arc::new(FromSdk::new("assumed role", assumed)))
}
