//! Options about keys: the one that signs, and those whose signatures are believed.
//!
//! The signing key comes from a file (`--sign-key`, armored or binary) or from `DEBUCKET_SIGN_KEY`,
//! which holds either the armored key itself, as the secrets of CI systems do, or the path of a
//! file. The variables with secrets are read here and not by the parser of the command line, so
//! that no help text, no usage error and no `Debug` can show them.

use std::{env, ffi::OsString, fs, path::PathBuf};

use clap::Args;
use deb_index::name::SuiteName;
use repo_signing::{Certificate, KeyFile, Keyring, Passphrase, Signer as _};

use crate::{cli::OutputOptions, commit::Signing, error::Error, snapshot::Trust};

/// Variable with the signing key, or its path.
const SIGN_KEY: &str = "DEBUCKET_SIGN_KEY";
/// Variable with the passphrase of the signing key.
const PASSPHRASE: &str = "DEBUCKET_SIGN_KEY_PASSPHRASE";

/// The key that signs.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Signing")]
pub struct KeyOptions {
    /// OpenPGP secret key, armored or binary [env: DEBUCKET_SIGN_KEY, the armored key itself or the
    /// path of a file]
    #[arg(long, value_name = "FILE")]
    pub sign_key: Option<PathBuf>,
    /// File whose first line is the key's passphrase [env: DEBUCKET_SIGN_KEY_PASSPHRASE, the
    /// passphrase itself]
    #[arg(long, value_name = "FILE")]
    pub sign_key_passphrase_file: Option<PathBuf>,
}

/// Keys that are believed.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Signing")]
pub struct TrustOptions {
    /// Public keys whose signatures are believed, armored or binary; can be repeated
    #[arg(long, value_name = "FILE", env = "DEBUCKET_KEYRING")]
    pub keyring: Vec<PathBuf>,
}

/// How a suite is signed.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Signing")]
pub struct SigningOptions {
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    trust: TrustOptions,
    /// Publish without a signature; devices must be told to trust the suite
    #[arg(long, conflicts_with = "sign_key")]
    unsigned: bool,
}

/// The variables of the environment, or a test's.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn environment(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

impl SigningOptions {
    /// How `suite` shall be signed. `--unsigned` wins over a key that only the environment has.
    ///
    /// # Errors
    /// [`Error::NoKey`] where nothing was said; files that hold no keys.
    pub fn signing(&self, suite: &SuiteName) -> Result<Signing, Error> {
        self.signing_with(suite, &environment)
    }

    fn signing_with(&self, suite: &SuiteName, variables: Variables<'_>) -> Result<Signing, Error> {
        if self.unsigned {
            return Ok(Signing::Unsigned);
        }
        let Some(key) = self.key.read(variables)? else {
            return Err(Error::NoKey {
                suite: suite.clone(),
                is_signed: false,
            });
        };
        Ok(Signing::Key {
            signer: Box::new(key),
            keyring: self.trust.keyring()?,
        })
    }
}

impl KeyOptions {
    /// The key, if one was given.
    ///
    /// # Errors
    /// [`Error::Key`] and [`Error::File`]: a key that cannot be used or read.
    pub fn key(&self) -> Result<Option<KeyFile>, Error> {
        self.read(&environment)
    }

    fn read(&self, variables: Variables<'_>) -> Result<Option<KeyFile>, Error> {
        let (path, bytes) = match (&self.sign_key, variables(SIGN_KEY)) {
            (Some(path), _) => (path.display().to_string(), read(path)?),
            (None, Some(value)) => (SIGN_KEY.to_owned(), key_in_variable(value)?),
            (None, None) => return Ok(None),
        };
        let passphrase = passphrase(self.sign_key_passphrase_file.as_ref(), variables)?;
        let key = KeyFile::from_bytes(&bytes, passphrase.as_ref());
        key.map(Some).map_err(|source| Error::Key { path, source })
    }
}

/// The passphrase: the first line of `file`, otherwise the environment's.
///
/// # Errors
/// [`Error::File`].
pub fn passphrase_of(file: Option<&PathBuf>) -> Result<Option<Passphrase>, Error> {
    passphrase(file, &environment)
}

fn passphrase(
    file: Option<&PathBuf>,
    variables: Variables<'_>,
) -> Result<Option<Passphrase>, Error> {
    if let Some(path) = file {
        return Ok(Some(Passphrase::from_file_content(read(path)?)));
    }
    Ok(variables(PASSPHRASE).map(|value| Passphrase::new(value.into_encoded_bytes())))
}

impl TrustOptions {
    fn keyring(&self) -> Result<Keyring, Error> {
        let mut certificates: Vec<Certificate> = Vec::new();
        for path in &self.keyring {
            let keyring = Keyring::from_bytes(&read(path)?);
            let keyring = keyring.map_err(|source| Error::Keyring {
                path: path.display().to_string(),
                source,
            })?;
            certificates.extend(keyring.certificates);
        }
        Ok(certificates.into_iter().collect())
    }

    /// Whose signatures are believed by a command that only reads: the keyring's and the signing
    /// key's. Where there is neither, signatures are not checked, and unless `output` wants silence
    /// that is said once.
    ///
    /// # Errors
    /// Files that hold no keys.
    pub fn trust(&self, output: &OutputOptions) -> Result<Trust, Error> {
        let trust = self.trust_with(&environment)?;
        if matches!(trust, Trust::Unchecked) && output.is_talkative() {
            eprintln!("note: no key was given (--keyring), so signatures are not checked");
        }
        Ok(trust)
    }

    fn trust_with(&self, variables: Variables<'_>) -> Result<Trust, Error> {
        let own = KeyOptions::default().read(variables)?;
        if own.is_none() && self.keyring.is_empty() {
            return Ok(Trust::Unchecked);
        }
        let own = own.map(|key| key.certificate().clone());
        Ok(Trust::Keyring(
            self.keyring()?
                .certificates
                .into_iter()
                .chain(own)
                .collect(),
        ))
    }
}

/// The key in the variable, or in the file that it names. The value may be a secret in a form that
/// we do not know, so no error shows it.
fn key_in_variable(value: OsString) -> Result<Vec<u8>, Error> {
    if repo_signing::looks_like_key(value.as_encoded_bytes()) {
        return Ok(value.into_encoded_bytes());
    }
    fs::read(&value).map_err(|error| {
        let reason = format!(
            "it is neither a key nor the path of a file that can be read ({})",
            error.kind()
        );
        Error::File {
            path: SIGN_KEY.to_owned(),
            source: std::io::Error::new(error.kind(), reason),
        }
    })
}

fn read(path: &PathBuf) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::File {
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use repo_signing::{KeyAlgorithm, SignatureTime, generate};

    use super::*;

    fn key(passphrase: Option<&str>) -> repo_signing::GeneratedKey {
        let passphrase = passphrase.map(Passphrase::new);
        generate(
            "Tester",
            KeyAlgorithm::Ed25519,
            SignatureTime::from_seconds(1_700_000_000),
            passphrase.as_ref(),
        )
        .unwrap()
    }

    fn suite() -> SuiteName {
        "stable".parse().unwrap()
    }

    #[test]
    fn the_variable_holds_the_key_or_its_path() {
        let key = key(None);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.asc");
        fs::write(&path, key.secret.as_bytes()).unwrap();
        for value in [OsString::from(key.secret.as_str()), path.into_os_string()] {
            let variables = |name: &str| (name == SIGN_KEY).then(|| value.clone());
            let signing = SigningOptions::default()
                .signing_with(&suite(), &variables)
                .unwrap();
            assert_eq!(
                signing.fingerprints(),
                [key.certificate.fingerprint().to_string()]
            );
            assert!(matches!(
                TrustOptions::default().trust_with(&variables),
                Ok(Trust::Keyring(_))
            ));
            let unsigned = SigningOptions {
                unsigned: true,
                ..SigningOptions::default()
            };
            assert!(matches!(
                unsigned.signing_with(&suite(), &variables),
                Ok(Signing::Unsigned)
            ));
        }
    }

    #[test]
    fn an_unreadable_variable_is_never_shown() {
        let variables =
            |name: &str| (name == SIGN_KEY).then(|| OsString::from("bGl0dGxlIHNlY3JldA=="));
        let error = SigningOptions::default()
            .signing_with(&suite(), &variables)
            .err()
            .unwrap();
        assert!(
            error.to_string().starts_with(SIGN_KEY)
                && !format!("{error} {error:?}").contains("bGl0"),
            "{error:?}"
        );
    }

    #[test]
    fn the_passphrase_comes_from_a_file_or_the_environment() {
        let key = key(Some("sesame"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passphrase");
        fs::write(&file, "sesame\n").unwrap();
        let secret = OsString::from(key.secret.as_str());
        let only_key = |name: &str| (name == SIGN_KEY).then(|| secret.clone());
        let both = |name: &str| {
            if name == PASSPHRASE {
                Some("sesame".into())
            } else {
                only_key(name)
            }
        };
        let from_file = KeyOptions {
            sign_key_passphrase_file: Some(file),
            ..KeyOptions::default()
        };
        assert!(from_file.read(&only_key).unwrap().is_some());
        assert!(KeyOptions::default().read(&both).unwrap().is_some());
        assert!(matches!(
            KeyOptions::default().read(&only_key),
            Err(Error::Key { .. })
        ));
    }

    #[test]
    fn without_a_word_there_is_no_signing_and_no_check() {
        let nothing = |_: &str| None;
        let signing = SigningOptions::default().signing_with(&suite(), &nothing);
        assert!(matches!(
            signing,
            Err(Error::NoKey {
                is_signed: false,
                ..
            })
        ));
        assert!(matches!(
            TrustOptions::default().trust_with(&nothing),
            Ok(Trust::Unchecked)
        ));
    }
}
