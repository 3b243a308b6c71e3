//! An object: its content and what S3 knows of it.

use std::collections::BTreeMap;

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    /// `x-amz-server-side-encryption`, only kept and returned.
    pub(crate) server_side_encryption: Option<String>,
    /// `x-amz-server-side-encryption-aws-kms-key-id`, only kept and returned.
    pub(crate) kms_key_id: Option<String>,
    /// User metadata, without `x-amz-meta-`.
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Object {
    /// Length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.content.length()
    }
}
