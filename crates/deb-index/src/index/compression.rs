//! Compression of indexes, in pieces and on every core.
//!
//! An index is cut into chunks of about 1 MiB, each ending where a stanza ends, and every chunk is
//! compressed by itself: a gzip member ([RFC 1952](https://www.rfc-editor.org/rfc/rfc1952)), a
//! Zstandard frame ([RFC 8878](https://www.rfc-editor.org/rfc/rfc8878)), or a block of one
//! [xz](https://tukaani.org/xz/xz-file-format.txt) stream. APT reads the pieces as one file. Several
//! xz *streams* it does not read, which is why xz is cut into blocks.
//!
//! The result depends on the input alone, never on the number of threads, so that two publishers
//! make the same object from the same index.

use std::fmt;
use std::io::Read;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use liblzma::stream::{Action, Check, Filters, LzmaOptions, MtStreamBuilder, Status, Stream};
use serde::{Deserialize, Serialize};

use crate::paragraph::stanza_boundary;

/// Plain bytes in a chunk, at most, unless one stanza is longer.
pub const CHUNK: usize = 1024 * 1024;

/// Of libdeflate's 1 to 12.
const GZ_LEVEL: i32 = 9;

/// Of Zstandard's 1 to 22.
const ZST_LEVEL: i32 = 12;

/// Of xz's 0 to 9.
const XZ_PRESET: u32 = 6;

/// Memory that reading an xz file may take, in bytes: enough for files of `xz -9`.
const XZ_MEMORY: u64 = 128 * 1024 * 1024;

/// A compression format of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// gzip, which every client reads.
    Gz,
    /// xz, the smallest and by far the slowest to make.
    Xz,
    /// Zstandard, quick to make and to read. Old clients lack it; tried with APT 2.6.
    Zst,
}

impl Format {
    /// All formats, in the order of their names.
    pub const ALL: [Self; 3] = [Self::Gz, Self::Xz, Self::Zst];

    /// The extension of a file's name, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Gz => "gz",
            Self::Xz => "xz",
            Self::Zst => "zst",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.extension())
    }
}

/// A name that is no compression format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression {0:?} (one of gz, xz, zst)")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.extension() == name)
            .ok_or_else(|| UnknownFormat(name.chars().take(40).collect()))
    }
}

/// Why compressed bytes could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// There are more plain bytes than the caller allowed.
    #[error("more than {limit} bytes when decompressed")]
    TooLarge {
        /// How many were allowed.
        limit: u64,
    },
    /// The bytes are cut short, damaged, of another format, or followed by something else.
    #[error("not a whole {format} file: {source}")]
    Damaged {
        /// What they should have been.
        format: Format,
        /// What the decoder said.
        source: std::io::Error,
    },
}

/// Cuts an index into the chunks that are compressed separately.
#[must_use]
pub fn chunks(plain: &[u8]) -> Vec<&[u8]> {
    let mut rest = plain;
    let mut chunks = Vec::with_capacity(plain.len() / CHUNK + 1);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(stanza_boundary(rest, CHUNK));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// Compresses an index on up to `threads` threads (at least one).
///
/// No bytes at all become a file that decompresses to none.
#[must_use]
pub fn compress(format: Format, plain: &[u8], threads: usize) -> Vec<u8> {
    match format {
        Format::Gz => in_pieces(plain, threads, GzEncoder::new),
        Format::Zst => in_pieces(plain, threads, ZstEncoder::new),
        Format::Xz => compress_xz(plain, threads),
    }
}

/// Compresses one chunk after another into a buffer that it keeps.
trait ChunkEncoder {
    fn encode(&mut self, chunk: &[u8]) -> Vec<u8>;
}

struct GzEncoder {
    compressor: libdeflater::Compressor,
    buffer: Vec<u8>,
}

impl GzEncoder {
    fn new() -> Self {
        let level = libdeflater::CompressionLvl::new(GZ_LEVEL).unwrap_or_default();
        Self {
            compressor: libdeflater::Compressor::new(level),
            buffer: Vec::new(),
        }
    }
}

impl ChunkEncoder for GzEncoder {
    /// The header carries no time and no name.
    fn encode(&mut self, chunk: &[u8]) -> Vec<u8> {
        let bound = self.compressor.gzip_compress_bound(chunk.len());
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        let size = self
            .compressor
            .gzip_compress(chunk, &mut self.buffer)
            .expect("the buffer holds the worst case");
        self.buffer[..size].to_vec()
    }
}

struct ZstEncoder {
    compressor: zstd::bulk::Compressor<'static>,
    buffer: Vec<u8>,
}

impl ZstEncoder {
    fn new() -> Self {
        let mut compressor =
            zstd::bulk::Compressor::new(ZST_LEVEL).expect("the level is a valid one");
        compressor
            .include_checksum(true)
            .and_then(|()| compressor.include_contentsize(true))
            .expect("both flags can be set before a frame begins");
        Self {
            compressor,
            buffer: Vec::new(),
        }
    }
}

impl ChunkEncoder for ZstEncoder {
    fn encode(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.buffer.clear();
        self.buffer
            .reserve(zstd::zstd_safe::compress_bound(chunk.len()));
        self.compressor
            .compress_to_buffer(chunk, &mut self.buffer)
            .expect("the buffer holds the worst case");
        self.buffer.clone()
    }
}

/// Compresses the chunks on all threads and joins the pieces in order.
fn in_pieces<E: ChunkEncoder>(
    plain: &[u8],
    threads: usize,
    encoder: impl Fn() -> E + Sync,
) -> Vec<u8> {
    let chunks = chunks(plain);
    let threads = threads.clamp(1, chunks.len().max(1));
    if threads == 1 {
        let mut encoder = encoder();
        if chunks.is_empty() {
            return encoder.encode(&[]);
        }
        return chunks
            .into_iter()
            .flat_map(|chunk| encoder.encode(chunk))
            .collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut encoder = encoder();
        let mut pieces = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            match chunks.get(at) {
                Some(chunk) => pieces.push((at, encoder.encode(chunk))),
                None => return pieces,
            }
        }
    };
    let mut pieces: Vec<(usize, Vec<u8>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut pieces = work();
        for worker in workers {
            match worker.join() {
                Ok(more) => pieces.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        pieces
    });
    pieces.sort_unstable_by_key(|&(at, _)| at);
    let size = pieces.iter().map(|(_, piece)| piece.len()).sum();
    let mut joined = Vec::with_capacity(size);
    for (_, piece) in pieces {
        joined.extend_from_slice(&piece);
    }
    joined
}

/// One xz stream whose blocks are the chunks.
fn compress_xz(plain: &[u8], threads: usize) -> Vec<u8> {
    // A dictionary larger than a block finds nothing more and costs every reader memory.
    let mut options = LzmaOptions::new_preset(XZ_PRESET).expect("the preset is a valid one");
    options.dict_size(CHUNK as u32);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let mut encoder = MtStreamBuilder::new()
        .threads(u32::try_from(threads.clamp(1, 64)).unwrap_or(1))
        .block_size(CHUNK as u64)
        .filters(filters)
        .check(Check::Crc64)
        .encoder()
        .expect("the filters are valid ones");
    let mut out = Vec::with_capacity(plain.len() / 4 + 1024);
    for chunk in chunks(plain) {
        feed(&mut encoder, chunk, &mut out, Action::FullBarrier);
    }
    feed(&mut encoder, &[], &mut out, Action::Finish);
    out
}

/// Hands all of `input` to the encoder and completes `action`.
fn feed(encoder: &mut Stream, mut input: &[u8], out: &mut Vec<u8>, action: Action) {
    loop {
        if out.capacity() - out.len() < 32 * 1024 {
            out.reserve(256 * 1024);
        }
        let before = encoder.total_in();
        let status = encoder
            .process_vec(input, out, action)
            .expect("compressing to memory does not fail");
        let taken = usize::try_from(encoder.total_in() - before).unwrap_or(input.len());
        input = &input[taken..];
        if status == Status::StreamEnd {
            return;
        }
    }
}

/// Decompresses a whole file of any number of gzip members, Zstandard frames, or xz blocks and
/// streams.
///
/// # Errors
/// [`DecompressError::TooLarge`] as soon as there are more than `limit` plain bytes, and
/// [`DecompressError::Damaged`] where the bytes are not a whole file of this format.
pub fn decompress(format: Format, bytes: &[u8], limit: u64) -> Result<Vec<u8>, DecompressError> {
    let damaged = |source| DecompressError::Damaged { format, source };
    if bytes.is_empty() {
        return Err(damaged(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let mut plain = Vec::new();
    let mut read = |reader: &mut dyn Read| {
        reader
            .take(limit.saturating_add(1))
            .read_to_end(&mut plain)
            .map_err(damaged)
    };
    match format {
        Format::Gz => read(&mut flate2::bufread::MultiGzDecoder::new(bytes))?,
        Format::Zst => {
            let mut decoder = zstd::Decoder::with_buffer(bytes).map_err(damaged)?;
            read(&mut decoder)?
        }
        Format::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)
                .map_err(|error| damaged(error.into()))?;
            read(&mut liblzma::bufread::XzDecoder::new_stream(bytes, stream))?
        }
    };
    if plain.len() as u64 > limit {
        return Err(DecompressError::TooLarge { limit });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An index of at least `size` bytes whose stanzas are not all alike.
    fn index(size: usize) -> Vec<u8> {
        let mut index = Vec::new();
        for number in 0u32.. {
            if index.len() >= size {
                break;
            }
            let digest = crate::digest::Sha256::of(&number.to_le_bytes());
            let stanza = format!("Package: p{number}\nVersion: 1.{number}\nSHA256: {digest}\n\n");
            index.extend_from_slice(stanza.as_bytes());
        }
        index
    }

    #[test]
    fn names() {
        for format in Format::ALL {
            assert_eq!(format.extension().parse(), Ok(format));
            let json = serde_json::to_string(&format).unwrap();
            assert_eq!(json, format!("\"{format}\""));
        }
        assert!("bz2".parse::<Format>().is_err());
        assert!("GZ".parse::<Format>().is_err());
    }

    #[test]
    fn the_same_bytes_on_any_number_of_threads() {
        let plain = index(5 * CHUNK / 4);
        for format in Format::ALL {
            let one = compress(format, &plain, 1);
            for threads in [0, 2, 16] {
                assert!(
                    compress(format, &plain, threads) == one,
                    "{format} {threads}"
                );
            }
            let limit = plain.len() as u64;
            assert!(
                decompress(format, &one, limit).unwrap() == plain,
                "{format}"
            );
        }
    }

    #[test]
    fn chunks_end_where_stanzas_end() {
        let plain = index(3 * CHUNK);
        let chunks = chunks(&plain);
        assert_eq!(chunks.len(), 4);
        assert!(chunks.concat() == plain);
        for chunk in chunks {
            assert!(chunk.len() <= CHUNK && chunk.ends_with(b"\n\n"));
        }
    }

    #[test]
    fn a_stanza_longer_than_a_chunk_stays_whole() {
        let long = [b"A: ".as_slice(), &vec![b'x'; 2 * CHUNK], b"\n\nB: 1\n\n"].concat();
        assert_eq!(chunks(&long).len(), 2);
        for format in Format::ALL {
            let packed = compress(format, &long, 2);
            assert!(
                decompress(format, &packed, 1 << 30).unwrap() == long,
                "{format}"
            );
        }
    }

    #[test]
    fn every_piece_can_be_told_from_outside() {
        let plain = index(5 * CHUNK / 2);
        // Members and frames each begin with their magic; the pieces are those of the chunks alone.
        for format in [Format::Gz, Format::Zst] {
            let alone: Vec<u8> = chunks(&plain)
                .into_iter()
                .flat_map(|chunk| compress(format, chunk, 1))
                .collect();
            assert!(compress(format, &plain, 2) == alone, "{format}");
        }
        // One xz stream: its magic is there once, its footer at the end.
        let xz = compress(Format::Xz, &plain, 2);
        assert_eq!(memchr::memmem::find_iter(&xz, b"\xfd7zXZ\0").count(), 1);
        assert!(xz.ends_with(b"YZ"));
    }

    #[test]
    fn gzip_carries_no_time() {
        let packed = compress(Format::Gz, b"A: 1\n", 1);
        assert_eq!(packed[3], 0, "no flags, so no name");
        assert_eq!(packed[4..8], [0; 4]);
    }

    #[test]
    fn nothing_is_a_file_too() {
        for format in Format::ALL {
            let packed = compress(format, b"", 2);
            assert!(!packed.is_empty());
            assert_eq!(decompress(format, &packed, 0).unwrap(), b"");
            assert!(decompress(format, b"", 10).is_err(), "{format}");
        }
    }

    #[test]
    fn the_limit_holds_to_the_byte() {
        let bomb = vec![b'\n'; 4 * CHUNK];
        for format in Format::ALL {
            let packed = compress(format, &bomb, 1);
            assert!(packed.len() < bomb.len() / 100);
            let size = bomb.len() as u64;
            assert!(decompress(format, &packed, size).is_ok());
            assert!(matches!(
                decompress(format, &packed, size - 1),
                Err(DecompressError::TooLarge { .. })
            ));
        }
    }

    #[test]
    fn what_is_cut_or_followed_by_more_is_refused() {
        let plain = index(2000);
        for format in Format::ALL {
            let packed = compress(format, &plain, 1);
            for end in 0..packed.len() {
                assert!(
                    decompress(format, &packed[..end], 1 << 20).is_err(),
                    "{format} {end}"
                );
            }
            for garbage in [&b"x"[..], b"\0", b"garbage after the end"] {
                let longer = [&packed, garbage].concat();
                assert!(
                    decompress(format, &longer, 1 << 20).is_err(),
                    "{format} {garbage:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(plain in proptest::collection::vec(any::<u8>(), 0..2000)) {
            for format in Format::ALL {
                let packed = compress(format, &plain, 2);
                prop_assert_eq!(&decompress(format, &packed, 2000).unwrap(), &plain);
            }
        }

        #[test]
        fn damage_is_never_taken_for_the_index(
            at in any::<proptest::sample::Index>(),
            bit in 0u8..8,
        ) {
            let plain = index(1000);
            for format in Format::ALL {
                let mut packed = compress(format, &plain, 1);
                let at = at.index(packed.len());
                packed[at] ^= 1 << bit;
                // A gzip header has bytes that nothing checks; the content is what counts.
                if let Ok(read) = decompress(format, &packed, 1 << 20) {
                    prop_assert!(read == plain, "{} {}", format, at);
                }
            }
        }
    }
}
