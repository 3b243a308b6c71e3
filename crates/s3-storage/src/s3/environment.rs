//! What the environment and the AWS configuration files say, read as the AWS CLI reads them. No
//! network.

use std::{path::PathBuf, time::Duration};

use aws_config::{
    BehaviorVersion, SdkConfig, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider,
};
use aws_sdk_s3::config::{Region, SharedHttpClient};
use aws_smithy_http_client::{
    proxy::ProxyConfig,
    tls::{TlsContext, TrustStore},
};
use aws_types::{app_name::AppName, service_config::ServiceConfigKey};
use rustls::{RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject as _};

use super::{clock::LocalClock, connector::Network};
use crate::{Error, ErrorKind, Proxy, S3Config};

pub(super) fn invalid(message: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Invalid, "configuration", "", message)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

/// The proxy and the certificates.
pub(super) fn network(config: &S3Config) -> Result<Network, Error> {
    let proxy = match &config.proxy {
        Proxy::FromEnvironment => ProxyConfig::from_env(),
        Proxy::Direct => ProxyConfig::disabled(),
        // The address may hold a password: it is not repeated.
        Proxy::Url(url) => {
            ProxyConfig::all(url).map_err(|_| invalid("the proxy's URL is malformed"))?
        }
    };
    let bundle = config
        .ca_bundle
        .clone()
        .or_else(|| variable("AWS_CA_BUNDLE").map(PathBuf::from));
    let trust = match bundle {
        None => TrustStore::default().with_native_roots(true),
        Some(path) => {
            let pem = std::fs::read(&path).map_err(|error| {
                invalid(format!("CA bundle {}: {error}", path.display())).with_source(error)
            })?;
            check_certificates(&pem)
                .map_err(|reason| invalid(format!("CA bundle {}: {reason}", path.display())))?;
            TrustStore::empty().with_pem_certificate(pem)
        }
    };
    let trust = TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|error| invalid(error.to_string()))?;
    Ok(Network { proxy, trust })
}

/// The HTTP client below takes for granted that these can be parsed.
fn check_certificates(pem: &[u8]) -> Result<(), String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("it is not PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    let mut roots = RootCertStore::empty();
    certificates
        .into_iter()
        .try_for_each(|certificate| roots.add(certificate))
        .map_err(|error| format!("a certificate cannot be used: {error}"))
}

/// What the SDK makes of the environment and of the profile, without credentials.
pub(super) async fn load(
    config: &S3Config,
    http: SharedHttpClient,
    local: LocalClock,
) -> Result<SdkConfig, Error> {
    let mut profile_region = ProfileFileRegionProvider::builder();
    if let Some(profile) = &config.profile {
        profile_region = profile_region.profile_name(profile);
    }
    let region = RegionProviderChain::first_try(config.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(profile_region.build())
        .region()
        .await;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .no_credentials()
        .http_client(http)
        .region(region)
        .time_source(Local(local));
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(name) = &config.app_name {
        loader = loader.app_name(
            AppName::new(name.clone())
                .map_err(|error| invalid(format!("app name {name:?}: {error}")))?,
        );
    }
    Ok(loader.load().await)
}

#[derive(Clone)]
struct Local(LocalClock);

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Local")
    }
}

impl aws_smithy_async::time::TimeSource for Local {
    fn now(&self) -> std::time::SystemTime {
        (self.0)()
    }
}

/// The custom endpoint, if any: the caller's, the environment's, the profile's.
pub(super) fn endpoint(config: &S3Config, sdk: &SdkConfig) -> Result<Option<String>, Error> {
    let configured = || {
        let key = ServiceConfigKey::builder()
            .service_id("S3")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        sdk.service_config()?.load_config(key)
    };
    config
        .endpoint
        .clone()
        .filter(|endpoint| !endpoint.trim().is_empty())
        .or_else(configured)
        .or_else(|| sdk.endpoint_url().map(str::to_owned))
        .map(|endpoint| check_endpoint(&endpoint))
        .transpose()
}

/// An endpoint as a URL without a slash at its end.
fn check_endpoint(endpoint: &str) -> Result<String, Error> {
    let endpoint = endpoint.trim().trim_end_matches('/');
    let with_scheme = if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        format!("https://{endpoint}")
    };
    let rest = with_scheme
        .strip_prefix("https://")
        .or_else(|| with_scheme.strip_prefix("http://"));
    let Some(rest) = rest else {
        return Err(invalid(format!(
            "endpoint {endpoint:?}: neither http nor https"
        )));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    // User and password in a URL would end in logs: not repeated either.
    if rest.contains('@') {
        return Err(invalid(
            "the endpoint holds a user name: credentials do not belong into a URL",
        ));
    }
    let port_is_sound = match authority.rsplit_once(':') {
        Some((_, port)) if !authority.ends_with(']') => port.parse::<u16>().is_ok(),
        _ => true,
    };
    if authority.is_empty()
        || !port_is_sound
        || rest
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || "?#\\\"<>".contains(c))
    {
        return Err(invalid(format!("endpoint {endpoint:?} is not a URL")));
    }
    Ok(with_scheme)
}

/// Whether the bucket is part of the path.
pub(super) fn path_style(config: &S3Config, custom_endpoint: bool) -> bool {
    let arn = config.bucket.starts_with("arn:");
    config
        .path_style
        .unwrap_or(!arn && (custom_endpoint || config.bucket.contains('.')))
}

/// A bucket's name, or the ARN of an access point: nothing that could reach beyond its place in a
/// URL.
pub(super) fn check_bucket(bucket: &str) -> Result<(), Error> {
    let arn = bucket.starts_with("arn:");
    let sound =
        |c: char| c.is_ascii_alphanumeric() || "-._".contains(c) || (arn && ":/".contains(c));
    if bucket.len() < 3 || bucket.len() > 255 || !bucket.chars().all(sound) || bucket.contains("..")
    {
        return Err(invalid(format!("{bucket:?} is not a bucket's name")));
    }
    Ok(())
}

/// The region that the instance's metadata tells, asked for a short time.
pub(super) async fn region_from_metadata(
    client: aws_config::imds::Client,
    wait: Duration,
) -> Option<String> {
    let provider = aws_config::imds::region::ImdsRegionProvider::builder()
        .imds_client(client)
        .build();
    let region = tokio::time::timeout(wait, async { provider.region().await })
        .await
        .ok()??;
    Some(region.as_ref().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_scheme_is_https() {
        assert_eq!(
            check_endpoint("minio.example:9000/").unwrap(),
            "https://minio.example:9000"
        );
        assert_eq!(
            check_endpoint("http://127.0.0.1:9000").unwrap(),
            "http://127.0.0.1:9000"
        );
        assert_eq!(
            check_endpoint("http://[::1]:9000/base").unwrap(),
            "http://[::1]:9000/base"
        );
        for bad in [
            "",
            "ftp://host",
            "http://",
            "http://host:port",
            "http://host:99999",
            "http://host/?x",
            "http://a b",
        ] {
            assert_eq!(
                check_endpoint(bad).unwrap_err().kind(),
                ErrorKind::Invalid,
                "{bad:?}"
            );
        }
        let error = check_endpoint("http://me:hunter2@host").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_bucket_cannot_leave_its_place_in_the_url() {
        for good in [
            "abc",
            "my.bucket-1",
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/one",
        ] {
            assert!(check_bucket(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "a/b/c",
            "a..b",
            "bucket?x",
            "büc",
            "a b c",
            "bucket%2f",
        ] {
            assert!(check_bucket(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_dotted_bucket_and_a_custom_endpoint_mean_path_style() {
        let mut config = S3Config::new("bucket");
        assert!(!path_style(&config, false));
        assert!(path_style(&config, true));
        config.bucket = "my.bucket".into();
        assert!(path_style(&config, false));
        config.path_style = Some(false);
        assert!(!path_style(&config, true));
    }

    #[test]
    fn a_ca_bundle_without_certificates_is_refused() {
        let file = std::env::temp_dir().join(format!("debucket-ca-{}", std::process::id()));
        std::fs::write(&file, "nothing").unwrap();
        let config = S3Config {
            ca_bundle: Some(file.clone()),
            ..S3Config::new("bucket")
        };
        let error = network(&config)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        std::fs::remove_file(&file).unwrap();
        assert!(error.contains("it holds no certificate"), "{error}");
    }
}
