//! Reading package files that are in the pool already.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use deb_index::deb::{self, Deb};
use futures::StreamExt as _;
use s3_storage::{ErrorKind, GetOptions, GetReply};
use tokio::sync::mpsc;

use crate::{Error, Repository, commit::draft::blocking};

/// Pieces that are read ahead.
const AHEAD: usize = 4;
/// Times that a file is read whose body breaks off.
const TRIES: usize = 3;

impl Repository {
    /// What an index needs to know of a package file; none if it is missing or not a whole package.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn describe(&self, key: &str) -> Result<Option<Deb>, Error> {
        for _ in 1..TRIES {
            match self.describe_once(key).await {
                Err(error) if error.kind() == ErrorKind::Truncated => {}
                result => return Ok(result?),
            }
        }
        Ok(self.describe_once(key).await?)
    }

    async fn describe_once(&self, key: &str) -> Result<Option<Deb>, s3_storage::Error> {
        let mut object = match self.storage.get(key, GetOptions::default()).await {
            Ok(GetReply::Found(object)) => object,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let (sender, receiver) = mpsc::channel(AHEAD);
        let pieces = Pieces {
            receiver,
            piece: Bytes::new(),
        };
        let described = blocking(move || deb::describe(io::BufReader::new(pieces)).ok());
        let feed = async move {
            while let Some(piece) = object.body.next().await {
                // What is not a package is not read to its end.
                if sender.send(piece?).await.is_err() {
                    break;
                }
            }
            Ok::<_, s3_storage::Error>(())
        };
        let (deb, fed) = futures::join!(described, feed);
        fed.map(|()| deb)
    }
}

/// A body as it arrives.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
