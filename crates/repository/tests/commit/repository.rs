//! A repository in memory, and publishers that work on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    sync::Arc,
};

use bytes::Bytes;
use deb_index::{
    change::{Edit, Intent},
    deb::Deb,
    digest::{Algorithm, Digests, Sha256},
    index::{
        compression::{self, Format},
        packages::Packages,
    },
    name::SuiteName,
    stanza::Stanza,
    suite::{
        commit::{Authorship, Commit},
        layout,
        release::Release,
        settings::Settings,
    },
};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use repo_signing::{KeyAlgorithm, KeyFile, Keyring, SignatureTime, Signer};
use repository::{
    Allow, Committed, Error, Head, Keys, Outcome, PackageFile, Published, RepositoryUrl, Silent,
    Writes, accepted_key,
};
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

impl Package {
    /// The same package for one architecture.
    pub(crate) fn only_for(mut self, architecture: &str) -> Self {
        let stanza = &self.file.stanza;
        let text = String::from_utf8(stanza.bytes.to_vec()).unwrap();
        let line = format!("Architecture: {architecture}");
        let mut id = stanza.id.clone();
        id.architecture = architecture.parse().unwrap();
        let key = stanza.key.replace("_all.", &format!("_{architecture}."));
        let changed = Stanza {
            id,
            bytes: text.replace("Architecture: all", &line).into(),
            ..stanza.clone()
        };
        self.file.stanza = changed.at_key(key);
        self
    }
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
    pub(crate) fn faulty(&self) -> Arc<Faulty<Arc<Memory>>> {
        Arc::new(Faulty::new(self.bucket.clone()))
    }

    /// The suite's commits, newest first.
    pub(crate) async fn history(&self) -> Vec<(Sha256, Commit)> {
        let repository = open(self.bucket.clone(), Writes::Conditional);
        let suite = repository.suite(suite(), Keys::Unchecked);
        let newest = suite.existing_head().await.unwrap().id();
        suite.history(newest).try_collect().await.unwrap()
    }

    pub(crate) async fn head(&self) -> Head {
        let repository = open(self.bucket.clone(), Writes::Conditional);
        let suite = repository.suite(suite(), Keys::Unchecked);
        suite.existing_head().await.unwrap()
    }

    /// What a client sees that starts at the head: every digest is checked, every file must be there.
    /// Returns name_version_architecture of all packages for amd64.
    pub(crate) async fn check_as_client(&self) -> BTreeSet<String> {
        self.check_as_client_of("stable").await
    }

    /// The same of any folder below `dists/`.
    pub(crate) async fn check_as_client_of(&self, folder: &str) -> BTreeSet<String> {
        let Some(release) = self.release_of(folder) else {
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
                "dists/{folder}/{}/by-hash/SHA256/{sha256}",
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
            for stanza in Packages::parse(&plain).unwrap().stanzas() {
                let file = self
                    .bucket
                    .read(stanza.field("Filename").unwrap())
                    .expect("the index names a file that is there");
                assert_eq!(Some(Sha256::of(&file)), stanza.sha256());
                if path.contains("amd64") {
                    packages.insert(format!(
                        "{}_{}_{}",
                        stanza.name, stanza.version, stanza.architecture
                    ));
                }
            }
        }
        packages
    }

    /// The bytes of `Release` as the head has them.
    pub(crate) fn release(&self) -> Option<Vec<u8>> {
        self.release_of("stable")
    }

    fn release_of(&self, folder: &str) -> Option<Vec<u8>> {
        let read = |name| self.bucket.read(&format!("dists/{folder}/{name}"));
        match read("InRelease") {
            Some(inrelease) => Some(repo_signing::unverified_text(&inrelease).unwrap()),
            None => read("Release").map(Into::into),
        }
    }

    pub(crate) fn date(&self) -> Timestamp {
        Release::parse(&self.release().unwrap()).unwrap().date
    }

    /// Every follower has what the head says.
    pub(crate) async fn check_followers(&self) {
        let head = self.head().await;
        for (path, index) in &head.commit.indexes {
            for (extension, stored) in &index.files {
                let path = path.with_extension(extension);
                let key = layout::in_suite(&suite(), &path);
                let bytes = self.bucket.read(&key);
                let bytes = bytes.unwrap_or_else(|| panic!("{path} is missing"));
                assert_eq!(Sha256::of(&bytes), stored.sha256, "{path} is stale");
            }
        }
        if self.bucket.read("dists/stable/InRelease").is_some() {
            let release = self.bucket.read("dists/stable/Release");
            assert_eq!(release.map(Vec::from), self.release());
            assert!(self.bucket.read("dists/stable/Release.gpg").is_some());
        }
        let record = layout::successor_key(&suite(), head.commit.parent.as_ref());
        let expected = Bytes::from(format!("{}\n", head.id()));
        assert_eq!(self.bucket.read(&record), Some(expected));
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
        digests: Digests::of(
            &[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256],
            build.as_bytes(),
        ),
        warnings: Vec::new(),
    };
    let stanza = Stanza::of_deb("main".parse().unwrap(), &deb);
    Package {
        file: PackageFile::new(content.path().to_owned(), stanza),
        _content: content,
    }
}

pub(crate) fn package(name: &str) -> Package {
    package_of(name, "1.0", name)
}

/// A signing key that was made before the test begins, armored.
pub(crate) fn key() -> String {
    let created = SignatureTime::try_from(START - 3600).unwrap();
    let key = repo_signing::generate(
        "Test <test@example.com>",
        KeyAlgorithm::Ed25519,
        created,
        None,
    );
    key.unwrap().secret.to_string()
}

/// Who publishes: an armored key, or nothing for an unsigned suite.
pub(crate) type Signing = Option<String>;

pub(crate) fn signer(key: &str) -> Box<dyn Signer> {
    Box::new(KeyFile::from_bytes(key.as_bytes(), None).unwrap())
}

pub(crate) fn keys(signing: &Signing) -> Keys {
    match signing {
        Some(key) => Keys::Sign {
            signers: vec![signer(key)],
            further: Keyring::default(),
        },
        None => Keys::Unsigned,
    }
}

/// The address of an object of the suite.
pub(crate) fn in_suite(path: &str) -> String {
    layout::in_suite(&suite(), path)
}

pub(crate) fn open(storage: Arc<dyn Storage>, writes: Writes) -> repository::Repository {
    let url = RepositoryUrl::new("bucket", "").unwrap();
    repository::Repository::new(storage, url, writes)
}

/// What a publish may do beside adding packages.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) replace: bool,
    pub(crate) writes: Writes,
    pub(crate) allow: Allow,
    /// What this machine's clock shows, as a Unix timestamp; the real one's time by default.
    pub(crate) own_clock: Option<i64>,
}

impl Options {
    pub(crate) fn allowing(allow: Allow) -> Self {
        Self {
            allow,
            ..Self::default()
        }
    }
}

/// An intent to add packages, with the settings of a new suite for `keys`.
pub(crate) fn intent(keys: &Keys, packages: &[&Package], replace: bool) -> Intent {
    let signing_keys = match keys {
        Keys::Sign { signers, .. } => signers
            .iter()
            .map(|signer| accepted_key(signer.certificate()))
            .collect(),
        _ => Vec::new(),
    };
    let settings = Settings {
        architectures: vec!["amd64".parse().unwrap(), "arm64".parse().unwrap()],
        formats: vec!["gz".to_owned(), "zst".to_owned()],
        signing_keys,
        ..Settings::default()
    };
    let additions = packages.iter().map(|package| Edit::Add {
        stanza: package.file.stanza.clone(),
        replace,
    });
    Intent(
        [Edit::Exist(settings.into())]
            .into_iter()
            .chain(additions)
            .collect(),
    )
}

pub(crate) async fn publish<S: Storage + 'static>(
    storage: &Arc<S>,
    signing: &Signing,
    packages: &[&Package],
) -> Result<Published, Error> {
    publish_as(storage, keys(signing), packages, Options::default()).await
}

pub(crate) async fn publish_as<S: Storage + 'static>(
    storage: &Arc<S>,
    keys: Keys,
    packages: &[&Package],
    options: Options,
) -> Result<Published, Error> {
    let mut repository = open(storage.clone(), options.writes);
    if let Some(now) = options.own_clock {
        repository = repository.with_clock(move || Timestamp::from_second(now).unwrap());
    }
    let intent = intent(&keys, packages, options.replace);
    let suite = repository.suite(suite(), keys);
    let draft = suite.draft(intent, options.allow).await?;
    let files: Vec<_> = packages
        .iter()
        .map(|package| package.file.clone())
        .collect();
    let by = Authorship {
        author: "test".to_owned(),
        ..Authorship::default()
    };
    draft.commit(&files, &by, &Silent).await
}

/// The commit that was made.
pub(crate) fn committed(published: Result<Published, Error>) -> Box<Committed> {
    let published = published.unwrap();
    let stale = &published.stale_followers;
    assert!(stale.is_none(), "{stale:?}");
    match published.outcome {
        Outcome::Committed(committed) => committed,
        Outcome::Unchanged(_) => panic!("nothing was to do"),
    }
}

pub(crate) fn is_unchanged(published: Result<Published, Error>) -> bool {
    matches!(published.unwrap().outcome, Outcome::Unchanged(_))
}
