//! The CRCs of S3, in place of the crate `crc-fast`.
//!
//! The S3 SDK links `crc-fast` into every reader of an object, and that brings the tables of a hundred CRCs which nobody can
//! ask it for: 0.7 MB, a tenth of the acquire method. `[patch.crates-io]` puts this crate there instead, with as much of the
//! interface as the SDK and `s3s` call. Neither of our programs computes a CRC of anything large: the publisher sends SHA-256.

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc, Digest as CrcDigest, Table};

static CRC_32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
static CRC_32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
static CRC_64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_NVME);

/// The CRCs that S3 knows
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>), by their catalogue names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// S3's CRC-32.
    Crc32IsoHdlc,
    /// S3's CRC-32C.
    Crc32Iscsi,
    /// S3's CRC-64/NVME.
    Crc64Nvme,
}

/// A CRC in the making.
#[derive(Clone)]
pub struct Digest(State);

#[derive(Clone)]
enum State {
    Crc32(CrcDigest<'static, u32, Table<16>>),
    Crc64(CrcDigest<'static, u64, Table<16>>),
}

impl Digest {
    /// The CRC of nothing yet.
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => State::Crc32(CRC_32.digest()),
            CrcAlgorithm::Crc32Iscsi => State::Crc32(CRC_32C.digest()),
            CrcAlgorithm::Crc64Nvme => State::Crc64(CRC_64.digest()),
        })
    }

    /// Takes `bytes` in.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc32(digest) => digest.update(bytes),
            State::Crc64(digest) => digest.update(bytes),
        }
    }

    /// The CRC; one of 32 bits is in the lower half.
    pub fn finalize(self) -> u64 {
        match self.0 {
            State::Crc32(digest) => digest.finalize().into(),
            State::Crc64(digest) => digest.finalize(),
        }
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Digest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(algorithm: CrcAlgorithm, text: &str) -> u64 {
        let mut digest = Digest::new(algorithm);
        for piece in text.as_bytes().chunks(2) {
            digest.update(piece);
        }
        digest.finalize()
    }

    /// The check values of the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_check_values_hold() {
        assert_eq!(of(CrcAlgorithm::Crc32IsoHdlc, "123456789"), 0xcbf4_3926);
        assert_eq!(of(CrcAlgorithm::Crc32Iscsi, "123456789"), 0xe306_9283);
        assert_eq!(
            of(CrcAlgorithm::Crc64Nvme, "123456789"),
            0xae8b_1486_0a79_9888
        );
    }
}
