//! Options that several commands share. They are spelled as the AWS CLI spells them.

use std::path::PathBuf;

use clap::Args;
use deb_index::name::SuiteName;
use s3_storage::{Acl, S3Config, Sse, Storage};

use crate::{error::Error, repository::RepositoryUrl};

/// Where the repository is and how to reach it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Repository")]
pub struct StoreOptions {
    /// The repository: s3://BUCKET[/PREFIX]
    #[arg(long, value_name = "URL", env = "DEBUCKET_REPO", global = true)]
    repo: Option<RepositoryUrl>,
    /// The bucket, where --repo is not given
    #[arg(long, conflicts_with = "repo", global = true)]
    bucket: Option<String>,
    /// The folder within --bucket
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
    /// Put the bucket into the path; the default with --endpoint-url
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
}

/// Which suite.
#[derive(Debug, Args)]
#[command(next_help_heading = "Repository")]
pub struct SuiteOption {
    /// The suite
    #[arg(
        long,
        default_value = "stable",
        env = "DEBUCKET_SUITE",
        visible_alias = "codename"
    )]
    pub suite: SuiteName,
}

impl WriteOptions {
    fn sse(&self) -> Result<Sse, Error> {
        match (self.sse.as_deref(), &self.sse_kms_key_id) {
            (Some("AES256"), Some(_)) => Err(Error::Usage(
                "--sse-kms-key-id goes with --sse aws:kms".into(),
            )),
            (Some("AES256"), None) => Ok(Sse::S3),
            (None, None) => Ok(Sse::BucketDefault),
            (_, key_id) => Ok(Sse::Kms {
                key_id: key_id.clone(),
            }),
        }
    }
}

impl StoreOptions {
    /// The repository.
    ///
    /// # Errors
    /// [`Error::Usage`] where none is given, or not a valid one.
    pub fn url(&self) -> Result<RepositoryUrl, Error> {
        match (&self.repo, &self.bucket) {
            (_, Some(bucket)) => {
                RepositoryUrl::new(bucket, self.prefix.as_deref().unwrap_or_default())
                    .map_err(Error::Usage)
            }
            (Some(url), None) => Ok(url.clone()),
            (None, None) => Err(Error::Usage(
                "which repository? Give --repo s3://BUCKET[/PREFIX] or set DEBUCKET_REPO".into(),
            )),
        }
    }

    /// The URL of an S3-compatible store, as the options or the environment have it; none for AWS.
    pub fn endpoint(&self) -> Option<String> {
        let variable = |name| {
            std::env::var(name)
                .ok()
                .filter(|value: &String| !value.is_empty())
        };
        self.endpoint_url
            .clone()
            .or_else(|| variable("AWS_ENDPOINT_URL_S3"))
            .or_else(|| variable("AWS_ENDPOINT_URL"))
    }

    /// The region, as the options or the environment have it.
    pub fn region(&self) -> Option<String> {
        let variable = |name| {
            std::env::var(name)
                .ok()
                .filter(|value: &String| !value.is_empty())
        };
        self.region
            .clone()
            .or_else(|| variable("AWS_REGION"))
            .or_else(|| variable("AWS_DEFAULT_REGION"))
    }

    /// Whether the bucket goes into the path, where the options say so.
    pub fn path_style(&self) -> Option<bool> {
        match (self.path_style, self.virtual_hosted) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    /// Opens the repository for reading.
    ///
    /// # Errors
    /// A configuration that makes no sense.
    pub async fn open(&self) -> Result<std::sync::Arc<dyn Storage>, Error> {
        self.url()?.open(self.config()).await
    }

    /// Opens the repository for writing.
    ///
    /// # Errors
    /// A configuration that makes no sense.
    pub async fn open_for_writing(
        &self,
        write: &WriteOptions,
    ) -> Result<std::sync::Arc<dyn Storage>, Error> {
        self.url()?
            .open(S3Config {
                acl: write.acl,
                sse: write.sse()?,
                ..self.config()
            })
            .await
    }

    fn config(&self) -> S3Config {
        S3Config {
            region: self.region.clone(),
            endpoint: self.endpoint_url.clone(),
            path_style: self.path_style(),
            profile: self.profile.clone(),
            ca_bundle: self.ca_bundle.clone(),
            app_name: Some("debucket".to_owned()),
            ..S3Config::new("")
        }
    }
}
