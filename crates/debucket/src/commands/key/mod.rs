//! `debucket key`: makes signing keys, gives out their public halves, and changes the keys that sign a suite.

mod list;
mod package;
mod rotation;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand, ValueEnum};
use repo_signing::{KeyAlgorithm, KeyFile, SignatureTime, Signer as _, generate};
use serde::Serialize;

use crate::{
    context::Context,
    error::Error,
    key_options::{KeyOptions, passphrase_of, warn_of_expiry},
    printer::Report,
};

/// How far a new key is dated back, in seconds: signatures have the store's time, and one that is
/// older than its key does not count.
const BACKDATED: i64 = 3600;
/// Mode of a file that only its owner may read.
const SECRET: u32 = 0o600;
/// Mode of a file for everyone: apt reads keys as a user without rights.
const PUBLIC: u32 = 0o644;

/// Make signing keys, and change those that sign a suite
#[derive(Debug, Args)]
pub struct Key {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key pair that signs a repository
    Generate(Generate),
    /// Print the public half of a secret key, for devices
    Export(Export),
    /// List the keys that sign a suite
    List(list::List),
    /// Sign a suite with one more key from now on, in addition to those that it has
    Add(rotation::Add),
    /// Sign a suite without one of its keys from now on
    Retire(rotation::Retire),
    /// Build a package with the certificates of a suite's keys, for devices
    Package(package::Package),
    /// Sign a suite with new keys, because those that it has are lost
    Reset(rotation::Reset),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  debucket key generate --user-id 'Acme <apt@acme.example>' --public-out acme.asc")]
struct Generate {
    /// Name of the key's owner, possibly with a mail address
    #[arg(long, visible_alias = "name", default_value = "APT repository")]
    user_id: String,
    /// Algorithm of the key
    #[arg(long, value_enum, default_value_t)]
    algorithm: Algorithm,
    /// Lock the secret key with the first line of this file [env: DEBUCKET_SIGN_KEY_PASSPHRASE, the
    /// passphrase itself]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Write the secret key here; an existing file is never overwritten
    #[arg(long, value_name = "FILE", default_value = "signing-key.asc")]
    out: PathBuf,
    /// Write the public key here as well
    #[arg(long, value_name = "FILE")]
    public_out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Algorithm {
    /// Small and fast; for all supported releases of Debian and Ubuntu
    #[default]
    Ed25519,
    /// For organisations whose rules require RSA
    Rsa4096,
}

#[derive(Debug, Args)]
struct Export {
    /// Write OpenPGP packets instead of armor
    #[arg(long)]
    binary: bool,
    /// Write to this file instead of standard output; an existing file is never overwritten
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    key: KeyOptions,
}

/// The JSON document of `debucket key generate`.
#[derive(Debug, Serialize)]
struct Generated {
    /// The key's fingerprint: 40 hexadecimal digits in upper case.
    fingerprint: String,
    user_id: String,
    /// Path of the secret key.
    secret_key: String,
    /// Path of the public key; null if none was written.
    public_key: Option<String>,
    /// The armored public key.
    armored: String,
    #[serde(skip)]
    is_locked: bool,
}

impl Key {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.action {
            Action::Generate(generate) => generate.run(context),
            Action::Export(export) => export.run(context),
            Action::List(list) => list.run(context).await,
            Action::Add(add) => add.run(context).await,
            Action::Retire(retire) => retire.run(context).await,
            Action::Package(package) => package.run(context).await,
            Action::Reset(reset) => reset.run(context).await,
        }
    }
}

impl Generate {
    fn run(self, context: &Context) -> Result<(), Error> {
        let passphrase = passphrase_of(self.passphrase_file.as_ref())?;
        let algorithm = match self.algorithm {
            Algorithm::Ed25519 => KeyAlgorithm::Ed25519,
            Algorithm::Rsa4096 => KeyAlgorithm::Rsa4096,
        };
        refuse_unwritable(&self.out)?;
        if let Some(path) = &self.public_out {
            refuse_unwritable(path)?;
        }
        let key = generate(
            &self.user_id,
            algorithm,
            creation_time(),
            passphrase.as_ref(),
        )?;
        // What cannot be read back would be found out when it is needed.
        KeyFile::from_bytes(key.secret.as_bytes(), passphrase.as_ref()).map_err(|source| {
            Error::Key {
                path: self.out.display().to_string(),
                source,
            }
        })?;
        if let Some(path) = &self.public_out {
            create(path, key.certificate.armored().as_bytes(), PUBLIC)?;
        }
        create(&self.out, key.secret.as_bytes(), SECRET)?;
        let generated = Generated {
            fingerprint: key.certificate.fingerprint().to_string(),
            user_id: self.user_id,
            secret_key: self.out.display().to_string(),
            public_key: self.public_out.map(|path| path.display().to_string()),
            armored: key.certificate.armored().to_owned(),
            is_locked: passphrase.is_some(),
        };
        context.printer.outcome(&generated, || {
            let Generated {
                fingerprint,
                secret_key,
                ..
            } = &generated;
            format!("the key {fingerprint} was made and is in {secret_key}")
        })
    }
}

impl Report for Generated {
    fn text(&self) -> String {
        let Self {
            is_locked,
            fingerprint,
            user_id,
            secret_key,
            public_key,
            ..
        } = self;
        let mut text =
            format!("made the key {fingerprint} ({user_id})\n  secret key: {secret_key}");
        text.push_str(if *is_locked {
            ", locked with the passphrase\n"
        } else {
            ", not locked: anyone who has the file can sign\n"
        });
        match public_key {
            Some(path) => text.push_str(&format!("  public key: {path}\n")),
            None => text.push_str(&format!(
                "  public key: debucket key export --sign-key {secret_key}\n"
            )),
        }
        text.push_str(&format!(
            "next:\n  keep a copy of {secret_key} in a safe place: without it the repository cannot be changed\n  \
             debucket publish PATH… --repo s3://BUCKET --sign-key {secret_key}\n  \
             debucket client-config --repo s3://BUCKET --key {}\n",
            public_key.as_ref().unwrap_or(secret_key)
        ));
        text
    }
}

impl Export {
    fn run(self, context: &Context) -> Result<(), Error> {
        let key = self.key.key()?.ok_or_else(|| {
            Error::Usage(
                "which key? Give its file with --sign-key FILE, or set DEBUCKET_SIGN_KEY"
                    .to_owned(),
            )
        })?;
        let certificate = key.certificate();
        warn_of_expiry(&context.printer, certificate);
        let bytes = if self.binary {
            certificate.binary()
        } else {
            certificate.armored().as_bytes()
        };
        match &self.out {
            Some(path) => create(path, bytes, PUBLIC),
            None if self.binary => context.printer.raw(bytes).map(drop),
            None => context.printer.text(certificate.armored()).map(drop),
        }
    }
}

/// The creation time of a new key.
#[expect(
    clippy::disallowed_methods,
    reason = "a key is made where no store is at hand: this machine's clock is the only one"
)]
fn creation_time() -> SignatureTime {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let seconds = i64::try_from(now)
        .unwrap_or(i64::MAX)
        .saturating_sub(BACKDATED);
    SignatureTime::try_from(seconds).unwrap_or(SignatureTime::from_seconds(0))
}

/// Stops before a key is made that could not be written. [`create`] is what keeps an existing file safe.
fn refuse_unwritable(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Error::Exists(path.display().to_string())),
        Err(_) => missing_folder(path).map_or(Ok(()), Err),
    }
}

/// That the folder of a file which is to be written is not there.
fn missing_folder(path: &Path) -> Option<Error> {
    let folder = path.parent()?;
    let is_missing = !folder.as_os_str().is_empty() && !folder.exists();
    is_missing.then(|| Error::NoFolder(folder.display().to_string()))
}

/// Writes a file that must not exist yet, with these permissions.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source: io::Error| {
        let name = path.display().to_string();
        match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists(name),
            _ => missing_folder(path).unwrap_or(Error::File { path: name, source }),
        }
    })
}
