//! Access to the buckets: one client for each bucket and way of reaching it, made when it is first
//! needed.
//!
//! Where no source has credentials, a bucket is asked without a signature: it may be public, or
//! opened to a private network.

use std::collections::{HashMap, hash_map::Entry};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_access::Config as AccessConfig;
use s3_storage::{
    Credentials, Error, ErrorKind, GetOptions, GetReply, Proxy, S3, S3Config, Storage as _,
};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::credentials::{Sources, endpoint_host};
use crate::environment::Environment;
use crate::iot;
use crate::settings::Settings;
use crate::uri::{Location, Secret};

/// How long nothing may arrive, if nothing else is said; apt's own methods have the same.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Clients {
    known: Mutex<HashMap<(String, Settings), Arc<Client>>>,
}

impl Clients {
    /// The client for the bucket of `location`. `header` is the proxy that apt chose for the item.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn get(
        &self,
        sources: &Sources,
        location: &Location,
        mut settings: Settings,
        header: Option<&str>,
    ) -> Result<Arc<Client>, String> {
        let (proxy, proxy_by) = proxy(sources, location, &settings, header);
        settings.proxy = match &proxy {
            Proxy::FromEnvironment => None,
            Proxy::Direct => Some(Secret("DIRECT".into())),
            Proxy::Url(url) => Some(Secret(url.clone())),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match known.entry((location.bucket.clone(), settings)) {
            Entry::Occupied(client) => client.into_mut(),
            Entry::Vacant(place) => {
                let settings = &place.key().1;
                let client = Client {
                    config: config(sources, &location.bucket, settings, proxy)?,
                    proxy_by,
                    limiter: settings.limit.map(Limiter::new),
                    signed: tokio::sync::Mutex::default(),
                    unsigned: OnceCell::new(),
                    account: OnceLock::new(),
                };
                place.insert(Arc::new(client))
            }
        };
        Ok(Arc::clone(client))
    }
}

fn config(
    sources: &Sources,
    bucket: &str,
    settings: &Settings,
    proxy: Proxy,
) -> Result<S3Config, String> {
    let credentials = match settings.keys() {
        Some(keys) => Credentials::Static(keys),
        None => match iot::core(settings, |path| sources.pem_file(path))? {
            Some(core) => Credentials::IotCore(core),
            None => sources.chain(settings, &proxy),
        },
    };
    let access = AccessConfig {
        region: settings.region.clone(),
        // An endpoint is the one that it is.
        use_fips: settings.use_fips.filter(|_| settings.endpoint.is_none()),
        use_dualstack: settings
            .use_dualstack
            .filter(|_| settings.endpoint.is_none()),
        external_id: settings.external_id.clone(),
        role_session_name: settings.role_session_name.clone(),
        metadata_disabled: settings.metadata_disabled,
        ca_bundle: sources.ca_bundle(settings),
        endpoint: settings.endpoint.clone(),
        profile: settings.profile.clone(),
        shared_files: sources.shared_files(),
        credentials,
        // A plain name is that of the instance's own role, whose credentials the metadata service
        // gives without being told.
        role_arn: settings
            .role
            .clone()
            .filter(|role| role.starts_with("arn:")),
        silence_timeout: settings.timeout.unwrap_or(TIMEOUT),
        proxy,
        app_name: Some(crate::APP_NAME.to_owned()),
        ..AccessConfig::default()
    };
    Ok(S3Config {
        path_style: settings.path_style,
        requester_pays: settings.requester_pays.unwrap_or(false),
        ..S3Config::new(bucket, access)
    })
}

/// The proxy for a bucket, and what says so: what apt chose for the item, then the settings for S3, then those for
/// http(s), then the environment.
pub(crate) fn proxy(
    sources: &Sources,
    location: &Location,
    settings: &Settings,
    header: Option<&str>,
) -> (Proxy, String) {
    let config = sources.config();
    let named = settings.endpoint.clone();
    let store = named.or_else(|| sources.endpoint(settings.profile.as_deref()));
    let store = store.as_deref();
    let host = store.map_or_else(
        || {
            format!(
                "{}.s3.{}.amazonaws.com",
                location.bucket,
                settings.region.as_deref().unwrap_or("us-east-1")
            )
        },
        |endpoint| without_port(endpoint_host(endpoint)).to_owned(),
    );
    let scheme = if store.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        "http"
    } else {
        "https"
    };
    let spoken = without_port(&location.host);
    let item = |key: String| Some((config.get(&key)?.to_owned(), key));
    let of_setting = || {
        Some((
            settings.proxy.as_ref()?.0.clone(),
            "the setting Proxy".into(),
        ))
    };
    let configured = header
        .map(|url| {
            (
                url.to_owned(),
                "Acquire::http::Proxy-Auto-Detect".to_owned(),
            )
        })
        .or_else(|| item(format!("Acquire::s3::Proxy::{spoken}")))
        .or_else(of_setting)
        .or_else(|| {
            // https falls back to http, as in apt.
            let schemes = [scheme, "http"];
            let mut keys = schemes
                .iter()
                .map(|scheme| format!("Acquire::{scheme}::Proxy"));
            keys.find_map(|key| item(format!("{key}::{host}")).or_else(|| item(key)))
        });
    match configured {
        None => {
            let variables = [format!("{scheme}_proxy"), "all_proxy".to_owned()];
            let spellings = variables
                .iter()
                .flat_map(|name| [name.clone(), name.to_uppercase()]);
            let named = spellings.filter(|name| sources.environment().get(name).is_some());
            (Proxy::FromEnvironment, named.take(1).collect())
        }
        Some((url, by)) if url.eq_ignore_ascii_case("DIRECT") => (Proxy::Direct, by),
        Some(_) if is_excepted(sources.environment(), &host) => (Proxy::Direct, "no_proxy".into()),
        Some((url, by)) => (Proxy::Url(url), by),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether `no_proxy` names the host or a domain that it lies in.
fn is_excepted(environment: &Environment, host: &str) -> bool {
    let list = environment
        .get("no_proxy")
        .or_else(|| environment.get("NO_PROXY"))
        .unwrap_or_default();
    list.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            let domain = without_port(entry).trim_start_matches('.');
            entry == "*"
                || host == domain
                || host
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.ends_with('.'))
        })
}

/// Access to one bucket in one way.
pub struct Client {
    config: S3Config,
    /// What names the proxy, or says that there is none.
    proxy_by: String,
    limiter: Option<Limiter>,
    signed: tokio::sync::Mutex<Signed>,
    unsigned: OnceCell<S3>,
    /// Why each source gave nothing, once it is known that none has credentials.
    account: OnceLock<String>,
}

/// The bucket with the keys that its source gave last.
#[derive(Default)]
struct Signed {
    bucket: Option<S3>,
    /// How often the source was asked anew, because the store took its keys no longer.
    renewals: u32,
}

#[derive(Debug)]
pub struct Refused {
    pub error: Error,
    /// Why each source of credentials gave nothing, where the request was made without.
    pub unsigned: Option<String>,
}

impl Client {
    /// Reads an object.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn get(&self, key: &str, options: GetOptions) -> Result<GetReply, Refused> {
        if self.account.get().is_none() {
            match self.get_signed(key, &options).await {
                Err(error) if error.kind() == ErrorKind::NoCredentials => {
                    let _ = self.account.set(error.message().to_owned());
                }
                answer => {
                    return answer.map_err(|error| Refused {
                        error,
                        unsigned: None,
                    });
                }
            }
        }
        let anonymous = || {
            S3::connect(self.config.clone().with_access(|access| {
                access.credentials = Credentials::Anonymous;
                access.role_arn = None;
            }))
        };
        let answer = match self.unsigned.get_or_try_init(anonymous).await {
            Ok(bucket) => bucket.get(key, options).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| Refused {
            error,
            unsigned: self.account.get().cloned(),
        })
    }

    /// Reads an object with keys. Where the store says that their time is over, the source is asked
    /// anew, once for all requests that hear so.
    async fn get_signed(&self, key: &str, options: &GetOptions) -> Result<GetReply, Error> {
        let (bucket, renewals) = self.signed(None).await?;
        match bucket.get(key, options.clone()).await {
            Err(error) if is_over(&error) && !self.has_fixed_keys() => {
                let (bucket, _) = self.signed(Some(renewals)).await?;
                bucket.get(key, options.clone()).await
            }
            answer => answer,
        }
    }

    /// The bucket, as requests with keys reach it.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub async fn bucket(&self) -> Result<S3, Error> {
        Ok(self.signed(None).await?.0)
    }

    /// The bucket with keys; `refused` are those after so many renewals.
    async fn signed(&self, refused: Option<u32>) -> Result<(S3, u32), Error> {
        let mut signed = self.signed.lock().await;
        if refused == Some(signed.renewals) {
            signed.bucket = None;
            signed.renewals += 1;
        }
        let bucket = match &signed.bucket {
            Some(bucket) => bucket.clone(),
            None => S3::connect(self.config.clone()).await?,
        };
        signed.bucket = Some(bucket.clone());
        Ok((bucket, signed.renewals))
    }

    fn has_fixed_keys(&self) -> bool {
        let access = &self.config.access;
        matches!(access.credentials, Credentials::Static(_)) && access.role_arn.is_none()
    }

    /// What names the proxy that is gone through.
    pub fn proxy_by(&self) -> Option<&str> {
        let is_direct =
            matches!(self.config.access.proxy, Proxy::Direct) || self.proxy_by.is_empty();
        (!is_direct).then_some(&self.proxy_by)
    }

    /// Whether the transfer rate is limited.
    pub fn is_limited(&self) -> bool {
        self.limiter.is_some()
    }

    /// Waits as long as `bytes` must take.
    pub async fn pace(&self, bytes: usize) {
        if let Some(limiter) = &self.limiter {
            limiter.pace(bytes).await;
        }
    }
}

/// Whether the store takes these keys no longer
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
fn is_over(error: &Error) -> bool {
    matches!(
        error.code(),
        Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired")
    )
}

/// Keeps all transfers of a client together below a rate.
struct Limiter {
    bytes_per_second: u64,
    free_at: Mutex<Option<Instant>>,
}

impl Limiter {
    fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            free_at: Mutex::new(None),
        }
    }

    async fn pace(&self, bytes: usize) {
        let until = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let begin = free_at.map_or(now, |free_at| free_at.max(now));
            let until =
                begin + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
            *free_at = Some(until);
            until
        };
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn chosen(items: &[(&str, &str)], variables: &[(&str, &str)], header: Option<&str>) -> Proxy {
        let mut config = Config::default();
        config.set("Acquire::s3::AuthConf", "/nonexistent/s3auth.conf");
        for (key, value) in items {
            config.set(*key, *value);
        }
        let environment = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let sources = Sources::read(config, environment);
        let location = crate::uri::parse(b"s3://bucket/k", true, |_| false).unwrap();
        proxy(
            &sources,
            &location,
            &sources.settings(&location).unwrap(),
            header,
        )
        .0
    }

    fn url(url: &str) -> Proxy {
        Proxy::Url(url.to_owned())
    }

    #[test]
    fn the_nearest_proxy_is_taken() {
        let mut items = vec![("Acquire::http::Proxy", "http://http")];
        assert_eq!(chosen(&[], &[], None), Proxy::FromEnvironment);
        assert_eq!(chosen(&items, &[], None), url("http://http"));
        items.push(("Acquire::https::Proxy", "http://https"));
        assert_eq!(chosen(&items, &[], None), url("http://https"));
        items.push(("Acquire::s3::Proxy", "http://s3"));
        assert_eq!(chosen(&items, &[], None), url("http://s3"));
        items.push(("Acquire::s3::Proxy::bucket", "direct"));
        assert_eq!(chosen(&items, &[], None), Proxy::Direct);
        assert_eq!(
            chosen(&items, &[], Some("http://header")),
            url("http://header")
        );
    }

    #[test]
    fn no_proxy_holds_for_a_configured_one_too() {
        let items = [
            ("Acquire::s3::Proxy", "http://s3"),
            ("Acquire::s3::Endpoint", "http://minio.example.com:9000"),
        ];
        assert_eq!(
            chosen(&items, &[("no_proxy", "localhost, .example.com")], None),
            Proxy::Direct
        );
        assert_eq!(
            chosen(&items, &[("NO_PROXY", "minio.example.com")], None),
            Proxy::Direct
        );
        assert_eq!(
            chosen(&items, &[("no_proxy", "io.example.com,ample.com")], None),
            url("http://s3")
        );
    }

    #[test]
    fn settings_become_a_bucket_s_configuration() {
        let mut settings = Settings::default();
        for (name, value) in [
            ("AccessKeyId", "k"),
            ("SecretAccessKey", "s"),
            ("Role", "instance-role"),
            ("Timeout", "7"),
            ("PathStyle", "no"),
        ] {
            settings.set(name, value).unwrap();
        }
        let sources = Sources::default();
        let made = config(&sources, "b", &settings, Proxy::Direct).unwrap();
        assert!(matches!(made.access.credentials, Credentials::Static(_)));
        assert_eq!(made.path_style, Some(false));
        assert_eq!(made.access.role_arn, None);
        assert_eq!(made.access.silence_timeout, Duration::from_secs(7));
        settings.set("Role", "arn:aws:iam::1:role/x").unwrap();
        let made = config(&sources, "b", &settings, Proxy::Direct).unwrap();
        assert!(made.access.role_arn.is_some());
    }
}
