//! Sources of credentials: our own trait, and the way between it and the SDK's.

use std::{
    error::Error as StdError,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
};
use aws_sdk_sso::operation::get_role_credentials::GetRoleCredentialsError;
use aws_sdk_sts::operation::{
    assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError,
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{ConnectProblem, cause, connector::Overloaded, plain};

/// How long all sources of credentials together may take: more than any one of them.
pub(crate) const TOTAL_TIMEOUT: Duration = Duration::from_secs(90);

/// Keys to sign requests with. Only the identifier is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The source that gave them, for people: `environment`, `instance metadata`.
    pub source: String,
    /// The identifier; not a secret.
    pub access_key_id: String,
    pub secret_access_key: String,
    /// The token of temporary keys.
    pub session_token: Option<String>,
    /// When they cease to be valid.
    pub expires: Option<SystemTime>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("source", &self.source)
            .field("access_key_id", &self.access_key_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Keys of the settings, that never expire and need no token.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            source: "settings".to_owned(),
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
            expires: None,
        }
    }

    /// These keys as a request can carry them.
    pub(crate) fn cleaned(self) -> Result<Self, CredentialError> {
        let clean = |what: &str, value: &str, is_allowed: fn(char) -> bool| {
            plain::word(value, is_allowed).ok_or_else(|| {
                let message = format!(
                    "the {what} is empty or has white space, control or other characters that no such value has"
                );
                CredentialError::new(CredentialProblem::Refused, message)
            })
        };
        let is_graphic = |c: char| c.is_ascii_graphic();
        let token = self.session_token.filter(|token| !token.trim().is_empty());
        Ok(Self {
            source: self.source,
            access_key_id: clean("access key's identifier", &self.access_key_id, is_graphic)?,
            // It never leaves the machine: a store of one's own may have any.
            secret_access_key: clean("secret access key", &self.secret_access_key, |c| {
                !c.is_control() && !c.is_whitespace()
            })?,
            session_token: token
                .map(|token| clean("session token", &token, is_graphic))
                .transpose()?,
            expires: self.expires,
        })
    }
}

/// Something that gives credentials: a metadata service, a program, a token service.
#[async_trait]
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// Keys that are valid now. They are kept, and asked for again shortly before they expire.
    ///
    /// # Errors
    /// [`CredentialError`], whose [`CredentialProblem`] decides whether another source is asked
    /// and whether the same request may succeed later.
    async fn keys(&self) -> Result<Keys, CredentialError>;
}

#[async_trait]
impl<S: CredentialSource + ?Sized> CredentialSource for Arc<S> {
    async fn keys(&self) -> Result<Keys, CredentialError> {
        (**self).keys().await
    }
}

/// The keys of `source`, or an error after `limit`.
pub(crate) async fn within(
    limit: Duration,
    name: &str,
    source: &dyn CredentialSource,
) -> Result<Keys, CredentialError> {
    tokio::time::timeout(limit, source.keys())
        .await
        .unwrap_or_else(|_| Err(timed_out(limit, name)))
}

/// The error of a source that gave nothing within `limit`.
pub(crate) fn timed_out(limit: Duration, name: &str) -> CredentialError {
    let limit = limit.as_secs();
    CredentialError::new(
        CredentialProblem::Unreachable(ConnectProblem::TimedOut),
        format!("no credentials from source \"{name}\" within {limit} s"),
    )
}

/// What the caller can do about missing credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialProblem {
    /// The source is not there: it is not configured, or its service does not exist here. The only
    /// problem after which another source may be asked.
    Missing,
    /// The source is configured, and wrongly; or the service behind it refuses.
    Refused,
    /// The source is configured, but could not be reached or did not answer. The same may succeed
    /// later.
    Unreachable(ConnectProblem),
    /// The service behind the source has failed, or asks to slow down. The same may succeed later.
    Unavailable,
}

impl CredentialProblem {
    /// Whether the same may succeed later.
    pub(crate) fn is_transient(self) -> bool {
        match self {
            Self::Unreachable(problem) => problem.is_transient(),
            Self::Unavailable => true,
            Self::Missing | Self::Refused => false,
        }
    }
}

/// Why there are no credentials.
#[derive(Debug, Clone)]
pub struct CredentialError {
    problem: CredentialProblem,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for CredentialError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl CredentialError {
    /// An error that says `message`, which holds no secret.
    pub fn new(problem: CredentialProblem, message: impl Into<String>) -> Self {
        Self {
            problem,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What the caller can do.
    pub fn problem(&self) -> CredentialProblem {
        self.problem
    }

    /// What an error of the SDK means; `name` is the source's.
    pub(crate) fn of(name: &str, error: CredentialsError) -> Self {
        let problem = match &error {
            error if is_overloaded(error) => CredentialProblem::Unavailable,
            CredentialsError::CredentialsNotLoaded(_) => CredentialProblem::Missing,
            CredentialsError::ProviderTimedOut(_) => {
                CredentialProblem::Unreachable(ConnectProblem::TimedOut)
            }
            CredentialsError::InvalidConfiguration(_) => CredentialProblem::Refused,
            error => match (cause::<Self>(error), ConnectProblem::of(error)) {
                (Some(own), _) => own.problem,
                (None, Some(problem)) => CredentialProblem::Unreachable(problem),
                (None, None) => CredentialProblem::Refused,
            },
        };
        // The SDK's outermost words only repeat the problem.
        let message = format!("no credentials from source \"{name}\"");
        Self::new(problem, message).with_source(error)
    }
}

/// What can be said of a failure that the SDK reports as a text and nothing else, as it does that of a
/// program: how it ended. The text quotes what the program wrote.
fn program_failed(error: &CredentialsError) -> Option<String> {
    if !matches!(error, CredentialsError::ProviderError(_)) {
        return None;
    }
    let mut cause: &(dyn StdError + 'static) = error;
    while let Some(inner) = cause.source() {
        if !cause.is::<CredentialsError>() {
            return None;
        }
        cause = inner;
    }
    let text = cause.to_string();
    let status = text
        .split_once("exited with code ")
        .and_then(|(_, rest)| rest.split_once(". Stderr: "))
        .map_or("its answer is not valid", |(status, _)| status);
    Some(format!(
        "the profile's credential_process failed ({status}); run it by hand to see what it says"
    ))
}

/// Whether a service that gives credentials answered that it cannot now.
fn is_overloaded(error: &CredentialsError) -> bool {
    fn says_so<E: ProvideErrorMetadata + StdError + 'static>(error: &CredentialsError) -> bool {
        let Some(SdkError::ServiceError(answer)) = cause::<SdkError<E, HttpResponse>>(error) else {
            return false;
        };
        let status = answer.raw().status().as_u16();
        is_overload(status, answer.err().code())
    }
    cause::<Overloaded>(error).is_some()
        || says_so::<AssumeRoleError>(error)
        || says_so::<AssumeRoleWithWebIdentityError>(error)
        || says_so::<GetRoleCredentialsError>(error)
}

/// Whether an answer with this status and error code says that the service cannot now.
pub(crate) fn is_overload(status: u16, code: Option<&str>) -> bool {
    let codes = [
        "IDPCommunicationError",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ];
    status >= 500 || status == 429 || code.is_some_and(|code| codes.contains(&code))
}

/// A source of the SDK's as one of ours.
#[derive(Debug)]
pub(crate) struct FromSdk {
    pub(crate) name: &'static str,
    pub(crate) provider: SharedCredentialsProvider,
    /// A program may give the keys. What it writes may hold secrets, so it is not repeated.
    pub(crate) runs_a_program: bool,
}

impl FromSdk {
    /// A source that runs no program.
    pub(crate) fn new(name: &'static str, provider: impl ProvideCredentials + 'static) -> Self {
        Self {
            name,
            provider: SharedCredentialsProvider::new(provider),
            runs_a_program: false,
        }
    }
}

#[async_trait]
impl CredentialSource for FromSdk {
    async fn keys(&self) -> Result<Keys, CredentialError> {
        let given = self.provider.provide_credentials().await;
        let keys = given.map_err(|error| match program_failed(&error) {
            Some(message) if self.runs_a_program => {
                CredentialError::new(CredentialProblem::Refused, message)
            }
            _ => CredentialError::of(self.name, error),
        })?;
        Keys {
            source: self.name.to_owned(),
            access_key_id: keys.access_key_id().to_owned(),
            secret_access_key: keys.secret_access_key().to_owned(),
            session_token: keys.session_token().map(str::to_owned),
            expires: keys.expiry(),
        }
        .cleaned()
    }
}

/// Keys that never change.
#[async_trait]
impl CredentialSource for Keys {
    async fn keys(&self) -> Result<Keys, CredentialError> {
        Ok(self.clone())
    }
}

/// One of our sources as the SDK's. Its errors have a [`CredentialError`] among their causes.
#[derive(Debug)]
pub(crate) struct ToSdk<S>(pub(crate) S);

impl<S: CredentialSource> ToSdk<S> {
    async fn provide(&self) -> provider::Result {
        let keys = within(TOTAL_TIMEOUT, "all", &self.0).await;
        keys.and_then(Keys::cleaned)
            .map(Into::into)
            .map_err(|error| match error.problem {
                CredentialProblem::Missing => CredentialsError::not_loaded(error),
                _ => CredentialsError::provider_error(error),
            })
    }
}

impl From<Keys> for aws_credential_types::Credentials {
    fn from(keys: Keys) -> Self {
        Self::new(
            keys.access_key_id,
            keys.secret_access_key,
            keys.session_token,
            keys.expires,
            "aws-access",
        )
    }
}

impl<S: CredentialSource> ProvideCredentials for ToSdk<S> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_trimmed_and_the_rest_is_refused_unseen() {
        let make = |id: &str, secret: &str, token: Option<&str>| Keys {
            session_token: token.map(ToOwned::to_owned),
            ..Keys::new(id, secret)
        };
        let clean = |keys: Keys| keys.cleaned();
        let good = make("AKIA", "sec/ret+", Some("token=="));
        assert_eq!(
            clean(make(" AKIA\n", "sec/ret+\r\n", Some("\ttoken==\n"))).unwrap(),
            good
        );
        assert_eq!(
            clean(make("AKIA", "sécret", Some(" ")))
                .unwrap()
                .session_token,
            None
        );
        for bad in [
            "HUNTER\nX: y",
            "HUN TER",
            "HUNTER\0",
            "HUN\tTER",
            "HUNTER\r\n2",
            "HUN\u{85}TER",
        ] {
            for keys_of in [
                make(bad, "s", None),
                make("a", bad, None),
                make("a", "s", Some(bad)),
            ] {
                let error = clean(keys_of).unwrap_err();
                assert_eq!(error.problem(), CredentialProblem::Refused);
                assert!(!error.to_string().contains("HUN"), "{error}");
            }
        }
        assert!(clean(make("", "s", None)).is_err() && clean(make("ключ", "s", None)).is_err());
    }
}
