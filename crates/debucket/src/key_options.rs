//! Options about keys: those that sign, and those whose signatures are accepted.
//!
//! A signing key comes from a file (`--sign-key`, armored or binary) or from `DEBUCKET_SIGN_KEY`, which holds either the key
//! itself, as the secrets of CI systems do, or several, or the path of a file. The variables with secrets are read here and not by the parser
//! of the command line, so that no help text, no usage error and no `Debug` can show them.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::PathBuf,
};

use clap::Args;
use deb_index::name::SuiteName;
use jiff::Timestamp;
use repo_signing::{Certificate, KeyFile, Keyring, Passphrase, Signer, looks_like_key};
use repository::{Keys, key_expiry};

use crate::{
    environment::{self, KEYRING, PASSPHRASE, SIGN_KEY},
    error::Error,
    printer::Printer,
};

/// The keys that sign.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Signing")]
pub struct KeyOptions {
    /// OpenPGP secret key that signs the suite, armored or binary; repeated for a suite that several keys sign [env:
    /// DEBUCKET_SIGN_KEY, the keys themselves or the path of a key's file]
    #[arg(long, value_name = "FILE")]
    pub sign_key: Vec<PathBuf>,
    /// File whose first line is the key's passphrase; repeated, in any order, if the keys have different ones [env:
    /// DEBUCKET_SIGN_KEY_PASSPHRASE, the passphrase itself]
    #[arg(long, value_name = "FILE")]
    pub sign_key_passphrase_file: Vec<PathBuf>,
}

/// Keys whose signatures are accepted.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Signing")]
pub struct TrustOptions {
    /// Accept signatures by the public keys in this file, armored or binary; can be repeated [env: DEBUCKET_KEYRING, the keys
    /// themselves or the path of their file]
    #[arg(long, value_name = "FILE")]
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
    /// Publish without a signature; devices must be configured to trust the suite
    #[arg(long, conflicts_with = "sign_key")]
    unsigned: bool,
}

/// The variables of the environment, or a test's.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl SigningOptions {
    /// The keys for changing `suite`. `--unsigned` wins over a key that only the environment has.
    pub(crate) fn keys(&self, suite: &SuiteName) -> Result<Keys, Error> {
        self.keys_with(suite, &environment::variable)
    }

    fn keys_with(&self, suite: &SuiteName, variables: Variables<'_>) -> Result<Keys, Error> {
        if self.unsigned {
            return Ok(Keys::Unsigned);
        }
        let mut signers: Vec<Box<dyn Signer>> = Vec::new();
        for key in self.key.read(variables)? {
            let mut others = signers.iter().map(|other| other.certificate());
            if !others.any(|other| other.fingerprint() == key.certificate().fingerprint()) {
                signers.push(Box::new(key));
            }
        }
        if signers.is_empty() {
            return Err(Error::Repository(repository::Error::NoSigner {
                suite: suite.clone(),
                is_signed: false,
                keys: Vec::new(),
            }));
        }
        Ok(Keys::Sign {
            signers,
            further: self.trust.keyring(variables)?,
        })
    }
}

/// Whose signatures are accepted on a suite that packages are taken from.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceTrust {
    /// Accept signatures on the suite to read by the public keys in this file only, armored or binary; can be repeated [default:
    /// --sign-key and --keyring]
    #[arg(long, value_name = "FILE", conflicts_with = "from_unsigned")]
    from_keyring: Vec<PathBuf>,
    /// Take packages from a suite that is not signed
    #[arg(long)]
    pub(crate) from_unsigned: bool,
}

impl SigningOptions {
    /// The keys for reading a suite that packages are taken from, into one that is changed with `keys`.
    pub(crate) fn source_keys(&self, source: &SourceTrust, keys: &Keys) -> Result<Keys, Error> {
        let no_variables: Variables<'_> = &|_| None;
        let (trust, variables) = match (&source.from_keyring[..], keys) {
            _ if source.from_unsigned => return Ok(Keys::Unsigned),
            ([], Keys::Unsigned) => (&self.trust.keyring, &environment::variable as Variables<'_>),
            ([], _) => return Ok(keys.for_reading()),
            (_, _) => (&source.from_keyring, no_variables),
        };
        let trust = TrustOptions {
            keyring: trust.clone(),
        };
        let keyring = trust.keyring(variables)?;
        Ok(if keyring.certificates.is_empty() {
            Keys::Unsigned
        } else {
            Keys::Verify(keyring)
        })
    }
}

impl KeyOptions {
    /// The key, if one was given.
    pub(crate) fn key(&self) -> Result<Option<KeyFile>, Error> {
        let mut keys = self.read(&environment::variable)?;
        let key = keys.pop();
        if !keys.is_empty() {
            return Err(Error::Usage(
                "several signing keys were given where one is needed: name one with --sign-key FILE".to_owned(),
            ));
        }
        Ok(key)
    }

    /// The keys, in the order in which they were given.
    fn read(&self, variables: Variables<'_>) -> Result<Vec<KeyFile>, Error> {
        let variable = variables(SIGN_KEY).filter(|_| self.sign_key.is_empty());
        if variable.is_none() && self.sign_key.is_empty() {
            return Ok(Vec::new());
        }
        let files = self.sign_key_passphrase_file.iter();
        let mut passphrases = files
            .map(passphrase_in)
            .collect::<Result<Vec<_>, Error>>()?;
        if passphrases.is_empty() {
            passphrases.extend(passphrase(None, variables)?);
        }
        if let Some(value) = variable {
            let bytes = key_in_variable(SIGN_KEY, value)?;
            let keys = KeyFile::all_from_bytes(&bytes, &passphrases);
            let path = SIGN_KEY.to_owned();
            return keys.map_err(|source| Error::Key { path, source });
        }
        let key = |path: &PathBuf| {
            let key = KeyFile::from_bytes(&read(path)?, &passphrases);
            key.map_err(|source| Error::Key {
                path: path.display().to_string(),
                source,
            })
        };
        self.sign_key.iter().map(key).collect()
    }
}

/// The passphrase: the first line of `file`, otherwise the environment's.
pub(crate) fn passphrase_of(file: Option<&PathBuf>) -> Result<Option<Passphrase>, Error> {
    passphrase(file, &environment::variable)
}

fn passphrase(
    file: Option<&PathBuf>,
    variables: Variables<'_>,
) -> Result<Option<Passphrase>, Error> {
    if let Some(path) = file {
        return passphrase_in(path).map(Some);
    }
    Ok(variables(PASSPHRASE).map(|value| Passphrase::new(value.into_encoded_bytes())))
}

fn passphrase_in(path: &PathBuf) -> Result<Passphrase, Error> {
    let content = fs::read(path).map_err(Error::Passphrase)?;
    Ok(Passphrase::from_file_content(content))
}

impl TrustOptions {
    /// The keys of the options, otherwise those of the environment.
    fn keyring(&self, variables: Variables<'_>) -> Result<Keyring, Error> {
        let files = self.keyring.iter();
        let mut given = files
            .map(|path| Ok((path.display().to_string(), read(path)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        if given.is_empty()
            && let Some(value) = variables(KEYRING)
        {
            given.push((KEYRING.to_owned(), key_in_variable(KEYRING, value)?));
        }
        let mut certificates: Vec<Certificate> = Vec::new();
        for (path, bytes) in given {
            let keyring = Keyring::from_bytes(&bytes);
            let keyring = keyring.map_err(|source| Error::Keyring { path, source })?;
            certificates.extend(keyring.certificates);
        }
        Ok(certificates.into_iter().collect())
    }

    /// The keys for reading and, if `key` is given, for signing.
    pub(crate) fn keys_and(&self, key: &KeyOptions) -> Result<Keys, Error> {
        let own = key.read(&environment::variable)?;
        if own.is_empty() {
            return self.keys();
        }
        let signers = own.into_iter().map(|key| Box::new(key) as Box<dyn Signer>);
        Ok(Keys::Sign {
            signers: signers.collect(),
            further: self.keyring(&environment::variable)?,
        })
    }

    /// The keys for reading: those of the keyring and the signing key. Without any, signatures are not checked.
    pub(crate) fn keys(&self) -> Result<Keys, Error> {
        self.keys_with(&environment::variable)
    }

    fn keys_with(&self, variables: Variables<'_>) -> Result<Keys, Error> {
        let own = KeyOptions::default().read(variables)?;
        let further = self.keyring(variables)?.certificates;
        if own.is_empty() && further.is_empty() {
            return Ok(Keys::Unchecked);
        }
        let own = own.iter().map(|key| key.certificate().clone());
        Ok(Keys::Verify(further.into_iter().chain(own).collect()))
    }
}

/// Warns if a key of the certificate that can sign expires soon or has expired.
#[expect(
    clippy::disallowed_methods,
    reason = "no store is asked here: this machine's clock is the only one at hand"
)]
pub(crate) fn warn_of_expiry(printer: &Printer, certificate: &Certificate) {
    let now = Timestamp::now();
    for key in certificate.signing_keys() {
        if let Some(warning) = key_expiry(certificate, key, now) {
            printer.warn(warning);
        }
    }
}

/// The key in the variable, or in the file that it names. The value may be a secret in a form that is not known, so no error
/// shows it.
fn key_in_variable(name: &'static str, value: OsString) -> Result<Vec<u8>, Error> {
    if looks_like_key(value.as_encoded_bytes()) {
        return Ok(value.into_encoded_bytes());
    }
    // A path, perhaps with the newline of the file that the variable was set from.
    let path = value
        .to_str()
        .map_or(value.as_os_str(), |text| OsStr::new(text.trim_end()));
    fs::read(path).map_err(|error| Error::KeyVariable {
        name,
        problem: error.kind(),
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
        let with_newline = format!("{}\n", path.display());
        for value in [
            OsString::from(key.secret.as_str()),
            path.into_os_string(),
            with_newline.into(),
        ] {
            let variables = |name: &str| (name == SIGN_KEY).then(|| value.clone());
            let keys = SigningOptions::default()
                .keys_with(&suite(), &variables)
                .unwrap();
            let Keys::Sign { signers, .. } = keys else {
                panic!("{keys:?}")
            };
            assert_eq!(
                signers[0].certificate().fingerprint(),
                key.certificate.fingerprint()
            );
            assert!(matches!(
                TrustOptions::default().keys_with(&variables),
                Ok(Keys::Verify(_))
            ));
            let unsigned = SigningOptions {
                unsigned: true,
                ..SigningOptions::default()
            };
            assert!(matches!(
                unsigned.keys_with(&suite(), &variables),
                Ok(Keys::Unsigned)
            ));
        }
    }

    #[test]
    fn several_keys_sign_each_once_and_open_with_their_own_passphrases() {
        let [first, second] = ["one", "two"].map(|passphrase| key(Some(passphrase)));
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let files = [("a", &first), ("b", &second), ("c", &first)];
        let sign_key = files.map(|(name, key)| file(name, &key.secret)).to_vec();
        let sign_key_passphrase_file = vec![file("two", "two\n"), file("one", "one\n")];
        let value = OsString::from([first.secret.as_str(), &second.secret].concat());
        for (sign_key, variable) in [(sign_key, None), (Vec::new(), Some(value))] {
            let options = SigningOptions {
                key: KeyOptions {
                    sign_key,
                    sign_key_passphrase_file: sign_key_passphrase_file.clone(),
                },
                ..SigningOptions::default()
            };
            let variables = |name: &str| variable.clone().filter(|_| name == SIGN_KEY);
            let keys = options.keys_with(&suite(), &variables).unwrap();
            let keys: Vec<_> = keys
                .certificates()
                .iter()
                .map(|key| key.fingerprint)
                .collect();
            assert_eq!(
                keys,
                [&first, &second].map(|key| key.certificate.fingerprint())
            );
        }
    }

    #[test]
    fn an_unreadable_variable_is_never_shown() {
        let variables =
            |name: &str| (name == SIGN_KEY).then(|| OsString::from("bGl0dGxlIHNlY3JldA=="));
        let error = SigningOptions::default()
            .keys_with(&suite(), &variables)
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
            sign_key_passphrase_file: vec![file],
            ..KeyOptions::default()
        };
        assert_eq!(from_file.read(&only_key).unwrap().len(), 1);
        assert_eq!(KeyOptions::default().read(&both).unwrap().len(), 1);
        assert!(matches!(
            KeyOptions::default().read(&only_key),
            Err(Error::Key { .. })
        ));
    }

    #[test]
    fn without_a_word_there_is_no_signing_and_no_check() {
        let nothing = |_: &str| None;
        let signing = SigningOptions::default().keys_with(&suite(), &nothing);
        assert!(matches!(
            signing,
            Err(Error::Repository(repository::Error::NoSigner {
                is_signed: false,
                ..
            }))
        ));
        assert!(matches!(
            TrustOptions::default().keys_with(&nothing),
            Ok(Keys::Unchecked)
        ));
    }
}
