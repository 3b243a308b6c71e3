//! Everything that says how a bucket is reached, from the nearest place to the farthest:
//!
//! 1. keys and region in the URI itself
//! 2. `Acquire::s3::<bucket>::X` in apt's configuration
//! 3. the `[bucket]` section of `s3auth.conf`, then `auth.conf` and `auth.conf.d`
//! 4. `Acquire::s3::X`
//! 5. `s3auth.conf` before its sections
//! 6. the AWS environment variables, the shared profile, containers and instance metadata, in the
//!    order of the AWS CLI; these are [`s3_storage`]'s part, except for the profile.
//!
//! All files are read at once, when apt has sent its configuration, because afterwards the method
//! gives up root's rights and can read them no more. That holds for root's `~/.aws` too, so a
//! profile with keys is taken from there here. A file that is there but cannot be read or
//! understood is an error for every item that it could be about; it is never passed over.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::authconf::{AuthConf, Machines};
use crate::config::Config;
use crate::environment::Environment;
use crate::files;
use crate::profiles::Profiles;
use crate::settings::Settings;
use crate::uri::Location;

/// What was found, with apt's configuration.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    config: Config,
    environment: Environment,
    auth_path: PathBuf,
    auth: Option<AuthConf>,
    machines: Machines,
    profiles: Profiles,
    /// Why some file cannot be used.
    broken: Option<String>,
    /// Root's files are out of reach when credentials are asked for.
    rights_given_up: bool,
}

impl Sources {
    /// Reads all files that the configuration and the environment name.
    pub fn read(config: Config, environment: Environment) -> Self {
        let auth_path = files::auth_conf(&config);
        let mut sources = Self {
            auth_path,
            ..Self::default()
        };
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
        sources.profiles = Profiles::read(&environment);
        sources.rights_given_up = crate::sandbox::gives_up_rights(&config).is_some();
        sources.config = config;
        sources.environment = environment;
        sources
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Whether credentials may have to be asked from a program, which then must be allowed to run.
    pub fn may_run_a_program(&self) -> bool {
        self.profiles.name_a_program()
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
        let environment = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
            .map(|name| self.environment.get(name).map(str::to_owned));
        [global, auth]
            .into_iter()
            .chain(environment)
            .flatten()
            .any(|endpoint| endpoint_host(&endpoint).eq_ignore_ascii_case(host))
    }

    /// All that is said about the bucket of `location`.
    ///
    /// # Errors
    /// What is wrong with a file or a setting, and where.
    pub fn settings(&self, location: &Location) -> Result<Settings, String> {
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
        let of_bucket = Settings::from_config(&self.config, &format!("Acquire::s3::{bucket}"))?;
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
        let mut settings = in_uri
            .over(of_bucket)
            .over(section)
            .over(machine)
            .over(global)
            .over(auth);
        if let Some(store) = &location.store {
            // The host in the URI names the store; a configured endpoint for the same host says how
            // to speak to it.
            let spelled = settings
                .endpoint
                .take()
                .filter(|endpoint| endpoint_host(endpoint).eq_ignore_ascii_case(store));
            settings.endpoint = Some(spelled.unwrap_or_else(|| store.clone()));
        }
        self.with_profile(settings)
    }

    /// Lays `settings` over those of the profile that holds, as far as the environment says nothing
    /// nearer.
    fn with_profile(&self, mut settings: Settings) -> Result<Settings, String> {
        let environment = |name: &str| self.environment.get(name).is_some();
        let named = settings.profile.clone();
        let name = named
            .as_deref()
            .or(self.environment.get("AWS_PROFILE"))
            .unwrap_or("default");
        let Some(profile) = self.profiles.resolve(name) else {
            return Ok(settings);
        };
        // Otherwise the environment's own keys hold, which s3-storage reads.
        if settings.keys().is_none() && (named.is_some() || !environment("AWS_ACCESS_KEY_ID")) {
            if profile.needs_its_files && self.rights_given_up {
                return Err(format!(
                    "profile {name:?} gets its keys from a program, a sign-on or a token file, \
                     which only root may read here: put keys into s3auth.conf, or let this method \
                     run as root with Binary::s3::APT::Sandbox::User \"root\""
                ));
            }
            // Where s3-storage can read the profile, it assumes that role itself.
            let hidden = self.rights_given_up && !environment("AWS_CONFIG_FILE");
            let of_profile = profile.role.filter(|_| profile.keys.is_some() || hidden);
            let role = settings.role.take().or(of_profile);
            if let Some(keys) = profile.keys {
                settings = Settings::from_keys(keys).over(settings);
            }
            settings.role = role;
        }
        if !environment("AWS_REGION") && !environment("AWS_DEFAULT_REGION") {
            settings.region = settings.region.or(profile.region);
        }
        if !environment("AWS_ENDPOINT_URL_S3") && !environment("AWS_ENDPOINT_URL") {
            settings.endpoint = settings.endpoint.or(profile.endpoint);
        }
        Ok(settings)
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
        for path in &self.profiles.unusable {
            let _ = write!(account, "; {}: cannot be read", path.display());
        }
        let chain = chain.trim_end_matches('.');
        if !chain.is_empty() {
            let _ = write!(account, "; {chain}");
        }
        account
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
        environment: Vec<(String, String)>,
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
            Self {
                folder,
                config,
                environment: Vec::new(),
            }
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

        fn variable(mut self, name: &str, value: &str) -> Self {
            self.environment.push((name.into(), value.into()));
            self
        }

        fn home(self) -> Self {
            let home = self.folder.path().to_str().unwrap().to_owned();
            self.variable("HOME", &home)
        }

        fn sources(&self) -> Sources {
            Sources::read(
                self.config.clone(),
                self.environment.clone().into_iter().collect(),
            )
        }

        fn settings(&self, uri: &str) -> Result<Settings, String> {
            let sources = self.sources();
            let location =
                crate::uri::parse(uri.as_bytes(), true, |host| sources.is_store(host)).unwrap();
            sources.settings(&location)
        }

        fn id(&self, uri: &str) -> Option<String> {
            self.settings(uri).unwrap().keys().map(|keys| keys.id)
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
    fn keys_of_roots_profile_are_read_in_time() {
        let place = Place::new()
            .file(
                ".aws/credentials",
                "[default]\naws_access_key_id = file\naws_secret_access_key = s\n\
 [base]\naws_access_key_id=base\naws_secret_access_key=s\n",
            )
            .file(
                ".aws/config",
                "[default]\nregion = r-file\n\
 [profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = base\n s3 =\n\
 [sso-session x]\nregion = no\n",
            )
            .home();
        let settings = place.settings("s3://b/k").unwrap();
        assert_eq!(
            (
                settings.keys().unwrap().id.as_str(),
                settings.region.as_deref()
            ),
            ("file", Some("r-file"))
        );
        let place = place.item("Acquire::s3::b::Profile", "role");
        let settings = place.settings("s3://b/k").unwrap();
        assert_eq!(
            (
                settings.keys().unwrap().id.as_str(),
                settings.role.as_deref()
            ),
            ("base", Some("arn:aws:iam::1:role/x"))
        );
        let place = place
            .variable("AWS_ACCESS_KEY_ID", "env")
            .variable("AWS_REGION", "r-env");
        let settings = place.settings("s3://c/k").unwrap();
        assert_eq!(
            (settings.keys(), settings.region),
            (None, None),
            "the environment is nearer"
        );
        assert_eq!(
            place.id("s3://b/k").as_deref(),
            Some("base"),
            "unless a profile is named"
        );
    }

    #[test]
    fn a_profile_that_only_root_can_use_is_said_to_be_one() {
        let text = "[default]\ncredential_process = /bin/keys\n";
        let place = Place::new().file(".aws/config", text).home();
        assert!(place.sources().may_run_a_program());
        let place = place.item("APT::Sandbox::User", "nobody");
        if nix::unistd::getuid().is_root() {
            let error = place.settings("s3://b/k").unwrap_err();
            assert!(
                error.contains("default") && error.contains("Binary::s3"),
                "{error}"
            );
            let place = place.variable("AWS_ACCESS_KEY_ID", "env");
            assert_eq!(place.id("s3://b/k"), None, "the environment is nearer");
        } else {
            assert_eq!(
                place.id("s3://b/k"),
                None,
                "the SDK reads the profile itself"
            );
        }
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
