//! An object of this or another bucket becomes one of this bucket: `UploadPartCopy`
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>).
//!
//! The store copies it as the only part of an upload, whose completion is conditional wherever that
//! of any upload is; whether `CopyObject` is depends on the store. What is copied must be proved: by
//! the SHA-256 that the store keeps of the source, or by the one that it computes of the part. Where
//! there is neither, or the store does not copy (it is another one, or these credentials may not
//! read the source), the object is read and sent.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
};

use aws_sdk_s3::types::ChecksumAlgorithm;
use futures::{StreamExt as _, stream};
use tokio::sync::Semaphore;

use super::{
    S3,
    get::sha256,
    multipart::{IN_FLIGHT, Part, part_size},
    put::{Headers, SINGLE},
};
use crate::{Address, Error, Payload, PutOptions, PutReply, stored::StoredObject};

/// S3 copies no more than this in one part, in bytes.
const LARGEST_COPY: u64 = 5 << 30;

/// How many MiB of objects that are read and sent are in memory at once.
const IN_MEMORY: u32 = 192;

/// What is known about copies into a bucket.
#[derive(Debug)]
pub(super) struct Copies {
    /// Whether the store has refused to copy an object whose digest it must compute; one whose
    /// digest it knows. It is not asked again.
    refused: [AtomicBool; 2],
    memory: Semaphore,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            refused: Default::default(),
            memory: Semaphore::new(IN_MEMORY as usize),
        }
    }
}

impl S3 {
    pub(super) async fn put_stored(
        &self,
        key: &str,
        from: StoredObject<'_>,
        options: PutOptions,
    ) -> Result<PutReply, Error> {
        if let Some(reply) = self.copy(key, from, &options).await? {
            return Ok(reply);
        }
        let is_single = from.size <= SINGLE;
        let part = part_size(from.size);
        // Parts wait while they are read and while they are sent.
        let needed = if is_single {
            from.size
        } else {
            2 * IN_FLIGHT as u64 * part
        };
        let needed = u32::try_from(needed.div_ceil(1 << 20)).unwrap_or(IN_MEMORY);
        let memory = &self.inner.copies.memory;
        let _turn = memory.acquire_many(needed.min(IN_MEMORY)).await;
        if is_single {
            let bytes = from.read_whole(options.sha256).await?;
            return Box::pin(self.put_payload(key, Payload::Bytes(bytes), options)).await;
        }
        let pieces = from.pieces(part, IN_FLIGHT, options.sha256);
        let parts = pieces.zip(stream::iter(1..));
        let parts = parts.map(|(piece, number)| piece.map(|bytes| Part::new(number, bytes)));
        self.send_parts(key, parts.boxed(), &options).await
    }

    /// Lets the store copy; none if it does not.
    async fn copy(
        &self,
        key: &str,
        from: StoredObject<'_>,
        options: &PutOptions,
    ) -> Result<Option<PutReply>, Error> {
        let is_here = |address: &Address| address.endpoint.as_deref() == self.endpoint();
        let address = from.storage.address(from.key).filter(is_here);
        let (Some(address), 1..=LARGEST_COPY) = (address, from.size) else {
            return Ok(None);
        };
        let there = from.storage.head(from.key).await;
        let there = there.map_err(Error::of_payload)?;
        let is_other = |known| options.sha256.is_some_and(|expected| known != expected);
        if there.size != Some(from.size) || there.sha256.is_some_and(is_other) {
            return Err(from.other_content());
        }
        let refused = &self.inner.copies.refused[usize::from(there.sha256.is_some())];
        if refused.load(Ordering::Relaxed) {
            return Ok(None);
        }
        // Some stores copy into uploads without checksums only.
        let algorithm = there.sha256.is_none().then_some(ChecksumAlgorithm::Sha256);
        let headers = Headers::from(options);
        let upload = self.begin_upload(key, &headers, algorithm).await?;
        let part = upload.copy_part(&copy_source(&address), &there.etag).await;
        let parts = match part {
            Ok(part) => {
                let computed = part.checksum_sha256().and_then(sha256);
                match computed.or(there.sha256) {
                    Some(copied) if is_other(copied) => Err(from.other_content()),
                    None if options.sha256.is_some() => {
                        refused.store(true, Ordering::Relaxed);
                        upload.cancel().await;
                        return Ok(None);
                    }
                    _ => Ok(vec![part]),
                }
            }
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                let why = error.in_full();
                tracing::info!(key, why, "the store does not copy; reading and sending");
                refused.store(true, Ordering::Relaxed);
                upload.cancel().await;
                return Ok(None);
            }
        };
        let reply = upload.end(parts, &options.mode).await?;
        if let Some(progress) = &options.progress {
            progress(from.size);
        }
        Ok(Some(reply))
    }
}

/// The value of `x-amz-copy-source`: bucket and key, encoded as in a URL.
fn copy_source(address: &Address) -> String {
    let mut source = format!("{}/", address.bucket);
    for &byte in address.key.as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                source.push(char::from(byte));
            }
            // Writing to memory does not fail.
            _ => drop(write!(source, "%{byte:02X}")),
        }
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_written_as_in_a_url() {
        let address = Address {
            endpoint: None,
            bucket: "acme-apt".to_owned(),
            key: "pool/g++_1.0+b1~rc1 ü.deb".to_owned(),
        };
        assert_eq!(
            copy_source(&address),
            "acme-apt/pool/g%2B%2B_1.0%2Bb1~rc1%20%C3%BC.deb"
        );
    }
}
