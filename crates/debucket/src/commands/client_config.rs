//! `debucket client-config`: what a device needs to install from the repository, and the rights that it and a publisher need.
//!
//! Nothing is written. The suite's head says which components it has and whether it is signed. If it cannot be read, the common
//! case is assumed, with a note, so that the command also works before the first publish.
//!
//! Formats: [sources.list(5)](https://manpages.debian.org/sources.list.5) in its deb822 style,
//! [apt.conf(5)](https://manpages.debian.org/apt.conf.5).

use std::{fs, path::PathBuf, time::Duration};

use clap::Args;
use deb_index::name::{Architecture, SuiteName};
use repo_signing::{Certificate, CertificateError, KeyFile, Signer as _};
use repository::{Head, HeadSignatures, Keys, Missing, RepositoryUrl};
use serde::Serialize;

use crate::{
    context::Context,
    error::{Error, Role},
    iam::Policy,
    key_options::{KeyOptions, passphrase_of, warn_of_expiry},
    printer::Report,
    store_options::SuiteOption,
};

/// How long the suite may take to answer before the common case is assumed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Print what devices and publishers need: sources, key, apt settings, IAM policies
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  debucket client-config --repo s3://acme-apt --key acme.asc
  debucket client-config --repo s3://acme-apt --key acme.asc --sources > acme.sources
  debucket client-config --repo s3://acme-apt --policy publisher > policy.json")]
pub struct ClientConfig {
    /// Key that signs the suite; of a secret key, only the public half is printed [default: that of DEBUCKET_SIGN_KEY]
    #[arg(long, visible_alias = "sign-key", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Path of the public key on the devices; by default the key is part of the sources, which apt 2.4 and later read
    #[arg(long, value_name = "PATH")]
    signed_by: Option<PathBuf>,
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    only: Only,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Print only")]
struct Only {
    /// Print the .sources stanza only
    #[arg(long)]
    sources: bool,
    /// Print the armored public key only
    #[arg(long)]
    key_only: bool,
    /// Print the settings of apt that the store needs; nothing for AWS
    #[arg(long)]
    apt_conf: bool,
    /// Print an IAM policy only
    #[arg(long, value_name = "ROLE")]
    policy: Option<Role>,
}

impl ClientConfig {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let url = context.url()?;
        if let Some(role) = self.only.policy {
            return context.printer.json(&Policy::of(role, &url));
        }
        self.check(context)?;
        let key = self.certificate()?;
        if let Some(key) = &key {
            warn_of_expiry(&context.printer, key);
        }
        if self.only.key_only {
            let key = key.ok_or_else(no_key)?;
            return context.printer.text(key.armored()).map(drop);
        }
        let device = self.device(context, key).await?;
        let config = Config::new(&url, &device);
        match (context.printer.is_json(), &self.only) {
            (false, Only { sources: true, .. }) => context.printer.text(&config.sources).map(drop),
            (false, Only { apt_conf: true, .. }) => {
                let conf = config.apt_conf.unwrap_or_default();
                context.printer.text(&conf).map(drop)
            }
            _ => context.printer.result(&config),
        }
    }

    /// Refuses values that would break the printed lines, which apt reads.
    fn check(&self, context: &Context) -> Result<(), Error> {
        let is_word = |text: &str| {
            let is_taken = |c: char| c.is_ascii_graphic() && !"\"\\,;{}[]".contains(c);
            text.chars().all(is_taken)
        };
        let path = self.signed_by.as_ref().map(|path| path.to_string_lossy());
        if path.is_some_and(|path| !path.starts_with('/') || !is_word(&path)) {
            let message = "--signed-by: apt takes an absolute path without spaces and commas";
            return Err(Error::Usage(message.to_owned()));
        }
        let store = &context.store;
        let settings = [store.endpoint(), store.region()];
        if !settings.iter().flatten().all(|value| is_word(value.trim())) {
            let message =
                "the endpoint or the region has characters that apt's configuration cannot hold";
            return Err(Error::Usage(message.to_owned()));
        }
        Ok(())
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

    async fn device(&self, context: &Context, key: Option<Certificate>) -> Result<Device, Error> {
        let head = self.head(context, key.as_ref()).await?;
        let is_unsigned = head
            .as_ref()
            .is_some_and(|head| head.signatures == HeadSignatures::Unsigned);
        if !is_unsigned && key.is_none() && self.signed_by.is_none() {
            return Err(no_key());
        }
        let settings = head.as_ref().map(|head| &head.commit.settings);
        let components = settings.map(|settings| {
            settings
                .components
                .iter()
                .map(ToString::to_string)
                .collect()
        });
        let store = &context.store;
        Ok(Device {
            suite: self.suite.name()?,
            components: components.unwrap_or_else(|| vec!["main".to_owned()]),
            architectures: settings
                .map(|settings| settings.architectures.clone())
                .unwrap_or_default(),
            is_unsigned,
            key: key.filter(|_| !is_unsigned),
            signed_by: self.signed_by.clone(),
            endpoint: store.endpoint().map(|endpoint| endpoint.trim().to_owned()),
            region: store.region().map(|region| region.trim().to_owned()),
            path_style: store.path_style(),
        })
    }

    /// The suite's head, if it can be read. One that the key did not sign is an error.
    async fn head(
        &self,
        context: &Context,
        key: Option<&Certificate>,
    ) -> Result<Option<Head>, Error> {
        let suite = &self.suite.name()?;
        let keys = key.map_or(Keys::Unchecked, |key| Keys::Verify(key.clone().into()));
        let read = async {
            let repository = context.repository().await?;
            let suite = repository.suite(suite.clone(), keys);
            match suite.resolved().await {
                Ok((suite, head)) => {
                    context.warn_of(&suite, &head);
                    Ok(Some(head))
                }
                Err(repository::Error::Missing(Missing::Suite { .. })) => Ok(None),
                Err(error) => Err(Error::from(error)),
            }
        };
        let reason = match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(Some(head))) => return Ok(Some(head)),
            Ok(Ok(None)) => format!("there is no suite {suite} in {} yet", context.url()?),
            Ok(Err(Error::Repository(repository::Error::Storage(error)))) => error.to_string(),
            Ok(Err(error)) => return Err(error),
            Err(_) => "the store does not answer".to_owned(),
        };
        context.printer.note(&format!(
            "{reason}; the component main and a signature are assumed"
        ));
        Ok(None)
    }
}

fn no_key() -> Error {
    Error::Usage(
        "which key signs the suite? Give it with --key FILE, or its path on the devices with --signed-by PATH".into(),
    )
}

/// What is known about a device.
#[derive(Debug)]
struct Device {
    suite: SuiteName,
    components: Vec<String>,
    /// Empty if the suite could not be read.
    architectures: Vec<Architecture>,
    /// Whether the suite is known to be unsigned.
    is_unsigned: bool,
    /// The certificate of the key that signs the suite.
    key: Option<Certificate>,
    /// Path of the key on the device, if it is not part of the sources.
    signed_by: Option<PathBuf>,
    /// The URL of an S3-compatible store.
    endpoint: Option<String>,
    /// The region of that store.
    region: Option<String>,
    /// Whether the bucket is in the path of URLs, if that was given.
    path_style: Option<bool>,
}

/// The JSON document of `debucket client-config`.
#[derive(Debug, Serialize)]
struct Config {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    suite: SuiteName,
    /// Empty if the suite could not be read.
    architectures: Vec<Architecture>,
    /// Content of a `.sources` file.
    sources: String,
    /// The armored public key; null for an unsigned suite, or if none was given.
    key: Option<String>,
    /// Path where the sources expect the key; null if it is part of them.
    signed_by: Option<String>,
    /// Content of a file in `apt.conf.d`; null if none is needed.
    apt_conf: Option<String>,
    policies: Policies,
}

/// IAM policies of the roles.
#[derive(Debug, Serialize)]
struct Policies {
    reader: Policy,
    publisher: Policy,
    collector: Policy,
    deleter: Policy,
}

impl Config {
    /// The files for `device`.
    fn new(url: &RepositoryUrl, device: &Device) -> Self {
        Self {
            repo: url.to_string(),
            suite: device.suite.clone(),
            architectures: device.architectures.clone(),
            sources: sources(url, device),
            key: device.key.as_ref().map(|key| key.armored().to_owned()),
            signed_by: device
                .signed_by
                .as_ref()
                .map(|path| path.display().to_string()),
            apt_conf: apt_conf(url, device),
            policies: Policies {
                reader: Policy::of(Role::Reader, url),
                publisher: Policy::of(Role::Publisher, url),
                collector: Policy::of(Role::Collector, url),
                deleter: Policy::of(Role::Deleter, url),
            },
        }
    }
}

impl Report for Config {
    /// All files, each with its path.
    fn text(&self) -> String {
        // apt ignores files of other names, and those in apt.conf.d with another ending.
        let is_taken = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name = self.repo.trim_start_matches("s3://");
        let name = name.replace(|c| !is_taken(c), "-");
        let mut parts = vec![format!(
            "# On each device, beside the acquire method /usr/lib/apt/methods/s3:\n\
             # /etc/apt/sources.list.d/{name}.sources\n{}",
            self.sources
        )];
        if let (Some(path), Some(key)) = (&self.signed_by, &self.key) {
            parts.push(format!("# {path} (readable by everyone)\n{key}"));
        }
        if let Some(conf) = &self.apt_conf {
            parts.push(format!("# /etc/apt/apt.conf.d/90{name}.conf\n{conf}"));
        }
        // Strings and lists of them: nothing that JSON could refuse.
        let policy = |policy| serde_json::to_string_pretty(policy).unwrap_or_default();
        parts.push(format!(
            "# IAM policy of a device. Add s3:ListBucket on the bucket if other programs need to tell a missing object from\n\
             # a forbidden one, and kms:Decrypt on the key if the bucket encrypts with SSE-KMS.\n{}\n",
            policy(&self.policies.reader)
        ));
        parts.push(format!(
            "# IAM policy of a publisher. With SSE-KMS it also needs kms:Decrypt and kms:GenerateDataKey on the key,\n\
             # with --acl also s3:PutObjectAcl. A store other than AWS may not know its conditions: leave these out there.\n{}\n",
            policy(&self.policies.publisher)
        ));
        parts.push(format!(
            "# IAM policy of a garbage collector (debucket gc), which deletes and publishes nothing.\n{}\n",
            policy(&self.policies.collector)
        ));
        parts.join("\n")
    }
}

/// A stanza of a `.sources` file, without its keys.
pub(super) fn stanza(url: &RepositoryUrl, suite: &SuiteName, components: &[String]) -> String {
    let components = components.join(" ");
    format!("Types: deb\nURIs: {url}/\nSuites: {suite}\nComponents: {components}\n")
}

fn sources(url: &RepositoryUrl, device: &Device) -> String {
    let mut text = stanza(url, &device.suite, &device.components);
    match (&device.signed_by, &device.key) {
        _ if device.is_unsigned => text.push_str("Trusted: yes\n"),
        (Some(path), _) => text.push_str(&format!("Signed-By: {}\n", path.display())),
        (None, Some(key)) => {
            text.push_str("Signed-By:\n");
            for line in key.armored().lines() {
                // An empty line would end the stanza.
                text.push_str(if line.is_empty() { " ." } else { " " });
                text.push_str(line);
                text.push('\n');
            }
        }
        (None, None) => {}
    }
    text
}

/// Settings for this bucket alone, so that others on the device are not affected. AWS needs none.
fn apt_conf(url: &RepositoryUrl, device: &Device) -> Option<String> {
    let endpoint = device.endpoint.as_ref()?;
    let setting =
        |name: &str, value: &str| format!("Acquire::s3::{}::{name} \"{value}\";\n", url.bucket);
    let mut text = setting("Endpoint", endpoint);
    if let Some(region) = &device.region {
        text.push_str(&setting("Region", region));
    }
    if let Some(path_style) = device.path_style {
        text.push_str(&setting(
            "PathStyle",
            if path_style { "true" } else { "false" },
        ));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use repo_signing::{KeyAlgorithm, SignatureTime, generate};

    use super::*;

    fn device() -> Device {
        let created = SignatureTime::from_seconds(1_700_000_000);
        Device {
            suite: "stable".parse().unwrap(),
            components: vec!["main".into(), "extra".into()],
            architectures: vec!["amd64".parse().unwrap()],
            is_unsigned: false,
            key: Some(
                generate("Tester", KeyAlgorithm::Ed25519, created, None)
                    .unwrap()
                    .certificate,
            ),
            signed_by: None,
            endpoint: None,
            region: Some("eu-west-1".into()),
            path_style: None,
        }
    }

    fn url() -> RepositoryUrl {
        "s3://acme-apt/robots".parse().unwrap()
    }

    #[test]
    fn the_key_is_part_of_one_stanza() {
        let device = device();
        let sources = Config::new(&url(), &device).sources;
        assert!(sources.starts_with("Types: deb\nURIs: s3://acme-apt/robots/\nSuites: stable\nComponents: main extra\nSigned-By:\n -----BEGIN"));
        let paragraph = deb_index::paragraph::Paragraph::parse(sources.as_bytes()).unwrap();
        let embedded: Vec<_> = paragraph.get_str("Signed-By").unwrap().lines().collect();
        let lines = embedded.iter().map(|line| match line.trim_start() {
            "." => "",
            line => line,
        });
        let armored = lines
            .skip_while(|line| line.is_empty())
            .map(|line| format!("{line}\n"))
            .collect::<String>();
        assert_eq!(
            Certificate::from_bytes(armored.as_bytes()).unwrap(),
            device.key.unwrap()
        );
    }

    #[test]
    fn a_path_takes_the_place_of_the_key() {
        let device = Device {
            signed_by: Some("/etc/apt/keyrings/acme.asc".into()),
            ..device()
        };
        let config = Config::new(&url(), &device);
        assert!(
            config
                .sources
                .ends_with("Components: main extra\nSigned-By: /etc/apt/keyrings/acme.asc\n")
        );
        assert!(config.text().contains(
            "# /etc/apt/keyrings/acme.asc (readable by everyone)\n-----BEGIN PGP PUBLIC KEY"
        ));
    }

    #[test]
    fn an_unsigned_suite_must_be_trusted() {
        let device = Device {
            is_unsigned: true,
            key: None,
            ..device()
        };
        assert!(
            Config::new(&url(), &device)
                .sources
                .ends_with("Trusted: yes\n")
        );
    }

    #[test]
    fn only_another_store_needs_settings() {
        assert_eq!(Config::new(&url(), &device()).apt_conf, None);
        let device = Device {
            endpoint: Some("http://minio:9000".into()),
            path_style: Some(true),
            ..device()
        };
        let expected = "Acquire::s3::acme-apt::Endpoint \"http://minio:9000\";\nAcquire::s3::acme-apt::Region \"eu-west-1\";\n\
                        Acquire::s3::acme-apt::PathStyle \"true\";\n";
        assert_eq!(
            Config::new(&url(), &device).apt_conf.as_deref(),
            Some(expected)
        );
    }
}
