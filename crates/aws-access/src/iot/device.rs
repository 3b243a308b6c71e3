//! A device's identity and the service that gives it keys, checked before the network is touched.

use std::{fmt, sync::Arc};

use hyper::{Request, Uri, header::HOST};
use rustls::{
    RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use crate::{PemFile, authorities::authorities, endpoint::check_endpoint};

/// A device that AWS IoT Core knows, and the role that it takes on.
#[derive(Debug, Clone)]
pub struct IotDevice {
    /// The account's endpoint for credentials: `….credentials.iot.eu-west-1.amazonaws.com`.
    pub endpoint: String,
    /// The name of the role's alias.
    pub role_alias: String,
    /// The name of the device's thing, if the role's policies have variables for it.
    pub thing: Option<String>,
    /// The device's certificate; those of authorities between it and a known one may follow.
    pub certificate: PemFile,
    /// Its key, not encrypted: PKCS#8, PKCS#1 or SEC1.
    pub private_key: PemFile,
    /// The authorities of the service's own certificate. `None`: those of all services.
    pub authorities: Option<PemFile>,
}

/// A part of an [`IotDevice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DevicePart {
    Endpoint,
    RoleAlias,
    Thing,
    Certificate,
    PrivateKey,
    Authorities,
}

/// A part of an [`IotDevice`] that cannot be used. It tells nothing of a key.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct BadDevice {
    /// Which.
    pub part: DevicePart,
    message: String,
}

/// An [`IotDevice`] whose parts can be used.
#[derive(Clone)]
pub struct IotCore {
    /// What the service is asked.
    pub(super) request: Box<Request<String>>,
    pub(super) role_alias: String,
    pub(super) thing: Option<String>,
    pub(super) certificate: Arc<CertifiedKey>,
    pub(super) authorities: Option<Arc<RootCertStore>>,
}

impl fmt::Debug for IotCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IotCore")
            .field("url", self.request.uri())
            .field("thing", &self.thing)
            .finish_non_exhaustive()
    }
}

impl IotCore {
    /// Reads the files and checks all parts.
    ///
    /// # Errors
    /// The first part that cannot be used.
    pub fn new(device: &IotDevice) -> Result<Self, BadDevice> {
        let bad = |part| move |message: String| BadDevice { part, message };
        let endpoint = endpoint(&device.endpoint).map_err(bad(DevicePart::Endpoint))?;
        // The characters that AWS allows in these names need no encoding.
        let role_alias = name(&device.role_alias, "_=,@-").map_err(bad(DevicePart::RoleAlias))?;
        let thing = device.thing.as_deref().map(|thing| name(thing, ":_-"));
        let thing = thing.transpose().map_err(bad(DevicePart::Thing))?;
        let certificate = certificates(&device.certificate);
        let certificate = certificate.map_err(bad(DevicePart::Certificate))?;
        let key = private_key(&device.private_key).map_err(bad(DevicePart::PrivateKey))?;
        let certificate = join(certificate, key, device)?;
        let authorities = device.authorities.as_ref().map(authorities);
        let authorities = authorities.transpose().map_err(|error| {
            let causes = crate::causes(&error);
            bad(DevicePart::Authorities)(format!("{error}: {causes}"))
        })?;
        let url = format!("{endpoint}/role-aliases/{role_alias}/credentials");
        let mut request = Request::get(url).header(HOST, endpoint.trim_start_matches("https://"));
        if let Some(thing) = thing {
            request = request.header("x-amzn-iot-thingname", thing);
        }
        let request = request
            .body(String::new())
            .map_err(|error| bad(DevicePart::Endpoint)(error.to_string()))?;
        Ok(Self {
            request: Box::new(request),
            role_alias: role_alias.to_owned(),
            thing: thing.map(str::to_owned),
            certificate: Arc::new(certificate),
            authorities: authorities.map(|(_, authorities)| Arc::new(authorities)),
        })
    }
}

/// The endpoint as `https://HOST[:PORT]`.
fn endpoint(endpoint: &str) -> Result<String, String> {
    let url = check_endpoint(endpoint).map_err(|error| error.to_string())?;
    let parsed: Option<Uri> = url.parse().ok();
    let host = parsed.filter(|url| url.scheme_str() == Some("https") && url.path() == "/");
    let Some(host) = host.as_ref().and_then(Uri::host) else {
        return Err("the endpoint is the name of a host, without a path".to_owned());
    };
    let labels: Vec<&str> = host.split('.').collect();
    let is_of = |service: &str| labels.contains(&service);
    if is_of("amazonaws") && is_of("iot") && !is_of("credentials") {
        return Err(format!(
            "{host} gives no credentials; the endpoint that does is named by \
 `aws iot describe-endpoint --endpoint-type iot:CredentialProvider`"
        ));
    }
    Ok(url)
}

/// A name of letters, digits and `others`.
fn name<'n>(name: &'n str, others: &str) -> Result<&'n str, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(is_allowed) {
        return Err(format!(
            "expected a name of 1 to 128 letters, digits and “{others}”"
        ));
    }
    Ok(name)
}

fn read(file: &PemFile) -> Result<Arc<[u8]>, String> {
    let path = file.path().display();
    file.text()
        .map_err(|error| format!("the file {path} cannot be read: {error}"))
}

fn certificates(file: &PemFile) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| format!("{} is not a certificate in PEM", file.path().display()))
}

fn private_key(file: &PemFile) -> Result<PrivateKeyDer<'static>, String> {
    let pem = read(file)?;
    let path = file.path().display();
    // Of PKCS#8 in the first line, of the older forms in the head below it.
    if String::from_utf8_lossy(&pem).contains("ENCRYPTED") {
        return Err(format!(
            "the key in {path} is encrypted, and nobody is there to enter its password: store it without one, \
 readable by root only"
        ));
    }
    // The parser's words could repeat what is in the file.
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| format!("{path} is not a private key in PEM"))
}

fn join(
    certificate: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    device: &IotDevice,
) -> Result<CertifiedKey, BadDevice> {
    let (of_key, of_certificate) = (device.private_key.path(), device.certificate.path());
    CertifiedKey::from_der(certificate, key, &default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => BadDevice {
            part: DevicePart::PrivateKey,
            message: format!(
                "the key in {} is not the one of the certificate in {}",
                of_key.display(),
                of_certificate.display()
            ),
        },
        rustls::Error::InvalidCertificate(_) => BadDevice {
            part: DevicePart::Certificate,
            message: format!("{} is not a valid certificate", of_certificate.display()),
        },
        _ => BadDevice {
            part: DevicePart::PrivateKey,
            message: format!(
                "the key in {} is neither RSA with 2048 to 4096 bits nor ECDSA on P-256 or P-384",
                of_key.display()
            ),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_that_gives_credentials() {
        for (good, url) in [
            (
                "c1abc.credentials.iot.eu-west-1.amazonaws.com",
                "https://c1abc.credentials.iot.eu-west-1.amazonaws.com",
            ),
            ("https://localhost:8443/", "https://localhost:8443"),
        ] {
            assert_eq!(endpoint(good).unwrap(), url);
        }
        for bad in [
            "",
            "http://localhost",
            "localhost/role-aliases",
            "a1abc-ats.iot.eu-west-1.amazonaws.com",
            "a1abc.iot.cn-north-1.amazonaws.com.cn",
        ] {
            assert!(endpoint(bad).is_err(), "{bad:?}");
        }
        let data = endpoint("a1abc-ats.iot.eu-west-1.amazonaws.com").unwrap_err();
        assert!(data.contains("iot:CredentialProvider"), "{data}");
    }

    #[test]
    fn names_end_neither_a_path_nor_a_header() {
        assert_eq!(name("Reader_1=,@-", "_=,@-"), Ok("Reader_1=,@-"));
        for bad in ["", "a/b", "a b", "a?b", "a%2f", "a\r\nb", "é"] {
            assert!(name(bad, "_=,@-").is_err(), "{bad:?}");
        }
    }
}
