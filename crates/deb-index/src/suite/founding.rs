//! `suite.json`: whether a suite is signed. It decides between first publishers, before there is a head.

use serde::{Deserialize, Serialize};

/// What `suite.json` says. A later program may say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founding {
    pub signed: bool,
}

impl Founding {
    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        format!("{{\"signed\": {}}}\n", self.signed).into()
    }

    /// Reads the file; none if it does not say whether the suite is signed.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written_and_with_more() {
        for signed in [true, false] {
            let founding = Founding { signed };
            assert_eq!(Founding::parse(&founding.to_bytes()), Some(founding));
        }
        let later = Founding::parse(b"{\"requires\": [\"x\"], \"signed\":true}");
        assert_eq!(later, Some(Founding { signed: true }));
        for bytes in [&b""[..], b"{}", b"true", b"{\"signed\": 1}"] {
            assert_eq!(Founding::parse(bytes), None);
        }
    }
}
