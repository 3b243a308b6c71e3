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

/// The two files, or their text.
#[derive(Clone, Default)]
pub enum SharedFiles {
    /// They are read whenever something of them is needed.
    #[default]
    Unread,
    /// What was in them when they were read. Never shown: it holds keys.
    Read {
        /// The text of `config`.
        config: Arc<str>,
        /// The text of `credentials`.
        credentials: Arc<str>,
    },
}

impl fmt::Debug for SharedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unread => "Unread",
            Self::Read { .. } => "Read(..)",
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
            path.map_or_else(|| Ok("".into()), |path| read(&path))
        };
        Ok(Self::Read {
            config: text("AWS_CONFIG_FILE", "config")?,
            credentials: text("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
        })
    }

    /// Where the SDK finds them.
    pub(crate) fn source(&self) -> EnvConfigFiles {
        match self {
            Self::Unread => on_demand(),
            Self::Read {
                config,
                credentials,
            } => EnvConfigFiles::builder()
                .with_contents(Kind::Config, &**config)
                .with_contents(Kind::Credentials, &**credentials)
                .build(),
        }
    }

    /// Whether keys of some profile are made later, by what their reader may then have no right to
    /// use, or are replaced later in the file.
    pub fn make_keys_later(&self) -> bool {
        MADE_LATER.iter().any(|key| !self.values(key).is_empty())
    }

    /// The values of all profiles.
    pub fn values(&self, key: &str) -> Vec<String> {
        let Some(all) = self.profiles(None) else {
            return Vec::new();
        };
        let profiles = all.profiles().filter_map(|name| all.get_profile(name));
        profiles
            .filter_map(|profile| Some(profile.get(key)?.to_owned()))
            .collect()
    }

    /// A value of a profile; `None` for the name is the one of `AWS_PROFILE`, or `default`.
    pub fn value(&self, profile: Option<&str>, key: &str) -> Option<String> {
        self.profiles(profile)?.get(key).map(str::to_owned)
    }

    /// What was read, as the SDK understands it.
    fn profiles(&self, name: Option<&str>) -> Option<ProfileSet> {
        let (fs, env, files) = (Fs::real(), Env::real(), self.source());
        let name = profile(name).map(|name| name.to_owned().into());
        // What is in memory is there at once.
        load(&fs, &env, &files, name).now_or_never()?.ok()
    }
}

fn read(path: &Path) -> Result<Arc<str>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok("".into()),
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
