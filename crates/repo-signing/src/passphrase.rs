//! The passphrase that locks a secret key: wiped from memory when it is dropped, and never shown.

use std::fmt;

use pgp::types::Password;
use zeroize::Zeroizing;

/// A passphrase: any bytes, usually UTF-8.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// The passphrase that consists of exactly these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The passphrase in the content of a file: its first line, without the line's end, as
    /// `gpg --passphrase-file` reads it.
    pub fn from_file_content(content: impl Into<Vec<u8>>) -> Self {
        let mut bytes = Zeroizing::new(content.into());
        if let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            bytes.truncate(end);
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        Self(bytes)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn password(&self) -> Password {
        Password::from(self.0.as_slice())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_first_line() {
        let read = |content: &str| Passphrase::from_file_content(content).0.to_vec();
        assert_eq!(read("sesame\n"), b"sesame");
        assert_eq!(read("sesame\r\nmore\n"), b"sesame");
        assert_eq!(read(" ses ame "), b" ses ame ");
        assert_eq!(read(""), b"");
    }

    #[test]
    fn is_never_shown() {
        assert!(!format!("{:?}", Passphrase::new("sesame")).contains("sesame"));
    }
}
