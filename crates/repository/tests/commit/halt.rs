//! A version is taken back while garbage is collected and others publish.

use std::{sync::Arc, time::Duration};

use deb_index::{
    change::{Edit, Intent, Phasing, Retention},
    package_id::PackageId,
    suite::commit::Authorship,
};
use repository::{Allow, Error, Published, Silent, Writes};
use s3_storage::Storage;

use crate::{
    collecting::collecting_at,
    gc::{GRACE, collect},
    repository::{
        Package, Repository, Signing, committed, intent, is_unchanged, key, keys, open, package_of,
        publish, suite,
    },
};

/// A suite with version 2.0 of a package, in whose place retention took 1.0 out.
struct Scene {
    repository: Repository,
    signing: Signing,
    old: Package,
}

impl Scene {
    async fn new() -> Self {
        let (repository, signing) = (Repository::new(), Some(key()));
        let (old, new) = (
            package_of("tool", "1.0", "1"),
            package_of("tool", "2.0", "2"),
        );
        committed(publish(&repository.bucket, &signing, &[&old]).await);
        repository.clock.advance(Duration::from_secs(10));
        let mut wanted = intent(&keys(&signing), &[&new], false);
        wanted.0.push(Edit::Keep(Retention {
            of: vec!["tool".parse().unwrap()],
            newest: 1.try_into().unwrap(),
            below: None,
            only: None,
        }));
        wanted.0.push(Edit::Phase {
            of: vec![new.file.stanza.id.clone()],
            percentage: 10.try_into().unwrap(),
            only: Phasing::Added,
        });
        let opened = open(repository.bucket.clone(), Writes::Conditional);
        let suite = opened.suite(suite(), keys(&signing));
        let draft = suite.draft(wanted, Allow::default()).await.unwrap();
        let files = [new.file.clone()];
        committed(draft.commit(&files, &Authorship::default(), &Silent).await);
        Self {
            repository,
            signing,
            old,
        }
    }

    /// What no head names is condemned, and the grace period is over.
    async fn condemned() -> Self {
        let scene = Self::new().await;
        scene
            .repository
            .clock
            .advance(GRACE + Duration::from_secs(10));
        let found = collect(&scene.repository.bucket, &scene.signing).await;
        assert!(
            found
                .unwrap()
                .condemned_keys
                .contains(&scene.old.file.stanza.key)
        );
        scene.repository.clock.advance(GRACE);
        scene
    }

    /// Takes back what is being phased.
    async fn halt<S: Storage + 'static>(
        &self,
        storage: &Arc<S>,
    ) -> Result<Option<Published>, Error> {
        self.halt_of(storage, "t*").await
    }

    /// Takes packages back; none if there is nothing to go back to.
    async fn halt_of<S: Storage + 'static>(
        &self,
        storage: &Arc<S>,
        selector: &str,
    ) -> Result<Option<Published>, Error> {
        let opened = open(storage.clone(), Writes::Conditional);
        let suite = opened.suite(suite(), keys(&self.signing));
        let head = suite.existing_head().await?;
        let selectors = [selector.parse().unwrap()];
        let targets = suite.phase_targets(&head, &selectors).await?;
        assert!(targets.unmatched.is_empty());
        let (only, of) = if targets.named.is_empty() {
            (Phasing::Begun, targets.phased)
        } else {
            (Phasing::Named, targets.named)
        };
        let halting = suite.halting(&head, &of).await?;
        if !halting.without.is_empty() {
            return Ok(None);
        }
        let earlier = halting.earlier;
        let intent = Intent(vec![Edit::Halt { of, earlier, only }]);
        let draft = suite.draft(intent, Allow::default()).await?;
        let authorship = Authorship::default();
        draft.commit(&[], &authorship, &Silent).await.map(Some)
    }
}

#[tokio::test]
async fn a_halt_goes_back_to_what_the_suite_had_before() {
    let scene = Scene::new().await;
    let commit = committed(
        scene
            .halt(&scene.repository.bucket)
            .await
            .map(Option::unwrap),
    );
    let changes = commit.commit.changes.iter();
    let changes: Vec<_> = changes
        .map(|change| format!("{} {}", change.action, change.version.as_deref().unwrap()))
        .collect();
    assert_eq!(changes, ["add 1.0", "remove 2.0"]);
    let seen = scene.repository.check_as_client().await;
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["tool_1.0_all"]);
    // What came back is for all devices.
    assert!(is_unchanged(
        scene
            .halt(&scene.repository.bucket)
            .await
            .map(Option::unwrap)
    ));
    // There was none before this one.
    let halted = scene.halt_of(&scene.repository.bucket, "tool=1.0").await;
    assert!(halted.unwrap().is_none());
    let opened = open(scene.repository.bucket.clone(), Writes::Conditional);
    let suite = opened.suite(suite(), keys(&scene.signing));
    let head = suite.existing_head().await.unwrap();
    let other = PackageId {
        version: "3.0".parse().unwrap(),
        ..scene.old.file.stanza.id.clone()
    };
    let halting = suite.halting(&head, &[other]).await.unwrap();
    assert!(
        halting.earlier.is_empty() && halting.without.is_empty(),
        "{halting:?}"
    );
}

#[tokio::test]
async fn a_halt_saves_what_is_condemned() {
    let scene = Scene::condemned().await;
    committed(
        scene
            .halt(&scene.repository.bucket)
            .await
            .map(Option::unwrap),
    );
    for _ in 0..3 {
        collect(&scene.repository.bucket, &scene.signing)
            .await
            .unwrap();
        scene.repository.clock.advance(GRACE + GRACE);
    }
    let seen = scene.repository.check_as_client().await;
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["tool_1.0_all"]);
}

/// At each request of a halt, a whole collection runs, which deletes what the halt has found and is about to name.
#[tokio::test]
async fn a_collection_at_any_request_of_a_halt_leaves_no_index_without_its_file() {
    let mut refused = 0;
    for nth in 1.. {
        let scene = Scene::condemned().await;
        let slow = scene.repository.faulty();
        let halted = collecting_at(nth, &slow, &scene.signing, scene.halt(&slow));
        let Some(halted) = halted.await else {
            assert!(nth > 12, "a halt takes more than {nth} requests");
            break;
        };
        refused += usize::from(halted.is_err());
        // All that the head names is there.
        scene.repository.check_as_client().await;
    }
    assert!(
        refused > 0,
        "no collection came between the look at the file and the head"
    );
}
