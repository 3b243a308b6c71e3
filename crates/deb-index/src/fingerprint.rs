//! The fingerprint of an OpenPGP key of version 4: the SHA-1 of its public parameters
//! ([RFC 9580, section 5.5.4](https://www.rfc-editor.org/rfc/rfc9580.html#key-ids-fingerprints)).
//!
//! Only the name of a key, for a suite's settings, which list the keys that sign it. Keys themselves
//! are not read here.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// 20 bytes, written as 40 upper-case hexadecimal digits, as `gpg` and `Signed-By` write them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 20]);

/// The text is not a fingerprint. It is not repeated here: it may be a key pasted into the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the fingerprint of an OpenPGP key: expected 40 hexadecimal digits")]
pub struct ParseFingerprintError;

impl Fingerprint {
    /// The fingerprint with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn to_bytes(self) -> [u8; 20] {
        self.0
    }
}

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    /// Accepts digits of either case, spaces between them (as `gpg --fingerprint` prints them), and
    /// one leading `0x`.
    fn from_str(text: &str) -> Result<Self, ParseFingerprintError> {
        let text = text.trim();
        let digits: String = text
            .strip_prefix("0x")
            .unwrap_or(text)
            .split_whitespace()
            .collect();
        let mut bytes = [0; 20];
        hex::decode_to_slice(&digits, &mut bytes).map_err(|_| ParseFingerprintError)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = ParseFingerprintError;

    fn try_from(text: String) -> Result<Self, ParseFingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
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
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str = "7C0A94DA778FF31D0658528505CF487437401BFA";

    #[test]
    fn reads_what_gpg_prints() {
        let plain: Fingerprint = PLAIN.parse().unwrap();
        for text in [
            "7C0A 94DA 778F F31D 0658  5285 05CF 4874 3740 1BFA",
            "0x7c0a94da778ff31d0658528505cf487437401bfa",
            " 7C0A94DA778FF31D0658528505CF487437401BFA\n",
        ] {
            assert_eq!(text.parse(), Ok(plain), "{text:?}");
        }
        assert_eq!(plain.to_string(), PLAIN);
    }

    #[test]
    fn is_upper_case_hex_in_json() {
        let plain: Fingerprint = PLAIN.parse().unwrap();
        let json = serde_json::to_string(&plain).unwrap();
        assert_eq!(json, format!("\"{PLAIN}\""));
        assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), plain);
        assert!(serde_json::from_str::<Fingerprint>("\"05CF487437401BFA\"").is_err());
    }

    #[test]
    fn refuses_key_ids_and_other_text() {
        for text in [
            "",
            "0x",
            "05CF487437401BFA",
            "7C0A94DA778FF31D0658528505CF487437401BFG",
            "7C0A94DA778FF31D0658528505CF487437401BFA0",
            "0x0x7c0a94da778ff31d0658528505cf487437401bfa",
            "ä",
        ] {
            assert_eq!(
                text.parse::<Fingerprint>(),
                Err(ParseFingerprintError),
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn text_comes_back_and_order_is_that_of_the_text(one: [u8; 20], other: [u8; 20]) {
            let (one, other) = (Fingerprint::from_bytes(one), Fingerprint::from_bytes(other));
            prop_assert_eq!(one.to_string().parse(), Ok(one));
            prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
        }
    }
}
