//! Everything that says how a bucket is reached, from the nearest place to the farthest:
//!
//! 1. keys and region in the URI itself
//! 2. `Acquire::s3::<bucket>::X` in apt's configuration
//! 3. the `[bucket]` section of `s3auth.conf`, then `auth.conf` and `auth.conf.d`
//! 4. `Acquire::s3::X`
//! 5. `s3auth.conf` before its sections
//! 6. the AWS environment variables, the shared profile, containers and instance metadata, in the
//!    order of the AWS CLI; these are [`s3_storage`]'s part.
//!
//! All files are read at once, when apt has sent its configuration, because afterwards the method
//! gives up root's rights and can read them no more; the text of root's `~/.aws` too. Keys that have to be
//! made or read later come from [`crate::helper`]. A file that is there but cannot be read or
//! understood is an error for every item that it could be about; it is never passed over.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_access::causes;
use s3_storage::{Credentials, PemFile, Proxy, SharedFiles};

use crate::authconf::{AuthConf, Machines};
use crate::config::Config;
use crate::environment::Environment;
use crate::helper::{self, Helper, OfHelper};
use crate::settings::{self, Settings};
use crate::uri::Location;
use crate::{files, sandbox};

/// The authorities that apt's own https trusts instead of the system's.
const HTTPS_CA_INFO: &str = "Acquire::https::CAInfo";

/// What was found, with apt's configuration.
#[derive(Debug, Clone)]
pub struct Sources {
    config: Config,
    environment: Environment,
    auth_path: PathBuf,
    auth: Option<AuthConf>,
    machines: Machines,
    /// What the AWS tools have in files; an error where there is one and it cannot be read.
    shared_files: Result<SharedFiles, String>,
    /// Whether they can be read when they are needed, and so are: they may be replaced.
    reads_again: bool,
    helper: Option<Arc<Helper>>,
    /// Files with certificates and keys that were read when that could be done.
    pem_files: HashMap<PathBuf, PemFile>,
    /// Why some file cannot be used.
    broken: Option<String>,
}

impl Sources {
    /// Reads all files that the configuration and the environment name.
    pub fn read(config: Config, environment: Environment) -> Self {
        let auth_path = files::auth_conf(&config);
        let mut sources = Self {
            auth_path,
            ..Self::default()
        };
        let home = environment.home(helper::user(&config));
        let variable = |name: &str| match name {
            "HOME" => Some(home.as_ref()?.to_str()?.to_owned()),
            _ => environment.get(name).map(str::to_owned),
        };
        sources.shared_files =
            SharedFiles::read(variable).map_err(|error| format!("{error}: {}", causes(&error)));
        // Without `HOME` the SDK would not find them.
        sources.reads_again =
            sandbox::gives_up_rights(&config).is_none() && environment.get("HOME").is_some();
        let auth = files::read_optional(&sources.auth_path).and_then(|text| {
            text.map(|text| AuthConf::parse(&sources.auth_path, &text))
                .transpose()
                .map_err(|error| error.to_string())
        });
        match auth {
            Ok(auth) => sources.auth = auth,
            Err(error) => sources.broken = Some(error),
        }
        for path in files::netrc(&config) {
            let added = files::read_optional(&path).and_then(|text| {
                text.map_or(Ok(()), |text| {
                    sources
                        .machines
                        .add(&path, &text)
                        .map_err(|error| error.to_string())
                })
            });
            if let Err(error) = added {
                sources.broken.get_or_insert(error);
            }
        }
        sources.config = config;
        sources.environment = environment;
        for path in sources.pem_paths() {
            // One that cannot be read is an error where it is needed.
            if let Ok(file) = PemFile::read(path.clone()) {
                sources.pem_files.insert(path, file);
            }
        }
        sources
    }

    /// All files that may be needed as [`pem_file`](Self::pem_file).
    fn pem_paths(&self) -> Vec<PathBuf> {
        let named = |name: &'static &'static str| self.config.named("Acquire::s3", name);
        let of_config = settings::FILES.iter().flat_map(named);
        let others = [
            self.config.get(HTTPS_CA_INFO),
            self.environment.get("AWS_CA_BUNDLE"),
        ];
        let of_profiles = self.profiles().values("ca_bundle");
        let of_auth = self.auth.iter().flat_map(AuthConf::all);
        let of_auth = of_auth.flat_map(Settings::files).cloned();
        let paths = of_config.chain(others.into_iter().flatten());
        let paths = paths.map(PathBuf::from).chain(of_auth);
        paths
            .chain(of_profiles.into_iter().map(PathBuf::from))
            .collect()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Whether a host, with its port if it has one, is that of a configured endpoint: then it is no
    /// bucket.
    pub fn is_store(&self, host: &str) -> bool {
        let global = Settings::from_config(&self.config, "Acquire::s3")
            .ok()
            .and_then(|settings| settings.endpoint);
        let auth = self
            .auth
            .as_ref()
            .and_then(|auth| auth.global.endpoint.clone());
        [global, auth, self.endpoint(None)]
            .into_iter()
            .flatten()
            .any(|endpoint| endpoint_host(&endpoint).eq_ignore_ascii_case(host))
    }

    /// What each place says about the bucket of `location`, the nearest first.
    ///
    /// # Errors
    /// What is wrong with a file or a setting, and where.
    pub fn places(&self, location: &Location) -> Result<[(String, Settings); 6], String> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let bucket = &location.bucket;
        let mut in_uri = location
            .keys
            .clone()
            .map(Settings::from_keys)
            .unwrap_or_default();
        in_uri.region.clone_from(&location.region);
        in_uri.use_fips = location.use_fips;
        in_uri.use_dualstack = location.use_dualstack;
        let of_bucket = Settings::of_bucket(&self.config, bucket)?;
        let section = self
            .auth
            .as_ref()
            .map(|auth| auth.section(bucket))
            .unwrap_or_default();
        let machine = self
            .machines
            .find(location)
            .cloned()
            .map(Settings::from_keys)
            .unwrap_or_default();
        let global = Settings::from_config(&self.config, "Acquire::s3")?;
        let auth = self
            .auth
            .as_ref()
            .map(|auth| auth.global.clone())
            .unwrap_or_default();
        let file = self.auth_path.display();
        Ok([
            ("the address".to_owned(), in_uri),
            (format!("Acquire::s3::{bucket}"), of_bucket),
            (format!("[{bucket}] in {file}"), section),
            ("auth.conf".to_owned(), machine),
            ("Acquire::s3".to_owned(), global),
            (file.to_string(), auth),
        ])
    }

    /// All that is said about the bucket of `location`.
    ///
    /// # Errors
    /// What is wrong with a file or a setting, and where.
    pub fn settings(&self, location: &Location) -> Result<Settings, String> {
        let places = self.places(location)?.into_iter();
        let merged = places.map(|(_, said)| said).reduce(Settings::over);
        let mut settings = merged.unwrap_or_default();
        if let Some(store) = &location.store {
            // The host in the URI names the store; a configured endpoint for the same host says how
            // to speak to it.
            let spelled = settings
                .endpoint
                .take()
                .filter(|endpoint| endpoint_host(endpoint).eq_ignore_ascii_case(store));
            settings.endpoint = Some(spelled.unwrap_or_else(|| store.clone()));
        }
        let of_environment =
            settings.profile.is_none() && self.environment.get("AWS_ACCESS_KEY_ID").is_some();
        match &self.shared_files {
            Err(error)
                if settings.keys().is_none() && !settings.names_a_device() && !of_environment =>
            {
                Err(error.clone())
            }
            _ => Ok(settings),
        }
    }

    /// Starts the helper if root is given up and some keys cannot be had without.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_helper(&mut self) -> Result<(), String> {
        if sandbox::gives_up_rights(&self.config).is_none() {
            return Ok(());
        }
        let names_a_token_file = [
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        ]
        .iter()
        .any(|name| self.environment.get(name).is_some());
        if names_a_token_file || self.profiles().make_keys_later() {
            let helper = Helper::start(&self.config, &self.environment);
            let helper = helper.map_err(|error| {
                format!("the helper for credentials cannot be started: {error}")
            })?;
            self.helper = Some(Arc::new(helper));
        }
        Ok(())
    }

    /// What the shared files of the AWS tools said.
    fn profiles(&self) -> SharedFiles {
        self.shared_files.clone().unwrap_or_default()
    }

    /// The shared files of the AWS tools, as the keys of a profile are to be taken from them.
    pub fn shared_files(&self) -> SharedFiles {
        match self.reads_again {
            true => SharedFiles::Unread,
            false => self.profiles(),
        }
    }

    /// Where keys come from that no setting gives.
    pub fn chain(&self, settings: &Settings, proxy: &Proxy) -> Credentials {
        match &self.helper {
            Some(helper) => {
                let (helper, ca_file) = (Arc::clone(helper), self.ca_path(settings));
                let keys = OfHelper::new(helper, settings, ca_file.as_deref(), proxy);
                Credentials::Source(Arc::new(keys))
            }
            None => Credentials::Chain,
        }
    }

    fn ca_path(&self, settings: &Settings) -> Option<PathBuf> {
        let configured = || self.config.get(HTTPS_CA_INFO);
        let of_environment = || self.environment.get("AWS_CA_BUNDLE");
        let named = configured().or_else(of_environment).map(str::to_owned);
        let of_profile = || {
            let profile = settings.profile.as_deref();
            self.profiles().value(profile, "ca_bundle")
        };
        let of_setting = settings.ca_info.clone();
        of_setting.or_else(|| named.or_else(of_profile).map(PathBuf::from))
    }

    /// The authorities to trust instead of the system's.
    pub fn ca_bundle(&self, settings: &Settings) -> Option<PemFile> {
        Some(self.pem_file(&self.ca_path(settings)?))
    }

    /// A file with certificates or a key, as it was read when that could be done.
    pub fn pem_file(&self, path: &Path) -> PemFile {
        let read = self.pem_files.get(path).cloned();
        read.unwrap_or_else(|| path.to_owned().into())
    }

    /// The endpoint that the environment or the profile names.
    pub fn endpoint(&self, profile: Option<&str>) -> Option<String> {
        let mut of_environment = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
            .iter()
            .filter_map(|name| self.environment.get(name));
        let named = of_environment.next().map(str::to_owned);
        named.or_else(|| self.profiles().value(profile, "endpoint_url"))
    }

    /// Each place that was looked at for keys for `bucket`, and what was found there; for the
    /// message that there are none. `chain` is the account of the AWS sources.
    pub fn account(&self, bucket: &str, chain: &str) -> String {
        let mut account = format!(
            "Acquire::s3::{bucket} and Acquire::s3: no AccessKeyId; {}: ",
            self.auth_path.display()
        );
        account.push_str(if self.auth.is_some() {
            "no AccessKeyId"
        } else {
            "does not exist"
        });
        account.push_str("; auth.conf: no entry for this bucket");
        let chain = chain.trim_end_matches('.');
        if !chain.is_empty() {
            let _ = write!(account, "; {chain}");
        }
        account
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            config: Config::default(),
            environment: Environment::default(),
            auth_path: PathBuf::new(),
            auth: None,
            machines: Machines::default(),
            shared_files: Ok(SharedFiles::Unread),
            reads_again: false,
            helper: None,
            pem_files: HashMap::new(),
            broken: None,
        }
    }
}

/// The host and port of an endpoint.
pub fn endpoint_host(endpoint: &str) -> &str {
    let rest = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        config: Config,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut config = Config::default();
            config.set(
                "Acquire::s3::AuthConf",
                folder.path().join("s3auth.conf").to_str().unwrap(),
            );
            config.set(
                "Dir::Etc::netrcparts",
                folder.path().join("auth.conf.d").to_str().unwrap(),
            );
            Self { folder, config }
        }

        fn file(self, name: &str, text: &str) -> Self {
            let path = self.folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn item(mut self, key: &str, value: &str) -> Self {
            self.config.set(key, value);
            self
        }

        fn sources(&self) -> Sources {
            Sources::read(self.config.clone(), Environment::default())
        }

        fn settings(&self, uri: &str) -> Result<Settings, String> {
            let sources = self.sources();
            let location =
                crate::uri::parse(uri.as_bytes(), true, |host| sources.is_store(host)).unwrap();
            sources.settings(&location)
        }

        fn id(&self, uri: &str) -> Option<String> {
            self.settings(uri)
                .unwrap()
                .keys()
                .map(|keys| keys.access_key_id)
        }
    }

    const AUTH: &str = "AccessKeyId = auth\nSecretAccessKey = s\nRegion = r-auth\n\
 [b]\nAccessKeyId = section\nSecretAccessKey = s\nRegion = r-section\n";

    #[test]
    fn the_nearest_place_wins_one_after_the_other() {
        let keys = |place: Place, prefix: &str, id: &str| {
            place
                .item(&format!("{prefix}::AccessKeyId"), id)
                .item(&format!("{prefix}::SecretAccessKey"), "s")
        };
        let place = Place::new().file("s3auth.conf", "AccessKeyId = auth\nSecretAccessKey = s\n");
        assert_eq!(place.id("s3://b/k").as_deref(), Some("auth"));
        let place = keys(place, "Acquire::s3", "global");
        assert_eq!(place.id("s3://b/k").as_deref(), Some("global"));
        let place = place.file(
            "auth.conf.d/a.conf",
            "machine s3://b login machine password s\n",
        );
        assert_eq!(place.id("s3://b/k").as_deref(), Some("machine"));
        let place = place.file("s3auth.conf", AUTH);
        assert_eq!(place.id("s3://b/k").as_deref(), Some("section"));
        assert_eq!(place.id("s3://other/k").as_deref(), Some("global"));
        let place = keys(place, "Acquire::s3::b", "bucket");
        assert_eq!(place.id("s3://b/k").as_deref(), Some("bucket"));
        assert_eq!(place.id("s3://uri:s@b/k").as_deref(), Some("uri"));
        assert_eq!(
            place.settings("s3://b/k").unwrap().region.as_deref(),
            Some("r-section")
        );
        assert_eq!(
            place
                .settings("s3://b.s3.r-uri.amazonaws.com/k")
                .unwrap()
                .region
                .as_deref(),
            Some("r-uri")
        );
    }

    #[test]
    fn a_broken_file_is_an_error_and_a_missing_one_is_not() {
        assert_eq!(Place::new().id("s3://b/k"), None);
        let broken = Place::new()
            .file("s3auth.conf", "nonsense\n")
            .settings("s3://b/k")
            .unwrap_err();
        assert!(broken.contains("s3auth.conf:1: "), "{broken}");
        let broken = Place::new()
            .file("auth.conf.d/a.conf", "machine s3://b login x\n")
            .settings("s3://b/k")
            .unwrap_err();
        assert!(broken.contains("a.conf:1: "), "{broken}");
        let unreadable = Place::new();
        fs::create_dir(unreadable.folder.path().join("s3auth.conf")).unwrap();
        assert!(
            unreadable
                .settings("s3://b/k")
                .unwrap_err()
                .contains("s3auth.conf")
        );
    }

    #[test]
    fn a_store_in_the_uri_is_the_endpoint() {
        let place = Place::new().item("Acquire::s3::Endpoint", "http://minio:9000");
        assert_eq!(
            place.settings("s3://b/k").unwrap().endpoint.as_deref(),
            Some("http://minio:9000")
        );
        assert_eq!(
            place
                .settings("s3://minio:9000/b/k")
                .unwrap()
                .endpoint
                .as_deref(),
            Some("http://minio:9000")
        );
        assert_eq!(
            place
                .settings("s3://other:1/b/k")
                .unwrap()
                .endpoint
                .as_deref(),
            Some("other:1")
        );
        assert_eq!(
            place
                .settings("s3://b.s3.eu-west-1.amazonaws.com/k")
                .unwrap()
                .endpoint
                .as_deref(),
            Some("http://minio:9000")
        );
    }

    #[test]
    fn the_account_names_every_source() {
        let sources = Place::new().sources();
        let account = sources.account("b", "environment: not set; instance metadata: no answer");
        for part in [
            "Acquire::s3::b",
            "s3auth.conf: does not exist",
            "auth.conf",
            "environment: not set",
            "instance metadata: no answer",
        ] {
            assert!(account.contains(part), "{account}");
        }
    }
}
