//! `debucket key package`: a package `…-archive-keyring` with the certificates of a suite's keys.
//!
//! Published like any other package, it brings devices the next key while the old one still signs. The keyring is
//! `/usr/share/keyrings/NAME.gpg`, for `Signed-By` in the devices' sources.

use std::{fs, path::PathBuf};

use clap::Args;
use deb_index::{
    deb::{Installed, build},
    digest::Sha256,
    fingerprint::Fingerprint,
    name::{PackageName, SuiteName},
    suite::settings::Line,
    version::Version,
};
use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use repo_signing::Certificate;
use repository::{Head, HeadSignatures, RepositoryUrl};
use serde::Serialize;

use super::{PUBLIC, create};
use crate::{
    commands::client_config::stanza, context::Context, error::Error, key_options::TrustOptions,
    printer::Report, text::shell_word,
};

#[derive(Debug, Args)]
#[command(after_help = "\
The same keys give the same package, and other keys a higher version.

Exit codes: 0 done; 1 failed; 2 usage; 4 no such suite.

Example:
  debucket key package stable --keyring acme.asc --repo s3://acme-apt
  debucket publish acme-archive-keyring_*.deb --sign-key old.asc --sign-key new.asc --repo s3://acme-apt")]
pub(super) struct Package {
    /// Name of the suite
    suite: SuiteName,
    /// Name of the package [default: the suite's Origin, or the bucket, and “-archive-keyring”]
    #[arg(long)]
    name: Option<PackageName>,
    /// Version of the package [default: when the suite's keys changed last]
    #[arg(long)]
    package_version: Option<Version>,
    /// Put a .sources file of the suite into the package, which uses the keyring; remove one that devices have already
    #[arg(long)]
    sources: bool,
    /// Write the package into this folder; an existing file is never overwritten
    #[arg(long, value_name = "DIR", default_value = ".")]
    out_dir: PathBuf,
    #[command(flatten)]
    trust: TrustOptions,
}

/// The JSON document of `debucket key package`.
#[derive(Debug, Serialize)]
struct Built {
    /// The suite whose keys it has.
    suite: SuiteName,
    package: String,
    version: String,
    /// Path of the package.
    file: String,
    /// Digest of the package.
    sha256: Sha256,
    /// Path of the keyring on a device.
    keyring: String,
    /// Primary keys of the certificates in it.
    keys: Vec<Fingerprint>,
    /// The command that publishes it.
    #[serde(skip)]
    publish: String,
}

impl Package {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let url = context.url()?;
        let repository = context.repository().await?;
        let suite = repository.suite(self.suite.clone(), self.trust.keys()?);
        let (suite, head) = suite.resolved().await?;
        context.warn_of(&suite, &head);
        match head.signatures {
            HeadSignatures::By(_) => {}
            HeadSignatures::Unsigned => {
                return Err(Error::Usage(format!("suite {} is unsigned", self.suite)));
            }
            HeadSignatures::Unchecked => {
                return Err(Error::Usage(
                    "devices will trust these keys, so the suite has to be verified: give its certificate with --keyring"
                        .to_owned(),
                ));
            }
        }
        let certificates = certificates(&head)?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => default_name(&head, &url)?,
        };
        let since = head.commit.settings.keys_since.unwrap_or(head.release.date);
        let version = match &self.package_version {
            Some(version) => version.clone(),
            None => default_version(since)?,
        };
        let keyring = format!("usr/share/keyrings/{name}.gpg");
        let mut files = vec![Installed {
            path: keyring.clone(),
            content: certificates
                .iter()
                .flat_map(Certificate::binary)
                .copied()
                .collect(),
        }];
        if self.sources {
            let components = head.commit.settings.components.iter();
            let components: Vec<_> = components.map(ToString::to_string).collect();
            let stanza = stanza(&url, &self.suite, &components);
            files.push(Installed {
                path: format!("etc/apt/sources.list.d/{name}.sources"),
                content: format!("{stanza}Signed-By: /{keyring}\n").into_bytes(),
            });
        }
        let control = control(&name, &version, &url, &certificates);
        let time = u64::try_from(since.as_second()).unwrap_or_default();
        let text = version.to_string();
        let without_epoch = text.split_once(':').map_or(text.as_str(), |(_, rest)| rest);
        let path = self.out_dir.join(format!("{name}_{without_epoch}_all.deb"));
        let file = path.display().to_string();
        let package = build(&control, &files, time).map_err(|source| Error::File {
            path: file.clone(),
            source,
        })?;
        if fs::read(&path).ok().as_ref() != Some(&package) {
            create(&path, &package, PUBLIC)?;
        }
        let publish = format!(
            "`debucket publish {} --suite {}`",
            shell_word(&file),
            suite.name()
        );
        let built = Built {
            publish: context.printer.complete(&publish).replace('`', ""),
            suite: suite.name().clone(),
            package: name.to_string(),
            version: version.to_string(),
            file,
            sha256: Sha256::of(&package),
            keyring: format!("/{keyring}"),
            keys: certificates.iter().map(Certificate::fingerprint).collect(),
        };
        let done = || format!("built {}", built.file);
        context.printer.outcome(&built, done)
    }
}

/// The certificates of the suite's keys.
fn certificates(head: &Head) -> Result<Vec<Certificate>, Error> {
    let keys = head.commit.settings.signing_keys.iter();
    keys.map(|key| {
        let certificate = Certificate::from_bytes(key.certificate.as_bytes());
        certificate.map_err(|source| Error::Keyring {
            path: format!("the certificate {} of the suite", key.fingerprint),
            source,
        })
    })
    .collect()
}

/// `acme-robots-archive-keyring`, of the origin “Acme Robots” or of the bucket `acme-robots`.
fn default_name(head: &Head, url: &RepositoryUrl) -> Result<PackageName, Error> {
    let origin = head.commit.settings.origin.as_ref();
    let origin = origin.map_or_else(|| url.bucket.clone(), ToString::to_string);
    let words = origin.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let name = format!("{}-archive-keyring", words.join("-").to_ascii_lowercase());
    name.parse()
        .map_err(|error| Error::Usage(format!("give the package a name with --name: {error}")))
}

/// `2026.11.30.095501`: later is higher.
fn default_version(since: Timestamp) -> Result<Version, Error> {
    let text = strtime::format("%Y.%m.%d.%H%M%S", &since.to_zoned(TimeZone::UTC));
    let version = text.ok().and_then(|text| text.parse().ok());
    version.ok_or_else(|| Error::Usage("give the package a version with --package-version".into()))
}

fn control(
    name: &PackageName,
    version: &Version,
    url: &RepositoryUrl,
    certificates: &[Certificate],
) -> String {
    // What is no single line would become another field.
    let owner = |certificate: &Certificate| {
        let ids = certificate.user_ids().into_iter();
        let mut lines = ids.filter(|id| id.parse::<Line>().is_ok());
        lines.next().unwrap_or_else(|| "APT repository".to_owned())
    };
    let maintainer = certificates.first().map(owner).unwrap_or_default();
    let mut text = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMulti-Arch: foreign\nMaintainer: {maintainer}\n\
         Section: misc\nPriority: optional\nDescription: keyring of the APT repository {url}\n The certificates of the keys that sign it:\n"
    );
    for certificate in certificates {
        let fingerprint = certificate.fingerprint();
        text.push_str(&format!(" {fingerprint} {}\n", owner(certificate)));
    }
    text
}

impl Report for Built {
    fn text(&self) -> String {
        let Self {
            package,
            version,
            file,
            keyring,
            keys,
            publish,
            ..
        } = self;
        let mut text = format!("built {package} {version}: {file}\n");
        for key in keys {
            text.push_str(&format!("  {key}\n"));
        }
        text.push_str(&format!(
            "next:\n  {publish}\n  Signed-By: {keyring} in the sources of devices that install it\n"
        ));
        text
    }
}
