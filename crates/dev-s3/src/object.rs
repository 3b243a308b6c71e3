//! An object: its content and what S3 knows of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{checksum::Checksums, content::Content};

/// What a key stands for. Never changed: a write puts another one in its place.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) content: Content,
    /// The version tag, without quotes.
    pub(crate) etag: String,
    /// When it was written, in seconds since 1970.
    pub(crate) modified: i64,
    pub(crate) checksums: Checksums,
    pub(crate) attributes: Attributes,
}

/// Headers that come with a write and go with each read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    /// `x-amz-server-side-encryption`, only kept and returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_side_encryption: Option<String>,
    /// `x-amz-server-side-encryption-aws-kms-key-id`, only kept and returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kms_key_id: Option<String>,
    /// User metadata, without `x-amz-meta-`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Object {
    /// Length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.content.length()
    }
}
