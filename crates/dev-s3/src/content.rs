//! The bytes of objects and of parts: written once, then only read, in pieces that copies and ranges share.

use std::{
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use s3s::stream::{ByteStream, RemainingLength};

/// Bytes that are put together before they are kept, and that are sent at a time: large enough that
/// neither costs much.
const PIECE: usize = 512 * 1024;

/// Written content: pieces of any length.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pieces: Arc<[Bytes]>,
    length: u64,
}

impl Content {
    /// Length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Reads `range`, which lies within the content.
    pub(crate) fn read(&self, range: Range<u64>) -> Reader {
        let left = range.end - range.start;
        let mut slices = self.slices(range);
        slices.reverse();
        Reader { slices, left }
    }

    /// The pieces of `range`, none longer than [`PIECE`].
    fn slices(&self, range: Range<u64>) -> Vec<Bytes> {
        let mut slices = Vec::new();
        let mut start = 0;
        for piece in self.pieces.iter() {
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
        slices
    }
}

/// A range of some content on its way.
pub(crate) struct Reader {
    /// Last first.
    slices: Vec<Bytes>,
    left: u64,
}

impl Iterator for Reader {
    type Item = Bytes;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.slices.pop()?;
        self.left -= piece.len() as u64;
        Some(piece)
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, s3s::StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.next().map(Ok))
    }
}

impl ByteStream for Reader {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

/// Content that is being written.
#[derive(Default)]
pub(crate) struct Writer {
    pieces: Vec<Bytes>,
    last: BytesMut,
    length: u64,
}

impl Writer {
    /// Writes bytes at the end. They are copied: a piece as it came from the network holds on to a far larger buffer.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.last.len() == PIECE {
                self.complete_last();
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.last.len()));
            self.last.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Shares a range of other content at the end.
    pub(crate) fn append(&mut self, content: &Content, range: Range<u64>) {
        self.complete_last();
        self.length += range.end - range.start;
        self.pieces.extend(content.slices(range));
    }

    /// The content is complete.
    pub(crate) fn finish(mut self) -> Content {
        self.complete_last();
        Content {
            pieces: self.pieces.into(),
            length: self.length,
        }
    }

    fn complete_last(&mut self) {
        if !self.last.is_empty() {
            self.pieces.push(std::mem::take(&mut self.last).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(content: &Content, range: Range<u64>) -> Vec<u8> {
        content
            .read(range)
            .flat_map(|piece| piece.to_vec())
            .collect()
    }

    #[test]
    fn ranges_and_copies_give_the_same_bytes() {
        let large: Vec<u8> = (0..3 * PIECE + 17).map(|i| (i % 251) as u8).collect();
        let mut writer = Writer::default();
        for piece in [&large[..10], &large[10..PIECE + 5], &large[PIECE + 5..]] {
            writer.write(piece);
        }
        let content = writer.finish();
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
                "{from}..{to}"
            );
        }
        let mut writer = Writer::default();
        writer.write(b"<");
        writer.append(&content, 3..PIECE as u64 + 3);
        writer.write(b">");
        let joined = writer.finish();
        assert_eq!(joined.length(), PIECE as u64 + 2);
        let expected = [b"<", &large[3..PIECE + 3], b">"].concat();
        assert!(all(&joined, 0..joined.length()) == expected);
    }
}
