//! Finding credentials: the AWS default chain, with an account of why each source gave nothing, and
//! bounded in time.
//!
//! The order is that of the AWS CLI: environment, profile, web identity, container, instance
//! metadata (<https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>).
//! As there, a profile that the caller names, rather than `AWS_PROFILE`, leaves out the variables.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::{
    ecs::EcsCredentialsProvider, environment::EnvironmentVariableCredentialsProvider,
    profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig,
    web_identity_token::WebIdentityTokenCredentialsProvider,
};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::{
    Config, CredentialError, CredentialProblem, CredentialSource, Keys, causes,
    credentials::{FromSdk, within},
    metadata::{self, Metadata},
    variables,
};

/// How long the container's credential endpoint may take in all. It asks a service of AWS in turn.
const CONTAINER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a program, single sign-on or the security token service may take in all.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(60);

/// The default chain.
#[derive(Debug)]
pub(crate) struct Chain(Vec<Link>);

#[derive(Debug)]
struct Link {
    name: &'static str,
    source: Box<dyn CredentialSource>,
    timeout: Duration,
}

impl Link {
    fn new(
        name: &'static str,
        provider: impl ProvideCredentials + 'static,
        timeout: Duration,
    ) -> Self {
        Self::of(name, provider, timeout, false)
    }

    fn of(
        name: &'static str,
        provider: impl ProvideCredentials + 'static,
        timeout: Duration,
        runs_a_program: bool,
    ) -> Self {
        let source = Box::new(FromSdk {
            name,
            provider: SharedCredentialsProvider::new(provider),
            runs_a_program,
        });
        Self {
            name,
            source,
            timeout,
        }
    }
}

impl Chain {
    /// `runs_a_program`: the profile has a `credential_process`.
    pub(crate) fn new(
        for_providers: &ProviderConfig,
        config: &Config,
        runs_a_program: bool,
        http: SharedHttpClient,
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
        let environment = Link::new(
            "environment",
            EnvironmentVariableCredentialsProvider::new(),
            REMOTE_TIMEOUT,
        );
        let web_identity = Link::new("web identity", web_identity.build(), REMOTE_TIMEOUT);
        let from_profile = from_profile.build();
        let of_profile = Link::of("profile", from_profile, REMOTE_TIMEOUT, runs_a_program);
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
            (config.metadata_disabled != Some(true)).then(|| Link {
                name: metadata::NAME,
                source: Box::new(Metadata::new(for_providers, http)),
                // Which has limits of its own.
                timeout: REMOTE_TIMEOUT,
            }),
        ];
        Self(links.into_iter().flatten().collect())
    }
}

#[async_trait]
impl CredentialSource for Chain {
    async fn keys(&self) -> Result<Keys, CredentialError> {
        let mut account = Vec::new();
        for link in &self.0 {
            let name = link.name;
            match within(link.timeout, name, &*link.source).await {
                Ok(keys) => {
                    tracing::info!(source = name, "found credentials");
                    return Ok(keys);
                }
                Err(error) if error.problem() == CredentialProblem::Missing => {
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
