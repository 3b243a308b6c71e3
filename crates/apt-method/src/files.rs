//! The files with keys and passwords: where apt's configuration says that they are, and what is in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::config::Config;

/// Where `s3auth.conf` is if the configuration does not say.
const AUTH_CONF: &str = "/etc/apt/s3auth.conf";

/// `Acquire::s3::AuthConf`; a relative one lies in `Dir::Etc`.
pub fn auth_conf(config: &Config) -> PathBuf {
    match config.get("Acquire::s3::AuthConf") {
        Some(path) if Path::new(path).is_absolute() => PathBuf::from(path),
        Some(path) => config
            .path("Dir::Etc")
            .unwrap_or_else(|| "/etc/apt".into())
            .join(path),
        None => PathBuf::from(AUTH_CONF),
    }
}

/// apt's own files with passwords: `Dir::Etc::netrc`, and `*.conf` in `Dir::Etc::netrcparts` in the
/// order of their names.
pub fn netrc(config: &Config) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> = config
        .path("Dir::Etc::netrcparts")
        .and_then(|folder| fs::read_dir(folder).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
                && path.is_file()
        })
        .collect();
    parts.sort();
    config
        .path("Dir::Etc::netrc")
        .filter(|path| path.is_file())
        .into_iter()
        .chain(parts)
        .collect()
}

/// A file's text; `None` where there is no file.
///
/// # Errors
/// Why it cannot be read, with its path.
pub fn read_optional(path: &Path) -> Result<Option<String>, String> {
    match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| format!("{} is not UTF-8", path.display())),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
