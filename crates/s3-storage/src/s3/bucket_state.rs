//! How the bucket itself is set up: what whoever looks after a repository wants to know, and no publisher or device needs.
//!
//! Each question needs a right of its own
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>) and is unknown to many stores that
//! are not AWS: [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) and [`Error::is_unknown_operation`] are answers,
//! too. Nothing is judged here.

use aws_access::{Caller, CredentialError, Keys, Unidentified};
use aws_sdk_s3::types::{BucketVersioningStatus, EncodingType, ExpirationStatus, LifecycleRule};
use jiff::Timestamp;

use super::{S3, get::timestamp, list::decoded};
use crate::Error;

/// What the first request to a bucket shows.
#[derive(Debug)]
pub struct Greeting {
    /// Whether keys below a prefix may be listed.
    pub listing: Result<(), Error>,
    /// The store's clock (the answer's `Date`) and the local one when the answer came; none if no answer with a date came.
    pub clocks: Option<Clocks>,
}

/// Two clocks at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    pub store: Timestamp,
    pub own: Timestamp,
}

/// Whether the bucket keeps earlier versions of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// It never did.
    Never,
    Enabled,
    /// It keeps those that it has, and makes no further ones.
    Suspended,
}

/// How objects are encrypted at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// `AES256`, `aws:kms`, `aws:kms:dsse`.
    pub algorithm: String,
    /// Id or ARN of the KMS key, where one is named.
    pub kms_key: Option<String>,
}

/// Which kinds of public access are blocked, whatever ACLs and policies say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublicAccessBlock {
    pub block_acls: bool,
    pub ignore_acls: bool,
    pub block_policy: bool,
    pub restrict_buckets: bool,
}

/// What the bucket's ACL grants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AclGrants {
    /// To everyone, or to everyone with an AWS account.
    pub public: bool,
    /// To others than the owner.
    pub others: bool,
}

/// What the bucket's lifecycle rules remove below a prefix, by themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// Unfinished uploads, after so many days.
    pub unfinished_uploads: Option<u32>,
    /// Versions that are no longer current, after so many days.
    pub old_versions: Option<u32>,
    /// Objects that are current: some of those below the prefix, or all.
    pub current_objects: bool,
}

/// An upload in parts that was neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedUpload {
    pub key: String,
    /// When it began; none if the store does not say.
    pub begun: Option<Timestamp>,
}

/// `None` where the store says, by one of these codes, that nothing is set.
fn unless_unset<T>(answer: Result<T, Error>, codes: &[&str]) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code().is_some_and(|code| codes.contains(&code)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks for one of the bucket's settings: the operation's name for messages, and its method in the SDK.
macro_rules! ask {
    ($s3:expr, $name:literal, $method:ident) => {
        $s3.request($name, "")
            .send(|client| client.$method().bucket($s3.bucket()).send())
            .await
    };
}

impl S3 {
    /// Asks for the first key below `prefix`. The answer says whether the bucket can be reached and the credentials are accepted.
    pub async fn greet(&self, prefix: &str) -> Greeting {
        let request = self.request("ListObjectsV2", "");
        let listed = request
            .send(|client| {
                let list = client.list_objects_v2().bucket(self.bucket());
                let list = list.encoding_type(EncodingType::Url);
                list.prefix(prefix).max_keys(1).send()
            })
            .await;
        let own = Timestamp::try_from(self.config().access.clock.now()).ok();
        let clocks = request.date().zip(own);
        Greeting {
            listing: listed.map(drop),
            clocks: clocks.map(|(store, own)| Clocks { store, own }),
        }
    }

    /// The region that the configuration and the environment lead to, and the one in which the bucket is, as far as its answers
    /// have shown by now.
    pub async fn regions(&self) -> (String, String) {
        (self.inner.access.region().await, self.region().await)
    }

    /// Who the service that gives out identities says that the caller is.
    ///
    /// # Errors
    /// [`Unidentified`].
    pub async fn caller(&self) -> Result<Caller, Unidentified> {
        self.inner.access.caller(&self.config().access).await
    }

    /// The keys that requests are signed with, from their source, which is asked once more.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn keys(&self) -> Result<Keys, CredentialError> {
        self.inner.access.keys().await
    }

    /// Needs `s3:GetBucketVersioning`.
    ///
    /// # Errors
    /// Those of the request, here and below.
    pub async fn versioning(&self) -> Result<Versioning, Error> {
        let output = ask!(self, "GetBucketVersioning", get_bucket_versioning)?;
        Ok(match output.status {
            Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
            Some(BucketVersioningStatus::Suspended) => Versioning::Suspended,
            _ => Versioning::Never,
        })
    }

    /// How objects are encrypted whose writer does not say; none if they are not. Needs `s3:GetEncryptionConfiguration`.
    pub async fn default_encryption(&self) -> Result<Option<Encryption>, Error> {
        let unset = ["ServerSideEncryptionConfigurationNotFoundError"];
        let output = ask!(self, "GetBucketEncryption", get_bucket_encryption);
        let configuration = unless_unset(output, &unset)?
            .and_then(|output| output.server_side_encryption_configuration);
        let rules = configuration.map(|found| found.rules).unwrap_or_default();
        let mut defaults = rules
            .into_iter()
            .filter_map(|rule| rule.apply_server_side_encryption_by_default);
        Ok(defaults.next().map(|default| Encryption {
            algorithm: default.sse_algorithm.to_string(),
            kms_key: default.kms_master_key_id,
        }))
    }

    /// How an object is encrypted; none if it is not, or the store does not say. Needs `s3:GetObject`.
    pub async fn encryption_of(&self, key: &str) -> Result<Option<Encryption>, Error> {
        let output = self
            .request("HeadObject", key)
            .send(|client| client.head_object().bucket(self.bucket()).key(key).send())
            .await?;
        let (algorithm, kms_key) = (output.server_side_encryption, output.ssekms_key_id);
        Ok(algorithm.map(|algorithm| Encryption {
            algorithm: algorithm.to_string(),
            kms_key,
        }))
    }

    /// None is the same as one that blocks nothing. Needs `s3:GetBucketPublicAccessBlock`.
    pub async fn public_access_block(&self) -> Result<Option<PublicAccessBlock>, Error> {
        let output = ask!(self, "GetPublicAccessBlock", get_public_access_block);
        let output = unless_unset(output, &["NoSuchPublicAccessBlockConfiguration"])?;
        let found = output.and_then(|output| output.public_access_block_configuration);
        Ok(found.map(|found| PublicAccessBlock {
            block_acls: found.block_public_acls == Some(true),
            ignore_acls: found.ignore_public_acls == Some(true),
            block_policy: found.block_public_policy == Some(true),
            restrict_buckets: found.restrict_public_buckets == Some(true),
        }))
    }

    /// Whether the bucket's policy lets everyone in. Needs `s3:GetBucketPolicyStatus`.
    pub async fn has_public_policy(&self) -> Result<bool, Error> {
        let output = ask!(self, "GetBucketPolicyStatus", get_bucket_policy_status);
        let output = unless_unset(output, &["NoSuchBucketPolicy"])?;
        let status = output.and_then(|output| output.policy_status);
        Ok(status.and_then(|status| status.is_public) == Some(true))
    }

    /// Whether ACLs count: not where the bucket's owner owns all objects. Needs `s3:GetBucketOwnershipControls`.
    pub async fn has_acls(&self) -> Result<bool, Error> {
        let output = ask!(
            self,
            "GetBucketOwnershipControls",
            get_bucket_ownership_controls
        );
        let output = unless_unset(output, &["OwnershipControlsNotFoundError"])?;
        let controls = output.and_then(|output| output.ownership_controls);
        let rules = controls.map(|controls| controls.rules).unwrap_or_default();
        let enforced = |rule: &aws_sdk_s3::types::OwnershipControlsRule| {
            rule.object_ownership.as_str() == "BucketOwnerEnforced"
        };
        Ok(!rules.iter().any(enforced))
    }

    /// Needs `s3:GetBucketAcl`.
    pub async fn acl_grants(&self) -> Result<AclGrants, Error> {
        /// The groups that stand for everyone.
        const GROUPS: &str = "http://acs.amazonaws.com/groups/global/";
        let output = ask!(self, "GetBucketAcl", get_bucket_acl)?;
        let owner = output.owner.and_then(|owner| owner.id);
        let mut found = AclGrants::default();
        for grant in output.grants.unwrap_or_default() {
            let Some(grantee) = grant.grantee else {
                continue;
            };
            let group = grantee.uri.as_deref();
            found.public |= group.is_some_and(|uri| uri.starts_with(GROUPS));
            found.others |= group.is_some() || (grantee.id.is_some() && grantee.id != owner);
        }
        Ok(found)
    }

    /// The rules that hold for everything below `prefix`, and whether any removes what is there. Needs `s3:GetLifecycleConfiguration`.
    pub async fn lifecycle(&self, prefix: &str) -> Result<Lifecycle, Error> {
        let output = ask!(
            self,
            "GetBucketLifecycleConfiguration",
            get_bucket_lifecycle_configuration
        );
        let output = unless_unset(output, &["NoSuchLifecycleConfiguration"])?;
        let rules = output.and_then(|output| output.rules).unwrap_or_default();
        let rules = rules.into_iter();
        let mut found = Lifecycle::default();
        for rule in rules.filter(|rule| rule.status == ExpirationStatus::Enabled) {
            let (only, picks) = scope(&rule);
            let expires = rule.expiration.as_ref();
            let expires = expires.is_some_and(|rule| rule.days.is_some() || rule.date.is_some());
            found.current_objects |=
                expires && (only.starts_with(prefix) || prefix.starts_with(&only));
            if picks || !prefix.starts_with(&only) {
                continue;
            }
            let days = |days: Option<i32>| days.and_then(|days| u32::try_from(days).ok());
            let uploads = rule.abort_incomplete_multipart_upload;
            let versions = rule.noncurrent_version_expiration;
            found.unfinished_uploads = uploads
                .and_then(|rule| days(rule.days_after_initiation))
                .or(found.unfinished_uploads);
            found.old_versions = versions
                .and_then(|rule| days(rule.noncurrent_days))
                .or(found.old_versions);
        }
        Ok(found)
    }

    /// The first thousand below `prefix`. Needs `s3:ListBucketMultipartUploads`.
    pub async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>, Error> {
        let output = self
            .request("ListMultipartUploads", "")
            .send(|client| {
                let list = client.list_multipart_uploads().bucket(self.bucket());
                list.prefix(prefix).encoding_type(EncodingType::Url).send()
            })
            .await?;
        let uploads = output.uploads.unwrap_or_default().into_iter();
        Ok(uploads
            .map(|upload| UnfinishedUpload {
                key: decoded(
                    upload.key.unwrap_or_default(),
                    output.encoding_type.as_ref(),
                ),
                begun: timestamp(upload.initiated),
            })
            .collect())
    }
}

/// The keys that a rule is about: their beginning, and whether it picks out some of them by tag or size.
fn scope(rule: &LifecycleRule) -> (String, bool) {
    #[expect(deprecated, reason = "old rules still have it")]
    let of_rule = rule.prefix.clone();
    let Some(filter) = &rule.filter else {
        return (of_rule.unwrap_or_default(), false);
    };
    let of_and = filter.and.as_ref().and_then(|and| and.prefix.clone());
    let picks = filter.and.is_some()
        || filter.tag.is_some()
        || filter.object_size_greater_than.is_some()
        || filter.object_size_less_than.is_some();
    let prefix = filter.prefix.clone().or(of_and);
    (prefix.unwrap_or_default(), picks)
}
