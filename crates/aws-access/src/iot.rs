//! AWS IoT Core's credential provider: keys of a role for a device that shows its certificate
//! (<https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html>).
//!
//! `GET https://ENDPOINT/role-aliases/ALIAS/credentials` over mutual TLS; the name of the device's thing, if it
//! is sent, gives the role's policies their variables. The service is a public one of AWS: it is asked
//! through the proxy, unless it is on this machine or its link.

mod answer;
mod device;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rustls::{AlertDescription as Alert, RootCertStore, sign::SingleCertAndKey};

pub use self::device::{BadDevice, DevicePart, IotCore, IotDevice};
use crate::{
    Config, ConnectProblem, CredentialError, CredentialProblem, CredentialSource, Keys, cause,
    connector::{Network, system_authorities},
    credentials::is_overload,
    https::{self, ProxyRefused},
    problem::NoAuthorities,
    target::is_direct,
};

/// How often the service is asked before its trouble is reported.
const ATTEMPTS: u32 = 3;

/// The longest that an attempt may take. The answer usually comes within a second.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long to wait before the second attempt, about; before the third it is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// The service, as a source of credentials.
#[derive(Debug)]
pub(crate) struct OfIotCore {
    core: IotCore,
    network: Network,
    limit: Duration,
}

impl OfIotCore {
    pub(crate) fn new(core: &IotCore, network: Network, config: &Config) -> Self {
        Self {
            core: core.clone(),
            network,
            limit: PATIENCE.min(config.silence_timeout),
        }
    }

    async fn ask(&self) -> Result<Keys, CredentialError> {
        let request = (*self.core.request).clone();
        let proxy = match is_direct(request.uri()) {
            true => None,
            false => self.network.matcher.intercept(request.uri()),
        };
        let certificate = SingleCertAndKey::from(Arc::clone(&self.core.certificate));
        let certificate = Arc::new(certificate);
        let sent = https::send(request, self.authorities()?, certificate, proxy.as_ref());
        let answer = sent.await.map_err(|error| self.unreachable(error))?;
        answer::keys(&self.core, &answer)
    }

    /// Where the service is asked, for people.
    fn way(&self) -> String {
        self.network.way(&self.core.request.uri().to_string())
    }

    /// The authorities that the service's certificate is checked against.
    fn authorities(&self) -> Result<RootCertStore, CredentialError> {
        let configured = self.core.authorities.as_ref();
        let configured = configured.or(self.network.authorities.as_ref());
        let authorities = configured.map_or_else(system_authorities, |found| (**found).clone());
        match authorities.is_empty() {
            true => Err(self.unreachable(NoAuthorities.into())),
            false => Ok(authorities),
        }
    }

    /// Why there is no answer.
    fn unreachable(&self, error: Box<dyn std::error::Error + Send + Sync>) -> CredentialError {
        let way = self.way();
        if let Some(rustls::Error::AlertReceived(alert)) = cause(&*error)
            && is_about_certificate(*alert)
        {
            let message = format!(
                "{way} does not accept the device's certificate (TLS alert {alert:?}): check that it is registered \
 with AWS IoT Core and active, and has not expired"
            );
            return CredentialError::new(CredentialProblem::Refused, message);
        }
        let problem = match cause(&*error) {
            Some(ProxyRefused(status)) if !is_overload(status.as_u16(), None) => {
                CredentialProblem::Refused
            }
            _ => CredentialProblem::Unreachable(
                ConnectProblem::of(&*error).unwrap_or(ConnectProblem::Other),
            ),
        };
        CredentialError::new(problem, format!("cannot reach {way}")).with_source(error)
    }
}

/// Whether the other side ended the handshake because of the certificate that it was shown.
fn is_about_certificate(alert: Alert) -> bool {
    matches!(
        alert,
        Alert::AccessDenied
            | Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRequired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::DecryptError
            | Alert::UnknownCA
            | Alert::UnsupportedCertificate
    )
}

#[async_trait]
impl CredentialSource for OfIotCore {
    async fn keys(&self) -> Result<Keys, CredentialError> {
        let mut attempt = 1;
        loop {
            let asked = tokio::time::timeout(self.limit, self.ask()).await;
            let answer = asked.unwrap_or_else(|_| {
                let problem = CredentialProblem::Unreachable(ConnectProblem::TimedOut);
                let limit = self.limit.as_secs();
                let message = format!("no answer from {} within {limit} s", self.way());
                Err(CredentialError::new(problem, message))
            });
            match answer {
                Err(error) if attempt < ATTEMPTS && error.problem().is_transient() => {
                    // Not a whole fleet at the same moment.
                    let spread = 0.5 + fastrand::f32();
                    tokio::time::sleep((PAUSE * attempt).mul_f32(spread)).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }
}
