//! Who the caller is, in the words of AWS: `GetCallerIdentity`, which needs no right
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>).
//!
//! Keys of another store are not shown to AWS: its service is asked only where the caller's own service is AWS, or where an endpoint
//! for it is configured.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_sts::{Client, config::Builder};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::region::Region;
use hyper::Uri;

use crate::{
    Access, Config, ConnectProblem, CredentialError, cause, connector::Overloaded, environment,
    target::host,
};

/// How long the answer may take. It comes within a second where the service can be reached.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who signs the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `arn:aws:sts::123456789012:assumed-role/publisher/session`.
    pub arn: String,
}

/// Why it is not known who signs the requests.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unidentified {
    /// The service is not of AWS, and no endpoint for this question is configured.
    #[error("the store is not of AWS and has no service that says so")]
    NoService,
    /// There are no credentials.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// No answer came: networks without internet often have no endpoint for the service.
    #[error("the security token service cannot be reached from here")]
    Unreachable(ConnectProblem),
    /// The service did not answer the question: its error code, if it has one.
    #[error(
        "the service does not say who this is{}",
        .0.as_ref().map(|code| format!(" ({code})")).unwrap_or_default()
    )]
    Refused(Option<String>),
}

impl Access {
    /// Asks who the caller is. `config` is what this access was prepared from.
    ///
    /// # Errors
    /// [`Unidentified`].
    pub async fn caller(&self, config: &Config) -> Result<Caller, Unidentified> {
        let unset = Config {
            endpoint: None,
            ..config.clone()
        };
        let endpoint = environment::endpoint(&unset, "STS", self.sdk());
        let endpoint = endpoint.map_err(|_| Unidentified::NoService)?;
        if endpoint.is_none() && !self.endpoint().is_none_or(is_of_aws) {
            return Err(Unidentified::NoService);
        }
        let mut builder = Builder::from(self.sdk())
            .region(Region::new(self.region().await))
            .retry_config(RetryConfig::disabled());
        builder.set_endpoint_url(endpoint);
        let client = Client::from_conf(builder.build());
        let asked = tokio::time::timeout(PATIENCE, client.get_caller_identity().send()).await;
        let timed_out = |_| Unidentified::Unreachable(ConnectProblem::TimedOut);
        let answer = asked.map_err(timed_out)?.map_err(unidentified)?;
        let arn = answer.arn.filter(|arn| !arn.is_empty());
        arn.map(|arn| Caller { arn })
            .ok_or(Unidentified::Refused(None))
    }
}

fn unidentified<E>(error: SdkError<E, HttpResponse>) -> Unidentified
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let Some(missing) = cause::<CredentialError>(&error) {
        return Unidentified::Credentials(missing.clone());
    }
    if cause::<Overloaded>(&error).is_some() {
        return Unidentified::Refused(None);
    }
    if error.raw_response().is_none() {
        let problem = ConnectProblem::of(&error).unwrap_or(ConnectProblem::Other);
        return Unidentified::Unreachable(problem);
    }
    let code = error.as_service_error().and_then(|error| error.code());
    let is_plain = |code: &&str| code.chars().all(|c| c.is_ascii_graphic()) && code.len() < 100;
    Unidentified::Refused(code.filter(is_plain).map(ToOwned::to_owned))
}

/// Whether an endpoint is one of AWS, such as that of a private link.
fn is_of_aws(endpoint: &str) -> bool {
    endpoint.parse::<Uri>().is_ok_and(|url| {
        let host = host(&url);
        host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_another_store_are_not_shown_to_aws() {
        for (endpoint, is_aws) in [
            (
                "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com",
                true,
            ),
            ("https://s3.cn-north-1.amazonaws.com.cn:443/x", true),
            ("http://127.0.0.1:9000", false),
            ("https://amazonaws.com.example.org", false),
            ("https://evil-amazonaws.com", false),
        ] {
            assert_eq!(is_of_aws(endpoint), is_aws, "{endpoint}");
        }
    }
}
