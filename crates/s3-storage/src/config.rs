//! How one bucket is reached, on top of how AWS is ([`aws_access::Config`]).

use aws_access::Config;

/// Everything that is needed to talk to one bucket.
#[derive(Debug, Clone)]
pub struct S3Config {
    pub bucket: String,
    /// How S3 is reached. A wrong region is corrected by the store's answer.
    pub access: Config,
    /// `https://endpoint/bucket/key` (true) or `https://bucket.endpoint/key` (false). `None`: path
    /// style for a custom endpoint, virtual-hosted otherwise. A bucket with a dot in its name is always in
    /// the path: no certificate covers such a host.
    pub path_style: Option<bool>,
    /// Whether the caller agrees to pay for reading (`x-amz-request-payer`).
    pub requester_pays: bool,
    /// The canned ACL of written objects. `None` sends no ACL header: a bucket with ACLs disabled,
    /// the default since 2023, refuses one.
    pub acl: Option<Acl>,
    /// How written objects are encrypted at rest.
    pub sse: Sse,
}

impl S3Config {
    /// The defaults for a bucket.
    pub fn new(bucket: impl Into<String>, access: Config) -> Self {
        Self {
            bucket: bucket.into(),
            access,
            path_style: None,
            requester_pays: false,
            acl: None,
            sse: Sse::BucketDefault,
        }
    }

    /// The same bucket, with a change to how S3 is reached.
    #[must_use]
    pub fn with_access(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.access);
        self
    }

    /// Whether the bucket is part of the path.
    pub(crate) fn is_path_style(&self, custom_endpoint: bool) -> bool {
        let arn = self.bucket.starts_with("arn:");
        !arn && (self.bucket.contains('.') || self.path_style.unwrap_or(custom_endpoint))
    }

    /// Whether it is a bucket's name, or the ARN of an access point: nothing that could reach
    /// beyond its place in a URL.
    pub(crate) fn has_sound_bucket(&self) -> bool {
        let bucket = &self.bucket;
        let arn = bucket.starts_with("arn:");
        let sound =
            |c: char| c.is_ascii_alphanumeric() || "-._".contains(c) || (arn && ":/".contains(c));
        (3..=255).contains(&bucket.len()) && bucket.chars().all(sound) && !bucket.contains("..")
    }
}

/// A canned ACL
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acl {
    /// Only the owner.
    Private,
    /// Everyone may read.
    PublicRead,
    /// Everyone may read and write.
    PublicReadWrite,
    /// Every AWS account may read.
    AuthenticatedRead,
    /// The bucket's owner may read.
    BucketOwnerRead,
    /// The bucket's owner has full control.
    BucketOwnerFullControl,
}

impl Acl {
    /// The name that S3 has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
            Self::AuthenticatedRead => "authenticated-read",
            Self::BucketOwnerRead => "bucket-owner-read",
            Self::BucketOwnerFullControl => "bucket-owner-full-control",
        }
    }
}

impl std::str::FromStr for Acl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [
            Self::Private,
            Self::PublicRead,
            Self::PublicReadWrite,
            Self::AuthenticatedRead,
            Self::BucketOwnerRead,
            Self::BucketOwnerFullControl,
        ];
        all.into_iter()
            .find(|acl| acl.as_str() == text)
            .ok_or_else(|| {
                let names: Vec<_> = all.iter().map(|acl| acl.as_str()).collect();
                format!(
                    "{text:?} is not a canned ACL; there are {}",
                    names.join(", ")
                )
            })
    }
}

/// How written objects are encrypted at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sse {
    /// As the bucket says: no header is sent.
    #[default]
    BucketDefault,
    /// With the store's keys (`AES256`).
    S3,
    /// With a key of AWS KMS (`aws:kms`).
    Kms {
        /// The key's id or ARN; `None` is the account's `aws/s3` key.
        key_id: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use aws_access::{Credentials, Keys, Proxy};

    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let access = Config {
            credentials: Credentials::Static(Keys {
                session_token: Some("token7".into()),
                ..Keys::new("AKIA", "hunter2")
            }),
            proxy: Proxy::Url("http://me:hunter2@proxy:1".into()),
            ..Config::default()
        };
        let shown = format!("{:?}", S3Config::new("bucket", access));
        assert!(
            !shown.contains("hunter2") && !shown.contains("token7"),
            "{shown}"
        );
    }

    fn named(bucket: &str) -> S3Config {
        S3Config::new(bucket, Config::default())
    }

    #[test]
    fn a_bucket_cannot_leave_its_place_in_the_url() {
        for good in [
            "abc",
            "my.bucket-1",
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/one",
        ] {
            assert!(named(good).has_sound_bucket(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "a/b/c",
            "a..b",
            "bucket?x",
            "büc",
            "a b c",
            "bucket%2f",
        ] {
            assert!(!named(bad).has_sound_bucket(), "{bad}");
        }
    }

    #[test]
    fn a_dotted_bucket_and_a_custom_endpoint_mean_path_style() {
        let mut config = named("bucket");
        assert!(!config.is_path_style(false));
        assert!(config.is_path_style(true));
        config.path_style = Some(false);
        assert!(!config.is_path_style(true));
        config.bucket = "my.bucket".into();
        assert!(config.is_path_style(false));
    }

    #[test]
    fn an_acl_is_named_as_s3_names_it() {
        assert_eq!("public-read".parse(), Ok(Acl::PublicRead));
        assert!(
            "public"
                .parse::<Acl>()
                .is_err_and(|error| error.contains("bucket-owner-full-control"))
        );
    }
}
