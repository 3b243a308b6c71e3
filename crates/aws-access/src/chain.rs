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
    fn new(source: FromSdk, timeout: Duration) -> Self {
        Self {
            name: source.name,
            source: Box::new(source),
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
        let environment = EnvironmentVariableCredentialsProvider::new();
        let environment = FromSdk::new("environment", environment);
        let of_profile = FromSdk {
            runs_a_program,
            ..FromSdk::new("profile", from_profile.build())
        };
        let web_identity = FromSdk::new("web identity", web_identity.build());
        let container = FromSdk::new("container", container.build());
        let remote = |source| Link::new(source, REMOTE_TIMEOUT);
        // A profile that the caller names is another identity than that of the variables.
        let is_named = profile.is_some();
        // The SDK would take these for set.
        let is_empty = variables::is_empty;
        let links = [
            (!is_named).then(|| remote(environment)),
            Some(remote(of_profile)),
            (!is_named && !is_empty("AWS_WEB_IDENTITY_TOKEN_FILE")).then(|| remote(web_identity)),
            (!is_empty("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
                .then(|| Link::new(container, CONTAINER_TIMEOUT)),
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
