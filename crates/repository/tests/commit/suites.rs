//! Changing, collecting and verifying any suite of a repository.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use deb_index::{
    change::{Edit, Intent, SettingsPatch},
    name::SuiteName,
    suite::commit::Authorship,
};
use jiff::SignedDuration;
use repository::{
    Allow, CollectOptions, Collected, Depth, Error, Folder, Problem, Published, RepairOptions,
    Silent, Writes,
};
use s3_storage::Storage;

use crate::repository::{Repository, Signing, intent, keys, open};

/// The grace period of collections, and longer than the history that they keep.
const GRACE: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn name(name: &str) -> SuiteName {
    name.parse().unwrap()
}

/// Changes a suite.
pub(crate) async fn change<S: Storage + 'static>(
    storage: &Arc<S>,
    signing: &Signing,
    suite: &str,
    edits: Vec<Edit>,
) -> Result<Published, Error> {
    change_allowing(storage, signing, suite, edits, Allow::default()).await
}

/// The same, with what devices would have to accept.
async fn change_allowing<S: Storage + 'static>(
    storage: &Arc<S>,
    signing: &Signing,
    suite: &str,
    edits: Vec<Edit>,
    allow: Allow,
) -> Result<Published, Error> {
    let repository = open(storage.clone(), Writes::Conditional);
    let suite = repository.suite(name(suite), keys(signing));
    let draft = suite.draft(Intent(edits), allow).await?;
    draft.commit(&[], &Authorship::default(), &Silent).await
}

pub(crate) fn aliases(add: &[&str], drop: &[&str]) -> Edit {
    Edit::Set(Box::new(SettingsPatch {
        add_aliases: add.iter().copied().map(name).collect(),
        drop_aliases: drop.iter().copied().map(name).collect(),
        ..SettingsPatch::default()
    }))
}

/// Gives a suite that exists another alias, whatever its devices have to accept.
pub(crate) async fn add<S: Storage + 'static>(
    storage: &Arc<S>,
    signing: &Signing,
    suite: &str,
    alias: &str,
) -> Result<Published, Error> {
    let allow = Allow {
        release_info_change: true,
        ..Allow::default()
    };
    let edits = vec![aliases(&[alias], &[])];
    change_allowing(storage, signing, suite, edits, allow).await
}

pub(crate) async fn drop_alias<S: Storage + 'static>(
    storage: &Arc<S>,
    signing: &Signing,
    suite: &str,
    alias: &str,
) -> Result<Published, Error> {
    change(storage, signing, suite, vec![aliases(&[], &[alias])]).await
}

/// Makes a suite with the packages of an intent to publish.
pub(crate) async fn create(
    repository: &Repository,
    signing: &Signing,
    suite: &str,
) -> Result<Published, Error> {
    change(&repository.bucket, signing, suite, new_suite(signing)).await
}

/// What makes an empty suite.
pub(crate) fn new_suite(signing: &Signing) -> Vec<Edit> {
    let mut edits = intent(&keys(signing), &[], false).0;
    edits.push(Edit::Set(Box::new(SettingsPatch {
        components: vec!["main".parse().unwrap()],
        ..SettingsPatch::default()
    })));
    edits
}

/// What the folders below `dists/` are.
pub(crate) async fn folders(repository: &Repository) -> BTreeMap<SuiteName, Folder> {
    let opened = open(repository.bucket.clone(), Writes::Conditional);
    let folders = opened.folders().await.unwrap().into_iter();
    let folders = folders.map(|(name, folder)| (name, folder.unwrap()));
    folders.collect()
}

pub(crate) async fn collect(
    repository: &Repository,
    signing: &Signing,
) -> Result<Collected, Error> {
    collect_on(&repository.bucket, signing).await
}

pub(crate) async fn collect_on<S: Storage + 'static>(
    storage: &Arc<S>,
    signing: &Signing,
) -> Result<Collected, Error> {
    let opened = open(storage.clone(), Writes::Conditional);
    let (ours, others) = opened.all_suites().await?;
    assert_eq!(others, []);
    let suites = ours.into_iter();
    let suites = suites.map(|name| opened.suite(name, keys(signing).for_reading()));
    let options = CollectOptions {
        grace: SignedDuration::try_from(GRACE).unwrap(),
        keep_history: SignedDuration::ZERO,
        dry_run: false,
        leave_pool: false,
    };
    opened.collect(&suites.collect::<Vec<_>>(), options).await
}

/// Condemns what is garbage, and deletes it.
pub(crate) async fn collect_all(repository: &Repository, signing: &Signing) {
    for _ in 0..3 {
        repository.clock.advance(GRACE + Duration::from_secs(10));
        collect(repository, signing).await.unwrap();
    }
}

pub(crate) async fn problems(
    repository: &Repository,
    signing: &Signing,
    suite: &str,
) -> Vec<Problem> {
    let opened = open(repository.bucket.clone(), Writes::Conditional);
    let suites = [opened.suite(name(suite), keys(signing))];
    let found = opened.verify(&suites, Depth::Content).await.unwrap();
    found.into_iter().flat_map(|found| found.problems).collect()
}

pub(crate) async fn repair(repository: &Repository, signing: &Signing, suite: &str) {
    for _ in 0..2 {
        repair_once(repository, signing, suite).await;
    }
    let left = problems(repository, signing, suite).await;
    assert!(left.is_empty(), "{left:#?}");
}

pub(crate) async fn repair_once(repository: &Repository, signing: &Signing, suite: &str) {
    let opened = open(repository.bucket.clone(), Writes::Conditional);
    let suites = [opened.suite(name(suite), keys(signing))];
    let found = opened.verify(&suites, Depth::Content).await.unwrap();
    let options = RepairOptions::default();
    opened.repair(&suites, &found, &options).await.unwrap();
}
