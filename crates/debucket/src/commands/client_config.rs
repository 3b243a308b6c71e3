//! `debucket client-config`: what a device needs to install from the repository, and the rights
//! that it and a publisher need.
//!
//! Nothing is written anywhere. The suite is asked for its components and whether it is signed;
//! where it cannot be read, that is said and the common case is assumed, so that the command also
//! serves before the first publication.

use std::{fs, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use deb_index::name::SuiteName;
use repo_signing::{Certificate, CertificateError, KeyFile, Signer as _};

use crate::{
    cli::{OutputFormat, OutputOptions},
    error::Error,
    iam::Policy,
    options::{StoreOptions, SuiteOption},
    output::client_config::{Config, Device},
    repository::RepositoryUrl,
    signing_options::{KeyOptions, passphrase_of},
    snapshot::{self, Head, Trust},
};

/// How long the suite may take to answer before the common case is assumed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Arguments of `debucket client-config`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  debucket client-config --repo s3://acme-apt --key acme.asc
  debucket client-config --repo s3://acme-apt --key acme.asc --sources > acme.sources
  debucket client-config --repo s3://acme-apt --policy publisher > policy.json")]
pub struct ClientConfig {
    /// The key that signs the suite; of a secret key, only the public half is printed [default:
    /// that of DEBUCKET_SIGN_KEY]
    #[arg(long, visible_alias = "sign-key", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where the public key lies on the devices; by default it stands in the sources themselves,
    /// which apt 2.4 and later read
    #[arg(long, value_name = "PATH")]
    signed_by: Option<PathBuf>,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    only: Only,
}

/// One part of the output.
#[derive(Debug, Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Print only")]
struct Only {
    /// The .sources stanza
    #[arg(long)]
    sources: bool,
    /// The armored public key
    #[arg(long)]
    key_only: bool,
    /// The settings of apt that the store needs; nothing for AWS
    #[arg(long)]
    apt_conf: bool,
    /// An IAM policy
    #[arg(long, value_name = "ROLE")]
    policy: Option<Role>,
}

/// Whose rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// A device that installs
    Reader,
    /// Who publishes
    Publisher,
}

impl ClientConfig {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn run(self, store: &StoreOptions, output: &OutputOptions) -> Result<(), Error> {
        let url = store.url()?;
        if let Some(role) = self.only.policy {
            let policy = match role {
                Role::Reader => Policy::reader(&url),
                Role::Publisher => Policy::publisher(&url),
            };
            return crate::output::json(&policy);
        }
        let key = self.certificate()?;
        if self.only.key_only {
            let key = key.ok_or_else(no_key)?;
            return crate::output::text(key.armored()).map(|_| ());
        }
        let device = self.device(store, output, &url, key).await?;
        let config = Config::new(&url, &device);
        match output.output {
            OutputFormat::Json => crate::output::json(&config),
            OutputFormat::Human if self.only.sources => {
                crate::output::text(&config.sources).map(|_| ())
            }
            OutputFormat::Human if self.only.apt_conf => {
                crate::output::text(config.apt_conf.unwrap_or_default()).map(|_| ())
            }
            OutputFormat::Human => crate::output::text(config.explained()?).map(|_| ()),
        }
    }

    /// The public key, of `--key` or of the signing key that the environment has.
    fn certificate(&self) -> Result<Option<Certificate>, Error> {
        let Some(path) = &self.key else {
            let key = KeyOptions::default().key()?;
            return Ok(key.map(|key| key.certificate().clone()));
        };
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|source| Error::File {
            path: name.clone(),
            source,
        })?;
        match Certificate::from_bytes(&bytes) {
            Ok(certificate) => Ok(Some(certificate)),
            Err(CertificateError::Secret(_)) => {
                let key = KeyFile::from_bytes(&bytes, passphrase_of(None)?.as_ref());
                let key = key.map_err(|source| Error::Key { path: name, source })?;
                Ok(Some(key.certificate().clone()))
            }
            Err(source) => Err(Error::Keyring { path: name, source }),
        }
    }

    async fn device(
        &self,
        store: &StoreOptions,
        output: &OutputOptions,
        url: &RepositoryUrl,
        key: Option<Certificate>,
    ) -> Result<Device, Error> {
        let suite = &self.suite.suite;
        let head = self.head(store, output, url, key.as_ref()).await?;
        let is_unsigned = head.as_ref().is_some_and(|head| !head.is_signed);
        if !is_unsigned && key.is_none() && self.signed_by.is_none() {
            return Err(no_key());
        }
        let components = match &head {
            Some(head) => head
                .commit
                .settings
                .components
                .iter()
                .map(ToString::to_string)
                .collect(),
            None => vec!["main".to_owned()],
        };
        Ok(Device {
            suite: suite.clone(),
            components,
            architectures: head
                .map(|head| head.commit.settings.architectures)
                .unwrap_or_default(),
            is_unsigned,
            key: key.filter(|_| !is_unsigned),
            signed_by: self.signed_by.clone(),
            endpoint: store.endpoint(),
            region: store.region(),
            path_style: store.path_style(),
        })
    }

    /// The suite's head, if it can be read. One that the key does not vouch for is an error.
    async fn head(
        &self,
        store: &StoreOptions,
        output: &OutputOptions,
        url: &RepositoryUrl,
        key: Option<&Certificate>,
    ) -> Result<Option<Head>, Error> {
        let suite = &self.suite.suite;
        let trust = key.map_or(Trust::Unchecked, |key| Trust::Keyring(key.clone().into()));
        let reason = match tokio::time::timeout(PATIENCE, read(store, suite, &trust)).await {
            Ok(Ok(Some(head))) => return Ok(Some(head)),
            Ok(Ok(None)) => format!("there is no suite {suite} in {url} yet"),
            Ok(Err(Error::Storage(error))) => error.to_string(),
            Ok(Err(error)) => return Err(error),
            Err(_) => "the store does not answer".to_owned(),
        };
        if output.is_talkative() {
            eprintln!("note: {reason}; the component main and a signature are assumed");
        }
        Ok(None)
    }
}

async fn read(
    store: &StoreOptions,
    suite: &SuiteName,
    trust: &Trust,
) -> Result<Option<Head>, Error> {
    let storage = store.open().await?;
    snapshot::read_head(storage.as_ref(), suite, trust).await
}

fn no_key() -> Error {
    Error::Usage("which key signs the suite? Give it with --key FILE, or its place on the devices with --signed-by PATH".into())
}
