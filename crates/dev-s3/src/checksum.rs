//! Checksums of content: computed while it arrives, compared with what the client announced, kept
//! with the object.
//!
//! As in S3, an object carries those that its client sent, or CRC-64/NVME if it sent none. Values
//! are in base64.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use base64_simd::STANDARD as BASE64;
use s3s::{
    S3Result,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256},
    dto, s3_error,
};

/// The algorithms, by the names that S3 gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// The name in `x-amz-checksum-algorithm`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => dto::ChecksumAlgorithm::CRC32,
            Self::Crc32c => dto::ChecksumAlgorithm::CRC32C,
            Self::Crc64Nvme => dto::ChecksumAlgorithm::CRC64NVME,
            Self::Sha1 => dto::ChecksumAlgorithm::SHA1,
            Self::Sha256 => dto::ChecksumAlgorithm::SHA256,
        }
    }

    /// The header, or trailer, that carries its value.
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The algorithm of this name, in capitals as S3 has it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// Whether the checksum of a multipart object is by default of all its bytes, not of its parts'
    /// checksums.
    pub(crate) fn covers_whole_object_by_default(self) -> bool {
        self == Self::Crc64Nvme
    }
}

/// Values in base64, of one object or part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checksums {
    pub(crate) crc32: Option<String>,
    pub(crate) crc32c: Option<String>,
    pub(crate) crc64nvme: Option<String>,
    pub(crate) sha1: Option<String>,
    pub(crate) sha256: Option<String>,
    /// The values are of the parts' checksums, not of the bytes.
    pub(crate) composite: bool,
}

/// S3's types have the same five fields, and nothing in common that says so.
macro_rules! from_fields {
    ($($type:ident),+) => {
        $(impl From<&dto::$type> for Checksums {
            fn from(from: &dto::$type) -> Self {
                Self {
                    crc32: from.checksum_crc32.clone(),
                    crc32c: from.checksum_crc32c.clone(),
                    crc64nvme: from.checksum_crc64nvme.clone(),
                    sha1: from.checksum_sha1.clone(),
                    sha256: from.checksum_sha256.clone(),
                    composite: false,
                }
            }
        })+
    };
}

from_fields!(
    PutObjectInput,
    UploadPartInput,
    CompleteMultipartUploadInput,
    CompletedPart,
    GetObjectOutput
);

/// An answer that carries checksums.
pub(crate) trait WithChecksums {
    /// The same with these values. `checksum_type` is not among them: answers about parts have none.
    fn with_checksums(self, checksums: Checksums) -> Self;
}

macro_rules! with_checksums {
    ($($type:ident),+) => {
        $(impl WithChecksums for dto::$type {
            fn with_checksums(self, checksums: Checksums) -> Self {
                Self {
                    checksum_crc32: checksums.crc32,
                    checksum_crc32c: checksums.crc32c,
                    checksum_crc64nvme: checksums.crc64nvme,
                    checksum_sha1: checksums.sha1,
                    checksum_sha256: checksums.sha256,
                    ..self
                }
            }
        })+
    };
}

with_checksums!(
    PutObjectOutput,
    CopyObjectResult,
    CopyPartResult,
    UploadPartOutput,
    CompleteMultipartUploadOutput,
    GetObjectOutput,
    HeadObjectOutput,
    Part
);

impl Checksums {
    /// The value of one algorithm.
    pub(crate) fn get(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Crc32 => &self.crc32,
            Algorithm::Crc32c => &self.crc32c,
            Algorithm::Crc64Nvme => &self.crc64nvme,
            Algorithm::Sha1 => &self.sha1,
            Algorithm::Sha256 => &self.sha256,
        }
        .as_deref()
    }

    /// Sets the value of one algorithm.
    pub(crate) fn set(&mut self, algorithm: Algorithm, value: String) {
        *match algorithm {
            Algorithm::Crc32 => &mut self.crc32,
            Algorithm::Crc32c => &mut self.crc32c,
            Algorithm::Crc64Nvme => &mut self.crc64nvme,
            Algorithm::Sha1 => &mut self.sha1,
            Algorithm::Sha256 => &mut self.sha256,
        } = Some(value);
    }

    /// The algorithms that have a value.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> + '_ {
        Algorithm::ALL
            .into_iter()
            .filter(|algorithm| self.get(*algorithm).is_some())
    }

    /// Refuses with `BadDigest` where `expected` has a value that is not this one.
    pub(crate) fn verify(&self, expected: &Self) -> S3Result {
        for algorithm in expected.algorithms() {
            if self.get(algorithm) != expected.get(algorithm) {
                return Err(s3_error!(
                    BadDigest,
                    "The {} you specified did not match the calculated checksum.",
                    algorithm.name()
                ));
            }
        }
        Ok(())
    }

    /// `COMPOSITE` or `FULL_OBJECT`; `None` where there is no checksum.
    pub(crate) fn kind(&self) -> Option<dto::ChecksumType> {
        self.algorithms().next()?;
        Some(dto::ChecksumType::from_static(if self.composite {
            dto::ChecksumType::COMPOSITE
        } else {
            dto::ChecksumType::FULL_OBJECT
        }))
    }

    /// The checksum of parts' checksums, as S3 builds it for a multipart object, with the number of
    /// parts behind a dash.
    pub(crate) fn of_parts<'a>(
        algorithm: Algorithm,
        parts: impl ExactSizeIterator<Item = &'a Self>,
    ) -> S3Result<Self> {
        let count = parts.len();
        let mut all = Vec::new();
        for part in parts {
            let value = part.get(algorithm).ok_or_else(|| {
                s3_error!(InvalidPart, "A part has no {} checksum.", algorithm.name())
            })?;
            all.extend(
                BASE64
                    .decode_to_vec(value)
                    .map_err(|error| s3_error!(error, InvalidPart))?,
            );
        }
        let mut digests = Digests::new([algorithm]);
        digests.update(&all);
        let mut checksums = digests.finish().checksums;
        if let Some(value) = checksums
            .get(algorithm)
            .map(|value| format!("{value}-{count}"))
        {
            checksums.set(algorithm, value);
        }
        checksums.composite = true;
        Ok(checksums)
    }
}

/// Digests of bytes as they come: MD5 for the ETag, and some checksums.
pub(crate) struct Digests {
    md5: Md5,
    hasher: ChecksumHasher,
}

/// What [`Digests`] came to.
pub(crate) struct Digested {
    pub(crate) md5: [u8; 16],
    pub(crate) checksums: Checksums,
}

impl Digests {
    pub(crate) fn new(algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let mut hasher = ChecksumHasher::default();
        for algorithm in algorithms {
            match algorithm {
                Algorithm::Crc32 => hasher.crc32 = Some(Crc32::new()),
                Algorithm::Crc32c => hasher.crc32c = Some(Crc32c::new()),
                Algorithm::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
                Algorithm::Sha1 => hasher.sha1 = Some(Sha1::new()),
                Algorithm::Sha256 => hasher.sha256 = Some(Sha256::new()),
            }
        }
        Self {
            md5: Md5::new(),
            hasher,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.hasher.update(bytes);
    }

    /// The digests of all bytes.
    pub(crate) fn finish(self) -> Digested {
        let values = self.hasher.finalize();
        let checksums = Checksums {
            crc32: values.checksum_crc32,
            crc32c: values.checksum_crc32c,
            crc64nvme: values.checksum_crc64nvme,
            sha1: values.checksum_sha1,
            sha256: values.checksum_sha256,
            composite: false,
        };
        Digested {
            md5: self.md5.finalize(),
            checksums,
        }
    }
}

/// Compares the MD5 with a `Content-MD5` header.
pub(crate) fn verify_content_md5(expected: &str, md5: [u8; 16]) -> S3Result {
    match BASE64.decode_to_vec(expected) {
        Ok(digest) if digest.len() == md5.len() => {
            if digest == md5 {
                Ok(())
            } else {
                Err(s3_error!(
                    BadDigest,
                    "The Content-MD5 you specified did not match what we received."
                ))
            }
        }
        _ => Err(s3_error!(
            InvalidDigest,
            "The Content-MD5 you specified is not valid."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_check_string() {
        // The check values of the CRC catalogue for "123456789".
        let mut digests = Digests::new(Algorithm::ALL);
        digests.update(b"12345");
        digests.update(b"6789");
        let digested = digests.finish();
        assert_eq!(
            digested.checksums.crc32,
            Some(BASE64.encode_to_string([0xcb, 0xf4, 0x39, 0x26]))
        );
        assert_eq!(
            digested.checksums.crc32c,
            Some(BASE64.encode_to_string([0xe3, 0x06, 0x92, 0x83]))
        );
        assert_eq!(
            digested.checksums.crc64nvme,
            Some(BASE64.encode_to_string([0xae, 0x8b, 0x14, 0x86, 0x0a, 0x79, 0x98, 0x88]))
        );
        assert_eq!(
            hex::encode(digested.md5),
            "25f9e794323b453885f5181f1b624d0b"
        );
    }

    #[test]
    fn another_value_is_a_bad_digest() {
        let have = Checksums {
            crc32: Some("AAAAAA==".to_owned()),
            sha256: Some("x".to_owned()),
            ..Checksums::default()
        };
        assert!(
            have.verify(&Checksums {
                sha256: Some("x".to_owned()),
                ..Checksums::default()
            })
            .is_ok()
        );
        let error = have
            .verify(&Checksums {
                sha256: Some("y".to_owned()),
                ..Checksums::default()
            })
            .unwrap_err();
        assert_eq!(error.code().as_str(), "BadDigest");
        assert!(
            verify_content_md5("nonsense", [0; 16])
                .is_err_and(|error| error.code().as_str() == "InvalidDigest")
        );
    }
}
