//! The bytes of an object on their way to the file: in one body, or cut into ranges that come side by side.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::{StreamExt as _, future::try_join_all};
use s3_storage::{Body, ByteRange, ErrorKind, GetOptions, GetReply, Object, ObjectMeta};

use super::Item;
use crate::{
    clients::Client,
    failure::{Failure, Reason},
    partial::Writer,
};

/// Length in bytes of the ranges that a large object comes in: long enough for a connection to gain
/// speed.
pub(super) const PART: u64 = 8 << 20;

/// From how many bytes on an object comes in ranges.
pub(super) const LARGE: u64 = 2 * PART;

/// How many ranges of one object are on their way at once.
const PARALLEL: usize = 4;

/// Why a transfer ended early.
pub(super) enum Broken {
    Failed(Failure),
    /// The object is another one now.
    Changed,
    /// The file cannot be written: the writer knows why.
    Stopped,
}

impl Item<'_> {
    /// Brings the bytes from `from` on to the writer.
    pub(super) async fn pieces(
        &self,
        client: &Client,
        object: Object,
        from: u64,
        writer: &Writer,
    ) -> Result<(), Broken> {
        let Object {
            meta, length, body, ..
        } = object;
        let end_of_body = from + length;
        if client.is_limited() || (meta.size - from < LARGE && end_of_body == meta.size) {
            return self.pump(client, body, from, meta.size, writer).await;
        }
        // What remains is cut into parts, which the workers take one after the other. The first
        // worker begins with the body that is here.
        let begin = (from + PART).min(end_of_body);
        let next = AtomicU64::new(begin);
        let first = async {
            self.pump(client, body, from, begin, writer).await?;
            self.parts(client, &meta, &next, writer).await
        };
        let others = (1..PARALLEL).map(|_| self.parts(client, &meta, &next, writer));
        let (first, others) = (Box::pin(first), try_join_all(others.map(Box::pin)));
        futures::future::try_join(first, others).await.map(drop)
    }

    /// Takes part after part until there is none left.
    async fn parts(
        &self,
        client: &Client,
        meta: &ObjectMeta,
        next: &AtomicU64,
        writer: &Writer,
    ) -> Result<(), Broken> {
        loop {
            let Ok(_turn) = self.fetcher.ranges.acquire().await else {
                return Err(Broken::Stopped);
            };
            let begin = next.fetch_add(PART, Ordering::Relaxed);
            if begin >= meta.size {
                return Ok(());
            }
            let end = (begin + PART).min(meta.size);
            let options = GetOptions {
                range: Some(ByteRange::Between(begin, end - 1)),
                if_match: Some(meta.etag.clone()),
                ..GetOptions::default()
            };
            let object = match client.get(&self.location.key, options).await {
                Ok(GetReply::Found(object))
                    if object.offset == begin && object.meta.etag == meta.etag =>
                {
                    object
                }
                // A store that ignores If-Match, or the range.
                Ok(_) => return Err(Broken::Changed),
                Err(refused) => match refused.error.kind() {
                    ErrorKind::PreconditionFailed | ErrorKind::RangeNotSatisfiable => {
                        return Err(Broken::Changed);
                    }
                    _ => return Err(Broken::Failed(self.failure(client, refused).await)),
                },
            };
            self.pump(client, object.body, begin, end, writer).await?;
        }
    }

    /// Brings one body to the writer, as far as `end`.
    async fn pump(
        &self,
        client: &Client,
        mut body: Body,
        mut offset: u64,
        end: u64,
        writer: &Writer,
    ) -> Result<(), Broken> {
        while offset < end {
            let mut piece = match body.next().await {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => {
                    return Err(Broken::Failed(Failure::of_request(
                        &self.location.to_string(),
                        &error,
                    )));
                }
                None => {
                    let message = format!(
                        "{}: the transfer was cut short; what arrived is kept",
                        self.location
                    );
                    return Err(Broken::Failed(Failure::transient(Reason::Other, message)));
                }
            };
            let room = usize::try_from(end - offset).unwrap_or(usize::MAX);
            piece.truncate(room);
            let length = piece.len();
            if length == 0 {
                continue;
            }
            writer
                .write(offset, piece)
                .await
                .map_err(|_| Broken::Stopped)?;
            offset += length as u64;
            client.pace(length).await;
        }
        Ok(())
    }
}
