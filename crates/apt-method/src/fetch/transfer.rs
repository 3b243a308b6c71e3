//! The bytes of an object on their way to the file: in one body, or cut into ranges that come side by side.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

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
    /// A body ended too early.
    Cut(Failure),
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
        let (Some(size), Some(length)) = (meta.size, length) else {
            return self
                .bring(client, &meta, body, from..u64::MAX, writer)
                .await;
        };
        let end_of_body = from + length;
        if client.is_limited() || (size - from < LARGE && end_of_body == size) {
            return self.bring(client, &meta, body, from..size, writer).await;
        }
        // What remains is cut into parts, which the workers take one after the other. The first
        // worker begins with the body that is here.
        let begin = (from + PART).min(end_of_body);
        let next = AtomicU64::new(begin);
        let first = async {
            self.bring(client, &meta, body, from..begin, writer).await?;
            self.parts(client, &meta, size, &next, writer).await
        };
        let others = (1..PARALLEL).map(|_| self.parts(client, &meta, size, &next, writer));
        let (first, others) = (Box::pin(first), try_join_all(others.map(Box::pin)));
        futures::future::try_join(first, others).await.map(drop)
    }

    /// Takes part after part until there is none left.
    async fn parts(
        &self,
        client: &Client,
        meta: &ObjectMeta,
        size: u64,
        next: &AtomicU64,
        writer: &Writer,
    ) -> Result<(), Broken> {
        loop {
            let Ok(_turn) = self.fetcher.ranges.acquire().await else {
                return Err(Broken::Stopped);
            };
            let begin = next.fetch_add(PART, Ordering::Relaxed);
            if begin >= size {
                return Ok(());
            }
            let range = begin..(begin + PART).min(size);
            let body = self.ask(client, meta, &range).await?;
            self.bring(client, meta, body, range, writer).await?;
        }
    }

    /// Asks for a range of the object.
    async fn ask(
        &self,
        client: &Client,
        meta: &ObjectMeta,
        range: &Range<u64>,
    ) -> Result<Body, Broken> {
        let options = GetOptions {
            range: Some(if range.end == u64::MAX {
                ByteRange::From(range.start)
            } else {
                ByteRange::Between(range.start, range.end - 1)
            }),
            if_match: Some(meta.etag.clone()),
            ..GetOptions::default()
        };
        match client.get(&self.location.key, options).await {
            Ok(GetReply::Found(object))
                if object.offset == range.start && object.meta.etag == meta.etag =>
            {
                Ok(object.body)
            }
            // A store that ignores If-Match, or the range.
            Ok(_) => Err(Broken::Changed),
            Err(refused) => match refused.error.kind() {
                ErrorKind::PreconditionFailed | ErrorKind::RangeNotSatisfiable => {
                    Err(Broken::Changed)
                }
                _ => Err(Broken::Failed(self.failure(client, refused).await)),
            },
        }
    }

    /// Brings a range of the object to the writer, beginning with the body that is here. Where that breaks off, the rest is asked
    /// for, as long as each body brings something.
    async fn bring(
        &self,
        client: &Client,
        meta: &ObjectMeta,
        mut body: Body,
        mut range: Range<u64>,
        writer: &Writer,
    ) -> Result<(), Broken> {
        loop {
            let begin = range.start;
            match self.pump(client, body, &mut range, writer).await {
                Err(Broken::Cut(_)) if range.start > begin => {
                    body = self.ask(client, meta, &range).await?;
                }
                ended => return ended,
            }
        }
    }

    /// Brings one body to the writer. What remains to be brought is left in `range`, whose end is [`u64::MAX`] where the object's
    /// length is not known.
    async fn pump(
        &self,
        client: &Client,
        mut body: Body,
        range: &mut Range<u64>,
        writer: &Writer,
    ) -> Result<(), Broken> {
        loop {
            let mut piece = match body.next().await {
                Some(Ok(piece)) => piece,
                // Of a whole body the end is read, too: it is there that a checksum turns out to be wrong.
                None if range.is_empty() || range.end == u64::MAX => return Ok(()),
                Some(Err(error))
                    if range.is_empty() && error.kind() != ErrorKind::ChecksumMismatch =>
                {
                    return Ok(());
                }
                None => {
                    let message = "the transfer was cut short; what arrived is kept";
                    let message = format!("{}: {message}", self.location);
                    return Err(Broken::Cut(Failure::transient(Reason::Other, message)));
                }
                Some(Err(error)) => {
                    let failure =
                        Failure::of_request(&self.location.to_string(), &error, &self.secrets);
                    return Err(match error.kind() {
                        ErrorKind::Truncated => Broken::Cut(failure),
                        _ => Broken::Failed(failure),
                    });
                }
            };
            let room = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            if room == 0 {
                return Ok(());
            }
            piece.truncate(room);
            let length = piece.len();
            self.check_size(range.start + length as u64)
                .map_err(Broken::Failed)?;
            writer
                .write(range.start, piece)
                .await
                .map_err(|_| Broken::Stopped)?;
            range.start += length as u64;
            client.pace(length).await;
        }
    }
}
