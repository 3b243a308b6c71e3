//! Multipart uploads: parts that become one object in one instant.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::collections::BTreeMap;

use s3s::{
    S3Result,
    crypto::{Checksum as _, Md5},
    dto::CompletedPart,
    s3_error,
};

use crate::{
    checksum::{Algorithm, Checksums},
    content::Content,
    object::Attributes,
};

/// Every part but the last has at least this many bytes.
pub(crate) const SMALLEST_PART: u64 = 5 * 1024 * 1024;

/// Part numbers run from 1 to this.
pub(crate) const LAST_PART: i32 = 10_000;

/// An upload that was neither completed nor aborted yet.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) attributes: Attributes,
    /// The checksum that the object shall have.
    pub(crate) algorithm: Algorithm,
    /// That checksum is to be of the parts' checksums, not of all bytes.
    pub(crate) composite: bool,
    /// When it was begun, in seconds since 1970.
    pub(crate) initiated: i64,
    pub(crate) parts: BTreeMap<i32, UploadedPart>,
}

#[derive(Debug, Clone)]
pub(crate) struct UploadedPart {
    pub(crate) content: Content,
    pub(crate) md5: [u8; 16],
    pub(crate) checksums: Checksums,
    /// In seconds since 1970.
    pub(crate) modified: i64,
}

impl UploadedPart {
    /// Its version tag, without quotes.
    pub(crate) fn etag(&self) -> String {
        hex::encode(self.md5)
    }
}

impl Upload {
    /// The parts that the client lists, in its order, if they are as it says and large enough.
    pub(crate) fn select(&self, listed: &[CompletedPart]) -> S3Result<Vec<UploadedPart>> {
        if listed.is_empty() {
            return Err(s3_error!(
                MalformedXML,
                "You must specify at least one part"
            ));
        }
        let mut selected = Vec::with_capacity(listed.len());
        let mut previous = 0;
        for part in listed {
            let number = part.part_number.unwrap_or(0);
            if number <= previous {
                return Err(s3_error!(
                    InvalidPartOrder,
                    "The list of parts was not in ascending order."
                ));
            }
            previous = number;
            let uploaded = self.parts.get(&number).filter(|uploaded| {
                part.e_tag
                    .as_ref()
                    .is_some_and(|etag| etag.value() == uploaded.etag())
            });
            let Some(uploaded) = uploaded else {
                return Err(s3_error!(
                    InvalidPart,
                    "Part {number} was not found, or its entity tag is another one."
                ));
            };
            if uploaded.checksums.verify(&Checksums::from(part)).is_err() {
                return Err(s3_error!(
                    InvalidPart,
                    "The checksum of part {number} is another one."
                ));
            }
            selected.push(uploaded.clone());
        }
        let small = selected
            .iter()
            .rev()
            .skip(1)
            .any(|part| part.content.length() < SMALLEST_PART);
        if small {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            ));
        }
        Ok(selected)
    }
}

/// The version tag of an object of these parts: the digest of their digests, and how many they are.
pub(crate) fn etag(parts: &[UploadedPart]) -> String {
    let digests: Vec<u8> = parts.iter().flat_map(|part| part.md5).collect();
    format!("{}-{}", hex::encode(Md5::checksum(&digests)), parts.len())
}
