//! The packages and keys that a test works with: few enough that operations meet.

use std::{collections::HashMap, fs, path::PathBuf};

use deb_index::{
    deb::Deb,
    digest::{Algorithm, Digests, Sha256},
    name::SuiteName,
    phase::Percentage,
    stanza::Stanza,
};
use repo_signing::{KeyAlgorithm, KeyFile, Keyring, SignatureTime, Signer};
use repository::{Keys, PackageFile};
use tempfile::TempDir;

/// The store's time when a test begins.
pub(crate) const START: i64 = 1_764_000_000;

/// The first suite is signed. The folder of the third one is in that of the second. The last one is in a repository of its own.
pub(crate) const SUITES: [&str; 4] = ["stable", "testing", "testing/next", "copied"];
pub(crate) const SIGNED: usize = 0;
pub(crate) const COPIED: usize = 3;
/// Where in the bucket the repositories are.
pub(crate) const REPOSITORIES: [&str; 2] = ["", "other/"];
/// What the suites of the first repository have as an alias.
pub(crate) const ALIAS: &str = "current";

pub(crate) const COMPONENTS: [&str; 2] = ["main", "extra"];
pub(crate) const NAMES: [&str; 2] = ["alpha", "libbeta"];
/// In the order of dpkg.
pub(crate) const VERSIONS: [&str; 3] = ["1.0", "1.0-1", "2:0.5"];
pub(crate) const ARCHITECTURES: [&str; 4] = ["all", "amd64", "arm64", "riscv64"];
/// Other content for the same package.
pub(crate) const BUILDS: usize = 2;

/// A package of a component, by the positions of its parts in the lists above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Package {
    pub(crate) component: usize,
    pub(crate) name: usize,
    pub(crate) architecture: usize,
    pub(crate) version: usize,
}

impl Package {
    /// The same, where the component does not matter.
    pub(crate) fn in_first_component(self) -> Self {
        Self {
            component: 0,
            ..self
        }
    }
}

impl Package {
    /// Whether devices take the two, with these contents, for one version with two files.
    pub(crate) fn collides_with(&self, content: usize, other: &Self, theirs: usize) -> bool {
        let is_same = |one: &Self, content| (one.in_first_component(), content);
        let [own, others] = [self, other].map(|one| ARCHITECTURES[one.architecture]);
        (self.name, self.version) == (other.name, other.version)
            && (own == others || [own, others].contains(&"all"))
            && self != other
            && is_same(self, content) != is_same(other, theirs)
    }
}

/// Which content a package has, and the part of the devices that get it, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Build {
    pub(crate) content: usize,
    pub(crate) phase: u8,
}

impl Build {
    /// For all devices.
    pub(crate) fn new(content: usize) -> Self {
        Self {
            content,
            phase: 100,
        }
    }
}

pub(crate) struct Shelf {
    folder: TempDir,
    /// Which file a digest belongs to: the package as of the first component, and its content.
    pub(crate) by_digest: HashMap<Sha256, (Package, usize)>,
    /// Armored secret keys.
    keys: Vec<String>,
}

pub(crate) fn suite(number: usize) -> SuiteName {
    SUITES[number].parse().unwrap()
}

/// Which of the repositories a suite is in.
pub(crate) fn repository_of(suite: usize) -> usize {
    usize::from(suite == COPIED)
}

/// The suites of a repository.
pub(crate) fn suites_of(repository: usize) -> impl Iterator<Item = usize> + Clone {
    (0..SUITES.len()).filter(move |suite| repository_of(*suite) == repository)
}

fn content(package: Package, build: usize) -> String {
    let Package {
        name,
        version,
        architecture,
        ..
    } = package;
    format!("{name} {version} {architecture} {build}")
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let mut shelf = Self {
            folder: TempDir::new().unwrap(),
            by_digest: HashMap::new(),
            keys: Vec::new(),
        };
        for name in 0..NAMES.len() {
            for version in 0..VERSIONS.len() {
                for architecture in 0..ARCHITECTURES.len() {
                    for build in 0..BUILDS {
                        let package = Package {
                            component: 0,
                            name,
                            version,
                            architecture,
                        };
                        let bytes = content(package, build);
                        fs::write(shelf.path(package, build), &bytes).unwrap();
                        let digest = Sha256::of(bytes.as_bytes());
                        shelf.by_digest.insert(digest, (package, build));
                    }
                }
            }
        }
        let created = SignatureTime::try_from(START - 3600).unwrap();
        for _ in 0..2 {
            let key = repo_signing::generate("Test", KeyAlgorithm::Ed25519, created, None);
            shelf.keys.push(key.unwrap().secret.to_string());
        }
        shelf
    }

    pub(crate) fn path(&self, package: Package, build: usize) -> PathBuf {
        self.folder.path().join(content(package, build))
    }

    pub(crate) fn file(&self, package: Package, build: usize) -> PackageFile {
        let name = NAMES[package.name];
        let version = VERSIONS[package.version];
        let architecture = ARCHITECTURES[package.architecture];
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nDescription: x\n"
        );
        let algorithms = [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256];
        let deb = Deb {
            control: control.into_bytes(),
            package: name.parse().unwrap(),
            version: version.parse().unwrap(),
            architecture: architecture.parse().unwrap(),
            source: None,
            digests: Digests::of(&algorithms, content(package, build).as_bytes()),
            warnings: Vec::new(),
        };
        let component = COMPONENTS[package.component].parse().unwrap();
        let stanza = Stanza::of_deb(component, &deb);
        PackageFile::new(self.path(package, build), stanza)
    }

    /// What a stanza of an index is.
    pub(crate) fn package(&self, stanza: &Stanza) -> (Package, Build) {
        let (package, content) = self.by_digest[&stanza.sha256];
        let component = stanza.id.component.to_string();
        let package = Package {
            component: COMPONENTS.iter().position(|it| *it == component).unwrap(),
            ..package
        };
        let phase = u8::from(Percentage::of(&stanza.bytes));
        (package, Build { content, phase })
    }

    pub(crate) fn signer(&self, key: usize) -> Box<dyn Signer> {
        Box::new(KeyFile::from_bytes(self.keys[key].as_bytes(), None).unwrap())
    }

    /// What a device has that knows one key.
    pub(crate) fn keyring(&self, key: usize) -> Keyring {
        [self.signer(key).certificate().clone()]
            .into_iter()
            .collect()
    }

    /// The keys of a publisher, who may have only the first one.
    pub(crate) fn publisher(&self, suite: usize, has_all_keys: bool) -> Keys {
        if suite != SIGNED {
            return Keys::Unsigned;
        }
        let keys = if has_all_keys { self.keys.len() } else { 1 };
        Keys::Sign {
            signers: (0..keys).map(|key| self.signer(key)).collect(),
            further: Keyring::default(),
        }
    }

    /// The keys of a publisher for whom one takes the place of others that are lost, with or without their certificates.
    pub(crate) fn replacing(&self, key: usize, has_old: bool) -> Keys {
        let old = (0..self.keys.len()).filter(|_| has_old);
        Keys::Replace {
            signers: vec![self.signer(key)],
            old: old
                .map(|key| self.signer(key).certificate().clone())
                .collect(),
        }
    }

    pub(crate) fn reader(&self, suite: usize) -> Keys {
        self.publisher(suite, true).for_reading()
    }
}
