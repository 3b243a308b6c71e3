//! The operations of the S3 API that are served: how a request names one, the permission that it needs, and the
//! condition keys that it has.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use std::fmt;

use hyper::{Method, http::request::Parts};

use crate::query::Query;

/// What the conditions of a policy can ask about an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conditions {
    /// Nothing of its own.
    None,
    /// The prefix and delimiter of a listing.
    Listing,
    /// The preconditions of a write that makes an object.
    Object,
    /// Those of a write that is a step towards one.
    Part,
}

macro_rules! operations {
    ($($name:ident, $action:literal, $conditions:ident;)+) => {
        /// An operation, by the S3 API's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "these are the API's names")]
        pub enum Operation {
            $($name,)+
        }

        impl Operation {
            /// The operation of this name, otherwise `Unknown`.
            pub(crate) fn named(name: &str) -> Self {
                match name {
                    $(stringify!($name) => Self::$name,)+
                    _ => Self::Unknown,
                }
            }

            /// The permission that it needs on what its path names (`s3:GetObject`).
            pub fn action(self) -> &'static str {
                match self {
                    $(Self::$name => $action,)+
                }
            }

            pub(crate) fn conditions(self) -> Conditions {
                match self {
                    $(Self::$name => Conditions::$conditions,)+
                }
            }
        }
    };
}

operations! {
    GetObject, "s3:GetObject", None;
    HeadObject, "s3:GetObject", None;
    PutObject, "s3:PutObject", Object;
    CopyObject, "s3:PutObject", Object;
    CreateMultipartUpload, "s3:PutObject", Part;
    UploadPart, "s3:PutObject", Part;
    UploadPartCopy, "s3:PutObject", Part;
    CompleteMultipartUpload, "s3:PutObject", Object;
    AbortMultipartUpload, "s3:AbortMultipartUpload", None;
    ListParts, "s3:ListMultipartUploadParts", None;
    ListMultipartUploads, "s3:ListBucketMultipartUploads", None;
    DeleteObject, "s3:DeleteObject", None;
    DeleteObjects, "s3:DeleteObject", None;
    ListObjects, "s3:ListBucket", Listing;
    ListObjectsV2, "s3:ListBucket", Listing;
    HeadBucket, "s3:ListBucket", Listing;
    ListBuckets, "s3:ListAllMyBuckets", None;
    CreateBucket, "s3:CreateBucket", None;
    DeleteBucket, "s3:DeleteBucket", None;
    GetBucketLocation, "s3:GetBucketLocation", None;
    GetBucketPolicy, "s3:GetBucketPolicy", None;
    PutBucketPolicy, "s3:PutBucketPolicy", None;
    DeleteBucketPolicy, "s3:DeleteBucketPolicy", None;
    GetBucketVersioning, "s3:GetBucketVersioning", None;
    GetBucketEncryption, "s3:GetEncryptionConfiguration", None;
    GetPublicAccessBlock, "s3:GetBucketPublicAccessBlock", None;
    GetBucketPolicyStatus, "s3:GetBucketPolicyStatus", None;
    GetBucketOwnershipControls, "s3:GetBucketOwnershipControls", None;
    GetBucketAcl, "s3:GetBucketAcl", None;
    GetBucketLifecycleConfiguration, "s3:GetLifecycleConfiguration", None;
    // Not served; only a key that may do everything learns so.
    Unknown, "s3:NotServed", None;
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Operation {
    /// What a request asks for. An empty `bucket` means all buckets, an empty `key` the bucket itself.
    pub(crate) fn of(parts: &Parts, bucket: &str, key: &str) -> Self {
        let query = Query::of(&parts.uri);
        let copies = parts.headers.contains_key("x-amz-copy-source");
        let method = &parts.method;
        if bucket.is_empty() {
            return if method == Method::GET {
                Self::ListBuckets
            } else {
                Self::Unknown
            };
        }
        if key.is_empty() {
            return match *method {
                Method::HEAD => Self::HeadBucket,
                Method::GET if query.has("location") => Self::GetBucketLocation,
                Method::GET if query.has("policy") => Self::GetBucketPolicy,
                Method::GET if query.has("policyStatus") => Self::GetBucketPolicyStatus,
                Method::GET if query.has("versioning") => Self::GetBucketVersioning,
                Method::GET if query.has("encryption") => Self::GetBucketEncryption,
                Method::GET if query.has("publicAccessBlock") => Self::GetPublicAccessBlock,
                Method::GET if query.has("ownershipControls") => Self::GetBucketOwnershipControls,
                Method::GET if query.has("acl") => Self::GetBucketAcl,
                Method::GET if query.has("lifecycle") => Self::GetBucketLifecycleConfiguration,
                Method::GET if query.has("uploads") => Self::ListMultipartUploads,
                Method::GET if query.has("list-type") => Self::ListObjectsV2,
                Method::GET => Self::ListObjects,
                Method::PUT if query.has("policy") => Self::PutBucketPolicy,
                Method::PUT => Self::CreateBucket,
                Method::DELETE if query.has("policy") => Self::DeleteBucketPolicy,
                Method::DELETE => Self::DeleteBucket,
                Method::POST if query.has("delete") => Self::DeleteObjects,
                _ => Self::Unknown,
            };
        }
        match *method {
            Method::HEAD => Self::HeadObject,
            Method::GET if query.has("uploadId") => Self::ListParts,
            Method::GET => Self::GetObject,
            Method::PUT if query.has("uploadId") && copies => Self::UploadPartCopy,
            Method::PUT if query.has("uploadId") => Self::UploadPart,
            Method::PUT if copies => Self::CopyObject,
            Method::PUT => Self::PutObject,
            Method::DELETE if query.has("uploadId") => Self::AbortMultipartUpload,
            Method::DELETE => Self::DeleteObject,
            Method::POST if query.has("uploads") => Self::CreateMultipartUpload,
            Method::POST if query.has("uploadId") => Self::CompleteMultipartUpload,
            _ => Self::Unknown,
        }
    }
}

/// The name of a bucket, or of a key in it, in policies.
pub(crate) fn arn(bucket: &str, key: Option<&str>) -> String {
    match key {
        None => format!("arn:aws:s3:::{bucket}"),
        Some(key) => format!("arn:aws:s3:::{bucket}/{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_its_operation_and_back() {
        for name in ["GetObject", "UploadPartCopy", "DeleteBucketPolicy"] {
            assert_eq!(Operation::named(name).to_string(), name);
        }
        assert_eq!(Operation::named("PutObjectAcl"), Operation::Unknown);
    }

    #[test]
    fn an_operation_has_the_action_and_conditions_of_its_kind() {
        assert_eq!(Operation::UploadPart.action(), "s3:PutObject");
        assert_eq!(Operation::UploadPart.conditions(), Conditions::Part);
        assert_eq!(Operation::HeadBucket.conditions(), Conditions::Listing);
        assert_eq!(Operation::Unknown.action(), "s3:NotServed");
    }
}
