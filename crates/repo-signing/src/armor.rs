//! ASCII armor around OpenPGP packets
//! ([RFC 9580, section 6](https://www.rfc-editor.org/rfc/rfc9580.html#name-forming-ascii-armor)).
//!
//! A file may be armored or binary, have one block or several, and text around the blocks: [`packets`]
//! accepts them all. Forms that are not armor any more, because something took the newlines away, are
//! for [`one_line`](crate::one_line).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// Why a file has no packets. Carries nothing of the file, which may be a secret key. Continues a
/// sentence about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArmorError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is a key in another format, by the format's name.
    #[error("it is {0}, not an OpenPGP key")]
    OtherFormat(&'static str),
    /// It is nothing that is known.
    #[error("it is neither ASCII armor (-----BEGIN PGP …) nor binary OpenPGP data")]
    NotOpenPgp,
    /// A block of armor begins and does not end.
    #[error("its armor has no end line (-----END PGP …-----), so it was cut short")]
    Unfinished,
    /// The armor has something in it that does not belong there.
    #[error("its armor is damaged")]
    Damaged,
}

/// What some editors write in front of UTF-8.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";
pub(crate) const BEGIN: &[u8] = b"-----BEGIN PGP ";
pub(crate) const END: &[u8] = b"-----END PGP ";

/// Formats that are often taken for OpenPGP keys: how they begin, what they are.
const OTHER_FORMATS: [(&str, &str); 6] = [
    ("-----BEGIN OPENSSH PRIVATE KEY", "an OpenSSH key"),
    ("-----BEGIN RSA PRIVATE KEY", "an RSA key in PEM (PKCS #1)"),
    ("-----BEGIN PRIVATE KEY", "a key in PEM (PKCS #8)"),
    ("-----BEGIN ENCRYPTED PRIVATE KEY", "a key in PEM (PKCS #8)"),
    ("-----BEGIN PUBLIC KEY", "a public key in PEM"),
    ("ssh-", "an SSH public key"),
];

/// The packets of a file, armored or binary, one block after the other.
pub(crate) fn packets(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, ArmorError> {
    let Some(&first) = file.first() else {
        return Err(ArmorError::Empty);
    };
    // A keybox (`pubring.kbx`) has its magic behind eight bytes.
    if file.get(8..12) == Some(b"KBXf") {
        return Err(ArmorError::OtherFormat(
            "a GnuPG keybox (use `gpg --export`)",
        ));
    }
    // Every packet begins with a byte whose highest bit is set; no armor does.
    if first & 0x80 != 0 && !file.starts_with(BOM) {
        return Ok(Zeroizing::new(file.to_vec()));
    }
    let file = file.strip_prefix(BOM).unwrap_or(file);
    // Reserved in full, so that a growing vector leaves no copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(file.len()));
    let mut offset = 0;
    let mut block: Option<(usize, Zeroizing<Vec<u8>>)> = None;
    let mut blocks = 0;
    for line in file.split_inclusive(|&byte| byte == b'\n') {
        let start = offset;
        offset += line.len();
        let text = line.trim_ascii_end();
        match &block {
            None => {
                if let Some(label) = text.strip_prefix(BEGIN) {
                    block = Some((start, Zeroizing::new([END, label].concat())));
                }
            }
            Some((begin, end)) if text == end.as_slice() => {
                bytes.extend_from_slice(&decode(&file[*begin..offset])?);
                block = None;
                blocks += 1;
            }
            Some(_) => {}
        }
    }
    if block.is_some() && count(file, END) == 0 {
        return Err(ArmorError::Unfinished);
    }
    // A block whose first line is not a line of its own must not be passed over in silence.
    if block.is_some() || count(file, BEGIN) > blocks {
        return Err(ArmorError::Damaged);
    }
    if blocks > 0 {
        return Ok(bytes);
    }
    if file.trim_ascii().is_empty() {
        return Err(ArmorError::Empty);
    }
    let text = file.trim_ascii_start();
    let other = OTHER_FORMATS
        .iter()
        .find(|(begin, _)| text.starts_with(begin.as_bytes()));
    Err(other.map_or(ArmorError::NotOpenPgp, |(_, name)| {
        ArmorError::OtherFormat(name)
    }))
}

fn count(text: &[u8], part: &[u8]) -> usize {
    let windows = text.windows(part.len());
    windows.filter(|window| *window == part).count()
}

/// The bytes inside one armored block, which begins and ends with its `-----` lines. The armor's
/// checksum is ignored, as RFC 9580 (section 6.1) asks: what is inside has better ones.
///
/// Not rPGP's `Dearmor`: its errors quote what it could not read, which may be a secret key, and it
/// takes lines after the padding for data.
fn decode(block: &[u8]) -> Result<Zeroizing<Vec<u8>>, ArmorError> {
    // Reserved in full, so that a growing vector leaves no copies of a secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(block.len()));
    let mut bytes = Zeroizing::new(Vec::with_capacity(block.len()));
    let mut lines = block.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.next();
    if !lines
        .by_ref()
        .take_while(|line| !line.is_empty())
        .all(|line| line.contains(&b':'))
    {
        return Err(ArmorError::Damaged);
    }
    for line in lines.take_while(|line| !line.starts_with(b"=") && !line.starts_with(b"-----")) {
        text.extend_from_slice(line);
    }
    STANDARD
        .decode_vec(text.as_slice(), &mut bytes)
        .map_err(|_| ArmorError::Damaged)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(file: &[u8]) -> ArmorError {
        packets(file).map(|_| ()).unwrap_err()
    }

    #[test]
    fn takes_blocks_with_text_around_them() {
        let block = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\nAAECAw==\n-----END PGP PUBLIC KEY BLOCK-----\n";
        let file = format!(
            "pub  ed25519\n\n{block}between\n{}",
            block.replace('\n', "\r\n")
        );
        assert_eq!(
            packets(file.as_bytes()).unwrap().as_slice(),
            [0, 1, 2, 3, 0, 1, 2, 3]
        );
    }

    #[test]
    fn binary_data_is_taken_as_it_is() {
        assert_eq!(packets(b"\x99\x01x").unwrap().as_slice(), b"\x99\x01x");
    }

    #[test]
    fn no_block_is_passed_over() {
        let block =
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAEC\n-----END PGP PUBLIC KEY BLOCK-----\n";
        for first in [
            format!(" {block}"),
            block.replace('\n', " "),
            block.replace('\n', "\r"),
        ] {
            let file = format!("{first}\n{block}");
            assert_eq!(problem(file.as_bytes()), ArmorError::Damaged, "{first:?}");
            let file = format!("{block}{first}");
            assert_eq!(problem(file.as_bytes()), ArmorError::Damaged, "{first:?}");
        }
        let file = format!("\u{feff}{block}{block}");
        assert_eq!(packets(file.as_bytes()).unwrap().len(), 6);
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(problem(b""), ArmorError::Empty);
        assert_eq!(problem(b" \n\n"), ArmorError::Empty);
        assert_eq!(problem(b"hello"), ArmorError::NotOpenPgp);
        assert_eq!(
            problem(b"\0\0\0\x20\x01\x01\0\x02KBXf\0\0"),
            ArmorError::OtherFormat("a GnuPG keybox (use `gpg --export`)")
        );
        assert_eq!(
            problem(b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"),
            ArmorError::OtherFormat("an OpenSSH key")
        );
        let cut = problem(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAEC\n");
        assert_eq!(cut, ArmorError::Unfinished);
        for inside in [
            "AAE\n",
            "\nAAE",
            "\nA!EC",
            "\nAA==\nAAEC",
            "\nAAEC\nVersion: 1",
        ] {
            let block = format!(
                "-----BEGIN PGP PUBLIC KEY BLOCK-----\n{inside}\n-----END PGP PUBLIC KEY BLOCK-----\n"
            );
            assert_eq!(problem(block.as_bytes()), ArmorError::Damaged, "{inside:?}");
        }
    }
}
