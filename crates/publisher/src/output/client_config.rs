//! The result of `debucket client-config`: files for a device, and IAM policies.
//!
//! Formats: [sources.list(5)](https://manpages.debian.org/sources.list.5) in its deb822 style,
//! [apt.conf(5)](https://manpages.debian.org/apt.conf.5).

use std::path::PathBuf;

use deb_index::name::{Architecture, SuiteName};
use repo_signing::Certificate;
use serde::Serialize;

use crate::{error::Error, iam::Policy, repository::RepositoryUrl};

/// What is known of a device's side.
#[derive(Debug)]
pub struct Device {
    /// The suite.
    pub suite: SuiteName,
    /// Its components.
    pub components: Vec<String>,
    /// Its architectures, where they are known.
    pub architectures: Vec<Architecture>,
    /// Whether the suite is known to be unsigned.
    pub is_unsigned: bool,
    /// The key that signs it.
    pub key: Option<Certificate>,
    /// Where the key lies on the device, if it does not stand in the sources.
    pub signed_by: Option<PathBuf>,
    /// The URL of an S3-compatible store.
    pub endpoint: Option<String>,
    /// The region of that store.
    pub region: Option<String>,
    /// Whether the bucket stands in the path, where that was said.
    pub path_style: Option<bool>,
}

/// The JSON document of `debucket client-config`.
#[derive(Debug, Serialize)]
pub struct Config {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    pub repo: String,
    /// The suite.
    pub suite: SuiteName,
    /// Architectures of the suite; empty where it could not be read.
    pub architectures: Vec<Architecture>,
    /// Content of a `.sources` file.
    pub sources: String,
    /// The armored public key; null for an unsigned suite, or where none was given.
    pub key: Option<String>,
    /// Where the sources expect the key to lie; null where it stands in them.
    pub signed_by: Option<String>,
    /// Content of a file in `apt.conf.d`; null where none is needed.
    pub apt_conf: Option<String>,
    /// IAM policies.
    pub policies: Policies,
}

/// IAM policies of the two roles.
#[derive(Debug, Serialize)]
pub struct Policies {
    /// Of a device.
    pub reader: Policy,
    /// Of a publisher.
    pub publisher: Policy,
}

impl Config {
    /// The files for `device`.
    pub fn new(url: &RepositoryUrl, device: &Device) -> Self {
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
                reader: Policy::reader(url),
                publisher: Policy::publisher(url),
            },
        }
    }

    /// All of it as text that says where each part belongs.
    ///
    /// # Errors
    /// None that can happen: a policy is always JSON.
    pub fn explained(&self) -> Result<String, Error> {
        let name = self.repo.trim_start_matches("s3://").replace('/', "-");
        let mut parts = vec![format!(
            "# On each device, beside the acquire method /usr/lib/apt/methods/s3:\n\
             # /etc/apt/sources.list.d/{name}.sources\n{}",
            self.sources
        )];
        if let (Some(path), Some(key)) = (&self.signed_by, &self.key) {
            parts.push(format!("# {path} (readable by everyone)\n{key}"));
        }
        if let Some(conf) = &self.apt_conf {
            parts.push(format!("# /etc/apt/apt.conf.d/90{name}\n{conf}"));
        }
        let policy = |policy: &Policy| {
            serde_json::to_string_pretty(policy).map_err(|error| Error::File {
                path: "the policy".to_owned(),
                source: error.into(),
            })
        };
        parts.push(format!(
            "# IAM policy of a device. Add s3:ListBucket on the bucket if other programs shall tell a missing\n\
             # object from a forbidden one, and kms:Decrypt on the key if the bucket encrypts with SSE-KMS.\n{}\n",
            policy(&self.policies.reader)?
        ));
        parts.push(format!(
            "# IAM policy of a publisher. With SSE-KMS it also needs kms:Decrypt and kms:GenerateDataKey on the key,\n\
             # with --acl also s3:PutObjectAcl. A store other than AWS may not know its conditions: leave these out there.\n{}\n",
            policy(&self.policies.publisher)?
        ));
        Ok(parts.join("\n"))
    }
}

fn sources(url: &RepositoryUrl, device: &Device) -> String {
    let mut text = format!(
        "Types: deb\nURIs: {url}/\nSuites: {}\nComponents: {}\n",
        device.suite,
        device.components.join(" ")
    );
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

/// Settings for this bucket alone, so that others on the device are left as they are. A store on
/// AWS is found without any.
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
    fn the_key_stands_in_one_stanza() {
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
        assert!(config.explained().unwrap().contains(
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
