//! The store that the items come from, and what is in it.

use std::{fs, path::Path, time::SystemTime};

use apt_method_s3::message::Message;
use deb_index::digest::{Algorithm, Digests};
use dev_s3::DevS3;

use crate::support::{Method, Start};

pub(crate) const MIB: usize = 1 << 20;

pub(crate) async fn store() -> DevS3 {
    DevS3::builder().bucket("bucket").start().await.unwrap()
}

/// A store whose objects are old enough to keep their date.
pub(crate) async fn settled_store() -> DevS3 {
    let store = store().await;
    store.clock().freeze();
    store
}

pub(crate) fn against(endpoint: &str) -> Start {
    Start::default().store(endpoint, DevS3::DEFAULT_KEY_ID, DevS3::DEFAULT_SECRET)
}

/// Bytes that do not repeat.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(length)
    .collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Digests::of(&[Algorithm::Sha256], bytes)
        .get(Algorithm::Sha256)
        .unwrap()
}

/// A request as apt makes it for a file that an index lists.
pub(crate) fn listed(method: &Method, uri: &str, name: &str, content: &[u8]) -> Message {
    method
        .request(uri, name)
        .with("Expected-SHA256", sha256(content))
        .with("Expected-Checksum-FileSize", content.len().to_string())
}

pub(crate) fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}
