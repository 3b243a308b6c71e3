//! How a bucket is reached: what the caller says, on top of what the environment says.
//!
//! Whatever is left unset is looked up as the AWS CLI does it, see [`aws_access`].

use std::time::Duration;

use aws_access::{Config, Credentials, LocalClock, PemFile, Proxy, SharedFiles};

/// Everything that is needed to talk to one bucket. `S3Config::new(bucket)` is the AWS default.
#[derive(Debug, Clone)]
pub struct S3Config {
    pub bucket: String,
    /// The region to begin with; a wrong one is corrected by the store's answer. `None`:
    /// `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile, the instance's metadata (asked for a short
    /// time only), `us-east-1`.
    pub region: Option<String>,
    /// The store's URL; without a scheme `https`. `None`: `AWS_ENDPOINT_URL_S3`,
    /// `AWS_ENDPOINT_URL`, the profile, AWS itself.
    pub endpoint: Option<String>,
    /// `https://endpoint/bucket/key` (true) or `https://bucket.endpoint/key` (false). `None`: path
    /// style for a custom endpoint, virtual-hosted otherwise. A bucket with a dot in its name is always in
    /// the path: no certificate covers such a host.
    pub path_style: Option<bool>,
    /// The profile in the AWS configuration files. `None`: `AWS_PROFILE`, `default`.
    pub profile: Option<String>,
    /// The AWS configuration files, or what was in them.
    pub shared_files: SharedFiles,
    /// Where the credentials come from.
    pub credentials: Credentials,
    /// A role to assume with those credentials (`arn:aws:iam::…:role/…`).
    pub role_arn: Option<String>,
    /// What the role's trust policy wants as `sts:ExternalId`.
    pub external_id: Option<String>,
    /// The name of the role's session. `None`: the program's name.
    pub role_session_name: Option<String>,
    /// Whether the metadata service of the instance is never asked. `None`: `AWS_EC2_METADATA_DISABLED`.
    pub metadata_disabled: Option<bool>,
    /// Whether addresses with FIPS 140 cryptography are used. `None`: `AWS_USE_FIPS_ENDPOINT`, the
    /// profile.
    pub use_fips: Option<bool>,
    /// Whether addresses for IPv4 and IPv6 are used. `None`: `AWS_USE_DUALSTACK_ENDPOINT`, the profile.
    pub use_dualstack: Option<bool>,
    /// Whether the caller agrees to pay for reading (`x-amz-request-payer`).
    pub requester_pays: bool,
    /// The canned ACL of written objects. `None` sends no ACL header: a bucket with ACLs disabled,
    /// the default since 2023, refuses one.
    pub acl: Option<Acl>,
    /// How written objects are encrypted at rest.
    pub sse: Sse,
    /// How long nothing may move (while connecting, before the first byte of the answer, between
    /// two pieces either way) before an attempt is given up. All attempts of a request together are
    /// silent for at most three times as long. Default 30 s.
    pub silence_timeout: Duration,
    /// How many times a request is tried in all. Default 3.
    pub max_attempts: u32,
    /// Whether requests go through a proxy.
    pub proxy: Proxy,
    /// Certificates to trust *instead of* the system's, as the AWS CLI has it. `None`:
    /// `AWS_CA_BUNDLE`, the profile.
    pub ca_bundle: Option<PemFile>,
    /// The program's name for the `User-Agent` header: letters, digits and `-`.
    pub app_name: Option<String>,
    /// The local clock; tests bring wrong ones.
    pub clock: LocalClock,
}

impl S3Config {
    /// The defaults for a bucket: everything else as the environment says.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            region: None,
            endpoint: None,
            path_style: None,
            profile: None,
            shared_files: SharedFiles::Unread,
            credentials: Credentials::Chain,
            role_arn: None,
            external_id: None,
            role_session_name: None,
            metadata_disabled: None,
            use_fips: None,
            use_dualstack: None,
            requester_pays: false,
            acl: None,
            sse: Sse::BucketDefault,
            silence_timeout: Duration::from_secs(30),
            max_attempts: 3,
            proxy: Proxy::FromEnvironment,
            ca_bundle: None,
            app_name: None,
            clock: LocalClock::default(),
        }
    }

    /// What is not about the bucket.
    pub(crate) fn access(&self) -> Config {
        Config {
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            profile: self.profile.clone(),
            shared_files: self.shared_files.clone(),
            credentials: self.credentials.clone(),
            role_arn: self.role_arn.clone(),
            external_id: self.external_id.clone(),
            role_session_name: self.role_session_name.clone(),
            metadata_disabled: self.metadata_disabled,
            use_fips: self.use_fips,
            use_dualstack: self.use_dualstack,
            silence_timeout: self.silence_timeout,
            max_attempts: self.max_attempts,
            proxy: self.proxy.clone(),
            ca_bundle: self.ca_bundle.clone(),
            app_name: self.app_name.clone(),
            clock: self.clock.clone(),
        }
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
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let config = S3Config {
            credentials: Credentials::Static {
                access_key_id: "AKIA".into(),
                secret_access_key: "hunter2".into(),
                session_token: Some("token7".into()),
            },
            proxy: Proxy::Url("http://me:hunter2@proxy:1".into()),
            ..S3Config::new("bucket")
        };
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("token7"),
            "{shown}"
        );
    }

    #[test]
    fn a_bucket_cannot_leave_its_place_in_the_url() {
        for good in [
            "abc",
            "my.bucket-1",
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/one",
        ] {
            assert!(S3Config::new(good).has_sound_bucket(), "{good}");
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
            assert!(!S3Config::new(bad).has_sound_bucket(), "{bad}");
        }
    }

    #[test]
    fn a_dotted_bucket_and_a_custom_endpoint_mean_path_style() {
        let mut config = S3Config::new("bucket");
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
