//! The bytes of objects and of parts: written once, then only read.
//!
//! In memory they are pieces that copies and ranges share. In a directory each is a file of its
//! own, removed with the last reference to it unless an object on disk [keeps](Content::keep) it.
//!
//! Files are read and written where the request is served, without a thread of their own: they are
//! in the page cache, and a hand-over costs more than the copy.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use s3s::stream::{ByteStream, RemainingLength};

/// Bytes that are put together before they are kept, and that are sent at a time: large enough that
/// neither costs much.
const PIECE: usize = 512 * 1024;

/// Where content is kept.
#[derive(Debug, Clone)]
pub(crate) enum Media {
    Memory,
    /// In files in this folder.
    Folder(Arc<Path>),
}

/// Written content.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Memory(Arc<Pieces>),
    File(Arc<ContentFile>),
}

/// Content in memory: pieces of any length.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: Vec<Bytes>,
    length: u64,
}

/// A file that is removed with the last reference to it, unless it is kept.
#[derive(Debug)]
pub(crate) struct ContentFile {
    path: PathBuf,
    length: u64,
    kept: AtomicBool,
}

impl Drop for ContentFile {
    fn drop(&mut self) {
        if !*self.kept.get_mut() {
            // It is swept when the store is next opened.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Content {
    /// The content of `path`, which stays where it is.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let length = fs::metadata(&path)?.len();
        Ok(Self::File(Arc::new(ContentFile {
            path,
            length,
            kept: AtomicBool::new(true),
        })))
    }

    /// Length in bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Memory(pieces) => pieces.length,
            Self::File(file) => file.length,
        }
    }

    /// The file's name within its folder; empty in memory.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Memory(_) => String::new(),
            Self::File(file) => file
                .path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// An object refers to it on disk: it outlives the process.
    pub(crate) fn keep(&self) {
        self.set_kept(true);
    }

    /// No object refers to it any more: it goes when the last reader is done.
    pub(crate) fn doom(&self) {
        self.set_kept(false);
    }

    fn set_kept(&self, kept: bool) {
        if let Self::File(file) = self {
            file.kept.store(kept, Ordering::Release);
        }
    }

    /// Reads `range`, which lies within the content.
    pub(crate) fn read(&self, range: Range<u64>) -> io::Result<Reader> {
        let source = match self {
            Self::Memory(pieces) => Source::Memory(pieces.slices(range.clone())),
            Self::File(content) => Source::File {
                file: File::open(&content.path)?,
                at: range.start,
                _content: Arc::clone(content),
            },
        };
        Ok(Reader {
            source,
            left: range.end - range.start,
        })
    }
}

impl Pieces {
    /// The pieces of `range`, last first, none longer than [`PIECE`].
    fn slices(&self, range: Range<u64>) -> Vec<Bytes> {
        let mut slices = Vec::new();
        let mut start = 0;
        for piece in &self.pieces {
            let end = start + piece.len() as u64;
            let mut from = range.start.clamp(start, end);
            let to = range.end.clamp(start, end);
            while from < to {
                let until = to.min(from + PIECE as u64);
                // Offsets within a piece, so they fit.
                slices.push(piece.slice((from - start) as usize..(until - start) as usize));
                from = until;
            }
            start = end;
        }
        slices.reverse();
        slices
    }
}

/// A range of some content on its way.
pub(crate) struct Reader {
    source: Source,
    left: u64,
}

enum Source {
    Memory(Vec<Bytes>),
    File {
        file: File,
        at: u64,
        _content: Arc<ContentFile>,
    },
}

impl Iterator for Reader {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let piece = match &mut self.source {
            Source::Memory(slices) => slices.pop()?,
            Source::File { file, at, .. } => {
                let mut piece =
                    BytesMut::zeroed(usize::try_from(self.left).unwrap_or(PIECE).min(PIECE));
                if let Err(error) = file.read_exact_at(&mut piece, *at) {
                    self.left = 0;
                    return Some(Err(error));
                }
                *at += piece.len() as u64;
                piece.freeze()
            }
        };
        self.left = self.left.saturating_sub(piece.len() as u64);
        Some(Ok(piece))
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, s3s::StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.next().map(|piece| piece.map_err(Into::into)))
    }
}

impl ByteStream for Reader {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

/// Content that is being written; what was written is gone if it is dropped before it is finished.
pub(crate) struct Writer {
    sink: Sink,
    length: u64,
}

enum Sink {
    Memory { pieces: Vec<Bytes>, last: BytesMut },
    File { file: File, content: ContentFile },
}

impl Writer {
    /// New content on `media`.
    pub(crate) fn new(media: &Media) -> io::Result<Self> {
        let sink = match media {
            Media::Memory => Sink::Memory {
                pieces: Vec::new(),
                last: BytesMut::new(),
            },
            Media::Folder(folder) => {
                let path = folder.join(format!("{:032x}", rand::random::<u128>()));
                let file = File::create_new(&path)?;
                Sink::File {
                    file,
                    content: ContentFile {
                        path,
                        length: 0,
                        kept: AtomicBool::new(false),
                    },
                }
            }
        };
        Ok(Self { sink, length: 0 })
    }

    /// Writes bytes at the end.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        match &mut self.sink {
            // Copied, since a piece as it came from the network holds on to a far larger buffer.
            Sink::Memory { pieces, last } => {
                while !bytes.is_empty() {
                    if last.len() == PIECE {
                        pieces.push(std::mem::take(last).freeze());
                    }
                    let (now, later) = bytes.split_at(bytes.len().min(PIECE - last.len()));
                    last.extend_from_slice(now);
                    bytes = later;
                }
                Ok(())
            }
            Sink::File { file, .. } => file.write_all(bytes),
        }
    }

    /// Writes a range of other content at the end; in memory it is shared.
    pub(crate) fn append(&mut self, content: &Content, range: Range<u64>) -> io::Result<()> {
        if let (Sink::Memory { pieces, last }, Content::Memory(other)) = (&mut self.sink, content) {
            if !last.is_empty() {
                pieces.push(std::mem::take(last).freeze());
            }
            pieces.extend(other.slices(range.clone()).into_iter().rev());
            self.length += range.end - range.start;
            return Ok(());
        }
        content
            .read(range)?
            .try_for_each(|piece| self.write(&piece?))
    }

    /// The content is complete.
    pub(crate) fn finish(self) -> Content {
        let length = self.length;
        match self.sink {
            Sink::Memory { mut pieces, last } => {
                pieces.push(last.freeze());
                Content::Memory(Arc::new(Pieces { pieces, length }))
            }
            Sink::File { mut content, .. } => {
                content.length = length;
                Content::File(Arc::new(content))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(media: &Media, pieces: &[&[u8]]) -> Content {
        let mut writer = Writer::new(media).unwrap();
        for piece in pieces {
            writer.write(piece).unwrap();
        }
        writer.finish()
    }

    fn all(content: &Content, range: Range<u64>) -> Vec<u8> {
        content
            .read(range)
            .unwrap()
            .flat_map(|piece| piece.unwrap().to_vec())
            .collect()
    }

    #[test]
    fn ranges_and_copies_give_the_same_bytes_on_both_media() {
        let folder = tempfile::tempdir().unwrap();
        let large: Vec<u8> = (0..3 * PIECE + 17).map(|i| (i % 251) as u8).collect();
        for media in [Media::Memory, Media::Folder(folder.path().into())] {
            let content = written(
                &media,
                &[&large[..10], &large[10..PIECE + 5], &large[PIECE + 5..]],
            );
            assert_eq!(content.length(), large.len() as u64);
            for (from, to) in [
                (0, large.len()),
                (9, 11),
                (PIECE - 1, 2 * PIECE + 1),
                (5, 5),
                (large.len() - 1, large.len()),
            ] {
                assert!(
                    all(&content, from as u64..to as u64) == large[from..to],
                    "{media:?} {from}..{to}"
                );
            }
            let mut writer = Writer::new(&media).unwrap();
            writer.write(b"<").unwrap();
            writer.append(&content, 3..PIECE as u64 + 3).unwrap();
            writer.write(b">").unwrap();
            let joined = writer.finish();
            assert_eq!(joined.length(), PIECE as u64 + 2);
            let expected = [b"<", &large[3..PIECE + 3], b">"].concat();
            assert!(all(&joined, 0..joined.length()) == expected);
        }
    }

    #[test]
    fn a_file_goes_with_its_last_reader_unless_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let media = Media::Folder(folder.path().into());
        let files = || fs::read_dir(folder.path()).unwrap().count();

        let kept = written(&media, &[b"kept"]);
        kept.keep();
        drop(kept);
        assert_eq!(files(), 1);

        let doomed = written(&media, &[b"doomed"]);
        doomed.keep();
        let mut reader = doomed.read(0..6).unwrap();
        doomed.doom();
        drop(doomed);
        assert_eq!(files(), 2);
        assert_eq!(reader.next().unwrap().unwrap(), "doomed");
        drop(reader);
        assert_eq!(files(), 1);

        let mut unfinished = Writer::new(&media).unwrap();
        unfinished.write(b"half").unwrap();
        drop(unfinished);
        assert_eq!(files(), 1);
    }
}
