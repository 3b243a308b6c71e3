//! `.changes`: what `dpkg-genchanges` says of a build, so that its files can be uploaded together.
//!
//! Format: [policy, section 5.5](https://www.debian.org/doc/debian-policy/ch-controlfields.html#debian-changes-files-changes). A
//! clearsigned file is read; its signature is not checked, because the packages are checked on their own.

use crate::{
    digest::{Algorithm, Digests},
    name::{Component, NameError, SuiteName},
    paragraph::{Paragraph, ParagraphError},
};

/// The binary packages of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The suites that it is for (`Distribution`).
    pub suites: Vec<SuiteName>,
    /// Its `.deb`, `.udeb` and `.ddeb` files.
    pub packages: Vec<ListedFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name, in the folder of the `.changes`.
    pub name: String,
    pub component: Component,
    /// From `Files` and each list of checksums.
    sizes: Vec<u64>,
    /// By algorithm, in hexadecimal.
    digests: Vec<(Algorithm, String)>,
}

/// Why a `.changes` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    #[error("not a .changes file")]
    Malformed(#[from] ParagraphError),
    #[error("it has no field {0}")]
    Missing(&'static str),
    #[error("a line of {0} is not a digest, a size and a file name")]
    Line(&'static str),
    #[error("it lists “{}”, which is not the name of a file beside it", .0.escape_debug())]
    FileName(String),
    #[error("its Distribution is not the name of a suite")]
    Suite(#[source] NameError),
    #[error("it lists no binary package")]
    Empty,
}

/// A file is not the one that a `.changes` lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its {0} is not the one that the .changes file lists")]
pub struct Differs(pub &'static str);

/// Fields with a digest, a size and a name in each line.
const CHECKSUMS: [(&str, Algorithm); 2] = [
    ("Checksums-Sha1", Algorithm::Sha1),
    ("Checksums-Sha256", Algorithm::Sha256),
];

impl Changes {
    /// Reads a `.changes` file.
    ///
    /// # Errors
    /// [`ChangesError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ChangesError> {
        let text = signed_text(bytes);
        let fields = Paragraph::parse(text)?;
        let lines = |field: &'static str| {
            let value = fields.get_str(field).ok_or(ChangesError::Missing(field))?;
            Ok::<_, ChangesError>(value.lines().map(str::trim).filter(|line| !line.is_empty()))
        };
        let suites = fields.get_str("Distribution").unwrap_or_default();
        let suites = suites.split_ascii_whitespace().map(str::parse);
        let suites = suites.collect::<Result<Vec<_>, _>>();
        let suites = suites.map_err(ChangesError::Suite)?;
        if suites.is_empty() {
            return Err(ChangesError::Missing("Distribution"));
        }
        let mut packages: Vec<ListedFile> = Vec::new();
        for line in lines("Files")? {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            let [md5, size, section, _priority, name] = words[..] else {
                return Err(ChangesError::Line("Files"));
            };
            if name.contains('/') || name.starts_with('.') {
                return Err(ChangesError::FileName(name.to_owned()));
            }
            let is_binary = [".deb", ".udeb", ".ddeb"]
                .iter()
                .any(|end| name.ends_with(end));
            if is_binary {
                let component = section.rsplit_once('/').map(|(component, _)| component);
                packages.push(ListedFile {
                    name: name.to_owned(),
                    component: component
                        .and_then(|name| name.parse().ok())
                        .unwrap_or_else(Component::main),
                    sizes: vec![size.parse().map_err(|_| ChangesError::Line("Files"))?],
                    digests: vec![(Algorithm::Md5, md5.to_owned())],
                });
            }
        }
        for (field, algorithm) in CHECKSUMS {
            for line in lines(field)? {
                let words: Vec<_> = line.split_ascii_whitespace().collect();
                let [digest, size, name] = words[..] else {
                    return Err(ChangesError::Line(field));
                };
                let mut packages = packages.iter_mut();
                if let Some(package) = packages.find(|package| package.name == name) {
                    let size = size.parse().map_err(|_| ChangesError::Line(field))?;
                    package.sizes.push(size);
                    package.digests.push((algorithm, digest.to_owned()));
                }
            }
        }
        if packages.is_empty() {
            return Err(ChangesError::Empty);
        }
        Ok(Self { suites, packages })
    }
}

impl ListedFile {
    /// Compares the file with what was listed.
    ///
    /// # Errors
    /// [`Differs`].
    pub fn check(&self, digests: &Digests) -> Result<(), Differs> {
        if self.sizes.iter().any(|size| *size != digests.size) {
            return Err(Differs("size"));
        }
        for (algorithm, listed) in &self.digests {
            if digests
                .get(*algorithm)
                .is_some_and(|digest| digest != listed.to_ascii_lowercase())
            {
                return Err(Differs("digest"));
            }
        }
        Ok(())
    }
}

/// The text of a clearsigned file without its armor, or the file as it is.
fn signed_text(bytes: &[u8]) -> &[u8] {
    let find = |needle: &[u8]| memchr::memmem::find(bytes, needle);
    let begin = bytes.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----");
    match (
        begin,
        find(b"\n\n"),
        find(b"\n-----BEGIN PGP SIGNATURE-----"),
    ) {
        (true, Some(start), Some(end)) if start + 2 <= end => {
            bytes.get(start + 2..=end).unwrap_or(bytes)
        }
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &str = "Format: 1.8\nSource: tool\nDistribution: testing\nChecksums-Sha1:\n \
        a9993e364706816aba3e25717850c26c9cd0d89d 3 tool_1.0_all.deb\nChecksums-Sha256:\n \
        ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 tool_1.0_all.deb\nFiles:\n \
        00000000000000000000000000000000 9 net optional tool_1.0.dsc\n \
        900150983cd24fb0d6963f7d28e17f72 3 contrib/net optional tool_1.0_all.deb\n";

    fn digests(content: &[u8]) -> Digests {
        Digests::of(
            &[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256],
            content,
        )
    }

    #[test]
    fn the_binary_packages_are_listed_and_checked() {
        let changes = Changes::parse(FIELDS.as_bytes()).unwrap();
        assert_eq!(changes.suites[0].as_str(), "testing");
        let [package] = &changes.packages[..] else {
            panic!("{changes:?}")
        };
        assert_eq!(
            (package.name.as_str(), package.component.as_str()),
            ("tool_1.0_all.deb", "contrib")
        );
        assert_eq!(package.digests.len(), 3);
        assert_eq!(package.check(&digests(b"abc")), Ok(()));
        assert_eq!(package.check(&digests(b"abcd")), Err(Differs("size")));
        assert_eq!(package.check(&digests(b"abd")), Err(Differs("digest")));
    }

    #[test]
    fn each_digest_counts() {
        for digest in ["a9993e", "ba7816", "900150"] {
            let forged = FIELDS.replace(digest, "000000");
            let changes = Changes::parse(forged.as_bytes()).unwrap();
            assert_eq!(
                changes.packages[0].check(&digests(b"abc")),
                Err(Differs("digest")),
                "{digest}"
            );
        }
    }

    #[test]
    fn each_size_counts() {
        for line in ["d89d 3 tool", "15ad 3 tool", "7f72 3 contrib"] {
            let forged = FIELDS.replace(line, &line.replace('3', "4"));
            assert_ne!(forged, FIELDS);
            let check = |text: &str| {
                let changes = Changes::parse(text.as_bytes())?;
                Ok::<_, ChangesError>(changes.packages[0].check(&digests(b"abc")))
            };
            assert_eq!(check(&forged).unwrap(), Err(Differs("size")), "{line}");
            let text = FIELDS.replace(line, &line.replace('3', "x"));
            assert!(matches!(check(&text), Err(ChangesError::Line(_))), "{line}");
        }
    }

    #[test]
    fn a_signed_file_is_read_too() {
        let signed = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{FIELDS}-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n"
        );
        assert_eq!(
            Changes::parse(signed.as_bytes()).unwrap(),
            Changes::parse(FIELDS.as_bytes()).unwrap()
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (from, to) in [
            ("tool_1.0_all.deb\n", "../tool_1.0_all.deb\n"),
            ("Distribution: testing", "Distribution: ../x"),
            ("Distribution", "Other"),
            ("Files:", "Other:"),
            ("Checksums-Sha256", "Other"),
            (" 3 contrib/net", " x contrib/net"),
            (".deb", ".dsc"),
        ] {
            assert!(
                Changes::parse(FIELDS.replace(from, to).as_bytes()).is_err(),
                "{to}"
            );
        }
        assert!(Changes::parse(b"\x00").is_err());
    }
}
