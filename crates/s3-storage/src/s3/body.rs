//! The bodies of written objects: pieces of a file or of memory, so that progress shows and silence
//! can be told from slowness.

use std::{
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::{fs::File, io::AsyncRead as _, io::ReadBuf};

use super::answer::BadFile;
use crate::Progress;

/// How many bytes are read and sent at once.
const PIECE: usize = 128 << 10;

/// Tells of progress once for each byte, however often an attempt begins anew.
#[derive(Clone)]
pub(super) struct Meter {
    told: Arc<AtomicU64>,
    progress: Option<Progress>,
}

impl Meter {
    pub(super) fn new(progress: Option<Progress>) -> Self {
        Self {
            told: Arc::default(),
            progress,
        }
    }

    /// The first `position` bytes are sent.
    fn reached(&self, position: u64) {
        let Some(progress) = &self.progress else {
            return;
        };
        let before = self.told.fetch_max(position, Ordering::Relaxed);
        if position > before {
            progress(position - before);
        }
    }
}

/// A body from memory, without a copy.
pub(super) fn of_bytes(bytes: Bytes, meter: Meter) -> ByteStream {
    let make = move || {
        let source = Source::Memory(bytes.clone());
        SdkBody::from_body_1_x(Pieces {
            source,
            position: 0,
            size: bytes.len() as u64,
            meter: meter.clone(),
        })
    };
    ByteStream::new(SdkBody::retryable(make))
}

/// A body from a file of `size` bytes. The file is opened at each attempt; one of another length by
/// then is an error.
pub(super) fn of_file(path: PathBuf, size: u64, meter: Meter) -> ByteStream {
    let make = move || {
        let source = match open(&path, size) {
            Ok(file) => Source::File {
                file: File::from_std(file),
                path: path.clone(),
                buffer: BytesMut::new(),
            },
            Err(error) => Source::Failed(Some(error)),
        };
        SdkBody::from_body_1_x(Pieces {
            source,
            position: 0,
            size,
            meter: meter.clone(),
        })
    };
    ByteStream::new(SdkBody::retryable(make))
}

/// Opens a file that must have `size` bytes.
pub(super) fn open(path: &Path, size: u64) -> Result<std::fs::File, BadFile> {
    let unreadable = |error| BadFile::unreadable(path, error);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length == size {
        Ok(file)
    } else {
        Err(changed(path, size, length))
    }
}

pub(super) fn changed(path: &Path, size: u64, now: u64) -> BadFile {
    BadFile::Changed {
        path: path.to_owned(),
        size,
        now,
    }
}

enum Source {
    Memory(Bytes),
    File {
        file: File,
        path: PathBuf,
        buffer: BytesMut,
    },
    Failed(Option<BadFile>),
}

struct Pieces {
    source: Source,
    position: u64,
    size: u64,
    meter: Meter,
}

impl Pieces {
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BadFile>>> {
        let left = self.size - self.position;
        if left == 0 {
            return Poll::Ready(None);
        }
        let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        match &mut self.source {
            Source::Memory(bytes) => Poll::Ready(Some(Ok(bytes.split_to(length)))),
            Source::Failed(error) => Poll::Ready(error.take().map(Err)),
            Source::File { file, path, buffer } => {
                buffer.resize(length, 0);
                let mut read = ReadBuf::new(buffer);
                let result = ready!(Pin::new(file).poll_read(context, &mut read));
                let filled = read.filled().len();
                Poll::Ready(Some(match result {
                    Err(error) => Err(BadFile::unreadable(path, error)),
                    Ok(()) if filled == 0 => Err(changed(path, self.size, self.position)),
                    Ok(()) => Ok(buffer.split_to(filled).freeze()),
                }))
            }
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BadFile;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BadFile>>> {
        let piece = ready!(self.next(context));
        // The connection asks for more when it has passed the last piece on.
        self.meter.reached(self.position);
        if let Some(Ok(bytes)) = &piece {
            self.position += bytes.len() as u64;
            if self.position == self.size {
                self.meter.reached(self.position);
            }
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.position == self.size
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.size - self.position)
    }
}
