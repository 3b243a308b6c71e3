//! An object that is to become another one: read from where it is, and compared with what it must be.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use sha2::{Digest as _, Sha256};

use crate::{
    ByteRange, Error, ErrorKind, GetOptions, GetReply, Storage,
    storage::{BODY_TRIES, collect},
};

const GET: &str = "GetObject";

/// An object that must have `size` bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredObject<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) key: &'a str,
    pub(crate) size: u64,
}

impl<'a> StoredObject<'a> {
    /// All of it, which must have this digest.
    pub(crate) async fn read_whole(self, sha256: Option<[u8; 32]>) -> Result<Bytes, Error> {
        let bytes = self.read(0, self.size).await?;
        self.check(&Sha256::new_with_prefix(&bytes), sha256)?;
        Ok(bytes)
    }

    /// All of it in pieces of `length` bytes, in order, of which some are read at once. At its end an error instead if the whole
    /// does not have this digest.
    pub(crate) fn pieces(
        self,
        length: u64,
        at_once: usize,
        sha256: Option<[u8; 32]>,
    ) -> BoxStream<'a, Result<Bytes, Error>> {
        let starts = (0..self.size.div_ceil(length)).map(move |number| number * length);
        let reads = starts.map(move |first| self.read(first, length.min(self.size - first)));
        let pieces = stream::iter(reads).buffered(at_once);
        stream::try_unfold(
            (pieces, Sha256::new()),
            move |(mut pieces, mut whole)| async move {
                match pieces.try_next().await? {
                    Some(piece) => {
                        whole.update(&piece);
                        Ok(Some((piece, (pieces, whole))))
                    }
                    None => self.check(&whole, sha256).map(|()| None),
                }
            },
        )
        .boxed()
    }

    fn check(self, whole: &Sha256, expected: Option<[u8; 32]>) -> Result<(), Error> {
        match expected {
            Some(expected) if whole.clone().finalize()[..] != expected => Err(self.other_content()),
            _ => Ok(()),
        }
    }

    pub(crate) fn other_content(self) -> Error {
        let message = "the object is not the one that was announced";
        Error::new(ErrorKind::ChecksumMismatch, GET, self.key, message).of_payload()
    }

    /// Some of its bytes. A body that breaks off is asked for again, a few times.
    async fn read(self, first: u64, length: u64) -> Result<Bytes, Error> {
        let last = (first + length).saturating_sub(1);
        let range = (length < self.size).then_some(ByteRange::Between(first, last));
        for tries_left in (0..BODY_TRIES).rev() {
            let options = GetOptions {
                range,
                ..GetOptions::default()
            };
            let object = match self.storage.get(self.key, options).await {
                Ok(GetReply::Found(object)) => object,
                Ok(GetReply::NotModified { .. }) => break,
                Err(error) if error.kind() == ErrorKind::RangeNotSatisfiable => break,
                Err(error) => return Err(error.of_payload()),
            };
            if (object.meta.size, object.offset, object.length)
                != (Some(self.size), first, Some(length))
            {
                break;
            }
            match collect(self.key, object, length).await {
                Err(error) if error.kind() == ErrorKind::Truncated && tries_left > 0 => {
                    tracing::info!(key = self.key, %error, "reading again");
                }
                result => return result.map(|(_, bytes)| bytes).map_err(Error::of_payload),
            }
        }
        Err(self.other_content())
    }
}
