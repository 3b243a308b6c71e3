//! Each kind of object, missing or with other content: it is found together with all else, mended if that is possible, and told of
//! if it is not; and no collection makes it worse.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    time::Duration,
};

use deb_index::{
    deb,
    digest::Sha256,
    stanza::Stanza,
    suite::{commit::Authorship, layout, release::Release},
};
use repository::{
    Depth, Error, Keys, PackageFile, Part, Problem, Remedy, RepairOptions, Silent, Verified, Writes,
};
use tempfile::NamedTempFile;

use crate::{
    gc::{GRACE, options, remove},
    repository::{Repository, Signing, committed, in_suite, intent, key, keys, open, suite},
};

/// A package as dpkg would build it, since it may have to be read again.
pub(crate) struct Built {
    file: PackageFile,
    _content: NamedTempFile,
}

pub(crate) fn built(name: &str, architecture: &str) -> Built {
    let control = format!(
        "Package: {name}\nVersion: 1.0\nArchitecture: {architecture}\nMaintainer: A <a@b.c>\nDescription: x\n"
    );
    let bytes = deb::build(&control, &[], 0).unwrap();
    let described = deb::describe(&bytes[..]).unwrap();
    let mut content = NamedTempFile::new().unwrap();
    content.write_all(&bytes).unwrap();
    let stanza = Stanza::of_deb("main".parse().unwrap(), &described);
    Built {
        file: PackageFile::new(content.path().to_owned(), stanza),
        _content: content,
    }
}

/// A suite of four commits, beside another suite.
pub(crate) struct Scene {
    pub(crate) repository: Repository,
    pub(crate) signing: Signing,
}

impl Scene {
    pub(crate) async fn new(signing: Signing) -> Self {
        let scene = Self {
            repository: Repository::new(),
            signing,
        };
        let (base, fan) = (built("base", "all"), built("fan", "amd64"));
        for packages in [&[base, fan][..], &[built("tool", "arm64")]] {
            scene.publish("stable", packages).await.unwrap();
            scene.pass(10);
        }
        committed(remove(&scene.repository.bucket, &scene.signing, "tool").await);
        scene.pass(10);
        for suite in ["stable", "lab"] {
            let new = built(&format!("new-{suite}"), "amd64");
            scene.publish(suite, &[new]).await.unwrap();
            scene.pass(10);
        }
        scene
    }

    fn pass(&self, seconds: u64) {
        self.repository.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) async fn publish(&self, suite: &str, packages: &[Built]) -> Result<(), Error> {
        self.publish_again(suite, packages, false).await
    }

    async fn publish_again(
        &self,
        suite: &str,
        packages: &[Built],
        replace: bool,
    ) -> Result<(), Error> {
        let store = open(self.repository.bucket.clone(), Writes::Conditional);
        let suite = store.suite(suite.parse().unwrap(), keys(&self.signing));
        let mut intent = intent(&keys(&self.signing), &[], false);
        let additions = packages.iter().map(|package| deb_index::change::Edit::Add {
            stanza: package.file.stanza.clone(),
            replace,
        });
        intent.0.extend(additions);
        let draft = suite.draft(intent, Default::default()).await?;
        let files: Vec<_> = packages
            .iter()
            .map(|package| package.file.clone())
            .collect();
        let published = draft
            .commit(&files, &Authorship::default(), &Silent)
            .await?;
        published.stale_followers.map_or(Ok(()), Err)
    }

    pub(crate) async fn verify(&self, depth: Depth) -> Verified {
        let store = open(self.repository.bucket.clone(), Writes::Conditional);
        let suites = [store.suite(suite(), self.reading())];
        store.verify(&suites, depth).await.unwrap().remove(0)
    }

    /// Repairs as the command does, in rounds; what is left.
    pub(crate) async fn repair(&self, unproven: bool) -> Result<Verified, Error> {
        let store = open(self.repository.bucket.clone(), Writes::Conditional);
        let suites = [store.suite(suite(), keys(&self.signing))];
        let options = RepairOptions {
            unproven,
            ..RepairOptions::default()
        };
        for _ in 0..4 {
            let found = store.verify(&suites, Depth::Content).await?;
            store.repair(&suites, &found, &options).await?;
        }
        Ok(store.verify(&suites, Depth::Content).await?.remove(0))
    }

    fn reading(&self) -> Keys {
        match &self.signing {
            Some(_) => keys(&self.signing).for_reading(),
            None => Keys::Unsigned,
        }
    }

    /// What a device of amd64 sees.
    pub(crate) async fn packages(&self) -> BTreeSet<String> {
        self.repository.check_as_client().await
    }

    pub(crate) fn commit(&self) -> Sha256 {
        Release::parse(&self.repository.release().unwrap())
            .unwrap()
            .commit
    }

    pub(crate) fn read(&self, key: &str) -> Vec<u8> {
        let bytes = self.repository.bucket.read(key);
        bytes.unwrap_or_else(|| panic!("{key}")).to_vec()
    }

    pub(crate) fn damage(&self, key: &str, damage: Option<Vec<u8>>) {
        match damage {
            None => assert!(self.repository.bucket.remove(key), "{key}"),
            Some(bytes) => self.repository.bucket.write(key, bytes),
        }
    }
}

pub(crate) fn expected() -> BTreeSet<String> {
    ["base_1.0_all", "fan_1.0_amd64", "new-stable_1.0_amd64"]
        .map(ToOwned::to_owned)
        .into()
}

/// Keys of one object of each kind, with the key of another suite's object of this kind.
async fn kinds(scene: &Scene) -> BTreeMap<&'static str, (String, String)> {
    let head = scene.repository.head().await;
    let (id, parent) = (head.id(), head.commit.parent.unwrap());
    let history = scene.repository.history().await;
    let lab = |key: &str| key.replace("dists/stable/", "dists/lab/");
    let path = "main/binary-amd64/Packages".parse().unwrap();
    let index = &head.commit.indexes[&path];
    let mut kinds = BTreeMap::new();
    let mut add = |kind, key: String| {
        let other = lab(&key);
        let other = match scene.repository.bucket.read(&other) {
            Some(_) => other,
            // Of the same kind, but with a name of its own.
            None => {
                let (folder, _) = other.rsplit_once('/').unwrap();
                let keys = scene.repository.bucket.keys().into_iter();
                let mut keys = keys.filter(|key| key.starts_with(folder));
                keys.next().unwrap_or_else(|| panic!("{folder}"))
            }
        };
        kinds.insert(kind, (key, other));
    };
    if scene.signing.is_some() {
        add("InRelease", in_suite("InRelease"));
        add("Release.gpg", in_suite("Release.gpg"));
    }
    add("Release", in_suite("Release"));
    add("suite.json", in_suite("suite.json"));
    add("commit", layout::commit_key(&suite(), &id));
    add("old commit", layout::commit_key(&suite(), &history[2].0));
    for (format, stored) in &index.files {
        let kind = if format == "gz" {
            "by-hash gz"
        } else {
            "by-hash zst"
        };
        add(kind, in_suite(&path.by_hash(&stored.sha256)));
        let kind = if format == "gz" {
            "plain gz"
        } else {
            "plain zst"
        };
        add(kind, in_suite(&path.with_extension(format)));
    }
    let old = &history[2].1.indexes[&path].files["gz"];
    add("old by-hash", in_suite(&path.by_hash(&old.sha256)));
    add("record", layout::successor_key(&suite(), Some(&parent)));
    add(
        "old record",
        layout::successor_key(&suite(), history[2].1.parent.as_ref()),
    );
    kinds.insert(
        "package",
        (
            "pool/main/f/fan/fan_1.0_amd64.deb".to_owned(),
            "pool/main/n/new-lab/new-lab_1.0_amd64.deb".to_owned(),
        ),
    );
    kinds
}

const DAMAGES: [&str; 5] = ["missing", "empty", "cut", "other bytes", "of another suite"];

fn damaged(scene: &Scene, how: &str, key: &str, other: &str) -> Option<Vec<u8>> {
    let mut whole = scene.read(key);
    Some(match how {
        "missing" => return None,
        "empty" => Vec::new(),
        "cut" => whole[..whole.len() / 2].to_vec(),
        "other bytes" => {
            let middle = whole.len() / 2;
            whole[middle] ^= 1;
            whole
        }
        _ => scene.read(other),
    })
}

pub(crate) fn shown(problems: &[Problem]) -> String {
    let lines = problems.iter();
    let lines = lines.map(|p| format!("{:?} {:?} {}", p.part, p.remedy, p));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn each_damage_is_found_and_mended_or_told_of() {
    for signing in [Some(key()), None] {
        let names: Vec<_> = kinds(&Scene::new(signing.clone()).await)
            .await
            .into_keys()
            .collect();
        for kind in names {
            for how in DAMAGES {
                let scene = Scene::new(signing.clone()).await;
                let (key, other) = kinds(&scene).await.remove(kind).unwrap();
                let what = format!("{kind} ({key}) {how}, signed: {}", signing.is_some());
                let bytes = damaged(&scene, how, &key, &other);
                if bytes
                    .as_ref()
                    .is_some_and(|bytes| *bytes == scene.read(&key))
                {
                    continue;
                }
                let before = scene.commit();
                let whole = scene.repository.bucket.keys();
                scene.damage(&key, bytes);

                let found = scene.verify(Depth::Content).await;
                let told = shown(&found.problems);
                let is_told = found.problems.iter().any(|problem| problem.key == key);
                // Of earlier states, only the sizes of index files are compared, and a killed publisher has written no record. The
                // number of a suite is any number.
                let is_silent = [
                    ("old by-hash", "other bytes"),
                    ("old record", "missing"),
                    ("suite.json", "other bytes"),
                    ("suite.json", "of another suite"),
                ]
                .contains(&(kind, how));
                assert!(is_told || is_silent, "{what}: {told}");
                let is_sound = !matches!(kind, "commit" | "InRelease")
                    && !found.problems.iter().any(|p| p.part == Part::Head);
                if is_sound {
                    assert_eq!(found.commit, Some(before), "{what}: {told}");
                }

                // What is read and written beside it is told clearly, or works.
                scene.pass(10);
                let published = scene.publish("stable", &[built("more", "amd64")]).await;
                if let Err(error) = &published {
                    let is_clear = matches!(
                        error,
                        Error::Damaged { .. }
                            | Error::Commit { .. }
                            | Error::HeadVanished { .. }
                            | Error::SignatureMissing { .. }
                            | Error::Untrusted { .. }
                            | Error::OtherSuite { .. }
                            | Error::Release { .. }
                            | Error::FoundedOtherwise { .. }
                            | Error::MayBePutBack { .. }
                            | Error::NotAccepted { .. }
                    );
                    assert!(is_clear, "{what}: {error:?}");
                }

                // A collection takes nothing away that is still needed.
                scene.repository.clock.advance(GRACE + GRACE);
                let keep = repository::CollectOptions {
                    keep_history: jiff::SignedDuration::from_hours(2400),
                    ..options()
                };
                for _ in 0..2 {
                    match collect_all(&scene, keep).await {
                        Ok(collected) => {
                            let taken = [&collected.deleted_keys, &collected.condemned_keys];
                            let taken = taken.into_iter().flatten();
                            let taken: Vec<_> = taken.filter(|it| whole.contains(*it)).collect();
                            assert!(taken.is_empty(), "{what}: {taken:?}");
                        }
                        Err(error) => {
                            let named = key.rsplit('/').next().unwrap().trim_end_matches(".json");
                            let told = in_full(&error);
                            let is_head = told.contains("the head of suite stable is");
                            assert!(told.contains(named) || is_head, "{what}: {told}");
                        }
                    }
                    scene.repository.clock.advance(GRACE);
                }

                let left = scene
                    .repair(false)
                    .await
                    .unwrap_or_else(|e| panic!("{what}: {e:?}"));
                let told = shown(&left.problems);
                let is_lost = matches!(kind, "package" | "old commit" | "old by-hash");
                let open = left
                    .problems
                    .iter()
                    .filter(|p| !matches!(p.remedy, Remedy::Lost));
                assert_eq!(open.count(), 0, "{what}: {told}");
                assert!(
                    is_lost || left.problems.iter().all(|p| p.part == Part::History),
                    "{what}: {told}"
                );
                let again = scene.repair(false).await.unwrap();
                assert_eq!(shown(&again.problems), told, "{what}");
                // Devices see what they saw.
                if kind != "package" {
                    let mut seen = scene.packages().await;
                    assert_eq!(seen.remove("more_1.0_amd64"), published.is_ok(), "{what}");
                    assert_eq!(seen, expected(), "{what}");
                    scene.repository.check_followers().await;
                }
                scene.pass(10);
                if kind == "package" {
                    let fan = [built("fan", "amd64")];
                    scene.publish_again("stable", &fan, true).await.unwrap();
                    scene.packages().await;
                }
                scene
                    .publish("stable", &[built("last", "amd64")])
                    .await
                    .unwrap_or_else(|e| panic!("{what}: {e:?}"));
                assert!(scene.packages().await.contains("last_1.0_amd64"), "{what}");
            }
        }
    }
}

/// An error and its causes.
fn in_full(error: &Error) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain.map(|error| format!("{error}\n")).collect()
}

/// Collects from both suites.
pub(crate) async fn collect_all(
    scene: &Scene,
    options: repository::CollectOptions,
) -> Result<repository::Collected, Error> {
    let store = open(scene.repository.bucket.clone(), Writes::Conditional);
    let suites: Vec<_> = store.all_suites().await?.0;
    let suites = suites
        .into_iter()
        .map(|name| store.suite(name, scene.reading()));
    store.collect(&suites.collect::<Vec<_>>(), options).await
}

#[tokio::test]
async fn two_damages_at_once_are_both_told_of_and_repaired_as_far_as_can_be() {
    let signing = Some(key());
    let names: Vec<_> = kinds(&Scene::new(signing.clone()).await)
        .await
        .into_keys()
        .collect();
    for (at, one) in names.iter().enumerate() {
        for two in &names[at + 1..] {
            let scene = Scene::new(signing.clone()).await;
            let kinds = kinds(&scene).await;
            let what = format!("{one} and {two}");
            for kind in [one, two] {
                scene.damage(&kinds[kind].0, None);
            }
            let found = scene.verify(Depth::Content).await;
            let told = shown(&found.problems);
            // A killed publisher has written no record either.
            let is_told = |kind: &&str| {
                *kind == "old record" || found.problems.iter().any(|p| p.key == kinds[*kind].0)
            };
            // Without the head and its commit, what was before them is not known, nor what follows it.
            let is_headless = found
                .problems
                .iter()
                .any(|p| matches!(p.part, Part::Head | Part::Commit));
            assert!(
                is_told(one) && is_told(two) || is_headless,
                "{what}: {told}"
            );
            let left = scene.repair(true).await;
            let left = left.unwrap_or_else(|error| panic!("{what}: {error:?}\n{told}"));
            let told = shown(&left.problems);
            let is_lost = |problem: &Problem| problem.remedy == Remedy::Lost;
            assert!(left.problems.iter().all(is_lost), "{what}: {told}");
            let again = scene.repair(true).await.unwrap();
            assert_eq!(shown(&again.problems), told, "{what}");
            scene.pass(10);
            let more = [built("more", "amd64")];
            scene
                .publish("stable", &more)
                .await
                .unwrap_or_else(|e| panic!("{what}: {e:?}"));
            if *one != "package" && *two != "package" {
                assert!(scene.packages().await.is_superset(&expected()), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_probe_left_is_in_nobodys_way() {
    let scene = Scene::new(None).await;
    let key = "debucket-probe/0123456789abcdef";
    scene.repository.bucket.write(key, "left");
    assert_eq!(shown(&scene.verify(Depth::Content).await.problems), "");
    scene
        .publish("stable", &[built("more", "amd64")])
        .await
        .unwrap();
    scene
        .publish("new", &[built("more", "amd64")])
        .await
        .unwrap();
    scene.repository.clock.advance(GRACE + GRACE);
    let collected = collect_all(&scene, options()).await.unwrap();
    assert!(
        !collected
            .condemned_keys
            .iter()
            .any(|condemned| condemned == key)
    );
}
