//! Where a repository is: `s3://BUCKET[/PREFIX]`.

use std::{fmt, str::FromStr};

/// The place of a repository. The prefix is a URI as apt reads it, so it has only characters that stand for themselves there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryUrl {
    pub bucket: String,
    /// The folder within the bucket, without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
}

/// The text is not the place of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("“{0}” is not of the form s3://BUCKET[/PREFIX]")]
    Form(String),
    #[error("“{0}” is not a bucket name: expected 3 to 255 letters, digits and “.-_”")]
    Bucket(String),
    #[error("“{0}” is not a prefix: expected folders with single slashes between them")]
    Prefix(String),
    /// apt would read the sources of such a repository differently, or not at all.
    #[error(
        "the prefix “{prefix}” has {character:?}, which apt cannot read in a URI: use letters, digits and “-._~+@=,”"
    )]
    Character { prefix: String, character: char },
}

impl RepositoryUrl {
    /// A repository in a bucket, below a prefix.
    ///
    /// # Errors
    /// [`InvalidUrl`].
    pub fn new(bucket: &str, prefix: &str) -> Result<Self, InvalidUrl> {
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.len() < 3 || bucket.len() > 255 || !bucket.chars().all(name) {
            return Err(InvalidUrl::Bucket(bucket.to_owned()));
        }
        let prefix = prefix.trim_matches('/');
        let is_empty = |segment: &str| matches!(segment, "" | "." | "..");
        if !prefix.is_empty() && prefix.split('/').any(is_empty) {
            return Err(InvalidUrl::Prefix(prefix.escape_debug().to_string()));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~+@=,/".contains(c);
        if let Some(character) = prefix.chars().find(|c| !is_plain(*c)) {
            return Err(InvalidUrl::Character {
                prefix: prefix.escape_debug().to_string(),
                character,
            });
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl FromStr for RepositoryUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let rest = text
            .strip_prefix("s3://")
            .ok_or_else(|| InvalidUrl::Form(text.escape_debug().to_string()))?;
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
        let whole: RepositoryUrl = "s3://acme-apt/".parse().unwrap();
        assert_eq!(whole.to_string(), "s3://acme-apt");
    }

    #[test]
    fn what_apt_could_not_read_is_refused() {
        for bad in [
            "acme-apt",
            "https://acme-apt",
            "s3://",
            "s3://a b/c",
            "s3://acme-apt/a//b",
            "s3://acme-apt/../b",
            "s3://acme-apt/with space",
            "s3://acme-apt/a%20b",
            "s3://acme-apt/[a]",
            "s3://acme-apt/é",
            "s3://acme-apt/a\u{1b}[0m",
        ] {
            let error = bad.parse::<RepositoryUrl>().unwrap_err();
            assert!(!error.to_string().contains('\u{1b}'), "{bad:?}");
        }
    }
}
