//! Digests of files and indexes, computed while bytes stream by.
//!
//! APT names the same four algorithms in three places: the fields of a `Packages` stanza
//! (`MD5sum`, `SHA1`, `SHA256`, `SHA512`), the lists of a `Release` file and the folders of
//! [by-hash](https://wiki.debian.org/DebianRepository/Format#indices_acquisition_via_hashsums_.28by-hash.29).
//! A [`Hasher`] computes SHA-256, on which everything rests, and any set of the others in one pass.
//!
//! An index that grows by appending need not be read again to be hashed: the state of a [`Hasher`]
//! can be kept ([`Hasher::save`]) and taken up later ([`Hasher::restore`]).

use std::fmt;
use std::io;
use std::str::FromStr;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::digest::typenum::Unsigned;
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
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// All algorithms, weakest first, the order in which a `Release` file lists them.
    pub const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// Its bit in a saved state.
    const fn bit(self) -> u8 {
        match self {
            Self::Md5 => 1,
            Self::Sha1 => 2,
            Self::Sha256 => 4,
            Self::Sha512 => 8,
        }
    }
}

/// A SHA-256 digest, written as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The digest of `bytes`.
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

    /// SHA-256.
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

    /// The state as bytes, at most about 500, from which [`Hasher::restore`] goes on.
    ///
    /// Layout: a version byte, the set of algorithms as a bit mask, the size (8 bytes, little
    /// endian), the states in the order of [`Algorithm::ALL`], and the first 8 bytes of the SHA-256
    /// of all that. The state reveals up to one block of the last bytes hashed.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut mask = 0;
        let mut states = Vec::new();
        let mut add = |algorithm: Algorithm, state: Option<Vec<u8>>| {
            if let Some(state) = state {
                mask |= algorithm.bit();
                states.extend_from_slice(&state);
            }
        };
        add(Algorithm::Md5, self.md5.as_ref().map(serialize));
        add(Algorithm::Sha1, self.sha1.as_ref().map(serialize));
        add(Algorithm::Sha256, Some(serialize(&self.sha256)));
        add(Algorithm::Sha512, self.sha512.as_ref().map(serialize));

        let mut saved = vec![SAVED_VERSION, mask];
        saved.extend_from_slice(&self.size.to_le_bytes());
        saved.extend_from_slice(&states);
        let check = Sha256::of(&saved);
        saved.extend_from_slice(&check.0[..CHECK_BYTES]);
        saved
    }

    /// Takes up a saved state.
    ///
    /// # Errors
    /// When the bytes are not what [`Hasher::save`] of this version made. The check in them finds
    /// damage, not malice: take a state only from where a signature vouches for it.
    pub fn restore(saved: &[u8]) -> Result<Self, RestoreError> {
        let (&version, _) = saved.split_first().ok_or(RestoreError::Damaged)?;
        if version != SAVED_VERSION {
            return Err(RestoreError::Version(version));
        }
        let (body, check) = saved
            .split_last_chunk::<CHECK_BYTES>()
            .ok_or(RestoreError::Damaged)?;
        if Sha256::of(body).0[..CHECK_BYTES] != check[..] {
            return Err(RestoreError::Damaged);
        }
        let (head, mut states) = body
            .split_first_chunk::<10>()
            .ok_or(RestoreError::Damaged)?;
        let [_, mask, size @ ..] = *head;
        let has = |algorithm: Algorithm| mask & algorithm.bit() != 0;
        let hasher = Self {
            size: u64::from_le_bytes(size),
            md5: deserialize(has(Algorithm::Md5), &mut states)?,
            sha1: deserialize(has(Algorithm::Sha1), &mut states)?,
            sha256: deserialize(has(Algorithm::Sha256), &mut states)?
                .ok_or(RestoreError::Damaged)?,
            sha512: deserialize(has(Algorithm::Sha512), &mut states)?,
        };
        if states.is_empty() && mask < 16 {
            Ok(hasher)
        } else {
            Err(RestoreError::Damaged)
        }
    }
}

const SAVED_VERSION: u8 = 1;
const CHECK_BYTES: usize = 8;

fn serialize<S: SerializableState>(state: &S) -> Vec<u8> {
    state.serialize().to_vec()
}

/// Splits the next state off `bytes`, if there is one.
fn deserialize<S: SerializableState>(
    present: bool,
    bytes: &mut &[u8],
) -> Result<Option<S>, RestoreError> {
    if !present {
        return Ok(None);
    }
    let (state, rest) = bytes
        .split_at_checked(S::SerializedStateSize::USIZE)
        .ok_or(RestoreError::Damaged)?;
    *bytes = rest;
    let state = SerializedState::<S>::try_from(state).map_err(|_| RestoreError::Damaged)?;
    S::deserialize(&state)
        .map(Some)
        .map_err(|_| RestoreError::Damaged)
}

/// A saved digest state cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It was written by another version: compute the digests from the start.
    #[error("digest state of the unknown version {0}")]
    Version(u8),
    /// It is cut short or altered.
    #[error("damaged digest state")]
    Damaged,
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
    use proptest::prelude::*;

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

    #[test]
    fn a_state_of_another_version_is_named() {
        let mut saved = Hasher::new(&Algorithm::ALL).save();
        saved[0] = 9;
        assert_eq!(
            Hasher::restore(&saved).unwrap_err(),
            RestoreError::Version(9)
        );
        assert_eq!(Hasher::restore(&[]).unwrap_err(), RestoreError::Damaged);
    }

    proptest! {
        #[test]
        fn a_restored_state_goes_on(
            head in proptest::collection::vec(any::<u8>(), 0..300),
            tail in proptest::collection::vec(any::<u8>(), 0..300),
            set in proptest::sample::subsequence(Algorithm::ALL.to_vec(), 0..=4),
        ) {
            let mut hasher = Hasher::new(&set);
            hasher.update(&head);
            let saved = hasher.save();
            prop_assert!(saved.len() <= 512);
            let mut restored = Hasher::restore(&saved).unwrap();
            restored.update(&tail);
            let whole = [head, tail].concat();
            prop_assert_eq!(restored.finish(), Digests::of(&set, &whole));
        }

        #[test]
        fn a_damaged_state_is_refused(at in any::<proptest::sample::Index>(), bit in 0u8..8) {
            let mut hasher = Hasher::new(&Algorithm::ALL);
            hasher.update(b"some bytes");
            let mut saved = hasher.save();
            let at = at.index(saved.len());
            prop_assert!(Hasher::restore(&saved[..at]).is_err());
            saved[at] ^= 1 << bit;
            prop_assert!(Hasher::restore(&saved).is_err());
        }

        #[test]
        fn garbage_is_refused(garbage in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(Hasher::restore(&garbage).is_err());
        }
    }
}
