//! The fingerprint of a version 4 key: the SHA-1 of its public parameters
//! ([RFC 9580, section 5.5.4](https://www.rfc-editor.org/rfc/rfc9580.html#key-ids-fingerprints)).

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Twenty bytes, shown as 40 hexadecimal digits in upper case, as `gpg` and `Signed-By` have them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 20]);

/// The text is no fingerprint of a version 4 key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("“{0}” is not an OpenPGP fingerprint: 40 hexadecimal digits are")]
pub struct ParseFingerprintError(String);

impl Fingerprint {
    /// The fingerprint's bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The last 16 digits, by which older tools name a key. Not unique: never decide by it.
    pub fn key_id(&self) -> String {
        hex::encode_upper(&self.0[12..])
    }

    /// The fingerprint of rPGP's type; `None` for versions of keys other than 4.
    pub(crate) fn of(fingerprint: &pgp::types::Fingerprint) -> Option<Self> {
        match fingerprint {
            pgp::types::Fingerprint::V4(bytes) => Some(Self(*bytes)),
            _ => None,
        }
    }
}

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    /// Reads 40 hexadecimal digits of either case; spaces between them (as `gpg --fingerprint`
    /// prints) and a leading `0x` are no part of it.
    fn from_str(text: &str) -> Result<Self, ParseFingerprintError> {
        let digits: String = text
            .trim()
            .trim_start_matches("0x")
            .split_whitespace()
            .collect();
        let mut bytes = [0; 20];
        match hex::decode_to_slice(&digits, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(ParseFingerprintError(text.chars().take(100).collect())),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_gpg_prints() {
        let plain: Fingerprint = "7C0A94DA778FF31D0658528505CF487437401BFA".parse().unwrap();
        assert_eq!(
            "7C0A 94DA 778F F31D 0658  5285 05CF 4874 3740 1BFA".parse(),
            Ok(plain)
        );
        assert_eq!(
            "0x7c0a94da778ff31d0658528505cf487437401bfa".parse(),
            Ok(plain)
        );
        assert_eq!(
            plain.to_string(),
            "7C0A94DA778FF31D0658528505CF487437401BFA"
        );
        assert_eq!(plain.key_id(), "05CF487437401BFA");
    }

    #[test]
    fn refuses_key_ids_and_other_text() {
        for text in [
            "",
            "05CF487437401BFA",
            "7C0A94DA778FF31D0658528505CF487437401BFG",
            "ä",
        ] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
