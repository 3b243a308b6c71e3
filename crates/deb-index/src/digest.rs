//! Digests of files and indexes, computed while bytes stream by.
//!
//! APT names the same four algorithms in three places: the fields of a `Packages` stanza
//! (`MD5sum`, `SHA1`, `SHA256`, `SHA512`), the lists of a `Release` file and the folders of
//! [by-hash](https://wiki.debian.org/DebianRepository/Format#indices_acquisition_via_hashsums_.28by-hash.29).
//! A [`Hasher`] computes SHA-256, on which everything rests, and any set of the others in one pass.

use std::fmt;
use std::io;
use std::str::FromStr;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest as _, Sha256 as Sha256State, Sha512 as Sha512State};

/// A digest algorithm that APT knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// MD5, 128 bits. For old clients only; proves nothing.
    Md5,
    /// SHA-1, 160 bits. For old clients only; proves nothing.
    Sha1,
    /// SHA-256, the one that every APT in use relies on.
    Sha256,
    Sha512,
}

impl Algorithm {
    /// All algorithms, weakest first, the order in which a `Release` file lists them.
    pub const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];
}

/// A SHA-256 digest, written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256State::digest(bytes).into())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

/// A text is not a SHA-256 digest in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest (64 lowercase hexadecimal digits): {0:?}")]
pub struct ParseSha256Error(String);

impl FromStr for Sha256 {
    type Err = ParseSha256Error;

    /// Takes exactly 64 hexadecimal digits. Uppercase is refused: a digest is also a key in the
    /// bucket, and a key has one spelling.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if lower => Ok(Self(bytes)),
            _ => Err(ParseSha256Error(text.chars().take(80).collect())),
        }
    }
}

impl Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The size and the digests of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Number of bytes hashed.
    pub size: u64,
    md5: Option<[u8; 16]>,
    sha1: Option<[u8; 20]>,
    sha256: Sha256,
    sha512: Option<[u8; 64]>,
}

impl Digests {
    /// Size and digests of bytes in memory.
    #[must_use]
    pub fn of(algorithms: &[Algorithm], bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithms);
        hasher.update(bytes);
        hasher.finish()
    }

    /// MD5 in lowercase hexadecimal, if it was asked for.
    #[must_use]
    pub fn md5(&self) -> Option<String> {
        self.md5.map(hex::encode)
    }

    /// SHA-1 in lowercase hexadecimal, if it was asked for.
    #[must_use]
    pub fn sha1(&self) -> Option<String> {
        self.sha1.map(hex::encode)
    }

    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// SHA-512 in lowercase hexadecimal, if it was asked for.
    #[must_use]
    pub fn sha512(&self) -> Option<String> {
        self.sha512.map(hex::encode)
    }

    /// One digest in lowercase hexadecimal, if it was asked for.
    #[must_use]
    pub fn get(&self, algorithm: Algorithm) -> Option<String> {
        match algorithm {
            Algorithm::Md5 => self.md5(),
            Algorithm::Sha1 => self.sha1(),
            Algorithm::Sha256 => Some(self.sha256.to_string()),
            Algorithm::Sha512 => self.sha512(),
        }
    }
}

/// Computes SHA-256, and a chosen set of other digests, over a stream of bytes.
#[derive(Clone)]
pub struct Hasher {
    size: u64,
    md5: Option<Md5>,
    sha1: Option<Sha1>,
    sha256: Sha256State,
    sha512: Option<Sha512State>,
}

impl Hasher {
    /// Starts with no bytes seen. SHA-256 need not be named.
    #[must_use]
    pub fn new(algorithms: &[Algorithm]) -> Self {
        Self {
            size: 0,
            md5: algorithms.contains(&Algorithm::Md5).then(Md5::new),
            sha1: algorithms.contains(&Algorithm::Sha1).then(Sha1::new),
            sha256: Sha256State::new(),
            sha512: algorithms
                .contains(&Algorithm::Sha512)
                .then(Sha512State::new),
        }
    }

    /// Takes the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if let Some(state) = &mut self.md5 {
            state.update(bytes);
        }
        if let Some(state) = &mut self.sha1 {
            state.update(bytes);
        }
        self.sha256.update(bytes);
        if let Some(state) = &mut self.sha512 {
            state.update(bytes);
        }
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digests of all bytes taken. Clone the hasher first to go on with it.
    #[must_use]
    pub fn finish(self) -> Digests {
        Digests {
            size: self.size,
            md5: self.md5.map(|state| state.finalize().into()),
            sha1: self.sha1.map(|state| state.finalize().into()),
            sha256: Sha256(self.sha256.finalize().into()),
            sha512: self.sha512.map(|state| state.finalize().into()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // FIPS 180-2 appendix B.1 and RFC 1321 appendix A.5: "abc".
        let digests = Digests::of(&Algorithm::ALL, b"abc");
        assert_eq!(digests.size, 3);
        assert_eq!(digests.md5().unwrap(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(
            digests.sha1().unwrap(),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            digests.sha256().to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(digests.sha512().unwrap().starts_with("ddaf35a193617aba"));
        assert_eq!(digests.get(Algorithm::Sha1), digests.sha1());
    }

    #[test]
    fn only_what_was_asked_for() {
        let digests = Digests::of(&[Algorithm::Sha256], b"abc");
        assert_eq!(digests.md5(), None);
        assert_eq!(digests.get(Algorithm::Sha512), None);
        assert_eq!(digests.sha256(), Sha256::of(b"abc"));
    }

    #[test]
    fn sha256_text_is_strict() {
        let digest = Sha256::of(b"x");
        let text = digest.to_string();
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(
            serde_json::from_str::<Sha256>(&format!("{text:?}")).unwrap(),
            digest
        );
        assert!(text.to_uppercase().parse::<Sha256>().is_err());
        assert!(format!("{text}0").parse::<Sha256>().is_err());
        assert!(format!(" {text}").parse::<Sha256>().is_err());
        assert!("".parse::<Sha256>().is_err());
        assert!("é".repeat(32).parse::<Sha256>().is_err());
    }
}
