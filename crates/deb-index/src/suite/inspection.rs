//! What is wrong with an index that another program wrote, or with the files that it names.
//!
//! One fault is corrected: a `Filename` that [spells](super::spelling) a key in another way, which only a web server would find. The
//! field gets the name of the key.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use serde::Serialize;

use crate::{
    digest::Sha256,
    index::IndexPath,
    name::Component,
    paragraph::{self, Paragraph},
    stanza::{Stanza, StanzaError, StanzaRef},
    suite::spelling,
};

/// Something broken in a repository that another program made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Path of the index within the suite, or `Release`.
    pub index: String,
    /// The package, as dpkg names its file, or `stanza 7`; none if it is the index itself, or `Release`.
    pub package: Option<String>,
    #[serde(flatten)]
    pub problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// No form of the index is stored that this program reads.
    IndexMissing,
    /// What is stored has other content than `Release` says.
    IndexDiffers,
    IndexUnreadable,
    /// The stanza has no valid value for a field that identifies the package or its file.
    Field {
        field: &'static str,
    },
    /// The stanza has a field twice that identifies the package or its file. Readers disagree on which one counts.
    Repeated {
        field: &'static str,
    },
    /// The index has another file for the same package, before this one.
    Duplicate,
    FileMissing {
        key: String,
    },
    /// Lengths in bytes.
    FileSize {
        key: String,
        expected: u64,
        found: u64,
    },
}

/// An index without what is broken in it.
#[derive(Debug, Default)]
pub struct Inspected<'a> {
    pub stanzas: Vec<StanzaRef<'a>>,
    /// Packages whose `Filename` was corrected.
    pub corrected: Vec<Stanza>,
    pub damage: Vec<Damage>,
    /// Whether a stanza is there twice, in other words but for the same file.
    pub repeats: bool,
}

/// Looks at a plain `Packages` index. `size_of` gives the length in bytes of the object at a key, if there is one.
pub fn inspect<'a>(
    path: &IndexPath,
    component: &Component,
    plain: &'a [u8],
    size_of: impl Fn(&str) -> Option<u64>,
) -> Inspected<'a> {
    let mut found = Inspected::default();
    let mut seen: HashMap<(&str, &str, &str), Sha256> = HashMap::new();
    for (bytes, number) in paragraph::stanzas(plain).zip(1..) {
        let mut damaged = |package: Option<String>, problem| {
            found.damage.push(Damage {
                index: path.to_string(),
                package: Some(package.unwrap_or_else(|| format!("stanza {number}"))),
                problem,
            });
        };
        let invalid = |StanzaError { field, .. }| Problem::Field { field };
        let stanza = match StanzaRef::parse(bytes, number) {
            Ok(stanza) => stanza,
            Err(error) => {
                damaged(None, invalid(error));
                continue;
            }
        };
        if let Some(field) = repeated(bytes) {
            damaged(None, Problem::Repeated { field });
            continue;
        }
        let id = (stanza.name, stanza.version, stanza.architecture);
        let name = || Some(format!("{}_{}_{}", id.0, id.1, id.2));
        let package = match stanza.to_owned(component.clone()) {
            Ok(package) => package,
            Err(error) => {
                damaged(name(), invalid(error));
                continue;
            }
        };
        match seen.get(&id) {
            Some(first) if *first == package.sha256 => {
                found.repeats = true;
                continue;
            }
            Some(_) => {
                damaged(name(), Problem::Duplicate);
                continue;
            }
            None => seen.insert(id, package.sha256),
        };
        let keys = spelling::meant(&package.key);
        match located(&package.key, keys, Some(package.size), &size_of) {
            Ok(key) if key == package.key => found.stanzas.push(stanza),
            Ok(key) => found.corrected.push(package.at_key(key)),
            Err(problem) => damaged(name(), problem),
        }
    }
    found
}

/// A field that a stanza has twice, of those by which devices find a package and its file.
fn repeated(stanza: &[u8]) -> Option<&'static str> {
    const FIELDS: [&str; 6] = [
        "Package",
        "Version",
        "Architecture",
        "Filename",
        "Size",
        "SHA256",
    ];
    let mut seen = [false; FIELDS.len()];
    for line in stanza.split(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        for (field, seen) in FIELDS.into_iter().zip(&mut seen) {
            let is_it = name.eq_ignore_ascii_case(field.as_bytes());
            if is_it && std::mem::replace(seen, true) {
                return Some(field);
            }
        }
    }
    None
}

/// The first of some keys that has a file of this length in bytes.
fn located(
    filename: &str,
    keys: Vec<String>,
    expected: Option<u64>,
    size_of: impl Fn(&str) -> Option<u64>,
) -> Result<String, Problem> {
    let mut other = None;
    for key in keys {
        match (size_of(&key), expected) {
            (None, _) => {}
            (Some(found), Some(expected)) if found != expected => {
                other.get_or_insert(Problem::FileSize {
                    key,
                    expected,
                    found,
                });
            }
            _ => return Ok(key),
        }
    }
    let key = filename.to_owned();
    Err(other.unwrap_or(Problem::FileMissing { key }))
}

/// What is wrong with the files that an index of another kind names: `Packages` of the installer, or `Sources`.
pub fn inspect_files(
    path: &IndexPath,
    plain: &[u8],
    size_of: impl Fn(&str) -> Option<u64>,
) -> Vec<Damage> {
    let mut damage = Vec::new();
    for (stanza, number) in paragraph::stanzas(plain).zip(1..) {
        for (filename, expected) in files(stanza) {
            // Nothing is corrected here, so a key in percent escapes would not be found.
            let keys = spelling::spelled(&filename);
            let Err(problem) = located(&filename, keys, expected, &size_of) else {
                continue;
            };
            let name = paragraph::field(stanza, "Package").map(String::from_utf8_lossy);
            damage.push(Damage {
                index: path.to_string(),
                package: Some(name.map_or_else(|| format!("stanza {number}"), Into::into)),
                problem,
            });
        }
    }
    damage
}

/// The keys of the files that a stanza names, and their lengths in bytes.
fn files(stanza: &[u8]) -> Vec<(String, Option<u64>)> {
    let text = |field| paragraph::field(stanza, field).and_then(|value| str::from_utf8(value).ok());
    if let Some(key) = text("Filename") {
        let size = text("Size").and_then(|size| size.parse().ok());
        return vec![(key.to_owned(), size)];
    }
    let Some((folder, source)) = text("Directory").zip(Paragraph::parse(stanza).ok()) else {
        return Vec::new();
    };
    let listed = source
        .get_str("Checksums-Sha256")
        .or(source.get_str("Files"));
    let lines = listed.unwrap_or_default().lines();
    let file = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (size, name) = (words.next()?, words.next()?);
        Some((format!("{folder}/{name}"), size.parse().ok()))
    };
    lines.filter_map(file).collect()
}

/// The folders that hold all files that an index names, none of them within another: the first two segments of their keys, so
/// that a listing is not of all pools where each suite or component has its own. None has an empty segment, which some stores
/// do not list.
#[must_use]
pub fn folders<'a>(indexes: impl IntoIterator<Item = &'a [u8]>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for plain in indexes {
        for (key, _) in paragraph::stanzas(plain).flat_map(files) {
            for key in spelling::meant(&key) {
                let end = key.find("//").map_or(key.len(), |at| at + 1);
                let slashes = key.match_indices('/').filter(|(at, _)| *at < end).take(2);
                let end = slashes.last().map_or(0, |(at, _)| at + 1);
                let folder = key.get(..end).unwrap_or_default();
                if !all.contains(folder) {
                    all.insert(folder.to_owned());
                }
            }
        }
    }
    let outer = all.clone();
    all.retain(|folder| {
        let mut outer = outer.iter();
        !outer.any(|other| other != folder && folder.starts_with(other.as_str()))
    });
    all
}

impl Inspected<'_> {
    /// All packages that are not broken.
    pub fn packages(&self) -> impl Iterator<Item = StanzaRef<'_>> {
        let corrected = self.corrected.iter().map(Stanza::borrowed);
        self.stanzas.iter().copied().chain(corrected)
    }
}

impl Damage {
    /// A field of `Release` that has no valid value.
    #[must_use]
    pub fn of_release(field: &'static str) -> Self {
        Self {
            index: "Release".to_owned(),
            package: None,
            problem: Problem::Field { field },
        }
    }

    #[must_use]
    pub fn of_index(path: &IndexPath, problem: Problem) -> Self {
        Self {
            index: path.to_string(),
            package: None,
            problem,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.index)?;
        if let Some(package) = &self.package {
            write!(f, "{package}: ")?;
        }
        match &self.problem {
            Problem::IndexMissing => f.write_str("no form of it that can be read is stored"),
            Problem::IndexDiffers => f.write_str("its content is not what Release says"),
            Problem::IndexUnreadable => f.write_str("it cannot be unpacked"),
            Problem::Field { field } => write!(f, "no valid {field}"),
            Problem::Repeated { field } => write!(f, "{field} is there twice"),
            Problem::Duplicate => f.write_str("the index has another file for it"),
            Problem::FileMissing { key } => write!(f, "{key} is missing"),
            Problem::FileSize {
                key,
                expected,
                found,
            } => write!(f, "{key} has {found} bytes instead of {expected}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(version: &str, filename: &str, content: &str) -> String {
        format!(
            "Package: tool\nVersion: {version}\nArchitecture: all\nFilename: {filename}\nSize: 4\nSHA256: {}\n\n",
            Sha256::of(content.as_bytes())
        )
    }

    #[test]
    fn all_problems_are_found_and_the_rest_is_kept() {
        let plain = [
            stanza("1", "pool/a.deb", "a"),
            stanza("2", "pool/gone.deb", "b"),
            stanza("3", "pool/short.deb", "c"),
            stanza("1", "pool/a.deb", "a"),
            stanza("1", "pool/a.deb", "other"),
            stanza("4", "pool/a%2bb.deb", "d"),
            stanza("4.1", "./pool/a.deb", "g"),
            "Package: tool\n\n".to_owned(),
            stanza("5", "pool/a.deb", "e").replace("SHA256", "MD5sum"),
            stanza("6", "pool/a.deb", "f").replace("tool", "T"),
            stanza("7", "pool/a.deb", "h").replace("Size", "filename: x\nSize"),
            // A line of spaces does not end a stanza.
            stanza("8", "pool/a.deb", "i").replace("\n\n", "\n \n"),
            stanza("9", "pool/a.deb", "i"),
        ]
        .concat();
        let size_of = |key: &str| match key {
            "pool/a.deb" | "pool/a+b.deb" => Some(4),
            "pool/short.deb" => Some(3),
            _ => None,
        };
        let path = "main/binary-amd64/Packages".parse().unwrap();
        let found = inspect(&path, &Component::main(), plain.as_bytes(), size_of);
        let kept: Vec<_> = found.stanzas.iter().map(|stanza| stanza.version).collect();
        assert_eq!(kept, ["1"]);
        let corrected = found.corrected.iter().map(|stanza| stanza.key.as_str());
        assert_eq!(
            corrected.collect::<Vec<_>>(),
            ["pool/a+b.deb", "pool/a.deb"]
        );
        assert!(found.repeats);
        let damage: Vec<_> = found.damage.iter().map(ToString::to_string).collect();
        assert_eq!(
            damage,
            [
                "main/binary-amd64/Packages: tool_2_all: pool/gone.deb is missing",
                "main/binary-amd64/Packages: tool_3_all: pool/short.deb has 3 bytes instead of 4",
                "main/binary-amd64/Packages: tool_1_all: the index has another file for it",
                "main/binary-amd64/Packages: stanza 8: no valid Version",
                "main/binary-amd64/Packages: tool_5_all: no valid SHA256",
                "main/binary-amd64/Packages: T_6_all: no valid Package",
                "main/binary-amd64/Packages: stanza 11: Filename is there twice",
                "main/binary-amd64/Packages: stanza 12: Package is there twice",
            ]
        );
        assert_eq!(
            serde_json::to_value(&found.damage[0]).unwrap(),
            serde_json::json!({
                "index": "main/binary-amd64/Packages", "package": "tool_2_all",
                "problem": "file_missing", "key": "pool/gone.deb",
            })
        );
    }

    #[test]
    fn files_of_sources_and_installer_packages_are_looked_for() {
        let plain = "Package: tool\nDirectory: pool/main/t/tool\nFiles:\n 00 1 tool.dsc\nChecksums-Sha256:\n 00 4 tool.dsc\n \
                     00 5 tool.tar.xz\n\nPackage: disk\nFilename: pool/disk.udeb\nSize: 4\n\nPackage: none\n";
        let path = "main/source/Sources".parse().unwrap();
        let size_of =
            |key: &str| (key == "pool/main/t/tool/tool.dsc" || key.ends_with("xz")).then_some(4);
        let damage = inspect_files(&path, plain.as_bytes(), size_of);
        let damage: Vec<_> = damage.iter().map(ToString::to_string).collect();
        assert_eq!(
            damage,
            [
                "main/source/Sources: tool: pool/main/t/tool/tool.tar.xz has 4 bytes instead of 5",
                "main/source/Sources: disk: pool/disk.udeb is missing",
            ]
        );
        assert_eq!(
            folders([plain.as_bytes()]).into_iter().collect::<Vec<_>>(),
            ["pool/"]
        );
    }

    #[test]
    fn only_the_folders_with_files_are_listed() {
        let folders_of = |keys: &[&str]| {
            let plain: String = keys.iter().map(|key| stanza("1", key, "")).collect();
            folders([plain.as_bytes()]).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(
            folders_of(&[
                "pool/main/h/x.deb",
                "pool/main/i/y.deb",
                "pool/stable/z.deb"
            ]),
            ["pool/main/", "pool/stable/"]
        );
        assert_eq!(folders_of(&["pool/x.deb", "pool/main/h/x.deb"]), ["pool/"]);
        assert_eq!(folders_of(&["x.deb", "pool/a/b/x.deb"]), [""]);
        assert_eq!(folders_of(&["po%6fl/a/x.deb"]), ["po%6fl/a/", "pool/a/"]);
        assert_eq!(folders_of(&["./pool/a/x.deb"]), ["pool/a/"]);
        assert_eq!(folders_of(&["pool/b/c/x.deb", "pool//a/x.deb"]), ["pool/"]);
        assert_eq!(folders_of(&["../a.deb"]), [""; 0]);
    }
}
