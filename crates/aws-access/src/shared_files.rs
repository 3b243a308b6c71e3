//! The shared configuration of the AWS tools: `~/.aws/config` and `~/.aws/credentials`
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>).

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_config::profile::{ProfileSet, load};
use aws_runtime::env_config::file::{EnvConfigFileKind as Kind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};
use futures::FutureExt as _;

use crate::{
    ConfigError,
    variables::{is_empty, profile, variable},
};

/// What makes a profile's keys out of something else than its own values: a program, a sign-on, a
/// token file. `aws_session_token` is among them because keys with one are soon replaced.
const MADE_LATER: [&str; 7] = [
    "aws_session_token",
    "credential_process",
    "login_session",
    "sso_account_id",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

/// The two files, or what was in them.
#[derive(Clone, Default)]
pub enum SharedFiles {
    /// They are read whenever something of them is needed.
    #[default]
    Unread,
    /// What was in them when they were read. Never shown: it holds keys.
    Read(Arc<Text>),
}

/// What was in both files.
pub struct Text {
    config: String,
    credentials: String,
    /// What the SDK makes of it; `None` where it does not understand it, which is reported when a profile is
    /// needed.
    profiles: Option<ProfileSet>,
}

impl fmt::Debug for SharedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unread => "Unread",
            Self::Read(_) => "Read(..)",
        })
    }
}

impl SharedFiles {
    /// Reads both, for a program that is about to lose the right to. `variable` gives the value of an
    /// environment variable, and the user's home as `HOME`. A file that is not there is empty.
    ///
    /// # Errors
    /// One that is there and cannot be read.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name: &str, file: &str| {
            let home = || variable("HOME").map(PathBuf::from);
            let path = match variable(name) {
                None => home().map(|home| home.join(".aws").join(file)),
                Some(path) => match path.strip_prefix("~/") {
                    Some(rest) => home().map(|home| home.join(rest)),
                    None => Some(path.into()),
                },
            };
            path.map_or_else(|| Ok(String::new()), |path| read(&path))
        };
        let mut text = Text {
            config: text("AWS_CONFIG_FILE", "config")?,
            credentials: text("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
            profiles: None,
        };
        text.profiles = profiles(&text.source());
        Ok(Self::Read(Arc::new(text)))
    }

    /// Where the SDK finds them.
    pub(crate) fn source(&self) -> EnvConfigFiles {
        match self {
            Self::Unread => on_demand(),
            Self::Read(text) => text.source(),
        }
    }

    /// Whether keys of some profile are made later, by what their reader may then have no right to
    /// use, or are replaced later in the file.
    pub fn make_keys_later(&self) -> bool {
        MADE_LATER.iter().any(|key| !self.values(key).is_empty())
    }

    /// The values of all profiles.
    pub fn values(&self, key: &str) -> Vec<String> {
        self.look(|all| {
            let profiles = all.profiles().filter_map(|name| all.get_profile(name));
            profiles
                .filter_map(|profile| Some(profile.get(key)?.to_owned()))
                .collect()
        })
        .unwrap_or_default()
    }

    /// A value of a profile; `None` for the name is the one of `AWS_PROFILE`, or `default`.
    pub fn value(&self, profile: Option<&str>, key: &str) -> Option<String> {
        self.look(|all| {
            let value = match profile {
                Some(name) => all.get_profile(name)?.get(key),
                None => all.get(key),
            };
            value.map(str::to_owned)
        })?
    }

    /// Looks at the profiles; `None` where the files cannot be understood.
    pub(crate) fn look<T>(&self, see: impl FnOnce(&ProfileSet) -> T) -> Option<T> {
        match self {
            Self::Unread => profiles(&on_demand()).as_ref().map(see),
            Self::Read(text) => text.profiles.as_ref().map(see),
        }
    }
}

impl Text {
    fn source(&self) -> EnvConfigFiles {
        EnvConfigFiles::builder()
            .with_contents(Kind::Config, &self.config)
            .with_contents(Kind::Credentials, &self.credentials)
            .build()
    }
}

/// The profiles of both files as the SDK understands them.
fn profiles(files: &EnvConfigFiles) -> Option<ProfileSet> {
    let name = profile(None).map(|name| name.to_owned().into());
    // Nothing of it waits for anything.
    load(&Fs::real(), &Env::real(), files, name)
        .now_or_never()?
        .ok()
}

fn read(path: &Path) -> Result<String, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => {
            let message = format!("the AWS configuration file {path:?} cannot be read");
            Err(ConfigError::because(message, error))
        }
    }
}

/// The shared configuration files. The SDK would take an empty variable for the path of one.
fn on_demand() -> EnvConfigFiles {
    use Kind::{Config, Credentials};
    let usual = |name| {
        let path = PathBuf::from(variable("HOME")?).join(".aws").join(name);
        path.is_file().then_some(path)
    };
    let is_empty = ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"].map(is_empty);
    let mut files = EnvConfigFiles::builder()
        .include_default_config_file(!is_empty[0])
        .include_default_credentials_file(!is_empty[1]);
    for (kind, name, is_empty) in [
        (Config, "config", is_empty[0]),
        (Credentials, "credentials", is_empty[1]),
    ] {
        if is_empty {
            files = match usual(name) {
                Some(path) => files.with_file(kind, path),
                None => files.with_contents(kind, ""),
            };
        }
    }
    files.build()
}
