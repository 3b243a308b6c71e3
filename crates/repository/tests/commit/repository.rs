//! A repository in memory, and publishers that work on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    sync::Arc,
};

use deb_index::{
    commit::Commit,
    compression::{self, Format},
    deb::Deb,
    digest::{Algorithm, Digests, Sha256},
    name::SuiteName,
    packages::Packages,
    plan::{Addition, Intent},
    pool,
    release::Release,
};
use debucket::{
    commit::{Authorship, Committed, Outcome, Signing},
    error::Error,
    publish::{Publication, Published},
    snapshot::{self, Trust},
    upload::PackageFile,
};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use repo_signing::{KeyAlgorithm, KeyFile, Keyring, SignatureTime};
use s3_storage::{Faulty, ManualClock, Memory, Storage};
use tempfile::NamedTempFile;

/// The store's time when a test begins.
pub(crate) const START: i64 = 1_764_000_000;

/// A bucket, and the store's clock.
pub(crate) struct Repository {
    pub(crate) bucket: Arc<Memory>,
    pub(crate) clock: ManualClock,
}

/// A package in a file that lives as long as this.
pub(crate) struct Package {
    pub(crate) file: PackageFile,
    _content: NamedTempFile,
}

impl Repository {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new(Timestamp::from_second(START).unwrap());
        Self {
            bucket: Arc::new(Memory::with_clock(clock.clone())),
            clock,
        }
    }

    /// Another process's way to the bucket, on which things can go wrong.
    pub(crate) fn faulty(&self) -> Faulty<Arc<Memory>> {
        Faulty::new(self.bucket.clone())
    }

    /// The suite's commits, newest first.
    pub(crate) async fn history(&self) -> Vec<(Sha256, Commit)> {
        let head = self.head().await;
        snapshot::history(self.bucket.as_ref(), &suite(), head.0)
            .try_collect()
            .await
            .unwrap()
    }

    async fn head(&self) -> (Sha256, Commit) {
        let head = snapshot::read_head(self.bucket.as_ref(), &suite(), &Trust::Unchecked)
            .await
            .unwrap()
            .unwrap();
        (head.id, head.commit)
    }

    /// What a client sees that starts at the head: every digest is checked, every file must be there.
    /// Returns name_version_architecture of all packages for amd64.
    pub(crate) async fn check_as_client(&self) -> BTreeSet<String> {
        let Some(release) = self.release() else {
            return BTreeSet::new();
        };
        let text = String::from_utf8(release.clone()).unwrap();
        let files: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.strip_prefix(' '))
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .map(|fields| (fields[2], fields[0]))
            .collect();
        let mut packages = BTreeSet::new();
        for (path, sha256) in files.iter().filter(|(path, _)| path.ends_with(".gz")) {
            let by_hash = format!(
                "dists/stable/{}/by-hash/SHA256/{sha256}",
                path.rsplit_once('/').unwrap().0
            );
            let compressed = self
                .bucket
                .read(&by_hash)
                .unwrap_or_else(|| panic!("{by_hash} is missing"));
            assert_eq!(Sha256::of(&compressed).to_string(), *sha256);
            let plain = compression::decompress(Format::Gz, &compressed, 1 << 20).unwrap();
            assert_eq!(
                Sha256::of(&plain).to_string(),
                files[path.strip_suffix(".gz").unwrap()]
            );
            for entry in Packages::parse(&plain).unwrap().entries() {
                let file = self
                    .bucket
                    .read(entry.field("Filename").unwrap())
                    .expect("the index names a file that is there");
                assert_eq!(
                    Some(Sha256::of(&file).to_string().as_str()),
                    entry.field("SHA256")
                );
                if path.contains("amd64") {
                    packages.insert(format!(
                        "{}_{}_{}",
                        entry.package, entry.version, entry.architecture
                    ));
                }
            }
        }
        packages
    }

    /// The bytes of `Release` as the head has them.
    pub(crate) fn release(&self) -> Option<Vec<u8>> {
        match self.bucket.read("dists/stable/InRelease") {
            Some(inrelease) => Some(repo_signing::unverified_text(&inrelease).unwrap()),
            None => self.bucket.read("dists/stable/Release").map(Into::into),
        }
    }

    pub(crate) fn date(&self) -> Timestamp {
        Release::parse(&self.release().unwrap()).unwrap().date
    }

    /// Every follower has what the head says.
    pub(crate) async fn check_followers(&self) {
        let (_, commit) = self.head().await;
        for index in &commit.indexes {
            for (format, stored) in &index.files {
                let path = pool::index_path(&index.component, &index.architecture, Some(*format));
                let bytes = self
                    .bucket
                    .read(&pool::in_suite(&suite(), &path))
                    .unwrap_or_else(|| panic!("{path} is missing"));
                assert_eq!(Sha256::of(&bytes), stored.sha256, "{path} lags behind");
            }
        }
        if self.bucket.read("dists/stable/InRelease").is_some() {
            assert_eq!(
                self.bucket.read("dists/stable/Release").map(Vec::from),
                self.release()
            );
            assert!(self.bucket.read("dists/stable/Release.gpg").is_some());
        }
    }
}

pub(crate) fn suite() -> SuiteName {
    "stable".parse().unwrap()
}

/// A package for all architectures, whose file's content is `build`.
pub(crate) fn package_of(name: &str, version: &str, build: &str) -> Package {
    let mut content = NamedTempFile::new().unwrap();
    content.write_all(build.as_bytes()).unwrap();
    let control =
        format!("Package: {name}\nVersion: {version}\nArchitecture: all\nDescription: x\n");
    let deb = Deb {
        control: control.into_bytes(),
        package: name.parse().unwrap(),
        version: version.parse().unwrap(),
        architecture: "all".parse().unwrap(),
        source: None,
        warnings: Vec::new(),
        digests: Digests::of(
            &[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256],
            build.as_bytes(),
        ),
    };
    let addition = Addition::new("main".parse().unwrap(), deb);
    Package {
        file: PackageFile {
            path: content.path().to_owned(),
            addition,
        },
        _content: content,
    }
}

pub(crate) fn package(name: &str) -> Package {
    package_of(name, "1.0", name)
}

/// A signing key that was made before the test begins.
pub(crate) fn key() -> KeyFile {
    let created = SignatureTime::try_from(START - 3600).unwrap();
    let key = repo_signing::generate(
        "Test <test@example.com>",
        KeyAlgorithm::Ed25519,
        created,
        None,
    )
    .unwrap();
    KeyFile::from_bytes(key.secret.as_bytes(), None).unwrap()
}

pub(crate) fn signed(signer: KeyFile) -> Signing {
    Signing::Key {
        signer: Box::new(signer),
        keyring: Keyring::default(),
    }
}

pub(crate) async fn publish(
    storage: &dyn Storage,
    signing: &Signing,
    packages: &[&Package],
) -> Result<Published, Error> {
    publish_as(storage, signing, packages, Intent::default()).await
}

pub(crate) async fn publish_as(
    storage: &dyn Storage,
    signing: &Signing,
    packages: &[&Package],
    intent: Intent,
) -> Result<Published, Error> {
    let suite = suite();
    let files = packages
        .iter()
        .map(|package| package.file.clone())
        .collect();
    let by = Authorship {
        author: "test".to_owned(),
        message: String::new(),
    };
    let mut publication = Publication {
        storage,
        suite: &suite,
        signing,
        files,
        intent,
        by,
    };
    let preview = publication.preview().await?;
    publication.publish(preview, |_| None).await
}

/// The commit that was made.
pub(crate) fn committed(published: Result<Published, Error>) -> Box<Committed> {
    let published = published.unwrap();
    assert!(published.lagging.is_none(), "{:?}", published.lagging);
    match published.outcome {
        Outcome::Committed(committed) => committed,
        Outcome::Unchanged(_) => panic!("nothing was to do"),
    }
}

pub(crate) fn is_unchanged(published: Result<Published, Error>) -> bool {
    matches!(published.unwrap().outcome, Outcome::Unchanged(_))
}
