//! Variables of the environment. One that is empty counts as not set, as CI systems set those that have no value.
//!
//! They are read here and not by the parser of the command line: an option then wins over a variable that contradicts it, and no
//! help, usage error or `Debug` shows what they hold.

use std::{env, ffi::OsString};

use crate::error::Error;

pub(crate) const REPO: &str = "DEBUCKET_REPO";
pub(crate) const SUITE: &str = "DEBUCKET_SUITE";
/// Public keys, or the path of a file with them.
pub(crate) const KEYRING: &str = "DEBUCKET_KEYRING";
/// The signing key, or its path.
pub(crate) const SIGN_KEY: &str = "DEBUCKET_SIGN_KEY";
/// The passphrase of the signing key.
pub(crate) const PASSPHRASE: &str = "DEBUCKET_SIGN_KEY_PASSPHRASE";

pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The value of a variable, as text.
pub(crate) fn text(name: &str) -> Option<String> {
    variable(name).and_then(|value| value.into_string().ok())
}

/// The value of a variable, in the form that its option takes.
pub(crate) fn parsed<T>(name: &str) -> Result<Option<T>, Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let Some(value) = variable(name) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .ok_or_else(|| Error::Usage(format!("{name} is not UTF-8")))?;
    let value = text.trim().parse();
    value
        .map(Some)
        .map_err(|error| Error::Usage(format!("{name}: {error}")))
}
