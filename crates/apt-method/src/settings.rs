//! The settings of a bucket, under the same names in apt's configuration and in `s3auth.conf`.
//!
//! Several places may speak of one bucket; [`Settings::over`] lays the nearer one over the farther.
//! Keys are taken from one place as a whole, so that an identifier from here is never paired with a
//! secret or a token from there.

use std::{path::PathBuf, time::Duration};

use aws_access::Keys;

use crate::config::{Config, parse_flag};
use crate::uri::Secret;

/// Defines [`Settings`] by a line for each: its name, its field, and how its value is read.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:literal $field:ident: $type:ty = $read:expr;)*) => {
        /// The names of all settings, as they are documented.
        pub const NAMES: &[&str] = &[$($name),*];

        /// What one place says about a bucket.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
        pub struct Settings {
            $($(#[$doc])* pub $field: Option<$type>,)*
        }

        impl Settings {
            /// Takes one setting. Its name may be in upper or lower case; an empty value unsets it.
            ///
            /// # Errors
            /// [`SettingError`] for an unknown name or a value that cannot be read.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
                let text = value.trim();
                $(if name.eq_ignore_ascii_case($name) {
                    let read = |text| $read(text).map_err(|must| SettingError::Value($name, must));
                    self.$field = if text.is_empty() { None } else { read(text)? };
                    return Ok(());
                })*
                Err(SettingError::Unknown(name.to_owned()))
            }

            /// Each of these, or where it says nothing the one of a place farther away.
            fn each_over(self, farther: Self) -> Self {
                Self { $($field: self.$field.or(farther.$field),)* }
            }
        }
    };
}

settings! {
    /// The identifier of the keys.
    "AccessKeyId" id: String = text;
    /// The secret of the keys.
    "SecretAccessKey" secret: Secret = secret;
    /// The token of temporary keys.
    "Token" token: Secret = secret;
    /// The region, `eu-west-1`.
    "Region" region: String = text;
    /// The store's URL; without a scheme it is https.
    "Endpoint" endpoint: String = text;
    /// Whether the bucket is in the path rather than in the host.
    "PathStyle" path_style: bool = flag;
    /// Whether AWS is reached at addresses with FIPS 140 cryptography.
    "UseFips" use_fips: bool = flag;
    /// Whether AWS is reached at addresses for IPv4 and IPv6.
    "UseDualstack" use_dualstack: bool = flag;
    /// The profile in the AWS configuration files.
    "Profile" profile: String = text;
    /// The role to assume, as an ARN. A plain name is that of the instance's own role, which needs
    /// no naming.
    "Role" role: String = text;
    /// What the role's trust policy wants as `sts:ExternalId`.
    "ExternalId" external_id: String = text;
    /// The name of the role's session, for the records of AWS.
    "RoleSessionName" role_session_name: String = text;
    /// Whether the metadata service of the instance is not asked.
    "MetadataDisabled" metadata_disabled: bool = flag;
    /// Whether the requester agrees to pay.
    "RequesterPays" requester_pays: bool = flag;
    /// The PEM file of the authorities to trust instead of the system's.
    "CAInfo" ca_info: PathBuf = path;
    /// The endpoint where AWS IoT Core gives keys to devices. The settings below are for it, too.
    "IotEndpoint" iot_endpoint: String = text;
    /// The alias of the role that the device takes on.
    "IotRoleAlias" iot_role_alias: String = text;
    /// The name of the device's thing, for the variables of the role's policies.
    "IotThing" iot_thing: String = text;
    /// The PEM file of the device's certificate.
    "IotCertificate" iot_certificate: PathBuf = path;
    /// The PEM file of its key.
    "IotPrivateKey" iot_private_key: PathBuf = path;
    /// The PEM file of the authorities to trust there instead of those in `CAInfo`.
    "IotCAFile" iot_ca_file: PathBuf = path;
    /// How long nothing may arrive.
    "Timeout" timeout: Duration = seconds;
    /// The proxy's URL, or `DIRECT`; it may hold a password.
    "Proxy" proxy: Secret = secret;
    /// The most bytes per second.
    "Dl-Limit" limit: u64 = kib_per_second;
}

fn text<E>(text: &str) -> Result<Option<String>, E> {
    Ok(Some(text.to_owned()))
}

fn secret<E>(text: &str) -> Result<Option<Secret>, E> {
    Ok(Some(Secret(text.to_owned())))
}

fn path<E>(text: &str) -> Result<Option<PathBuf>, E> {
    Ok(Some(text.into()))
}

fn flag(text: &str) -> Result<Option<bool>, &'static str> {
    parse_flag(text).map(Some).ok_or("\"true\" or \"false\"")
}

fn seconds(text: &str) -> Result<Option<Duration>, &'static str> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err("a number of seconds above 0"),
    }
}

/// Zero means no limit, as for apt's own methods.
fn kib_per_second(text: &str) -> Result<Option<u64>, &'static str> {
    let kib: u64 = text.parse().map_err(|_| "a number of KiB per second")?;
    Ok((kib > 0).then(|| kib.saturating_mul(1024)))
}

/// The block in apt's configuration whose items are `Iot…` here.
pub(crate) const IOT: &str = "IoT";

/// The settings that name files which only root may be able to read, by the last part of their names.
pub const FILES: [&str; 7] = [
    "CAInfo",
    "IotCertificate",
    "IotPrivateKey",
    "IotCAFile",
    "Certificate",
    "PrivateKey",
    "CAFile",
];

/// Why a setting cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is none of this name.
    #[error("there is no setting {0:?}; there are {names}", names = NAMES.join(", "))]
    Unknown(String),
    /// The value is not what it must be.
    #[error("{0} must be {1}")]
    Value(&'static str, &'static str),
    /// Only one half of the keys.
    #[error("AccessKeyId and SecretAccessKey must be given together")]
    HalfKeys,
}

impl Settings {
    /// The settings directly below `prefix` in apt's configuration. Names that are not ours are
    /// left alone there: they may be those of other methods or of apt itself.
    ///
    /// # Errors
    /// A value that cannot be read, with its full name.
    pub fn from_config(config: &Config, prefix: &str) -> Result<Self, String> {
        let mut settings = Self::default();
        let items = config
            .below(prefix)
            .map(|(name, value)| (name.to_owned(), value));
        let block = format!("{prefix}::{IOT}");
        let of_iot = config
            .below(&block)
            .map(|(name, value)| (format!("Iot{name}"), value));
        for (name, value) in items.chain(of_iot) {
            match settings.set(&name, value) {
                Ok(()) | Err(SettingError::Unknown(_)) => {}
                Err(error) => return Err(format!("{prefix}::{name}: {error}")),
            }
        }
        settings
            .check()
            .map_err(|error| format!("{prefix}: {error}"))?;
        Ok(settings)
    }

    /// The settings of one bucket in apt's configuration. There is none for a bucket called `iot`, where
    /// this would be the block of that name.
    ///
    /// # Errors
    /// As [`from_config`](Self::from_config).
    pub fn of_bucket(config: &Config, bucket: &str) -> Result<Self, String> {
        if bucket.eq_ignore_ascii_case(IOT) {
            return Ok(Self::default());
        }
        Self::from_config(config, &format!("Acquire::s3::{bucket}"))
    }

    /// The files that only root may be able to read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [
            &self.ca_info,
            &self.iot_certificate,
            &self.iot_private_key,
            &self.iot_ca_file,
        ]
        .into_iter()
        .flatten()
    }

    /// Whether anything is said about AWS IoT Core.
    pub fn names_a_device(&self) -> bool {
        *self != self.clone().without_device()
    }

    /// Leaves out what is said about AWS IoT Core.
    fn without_device(self) -> Self {
        Self {
            iot_endpoint: None,
            iot_role_alias: None,
            iot_thing: None,
            iot_certificate: None,
            iot_private_key: None,
            iot_ca_file: None,
            ..self
        }
    }

    /// Checks that the identifier and the secret are both given, or neither.
    ///
    /// # Errors
    /// [`SettingError::HalfKeys`].
    pub fn check(&self) -> Result<(), SettingError> {
        if self.id.is_some() == self.secret.is_some() {
            Ok(())
        } else {
            Err(SettingError::HalfKeys)
        }
    }

    pub fn keys(&self) -> Option<Keys> {
        Some(Keys {
            session_token: self.token.clone().map(|token| token.0),
            ..Keys::new(self.id.clone()?, self.secret.clone()?.0)
        })
    }

    /// Settings that hold only keys.
    pub fn from_keys(keys: Keys) -> Self {
        Self {
            id: Some(keys.access_key_id),
            secret: Some(Secret(keys.secret_access_key)),
            token: keys.session_token.map(Secret),
            ..Self::default()
        }
    }

    /// These settings laid over those of a place farther from the repository. A role goes with the
    /// keys of its own place or of one farther away: keys that stand nearer than it are used as
    /// they are. Keys, a device and a profile that stand nearer are used instead of a device that is farther
    /// away, and a device instead of keys.
    #[must_use]
    pub fn over(mut self, mut farther: Self) -> Self {
        let is_device = self.names_a_device();
        if self.id.is_some() || self.profile.is_some() && !is_device {
            farther = farther.without_device();
        }
        if is_device {
            (farther.id, farther.role) = (None, None);
        }
        if self.id.is_some() {
            (farther.secret, farther.token, farther.role) = (None, None, None);
        } else {
            (self.secret, self.token) = (None, None);
        }
        if self.role.is_some() {
            (farther.external_id, farther.role_session_name) = (None, None);
        }
        self.each_over(farther)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(items: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (name, value) in items {
            settings.set(name, value).unwrap();
        }
        settings
    }

    #[test]
    fn names_have_no_case_and_empty_values_say_nothing() {
        let settings = settings(&[
            ("REGION", " eu-west-1 "),
            ("token", ""),
            ("dl-limit", "100"),
            ("Timeout", "5"),
            ("PathStyle", "False"),
        ]);
        assert_eq!(settings.region.as_deref(), Some("eu-west-1"));
        assert_eq!(settings.limit, Some(102_400));
        assert_eq!(settings.timeout, Some(Duration::from_secs(5)));
        assert_eq!(settings.path_style, Some(false));
        assert_eq!(settings.keys(), None);
    }

    #[test]
    fn says_what_is_wrong() {
        let mut settings = Settings::default();
        assert!(
            settings
                .set("AcessKeyId", "x")
                .unwrap_err()
                .to_string()
                .contains("AccessKeyId")
        );
        assert!(
            settings
                .set("Timeout", "soon")
                .unwrap_err()
                .to_string()
                .contains("seconds")
        );
        assert!(settings.set("PathStyle", "perhaps").is_err());
        settings.set("AccessKeyId", "x").unwrap();
        assert_eq!(settings.check(), Err(SettingError::HalfKeys));
    }

    #[test]
    fn keys_of_two_places_are_never_mixed() {
        let near = settings(&[("AccessKeyId", "near"), ("SecretAccessKey", "n")]);
        let far = settings(&[
            ("AccessKeyId", "far"),
            ("SecretAccessKey", "f"),
            ("Token", "t"),
            ("Region", "r"),
            ("Role", "arn:aws:iam::1:role/x"),
        ]);
        let both = near.over(far.clone());
        assert_eq!(both.keys(), Some(Keys::new("near", "n")));
        assert_eq!(both.region.as_deref(), Some("r"));
        assert_eq!(both.role, None);
        let both = settings(&[("Region", "q"), ("Role", "arn:aws:iam::1:role/y")]).over(far);
        assert_eq!(
            (
                both.keys().unwrap().access_key_id,
                both.region.unwrap(),
                both.role.unwrap()
            ),
            ("far".into(), "q".into(), "arn:aws:iam::1:role/y".into())
        );
    }

    #[test]
    fn a_device_and_other_identities_are_used_where_they_stand_nearer() {
        let keys = || settings(&[("AccessKeyId", "k"), ("SecretAccessKey", "s")]);
        let device = || settings(&[("IotRoleAlias", "alias"), ("IotThing", "thing")]);
        let profile = || settings(&[("Profile", "p")]);
        let nobody = Settings::default;
        let has = |settings: Settings| (settings.keys().is_some(), settings.names_a_device());
        assert_eq!(has(keys().over(device())), (true, false));
        assert_eq!(has(device().over(keys())), (false, true));
        assert_eq!(has(profile().over(device())), (false, false));
        assert_eq!(has(nobody().over(device()).over(keys())), (false, true));
        let other = settings(&[("IotRoleAlias", "other")]).over(device());
        assert_eq!(other.iot_role_alias.as_deref(), Some("other"));
        assert_eq!(other.iot_thing.as_deref(), Some("thing"));
    }

    #[test]
    fn iot_below_the_method_is_a_block_and_no_bucket() {
        let mut config = Config::default();
        config.set("Acquire::s3::IoT::Endpoint", "everywhere");
        config.set("Acquire::s3::b::IoT::Endpoint", "for b");
        let endpoint = |settings: Result<Settings, String>| {
            let settings = settings.unwrap();
            (settings.iot_endpoint, settings.endpoint)
        };
        let of_all = Settings::from_config(&config, "Acquire::s3");
        assert_eq!(endpoint(of_all), (Some("everywhere".into()), None));
        let of_bucket = |name| endpoint(Settings::of_bucket(&config, name));
        assert_eq!(of_bucket("b"), (Some("for b".into()), None));
        assert_eq!(of_bucket("iot"), (None, None));
    }

    #[test]
    fn apts_configuration_may_hold_more_than_ours() {
        let mut config = Config::default();
        for (key, value) in [
            ("Acquire::s3::Region", "a"),
            ("Acquire::s3::Pipeline-Depth", "5"),
            ("Acquire::s3::bucket::Region", "b"),
            ("Acquire::s3::x::Timeout", "z"),
        ] {
            config.set(key, value);
        }
        assert_eq!(
            Settings::from_config(&config, "Acquire::s3")
                .unwrap()
                .region
                .as_deref(),
            Some("a")
        );
        assert_eq!(
            Settings::from_config(&config, "Acquire::s3::bucket")
                .unwrap()
                .region
                .as_deref(),
            Some("b")
        );
        assert!(
            Settings::from_config(&config, "Acquire::s3::x")
                .unwrap_err()
                .starts_with("Acquire::s3::x::Timeout")
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!(
            "{:?}",
            settings(&[
                ("SecretAccessKey", "hunter2"),
                ("Token", "hunter3"),
                ("Proxy", "http://me:hunter4@p")
            ])
        );
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
