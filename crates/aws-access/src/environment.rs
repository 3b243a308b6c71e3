//! What the environment and the AWS configuration files say, read as the AWS CLI reads them. No
//! network.

use std::{path::PathBuf, sync::Arc};

use aws_config::{
    BehaviorVersion, SdkConfig, meta::region::ProvideRegion as _,
    profile::ProfileFileRegionProvider, retry::RetryConfig,
};
use aws_smithy_http_client::{proxy::ProxyConfig, tls::TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::{app_name::AppName, region::Region, service_config::ServiceConfigKey};
use hyper_util::client::proxy::matcher::Matcher;

use crate::{
    Config, ConfigError, Credentials, Proxy,
    authorities::authorities,
    connector::Network,
    endpoint::check_endpoint,
    plain,
    variables::{DEFAULT_PROFILE, first, profile, variable},
};

/// The proxy and the certificates.
pub(crate) fn network(config: &Config) -> Result<Network, ConfigError> {
    let (proxy, matcher) = match &config.proxy {
        Proxy::FromEnvironment => (ProxyConfig::from_env(), Matcher::from_env()),
        Proxy::Direct => (ProxyConfig::disabled(), Matcher::builder().build()),
        Proxy::Url(url) => {
            // The address may hold a password: it is not repeated, nor is the cause, which may.
            let proxy = ProxyConfig::all(url)
                .map_err(|_| ConfigError::new("the proxy's URL is neither http:// nor https://"))?;
            (proxy, Matcher::builder().all(url.clone()).build())
        }
    };
    let matcher = Arc::new(matcher);
    let bundle = config
        .ca_bundle
        .clone()
        .or_else(|| variable("AWS_CA_BUNDLE").map(|path| PathBuf::from(path).into()))
        .or_else(|| {
            let path = config
                .shared_files
                .value(config.profile.as_deref(), "ca_bundle")?;
            Some(PathBuf::from(path).into())
        });
    let (trust, authorities) = match bundle {
        None => (TrustStore::default().with_native_roots(true), None),
        Some(file) => {
            let (pem, authorities) = authorities(&file)?;
            let trust = TrustStore::empty().with_pem_certificate(pem.to_vec());
            (trust, Some(Arc::new(authorities)))
        }
    };
    Ok(Network {
        proxy,
        matcher,
        trust,
        authorities,
    })
}

/// What the SDK makes of the environment and of the profile, without credentials.
pub(crate) async fn load(
    config: &Config,
    http: SharedHttpClient,
) -> Result<SdkConfig, ConfigError> {
    let profile = profile(config.profile.as_deref());
    let mut profile_region =
        ProfileFileRegionProvider::builder().profile_files(config.shared_files.source());
    if let Some(profile) = profile {
        profile_region = profile_region.profile_name(profile);
    }
    let named = config.region.clone();
    let named = named.or_else(|| first(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
    let region = match named {
        Some(name) => Some(Region::new(name)),
        None => profile_region.build().region().await,
    };
    let region = region.map(|region| {
        let name = plain::region(region.as_ref()).ok_or_else(|| {
            ConfigError::new("the region is not a name of one: expected letters, digits and “-._”")
        })?;
        Ok(Region::new(name))
    });
    let region = region.transpose()?;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .no_credentials()
        .http_client(http)
        .region(region)
        // Ours are used; the SDK would panic at what it does not know in AWS_RETRY_MODE, as `legacy`.
        .retry_config(RetryConfig::standard())
        .profile_files(config.shared_files.source())
        .time_source(config.clock.clone());
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    if let Some(use_fips) = config.use_fips {
        loader = loader.use_fips(use_fips);
    }
    if let Some(use_dualstack) = config.use_dualstack {
        loader = loader.use_dual_stack(use_dualstack);
    }
    if let Some(name) = &config.app_name {
        loader = loader.app_name(AppName::new(name.clone()).map_err(|error| {
            ConfigError::because(format!("\"{name}\" cannot be the program's name"), error)
        })?);
    }
    Ok(loader.load().await)
}

/// Checks that the profile exists which the caller or the environment names: without it, the keys of
/// another identity would be found. Returns whether it runs a program for its keys. Files that cannot
/// be read are for the source of credentials to report.
pub(crate) fn profile_runs_a_program(config: &Config) -> Result<bool, ConfigError> {
    let of_environment = || {
        variable("AWS_ACCESS_KEY_ID")
            .is_none()
            .then(|| variable("AWS_PROFILE"))
            .flatten()
    };
    let named = config.profile.clone().or_else(of_environment);
    let name = named.as_deref().unwrap_or(DEFAULT_PROFILE);
    let runs_a_program = config.shared_files.look(|profiles| {
        let profile = profiles.get_profile(name)?;
        // A loop of sources ends somewhere, too.
        let chain = std::iter::successors(Some(profile), |profile| {
            profiles.get_profile(profile.get("source_profile")?)
        });
        let mut chain = chain.take(profiles.profiles().count());
        Some(chain.any(|profile| profile.get("credential_process").is_some()))
    });
    let is_missing = runs_a_program == Some(None);
    if is_missing && matches!(config.credentials, Credentials::Chain) && name != DEFAULT_PROFILE {
        let shown = if name.chars().all(|c| c.is_ascii_graphic()) {
            format!("the profile \"{name}\"")
        } else {
            "a profile of that name".to_owned()
        };
        let message = format!("{shown} is not in the AWS configuration files");
        return Err(ConfigError::new(message));
    }
    Ok(runs_a_program.flatten().unwrap_or(false))
}

/// The custom endpoint of a service, if any: the caller's, the environment's, the profile's.
pub(crate) fn endpoint(
    config: &Config,
    service_id: &str,
    sdk: &SdkConfig,
) -> Result<Option<String>, ConfigError> {
    let configured = |variable| {
        let key = ServiceConfigKey::builder()
            .service_id(service_id)
            .env(variable)
            .profile("endpoint_url")
            .build()
            .ok()?;
        sdk.service_config()?.load_config(key)
    };
    let is_set = |endpoint: &String| !endpoint.trim().is_empty();
    const VARIABLE: &str = "AWS_ENDPOINT_URL";
    // The SDK takes a variable for set that is empty. No variable has the last name, so that leaves the profile.
    let found = match configured(VARIABLE) {
        Some(empty) if !is_set(&empty) => variable(VARIABLE).or_else(|| configured("=")),
        found => found.or_else(|| sdk.endpoint_url().map(str::to_owned)),
    };
    let endpoint = config.endpoint.clone().filter(is_set);
    endpoint
        .or(found)
        .filter(is_set)
        .map(|endpoint| check_endpoint(&endpoint))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_bundle_without_certificates_is_refused() {
        let file = std::env::temp_dir().join(format!("aws-access-ca-{}", std::process::id()));
        std::fs::write(&file, "nothing").unwrap();
        let config = Config {
            ca_bundle: Some(file.clone().into()),
            ..Config::default()
        };
        let error = network(&config).err().unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(crate::causes(&error), "it holds no certificate");
    }
}
