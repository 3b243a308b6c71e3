//! The rules of [`Storage`] as a test that any implementation must pass: the fake, the embedded
//! server, MinIO, AWS.
//!
//! One suite for all is what keeps the fake honest. It panics with the rule that is broken.

mod cas;
mod copies;
mod lists;
mod races;
mod reads;
mod writes;

use std::{fmt::Debug, sync::Arc};

use bytes::Bytes;

use crate::{
    Error, ErrorKind, GetOptions, GetReply, ObjectMeta, Payload, PutMode, PutOptions, PutReply,
    Storage, storage::collect,
};

/// Runs the whole suite on `store`, which must be an empty bucket. The bucket is empty again
/// afterwards.
///
/// # Panics
/// At the first rule that does not hold.
pub async fn conformance(store: Arc<dyn Storage>) {
    let s = &*store;
    lists::an_empty_bucket_lists_nothing(s).await;
    reads::whole_objects(s).await;
    reads::missing_keys(s).await;
    reads::ranges(s).await;
    reads::conditions(s).await;
    writes::preconditions(s).await;
    writes::checksums(s).await;
    writes::metadata(s).await;
    writes::keys(s).await;
    writes::files(s).await;
    writes::large_files(s).await;
    copies::objects(&store).await;
    copies::other_content(&store).await;
    races::creates(&store).await;
    races::updates(&store).await;
    races::large_creates(&store).await;
    cas::no_update_is_lost(&store).await;
    lists::folders(s).await;
    lists::keys_that_xml_cannot_carry(s).await;
    lists::deletion(s).await;
    lists::pages(s).await;
    lists::remove_everything(s).await;
    lists::an_empty_bucket_lists_nothing(s).await;
}

/// A value, or a panic that names the rule.
trait Holds<T> {
    fn holds(self, rule: &str) -> T;
}

impl<T> Holds<T> for Result<T, Error> {
    #[track_caller]
    fn holds(self, rule: &str) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("{rule}: {error:?}"),
        }
    }
}

/// An error of one of these kinds, or a panic that names the rule.
#[track_caller]
fn refused<T: Debug>(result: Result<T, Error>, kinds: &[ErrorKind], rule: &str) -> Error {
    match result {
        Ok(value) => panic!("{rule}: it succeeded with {value:?}"),
        Err(error) => {
            assert!(
                kinds.contains(&error.kind()),
                "{rule}: {:?} was expected, got {error:?}",
                kinds
            );
            error
        }
    }
}

async fn put(
    s: &dyn Storage,
    key: &str,
    content: impl Into<Bytes>,
    mode: PutMode,
) -> Result<PutReply, Error> {
    s.put(key, Payload::Bytes(content.into()), PutOptions::new(mode))
        .await
}

async fn read(
    s: &dyn Storage,
    key: &str,
    options: GetOptions,
) -> Result<(ObjectMeta, Bytes), Error> {
    match s.get(key, options).await? {
        GetReply::Found(object) => collect(key, object, 1 << 30).await,
        GetReply::NotModified { .. } => panic!("{key}: 304 without a condition that asks for it"),
    }
}

async fn content(s: &dyn Storage, key: &str) -> Bytes {
    read(s, key, GetOptions::default())
        .await
        .holds("an object that was written can be read")
        .1
}

/// Bytes that do not repeat and are the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(length)
    .collect()
}

/// A local file that is removed when dropped.
struct LocalFile(std::path::PathBuf);

impl LocalFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let unique = format!(
            "debucket-conformance-{}-{name}-{:p}",
            std::process::id(),
            content
        );
        let path = std::env::temp_dir().join(unique);
        if let Err(error) = std::fs::write(&path, content) {
            panic!("{}: {error}", path.display());
        }
        Self(path)
    }

    fn payload(&self, size: usize) -> Payload {
        Payload::File {
            path: self.0.clone(),
            size: size as u64,
        }
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
