//! Options about the store, shared by the commands. They are spelled as the AWS CLI spells them.

use std::{fmt::Display, path::PathBuf};

use clap::Args;
use deb_index::name::SuiteName;
use repository::{RepositoryUrl, Writes};
use s3_storage::{Acl, Config, S3Config, Sse};

use crate::{environment, error::Error, text::shell_word};

/// Where the repository is and how to reach it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Repository")]
pub struct StoreOptions {
    /// Address of the repository, s3://BUCKET[/PREFIX] [env: DEBUCKET_REPO]
    #[arg(long, value_name = "URL", global = true)]
    repo: Option<RepositoryUrl>,
    /// Bucket of the repository, instead of --repo
    #[arg(long, conflicts_with = "repo", global = true)]
    bucket: Option<String>,
    /// Folder within --bucket
    #[arg(long, requires = "bucket", global = true)]
    prefix: Option<String>,
    /// AWS profile [default: AWS_PROFILE]
    #[arg(long, global = true)]
    profile: Option<String>,
    /// AWS region [default: AWS_REGION, the profile, the instance]; a wrong one is corrected by the store
    #[arg(long, global = true)]
    region: Option<String>,
    /// URL of an S3-compatible store [default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL", global = true)]
    endpoint_url: Option<String>,
    /// Put the bucket into the path of URLs; the default with --endpoint-url
    #[arg(long, conflicts_with = "virtual_hosted", global = true)]
    path_style: bool,
    /// Put the bucket into the host name; the default for AWS
    #[arg(long, global = true)]
    virtual_hosted: bool,
    /// PEM file of certificate authorities to trust [default: AWS_CA_BUNDLE]
    #[arg(long, value_name = "FILE", global = true)]
    ca_bundle: Option<PathBuf>,
}

/// How objects are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Storage")]
pub struct WriteOptions {
    /// Canned ACL of new objects; none is sent by default
    #[arg(long)]
    acl: Option<Acl>,
    /// Encryption of new objects: AES256 or aws:kms [default: as the bucket says]
    #[arg(long, value_parser = ["AES256", "aws:kms"])]
    sse: Option<String>,
    /// KMS key for --sse aws:kms [default: the account's aws/s3 key]
    #[arg(long, value_name = "KEY")]
    sse_kms_key_id: Option<String>,
    /// Publish into a store without conditional writes; you promise that no other publisher runs meanwhile
    #[arg(long)]
    single_writer: bool,
}

/// The suite if none is named.
const DEFAULT_SUITE: &str = "stable";

/// Which suite.
#[derive(Debug, Args)]
#[command(next_help_heading = "Repository")]
pub struct SuiteOption {
    /// Suite to read or change [env: DEBUCKET_SUITE] [default: stable]
    #[arg(long, visible_alias = "codename")]
    suite: Option<SuiteName>,
}

impl SuiteOption {
    pub(crate) fn name(&self) -> Result<SuiteName, Error> {
        let name = match &self.suite {
            Some(name) => Some(name.clone()),
            None => environment::parsed(environment::SUITE)?,
        };
        name.map_or_else(Self::default_name, Ok)
    }

    pub(crate) fn default_name() -> Result<SuiteName, Error> {
        let name = DEFAULT_SUITE.parse();
        name.map_err(|error| Error::Usage(format!("{DEFAULT_SUITE}: {error}")))
    }
}

impl WriteOptions {
    pub(crate) fn writes(&self) -> Writes {
        if self.single_writer {
            Writes::SingleWriter
        } else {
            Writes::Conditional
        }
    }

    pub(crate) fn config(&self, config: S3Config) -> Result<S3Config, Error> {
        let sse = match (self.sse.as_deref(), &self.sse_kms_key_id) {
            (Some("AES256"), Some(_)) => {
                return Err(Error::Usage(
                    "--sse-kms-key-id goes with --sse aws:kms".into(),
                ));
            }
            (Some("AES256"), None) => Sse::S3,
            (None, None) => Sse::BucketDefault,
            (_, key_id) => Sse::Kms {
                key_id: key_id.clone(),
            },
        };
        Ok(S3Config {
            acl: self.acl,
            sse,
            ..config
        })
    }
}

impl StoreOptions {
    pub(crate) fn url(&self) -> Result<RepositoryUrl, Error> {
        if let Some(bucket) = &self.bucket {
            let prefix = self.prefix.as_deref().unwrap_or_default();
            return RepositoryUrl::new(bucket, prefix)
                .map_err(|error| Error::Usage(error.to_string()));
        }
        if let Some(url) = &self.repo {
            return Ok(url.clone());
        }
        environment::parsed(environment::REPO)?.ok_or_else(|| {
            Error::Usage(
                "which repository? Give --repo s3://BUCKET[/PREFIX] or set DEBUCKET_REPO".into(),
            )
        })
    }

    /// The URL of an S3-compatible store, as the options or the environment have it; none for AWS.
    pub(crate) fn endpoint(&self) -> Option<String> {
        first(
            &self.endpoint_url,
            &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"],
        )
    }

    /// The region, as the options or the environment have it.
    pub(crate) fn region(&self) -> Option<String> {
        first(&self.region, &["AWS_REGION", "AWS_DEFAULT_REGION"])
    }

    /// Whether the bucket goes into the path, where the options say so.
    pub(crate) fn path_style(&self) -> Option<bool> {
        match (self.path_style, self.virtual_hosted) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    /// How another repository is reached: likewise, but for what is given.
    pub(crate) fn with(&self, profile: Option<&String>, endpoint: Option<&String>) -> Self {
        let mut other = self.clone();
        if endpoint.is_some() {
            other.endpoint_url = endpoint.cloned();
            (other.path_style, other.virtual_hosted) = (false, false);
        }
        if profile.is_some() {
            other.profile = profile.cloned();
        }
        other
    }

    /// The options that were given, each after a space, for a shell.
    pub(crate) fn given(&self) -> String {
        match self.url() {
            Ok(url) if self.repo.is_some() || self.bucket.is_some() => self.to_reach(url),
            _ => self.given_beside(),
        }
    }

    /// The options with which a repository is reached likewise, each after a space, for a shell.
    pub(crate) fn to_reach(&self, url: impl Display) -> String {
        format!(" --repo {url}{}", self.given_beside())
    }

    fn given_beside(&self) -> String {
        let ca_bundle = self.ca_bundle.as_ref();
        let ca_bundle = ca_bundle.map(|path| path.display().to_string());
        let values = [
            ("endpoint-url", &self.endpoint_url),
            ("profile", &self.profile),
            ("region", &self.region),
            ("ca-bundle", &ca_bundle),
        ];
        let mut text = String::new();
        for (name, value) in values {
            if let Some(value) = value {
                text.push_str(&format!(" --{name} {}", shell_word(value)));
            }
        }
        if self.path_style {
            text.push_str(" --path-style");
        }
        if self.virtual_hosted {
            text.push_str(" --virtual-hosted");
        }
        text
    }

    pub(crate) fn config(&self) -> S3Config {
        let access = Config {
            region: self.region.clone(),
            endpoint: self.endpoint_url.clone(),
            profile: self.profile.clone(),
            ca_bundle: self.ca_bundle.clone().map(Into::into),
            app_name: Some("debucket".to_owned()),
            ..Config::default()
        };
        S3Config {
            path_style: self.path_style(),
            ..S3Config::new("", access)
        }
    }
}

/// An option, otherwise the first of these environment variables that is set.
fn first(option: &Option<String>, variables: &[&str]) -> Option<String> {
    option
        .clone()
        .or_else(|| variables.iter().find_map(|name| environment::text(name)))
}
