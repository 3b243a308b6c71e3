//! What can be said about a bucket, under the same names in apt's configuration and in
//! `s3auth.conf`.
//!
//! Several places may speak of one bucket; [`Settings::over`] lays the nearer one over the farther.
//! Keys are taken from one place as a whole, so that an identifier from here is never paired with a
//! secret or a token from there.

use std::time::Duration;

use crate::config::{Config, parse_flag};
use crate::uri::{Keys, Secret};

/// The names of all settings, as they are documented.
pub const NAMES: [&str; 11] = [
    "AccessKeyId",
    "SecretAccessKey",
    "Token",
    "Region",
    "Endpoint",
    "PathStyle",
    "Profile",
    "Role",
    "Timeout",
    "Proxy",
    "Dl-Limit",
];

/// What one place says about a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The parts of the keys, as far as they are there.
    id: Option<String>,
    secret: Option<Secret>,
    token: Option<Secret>,
    /// The region, `eu-west-1`.
    pub region: Option<String>,
    /// The store's URL; without a scheme it is https.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path rather than in the host.
    pub path_style: Option<bool>,
    /// The profile in the AWS configuration files.
    pub profile: Option<String>,
    /// The role to assume, as an ARN. A plain name is that of the instance's own role, which needs
    /// no naming.
    pub role: Option<String>,
    /// How long nothing may arrive.
    pub timeout: Option<Duration>,
    /// The proxy's URL, or `DIRECT`; it may hold a password.
    pub proxy: Option<Secret>,
    /// The most bytes per second.
    pub limit: Option<u64>,
}

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
    /// Takes one setting; the name has no case, an empty value says nothing.
    ///
    /// # Errors
    /// [`SettingError`] for an unknown name or a value that cannot be read.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        let text = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        let Some(known) = NAMES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(name))
        else {
            return Err(SettingError::Unknown(name.to_owned()));
        };
        match known {
            "AccessKeyId" => self.id = text,
            "SecretAccessKey" => self.secret = text.map(Secret),
            "Token" => self.token = text.map(Secret),
            "Region" => self.region = text,
            "Endpoint" => self.endpoint = text,
            "Profile" => self.profile = text,
            "Role" => self.role = text,
            "Proxy" => self.proxy = text.map(Secret),
            "PathStyle" => {
                self.path_style = text
                    .map(|word| {
                        parse_flag(&word)
                            .ok_or(SettingError::Value("PathStyle", "\"true\" or \"false\""))
                    })
                    .transpose()?;
            }
            "Timeout" => {
                let seconds = number(text.as_deref(), "Timeout", "a number of seconds above 0")?;
                self.timeout = seconds.map(Duration::from_secs);
            }
            // Zero means no limit, as for apt's own methods.
            _ => {
                self.limit = number(
                    text.as_deref().filter(|text| *text != "0"),
                    "Dl-Limit",
                    "a number of KiB per second",
                )?
                .map(|kib| kib.saturating_mul(1024))
            }
        }
        Ok(())
    }

    /// The settings directly below `prefix` in apt's configuration. Names that are not ours are
    /// left alone there: they may be those of other methods or of apt itself.
    ///
    /// # Errors
    /// A value that cannot be read, with its full name.
    pub fn from_config(config: &Config, prefix: &str) -> Result<Self, String> {
        let mut settings = Self::default();
        for (name, value) in config.below(prefix) {
            match settings.set(name, value) {
                Ok(()) | Err(SettingError::Unknown(_)) => {}
                Err(error) => return Err(format!("{prefix}::{name}: {error}")),
            }
        }
        settings
            .check()
            .map_err(|error| format!("{prefix}: {error}"))?;
        Ok(settings)
    }

    /// That the keys are whole.
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
            id: self.id.clone()?,
            secret: self.secret.clone()?,
            token: self.token.clone(),
        })
    }

    /// Settings that hold only keys.
    pub fn from_keys(keys: Keys) -> Self {
        Self {
            id: Some(keys.id),
            secret: Some(keys.secret),
            token: keys.token,
            ..Self::default()
        }
    }

    /// These settings laid over those of a place farther from the repository. A role goes with the
    /// keys of its own place or of one farther away: keys that stand nearer than it are used as
    /// they are.
    #[must_use]
    pub fn over(self, farther: Self) -> Self {
        let own_keys = self.id.is_some();
        let (id, secret, token) = if own_keys {
            (self.id, self.secret, self.token)
        } else {
            (farther.id, farther.secret, farther.token)
        };
        Self {
            id,
            secret,
            token,
            region: self.region.or(farther.region),
            endpoint: self.endpoint.or(farther.endpoint),
            path_style: self.path_style.or(farther.path_style),
            profile: self.profile.or(farther.profile),
            role: self.role.or(if own_keys { None } else { farther.role }),
            timeout: self.timeout.or(farther.timeout),
            proxy: self.proxy.or(farther.proxy),
            limit: self.limit.or(farther.limit),
        }
    }
}

fn number(
    text: Option<&str>,
    name: &'static str,
    what: &'static str,
) -> Result<Option<u64>, SettingError> {
    text.map(|text| {
        text.parse::<u64>()
            .ok()
            .filter(|number| *number > 0)
            .ok_or(SettingError::Value(name, what))
    })
    .transpose()
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
        assert_eq!(
            both.keys(),
            Some(Keys {
                id: "near".into(),
                secret: Secret("n".into()),
                token: None
            })
        );
        assert_eq!(both.region.as_deref(), Some("r"));
        assert_eq!(both.role, None);
        let both = settings(&[("Region", "q"), ("Role", "arn:aws:iam::1:role/y")]).over(far);
        assert_eq!(
            (
                both.keys().unwrap().id,
                both.region.unwrap(),
                both.role.unwrap()
            ),
            ("far".into(), "q".into(), "arn:aws:iam::1:role/y".into())
        );
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
