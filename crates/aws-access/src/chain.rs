//! Finding credentials: the AWS default chain, with an account of why each source gave nothing, and
//! bounded in time.
//!
//! The order is that of the AWS CLI: environment, profile, web identity, container, instance
//! metadata (<https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>).
//! As there, a profile that the caller names, rather than `AWS_PROFILE`, leaves out the variables.
//! Where there is no metadata service, its addresses are often black holes: nothing answers,
//! nothing refuses. So that source, which answers within milliseconds where it exists, is asked for
//! a short time only, and is the only one that is passed over when it fails; a program that makes
//! credentials, or a single sign-on over a slow line, may take longer.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::{
    ecs::EcsCredentialsProvider,
    environment::EnvironmentVariableCredentialsProvider,
    imds::{self, credentials::ImdsCredentialsProvider},
    profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig,
    web_identity_token::WebIdentityTokenCredentialsProvider,
};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use crate::{
    Config, CredentialError, CredentialProblem, CredentialSource, Keys, causes,
    credentials::{FromSdk, within},
    variables,
};

/// How long the instance's metadata service may take in all. It answers in milliseconds or not at
/// all.
pub(crate) const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the container's credential endpoint may take in all. It asks a service of AWS in turn.
const CONTAINER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a program, single sign-on or the security token service may take in all.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(60);

/// The default chain.
#[derive(Debug)]
pub(crate) struct Chain(Vec<Link>);

#[derive(Debug)]
struct Link {
    source: FromSdk,
    timeout: Duration,
    /// Nothing says that it is there; it is tried.
    is_probed: bool,
}

impl Link {
    fn new(
        name: &'static str,
        provider: impl ProvideCredentials + 'static,
        timeout: Duration,
    ) -> Self {
        let provider = SharedCredentialsProvider::new(provider);
        Self {
            source: FromSdk {
                name,
                provider,
                runs_a_program: false,
            },
            timeout,
            is_probed: false,
        }
    }
}

impl Chain {
    /// `runs_a_program`: the profile has a `credential_process`.
    pub(crate) fn new(
        for_providers: &ProviderConfig,
        config: &Config,
        runs_a_program: bool,
    ) -> Self {
        let profile = config.profile.as_deref();
        let mut from_profile = ProfileFileCredentialsProvider::builder()
            .configure(for_providers)
            .profile_files(config.shared_files.source());
        if let Some(profile) = variables::profile(profile) {
            from_profile = from_profile.profile_name(profile);
        }
        let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(for_providers);
        let container = EcsCredentialsProvider::builder().configure(for_providers);
        let metadata = ImdsCredentialsProvider::builder()
            .configure(for_providers)
            .imds_client(metadata_client(for_providers));
        let environment = Link::new(
            "environment",
            EnvironmentVariableCredentialsProvider::new(),
            REMOTE_TIMEOUT,
        );
        let web_identity = Link::new("web identity", web_identity.build(), REMOTE_TIMEOUT);
        let mut of_profile = Link::new("profile", from_profile.build(), REMOTE_TIMEOUT);
        of_profile.source.runs_a_program = runs_a_program;
        // A profile that the caller names is another identity than that of the variables.
        let (first, third) = match profile {
            None => (Some(environment), Some(web_identity)),
            Some(_) => (None, None),
        };
        let container = Link::new("container", container.build(), CONTAINER_TIMEOUT);
        // The SDK would take these for set.
        let is_empty = variables::is_empty;
        let links = [
            first,
            Some(of_profile),
            third.filter(|_| !is_empty("AWS_WEB_IDENTITY_TOKEN_FILE")),
            Some(container).filter(|_| !is_empty("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")),
            Some(Link {
                is_probed: true,
                ..Link::new("instance metadata", metadata.build(), METADATA_TIMEOUT)
            })
            .filter(|_| config.metadata_disabled != Some(true)),
        ];
        Self(links.into_iter().flatten().collect())
    }
}

#[async_trait]
impl CredentialSource for Chain {
    async fn keys(&self) -> Result<Keys, CredentialError> {
        let mut account = Vec::new();
        for link in &self.0 {
            let name = link.source.name;
            match within(link.timeout, name, &link.source).await {
                Ok(keys) => {
                    tracing::info!(source = name, "found credentials");
                    return Ok(keys);
                }
                Err(error) if link.is_probed || error.problem() == CredentialProblem::Missing => {
                    account.push(format!("{name}: {}", reason(&error)));
                }
                // A source that is there but fails is not passed over: the next one may be another
                // identity.
                Err(error) => return Err(error),
            }
        }
        Err(CredentialError::new(
            CredentialProblem::Missing,
            account.join("; "),
        ))
    }
}

/// Why a source gave nothing.
fn reason(error: &CredentialError) -> String {
    // Where the SDK gives a cause, its own words above it say no more than that there is nothing.
    let sdk = std::error::Error::source(error);
    let words = sdk.map_or_else(|| error.to_string(), causes);
    if words.is_empty() {
        "it has none".to_owned()
    } else {
        words
    }
}

/// A client for the instance's metadata service that gives up soon.
pub(crate) fn metadata_client(config: &ProviderConfig) -> imds::Client {
    let wait = METADATA_TIMEOUT / 2;
    imds::Client::builder()
        .configure(config)
        .max_attempts(2)
        .connect_timeout(wait)
        .read_timeout(wait)
        .build()
}
