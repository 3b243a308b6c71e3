//! Finding credentials: the AWS default chain, with an account of why each source gave nothing, and
//! bounded in time.
//!
//! The order is that of the AWS CLI: environment, profile, web identity, container, instance
//! metadata (<https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>).
//! Where there is no such service, the metadata addresses are often black holes: nothing answers,
//! nothing refuses. So those two sources, which answer within milliseconds where they exist, are
//! asked for a short time only; a program that makes credentials, or a single sign-on over a slow
//! line, may take longer.

use std::time::Duration;

use aws_config::{
    ecs::EcsCredentialsProvider,
    environment::EnvironmentVariableCredentialsProvider,
    imds::{self, credentials::ImdsCredentialsProvider},
    profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig,
    web_identity_token::WebIdentityTokenCredentialsProvider,
};
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use aws_smithy_types::error::display::DisplayErrorContext;

/// How long the instance's metadata service may take in all. It answers in milliseconds or not at
/// all.
pub(super) const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the container's credential endpoint may take in all. It asks a service of AWS in turn.
const CONTAINER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a program, single sign-on or the security token service may take in all.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long all sources together may take: more than any one of them.
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_secs(90);

/// The SDK's words for a source that gives nothing.
const NOT_ENABLED: &str = "the credential provider was not enabled";

/// The default chain.
#[derive(Debug)]
pub(super) struct Chain {
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    name: &'static str,
    provider: SharedCredentialsProvider,
    timeout: Duration,
}

impl Chain {
    pub(super) fn new(config: &ProviderConfig, profile: Option<&str>) -> Self {
        let mut from_profile = ProfileFileCredentialsProvider::builder().configure(config);
        if let Some(profile) = profile {
            from_profile = from_profile.profile_name(profile);
        }
        let source = |name, provider, timeout| Source {
            name,
            provider,
            timeout,
        };
        Self {
            sources: vec![
                source(
                    "environment",
                    SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()),
                    REMOTE_TIMEOUT,
                ),
                source(
                    "profile",
                    SharedCredentialsProvider::new(from_profile.build()),
                    REMOTE_TIMEOUT,
                ),
                source(
                    "web identity",
                    SharedCredentialsProvider::new(
                        WebIdentityTokenCredentialsProvider::builder()
                            .configure(config)
                            .build(),
                    ),
                    REMOTE_TIMEOUT,
                ),
                source(
                    "container",
                    SharedCredentialsProvider::new(
                        EcsCredentialsProvider::builder().configure(config).build(),
                    ),
                    CONTAINER_TIMEOUT,
                ),
                source(
                    "instance metadata",
                    SharedCredentialsProvider::new(
                        ImdsCredentialsProvider::builder()
                            .configure(config)
                            .imds_client(metadata_client(config))
                            .build(),
                    ),
                    METADATA_TIMEOUT,
                ),
            ],
        }
    }

    async fn find(&self) -> provider::Result {
        let mut reasons = Vec::new();
        for Source {
            name,
            provider,
            timeout,
        } in &self.sources
        {
            let found = tokio::time::timeout(*timeout, provider.provide_credentials())
                .await
                .unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(*timeout)));
            match found {
                Ok(credentials) => {
                    tracing::info!(source = name, "found credentials");
                    return Ok(credentials);
                }
                Err(error) if is_nothing(name, &error) => {
                    reasons.push(format!("{name}: {}", reason(&error)));
                }
                // A source that is there but fails is not passed over: the next one may be another
                // identity.
                Err(error @ CredentialsError::InvalidConfiguration(_)) => {
                    let words = format!("{name}: {}", reason(&error));
                    return Err(CredentialsError::invalid_configuration(words));
                }
                Err(error) => {
                    let words = format!("{name}: {}", reason(&error));
                    return Err(CredentialsError::provider_error(words));
                }
            }
        }
        Err(CredentialsError::not_loaded(reasons.join("; ")))
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.find())
    }
}

/// Whether a source simply is not there. The metadata services say so by not answering.
fn is_nothing(name: &str, error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::CredentialsNotLoaded(_))
        || matches!(name, "container" | "instance metadata")
}

/// A client for the instance's metadata service that gives up soon.
pub(super) fn metadata_client(config: &ProviderConfig) -> imds::Client {
    let wait = METADATA_TIMEOUT / 2;
    imds::Client::builder()
        .configure(config)
        .max_attempts(2)
        .connect_timeout(wait)
        .read_timeout(wait)
        .build()
}

/// Why a source gave nothing: the causes, without the SDK's debug output.
pub(super) fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !causes.iter().any(|seen| seen.contains(&text)) {
            causes.push(text);
        }
        next = error.source();
    }
    tracing::trace!(error = %DisplayErrorContext(error), "no credentials");
    // The outermost words are the same for every source that is not configured.
    causes.retain(|cause| cause != NOT_ENABLED);
    if causes.is_empty() {
        "it has none".to_owned()
    } else {
        causes.join(": ")
    }
}
