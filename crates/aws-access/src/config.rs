//! What the caller says about how AWS is reached, on top of what the environment says.
//!
//! Whatever is left unset is looked up as the AWS CLI does it: `AWS_PROFILE`, `AWS_REGION`,
//! `AWS_ENDPOINT_URL_<service>`, `AWS_ENDPOINT_URL`, `AWS_CA_BUNDLE`, `AWS_CONFIG_FILE`,
//! `AWS_SHARED_CREDENTIALS_FILE` and the credential variables
//! (<https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html>).

use std::{fmt, sync::Arc, time::Duration};

use crate::{CredentialSource, IotCore, Keys, LocalClock, PemFile, SharedFiles};

/// How AWS is reached. The default is all that the environment says.
#[derive(Debug, Clone)]
pub struct Config {
    /// `None`: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile, the instance's metadata (asked for a
    /// short time only), `us-east-1`.
    pub region: Option<String>,
    /// The service's URL; without a scheme `https`. `None`: `AWS_ENDPOINT_URL_<service>`,
    /// `AWS_ENDPOINT_URL`, the profile, AWS itself.
    pub endpoint: Option<String>,
    /// The profile in the AWS configuration files. `None`: `AWS_PROFILE`, `default`.
    pub profile: Option<String>,
    /// The AWS configuration files, or what was in them.
    pub shared_files: SharedFiles,
    /// Where the credentials come from.
    pub credentials: Credentials,
    /// A role to assume with those credentials (`arn:aws:iam::…:role/…`).
    pub role_arn: Option<String>,
    /// What the role's trust policy wants as `sts:ExternalId`.
    pub external_id: Option<String>,
    /// The name of the role's session. `None`: the program's name.
    pub role_session_name: Option<String>,
    /// Whether the metadata service of the instance is never asked. `None`: `AWS_EC2_METADATA_DISABLED`.
    pub metadata_disabled: Option<bool>,
    /// Whether addresses with FIPS 140 cryptography are used. `None`: `AWS_USE_FIPS_ENDPOINT`, the
    /// profile.
    pub use_fips: Option<bool>,
    /// Whether addresses for IPv4 and IPv6 are used. `None`: `AWS_USE_DUALSTACK_ENDPOINT`, the profile.
    pub use_dualstack: Option<bool>,
    /// How long nothing may move (while connecting, before the first byte of the answer, between
    /// two pieces either way) before an attempt is given up. All attempts of a request together are
    /// silent for at most three times as long. Default 30 s.
    pub silence_timeout: Duration,
    /// How many times a request is tried in all. Default 3.
    pub max_attempts: u32,
    /// Whether requests go through a proxy. Credential services on the machine itself never do.
    pub proxy: Proxy,
    /// Certificates to trust *instead of* the system's, as the AWS CLI has it. `None`:
    /// `AWS_CA_BUNDLE`, the profile.
    pub ca_bundle: Option<PemFile>,
    /// The program's name for the `User-Agent` header and for the sessions of an assumed role:
    /// letters, digits and `-`.
    pub app_name: Option<String>,
    /// The local clock; tests bring wrong ones.
    pub clock: LocalClock,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            region: None,
            endpoint: None,
            profile: None,
            shared_files: SharedFiles::Unread,
            credentials: Credentials::Chain,
            role_arn: None,
            external_id: None,
            role_session_name: None,
            metadata_disabled: None,
            use_fips: None,
            use_dualstack: None,
            silence_timeout: Duration::from_secs(30),
            max_attempts: 3,
            proxy: Proxy::FromEnvironment,
            ca_bundle: None,
            app_name: None,
            clock: LocalClock::default(),
        }
    }
}

/// Where credentials come from.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// The AWS default chain: environment, profile (static, SSO, assume role, process), web
    /// identity, container (ECS, EKS), instance metadata.
    #[default]
    Chain,
    /// These.
    Static(Keys),
    /// AWS IoT Core, which knows this machine by a certificate.
    IotCore(IotCore),
    /// A source of the caller's own.
    Source(Arc<dyn CredentialSource>),
    /// Requests are not signed: a public bucket.
    Anonymous,
}

/// Whether requests go through a proxy.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    #[default]
    FromEnvironment,
    /// Straight to the service, whatever the environment says.
    Direct,
    /// Through this one (`http://user:password@proxy:3128`). It may hold a password and is never
    /// shown.
    Url(String),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromEnvironment => f.write_str("FromEnvironment"),
            Self::Direct => f.write_str("Direct"),
            Self::Url(_) => f.write_str("Url(..)"),
        }
    }
}
