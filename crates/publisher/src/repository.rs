//! Where a repository is: `s3://BUCKET[/PREFIX]`, and the options that say how to reach it.

use std::{fmt, str::FromStr, sync::Arc};

use s3_storage::{Prefixed, S3, S3Config, Storage};

use crate::error::Error;

/// The place of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryUrl {
    /// The bucket.
    pub bucket: String,
    /// The folder within it, without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
}

impl RepositoryUrl {
    /// A repository in a bucket, below a prefix.
    pub fn new(bucket: &str, prefix: &str) -> Result<Self, String> {
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.len() < 3 || bucket.len() > 255 || !bucket.chars().all(name) {
            return Err(format!("{bucket:?} is not the name of a bucket"));
        }
        let prefix = prefix.trim_matches('/');
        let is_bad = |segment: &str| {
            matches!(segment, "" | "." | "..") || segment.contains(char::is_control)
        };
        if !prefix.is_empty() && prefix.split('/').any(is_bad) {
            return Err(format!(
                "{prefix:?} is not a prefix: write folders with single slashes between them"
            ));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// Opens it.
    ///
    /// # Errors
    /// A configuration that makes no sense. Nothing is sent yet.
    pub async fn open(&self, mut config: S3Config) -> Result<Arc<dyn Storage>, Error> {
        config.bucket.clone_from(&self.bucket);
        Ok(Arc::new(Prefixed::new(
            S3::connect(config).await?,
            &self.prefix,
        )))
    }
}

impl FromStr for RepositoryUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| format!("{text:?} is not of the form s3://BUCKET[/PREFIX]"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Self::new(bucket, prefix)
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.prefix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_bucket_and_perhaps_a_prefix() {
        let url: RepositoryUrl = "s3://acme-apt/team/a/".parse().unwrap();
        assert_eq!(
            (url.bucket.as_str(), url.prefix.as_str()),
            ("acme-apt", "team/a")
        );
        assert_eq!(url.to_string(), "s3://acme-apt/team/a");
        assert_eq!(
            "s3://acme-apt/"
                .parse::<RepositoryUrl>()
                .unwrap()
                .to_string(),
            "s3://acme-apt"
        );
        for bad in [
            "acme-apt",
            "https://acme-apt",
            "s3://",
            "s3://a b/c",
            "s3://acme-apt/a//b",
            "s3://acme-apt/../b",
        ] {
            assert!(bad.parse::<RepositoryUrl>().is_err(), "{bad}");
        }
    }
}
