//! A device: reads a suite as apt does, from `InRelease` (or the `Release` of an unsigned suite) along digests to the packages.

use std::collections::{BTreeMap, BTreeSet};

use deb_index::{
    digest::Sha256,
    index::compression::{self, Format},
    suite::release::Release,
};
use jiff::Timestamp;
use s3_storage::Memory;

use crate::{
    model::Content,
    script::LABELS,
    shelf::{
        ALIAS, ARCHITECTURES, Build, COMPONENTS, NAMES, Package, REPOSITORIES, SIGNED, SUITES,
        Shelf, VERSIONS, repository_of,
    },
};

/// A head as a device has fetched it.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) suite: usize,
    /// Where it was found: the folder of the suite, or of the alias.
    folder: String,
    pub(crate) commit: Sha256,
    pub(crate) date: Timestamp,
    text: String,
    /// The bytes of the object.
    bytes: Vec<u8>,
}

/// What a head leads to.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// By component and architecture.
    indexes: BTreeMap<(String, String), BTreeMap<Package, Build>>,
    formats: BTreeSet<String>,
    /// Keys of package files.
    pub(crate) pool: BTreeSet<String>,
}

impl Head {
    /// The head of a suite, unless it is that of another program.
    pub(crate) fn fetch(bucket: &Memory, suite: usize) -> Option<Self> {
        let prefix = REPOSITORIES[repository_of(suite)];
        let folder = format!("{prefix}dists/{}", SUITES[suite]);
        let name = head_of(suite);
        let bytes = bucket.read(&format!("{folder}/{name}"))?.to_vec();
        Self::parse(suite, folder, bytes)
    }

    /// What the alias shows.
    pub(crate) fn fetch_alias(bucket: &Memory) -> Option<Self> {
        let folder = format!("dists/{ALIAS}");
        let read = |name: &str| bucket.read(&format!("{folder}/{name}"));
        let (name, bytes) = match read("InRelease") {
            Some(bytes) => ("InRelease", bytes),
            None => ("Release", read("Release")?),
        };
        let text = text_of(name, &bytes);
        let shown = Release::parse(&text).unwrap().names[0].to_string();
        let suite = SUITES.iter().position(|suite| *suite == shown).unwrap();
        assert_eq!(name, head_of(suite), "the alias shows the head of {shown}");
        Self::parse(suite, folder, bytes.to_vec())
    }

    fn parse(suite: usize, folder: String, bytes: Vec<u8>) -> Option<Self> {
        let text = text_of(head_of(suite), &bytes);
        let Release { commit, date, .. } = Release::parse(&text).ok()?;
        let text = String::from_utf8(text).unwrap();
        Some(Self {
            suite,
            folder,
            commit,
            date,
            text,
            bytes,
        })
    }

    /// Whether both are the very same object, in whatever folder.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }

    /// Whether it was found in the folder of the alias.
    pub(crate) fn is_alias(&self) -> bool {
        self.folder.ends_with(ALIAS)
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Each of the keys alone makes a device accept the head, and no other does.
    pub(crate) fn check_signatures(&self, shelf: &Shelf, keys: &BTreeSet<usize>) {
        if self.suite == SIGNED {
            for key in 0..2 {
                let is_accepted = shelf.keyring(key).verify_inrelease(&self.bytes).is_ok();
                assert_eq!(is_accepted, keys.contains(&key), "key {key}");
            }
        }
    }

    /// Reads everything that the head names; all is there, with the right size and digest.
    pub(crate) fn read(&self, bucket: &Memory, shelf: &Shelf) -> View {
        let folder = &self.folder;
        let lines = self.text.lines().filter_map(|line| line.strip_prefix(' '));
        let files = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let files: BTreeMap<&str, (&str, usize)> = files
            .map(|words| (words[2], (words[0], words[1].parse().unwrap())))
            .collect();
        let mut view = View::default();
        for (path, (sha256, size)) in &files {
            let Some((plain_path, extension)) = path.rsplit_once('.') else {
                continue;
            };
            let (index, _) = path.rsplit_once('/').unwrap();
            let key = format!("{folder}/{index}/by-hash/SHA256/{sha256}");
            let stored = fetch(bucket, &key, sha256, *size);
            let format: Format = extension.parse().unwrap();
            let plain = compression::decompress(format, &stored, 1 << 20).unwrap();
            let listed = (Sha256::of(&plain).to_string(), plain.len());
            let (sha256, size) = files[plain_path];
            assert_eq!(listed, (sha256.to_owned(), size), "{plain_path}");
            let (component, architecture) = index.split_once("/binary-").unwrap();
            let packages = self.packages(bucket, shelf, &plain, component, &mut view.pool);
            let place = (component.to_owned(), architecture.to_owned());
            let other = view.indexes.insert(place, packages.clone());
            assert!(other.is_none_or(|other| other == packages));
            view.formats.insert(extension.to_owned());
        }
        view
    }

    fn packages(
        &self,
        bucket: &Memory,
        shelf: &Shelf,
        plain: &[u8],
        component: &str,
        pool: &mut BTreeSet<String>,
    ) -> BTreeMap<Package, Build> {
        let text = std::str::from_utf8(plain).unwrap();
        let stanzas = text
            .split("\n\n")
            .map(str::trim)
            .filter(|it| !it.is_empty());
        let stanzas: Vec<_> = stanzas.collect();
        let mut packages = BTreeMap::new();
        for stanza in &stanzas {
            let find = |name: &str| {
                let mut lines = stanza.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            let field = |name: &str| find(name).unwrap();
            let (sha256, size) = (field("SHA256"), field("Size").parse().unwrap());
            let key = format!(
                "{}{}",
                REPOSITORIES[repository_of(self.suite)],
                field("Filename")
            );
            fetch(bucket, &key, sha256, size);
            pool.insert(key);
            let (package, content) = shelf.by_digest[&sha256.parse().unwrap()];
            let found = ["Package", "Version", "Architecture"].map(field);
            assert_eq!(
                found,
                [
                    NAMES[package.name],
                    VERSIONS[package.version],
                    ARCHITECTURES[package.architecture]
                ]
            );
            let package = Package {
                component: COMPONENTS.iter().position(|it| *it == component).unwrap(),
                ..package
            };
            let phase = find("Phased-Update-Percentage").map(|number| number.parse().unwrap());
            let phase = phase.unwrap_or(100);
            packages.insert(package, Build { content, phase });
        }
        assert_eq!(
            packages.len(),
            stanzas.len(),
            "an index has each package once"
        );
        packages
    }

    /// What the head says of the suite, and what a device of each architecture sees.
    pub(crate) fn check(&self, view: &View, content: &Content) {
        assert_eq!(self.field("Suite"), Some(SUITES[self.suite]));
        assert_eq!(self.field("Codename"), Some(SUITES[self.suite]));
        assert_eq!(self.field("Label"), content.label.map(|at| LABELS[at]));
        let not_automatic = content.not_automatic.then_some("yes");
        assert_eq!(self.field("NotAutomatic"), not_automatic);
        let has_end = self.field("Valid-Until").is_some();
        assert_eq!(has_end, content.is_valid_for_a_week);
        assert_eq!(
            self.field("Components"),
            Some(&*content.components.join(" "))
        );
        let architectures = content.architectures.join(" ");
        assert_eq!(self.field("Architectures"), Some(&*architectures));
        for &format in content.formats {
            assert!(view.formats.contains(format), "{format}");
        }
        let mut expected = BTreeMap::new();
        for &component in &content.components {
            for &architecture in &content.architectures {
                let packages = content.packages.iter().filter(|(package, _)| {
                    COMPONENTS[package.component] == component
                        && content.shows(architecture, package)
                });
                let packages = packages
                    .map(|(package, build)| (*package, *build))
                    .collect();
                expected.insert((component.to_owned(), architecture.to_owned()), packages);
            }
        }
        assert_eq!(view.indexes, expected);
    }

    /// What a device sees that fetches nothing by hash and does not know `InRelease`.
    pub(crate) fn check_followers(&self, bucket: &Memory, shelf: &Shelf) {
        let folder = &self.folder;
        let read = |path: &str| bucket.read(&format!("{folder}/{path}"));
        for line in self.text.lines().filter_map(|line| line.strip_prefix(' ')) {
            let words: Vec<_> = line.split_whitespace().collect();
            if words[2].contains('.') {
                let bytes = read(words[2]).unwrap_or_else(|| panic!("{} is missing", words[2]));
                assert_eq!(Sha256::of(&bytes).to_string(), words[0], "{}", words[2]);
            }
        }
        if self.suite == SIGNED {
            let (release, signature) = (read("Release").unwrap(), read("Release.gpg").unwrap());
            assert_eq!(release, self.text.as_bytes());
            let mut keys = (0..2).map(|key| shelf.keyring(key));
            assert!(keys.any(|key| key.verify_detached(&release, &signature).is_ok()));
        }
    }
}

/// What the head of a suite is called.
fn head_of(suite: usize) -> &'static str {
    if suite == SIGNED {
        "InRelease"
    } else {
        "Release"
    }
}

fn text_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    match name {
        "InRelease" => repo_signing::unverified_text(bytes).unwrap(),
        _ => bytes.to_vec(),
    }
}

fn fetch(bucket: &Memory, key: &str, sha256: &str, size: usize) -> Vec<u8> {
    let bytes = bucket
        .read(key)
        .unwrap_or_else(|| panic!("{key} is missing"));
    assert_eq!(bytes.len(), size, "{key}");
    assert_eq!(Sha256::of(&bytes).to_string(), sha256, "{key}");
    bytes.to_vec()
}
