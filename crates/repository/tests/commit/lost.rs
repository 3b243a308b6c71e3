//! What is lost comes back from what vouches for it, or is signed only if that is accepted.

use deb_index::{deb, digest::Sha256, suite::layout};
use futures::TryStreamExt as _;
use repository::{Depth, Error, Gap, Keys, Part, Past, Problem, Remedy, Writes};

use crate::{
    damage::{Scene, built, expected, shown},
    repository::{in_suite, key, open, suite},
};

/// Keys of the index files of the head for an architecture, in all forms, and of their followers.
pub(crate) async fn all_of_an_index(scene: &Scene, architecture: &str) -> Vec<String> {
    let head = scene.repository.head().await;
    let path = format!("main/binary-{architecture}/Packages")
        .parse()
        .unwrap();
    let files = head.commit.indexes[&path].files.iter();
    let keys = files.flat_map(|(extension, stored)| {
        [path.by_hash(&stored.sha256), path.with_extension(extension)]
    });
    keys.map(|path| in_suite(&path)).collect()
}

#[tokio::test]
async fn an_index_of_which_no_file_is_left_is_made_again_from_the_history_and_the_pool() {
    // From the index before; from the beginning; and where the commit is lost as well, from what is newer in the pool.
    for (lacks_earlier, lacks_commit) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let scene = Scene::new(Some(key())).await;
        let what = format!("earlier ones lost: {lacks_earlier}, commit lost: {lacks_commit}");
        let head = scene.repository.head().await;
        let names = all_of_an_index(&scene, "amd64").await;
        let whole: Vec<_> = names.iter().map(|key| scene.read(key)).collect();
        for key in &names {
            scene.damage(key, None);
        }
        if lacks_earlier {
            for key in scene.repository.bucket.keys() {
                if key.starts_with(&in_suite("main/binary-amd64/by-hash/")) {
                    scene.damage(&key, None);
                }
            }
        }
        if lacks_commit {
            scene.damage(&layout::commit_key(&suite(), &head.id()), None);
        }
        let found = scene.verify(Depth::Listing).await;
        let told = shown(&found.problems);
        let indexes = found
            .problems
            .iter()
            .filter(|problem| problem.part == Part::Index);
        let indexes: Vec<_> = indexes.map(|problem| problem.remedy).collect();
        assert_eq!(indexes, [Remedy::Repair; 2], "{what}: {told}");
        scene.repair(false).await.unwrap();
        assert_eq!(scene.packages().await, expected(), "{what}");
        for (key, whole) in names.iter().zip(whole) {
            assert_eq!(scene.read(key), whole, "{what}: {key}");
        }
        let followed = scene.repository.head().await.commit.parent;
        let is_new = followed == Some(head.id());
        assert_eq!(
            is_new, lacks_commit,
            "a commit is only made where one is lost"
        );
    }
}

#[tokio::test]
async fn what_is_left_of_an_index_is_only_signed_if_that_is_accepted() {
    let scene = Scene::new(Some(key())).await;
    for key in all_of_an_index(&scene, "amd64").await {
        scene.damage(&key, None);
    }
    for key in scene.repository.bucket.keys() {
        if key.contains("/by-hash/") && key.starts_with("dists/stable/main/binary-amd64/") {
            scene.damage(&key, None);
        }
    }
    scene.damage(
        "pool/main/f/fan/fan_1.0_amd64.deb",
        Some(b"damaged".to_vec()),
    );
    let left = scene.repair(false).await.unwrap();
    let told = shown(&left.problems);
    assert!(told.contains("Index RepairUnproven"), "{told}");
    assert!(told.contains("of its packages, 2 are left"), "{told}");
    scene.repair(true).await.unwrap();
    let mut without = expected();
    without.remove("fan_1.0_amd64");
    assert_eq!(scene.packages().await, without);
    scene
        .publish("stable", &[built("fan", "amd64")])
        .await
        .unwrap();
    assert_eq!(scene.packages().await, expected());
}

#[tokio::test]
async fn the_state_of_a_lost_commit_is_committed_again_and_its_history_comes_back_with_it() {
    let scene = Scene::new(Some(key())).await;
    let lost = scene.repository.head().await;
    let place = layout::commit_key(&suite(), &lost.id());
    let whole = scene.read(&place);
    scene.damage(&place, None);
    scene.damage("pool/main/f/fan/fan_1.0_amd64.deb", None);
    scene.damage(&in_suite("main/binary-arm64/Packages.gz"), None);
    let found = scene.verify(Depth::Listing).await;
    let parts: Vec<_> = found.problems.iter().map(|problem| problem.part).collect();
    assert_eq!(parts, [Part::Commit, Part::Package, Part::Follower]);
    let left = scene.repair(false).await.unwrap();
    let parts: Vec<_> = left.problems.iter().map(|problem| problem.part).collect();
    assert_eq!(
        parts,
        [Part::Package, Part::History],
        "{}",
        shown(&left.problems)
    );
    let head = scene.repository.head().await;
    assert_eq!(head.commit.parent, Some(lost.id()));
    assert_eq!(head.release.view, lost.release.view);
    assert_eq!(
        head.commit.settings.signing_keys,
        lost.commit.settings.signing_keys
    );
    assert_eq!(head.commit.settings.formats, lost.commit.settings.formats);
    let digests = |commit: &deb_index::suite::commit::Commit| {
        let indexes = commit.indexes.iter();
        let indexes =
            indexes.map(|(path, index)| (path.clone(), index.sha256, index.files.clone()));
        indexes.collect::<Vec<_>>()
    };
    assert_eq!(digests(&head.commit), digests(&lost.commit));
    // The lost commit is found in the bucket's version history.
    scene.damage(&place, Some(whole));
    assert_eq!(scene.repository.history().await.len(), 5);
}

/// What is in the history of a scene: `commit`, or `lost`.
async fn past(scene: &Scene) -> Vec<&'static str> {
    let store = open(scene.repository.bucket.clone(), Writes::Conditional);
    let suite = store.suite(suite(), Keys::Unchecked);
    let steps = suite.past(scene.commit()).map_ok(|step| match step {
        Past::Commit(..) => "commit",
        Past::Lost(_) => "lost",
    });
    steps.try_collect().await.unwrap()
}

#[tokio::test]
async fn the_history_goes_on_beyond_a_lost_commit_as_far_as_records_tell() {
    // Four commits; which are lost, and what is seen then.
    for (lost, records_too, expected) in [
        (&[1][..], false, &["commit", "lost", "commit", "commit"][..]),
        (&[1, 2], false, &["commit", "lost", "lost", "commit"]),
        (&[3], false, &["commit", "commit", "commit", "lost"]),
        (&[1], true, &["commit", "lost"]),
    ] {
        for damage in [None, Some(b"damaged".to_vec())] {
            let scene = Scene::new(Some(key())).await;
            let history = scene.repository.history().await;
            for nth in lost {
                let id = &history[*nth].0;
                scene.damage(&layout::commit_key(&suite(), id), damage.clone());
            }
            if records_too {
                let before = layout::successor_key(&suite(), Some(&history[2].0));
                scene.damage(&before, None);
            }
            assert_eq!(past(&scene).await, expected, "{lost:?} {records_too}");
            // The commits that the signed head leads to.
            assert_eq!(scene.repository.history().await.len(), lost[0]);

            // It is told, and no problem of the suite as it is.
            let found = scene.verify(Depth::Content).await;
            let told = shown(&found.problems);
            assert_eq!(found.problems.len(), lost.len(), "{told}");
            assert!(found.problems.iter().all(Problem::is_settled), "{told}");
            let left = scene.repair(true).await.unwrap();
            assert_eq!(shown(&left.problems), told);

            let store = open(scene.repository.bucket.clone(), Writes::Conditional);
            let opened = store.suite(suite(), Keys::Unchecked);
            let head = opened.existing_head().await.unwrap();
            let (old, gap) = opened.older_than(&head, history[3].1.time).await.unwrap();
            assert_eq!((old.len(), gap), (0, Some(Gap::Lost(history[lost[0]].0))));
            let Some(seen) = expected.iter().rposition(|step| *step == "commit") else {
                panic!()
            };
            if seen < lost[0] {
                continue;
            }
            // A record leads there that anybody could have written: good to look at, and to build on only by the whole name.
            let (id, commit) = &history[seen];
            let name = id.to_string();
            for text in [
                name.split_at(12).0,
                &format!("@~{seen}"),
                &commit.time.to_string(),
            ] {
                let revision = text.parse().unwrap();
                let found = opened.find_revision(&head, &revision).await.unwrap();
                let last = lost.last().map(|nth| history[*nth].0);
                assert_eq!((found.id, found.lost), (*id, last), "{text}");
                let refused = opened.revision(&head, &revision).await;
                assert!(
                    matches!(refused, Err(Error::Unproven { .. })),
                    "{refused:?}"
                );
            }
            let whole = opened.revision(&head, &name.parse().unwrap()).await;
            assert_eq!(whole.unwrap().0, *id);
            let lost = history[lost[0]].0.to_string();
            let gone = opened.find_revision(&head, &lost.parse().unwrap()).await;
            assert!(matches!(gone, Err(Error::CommitLost { .. })), "{gone:?}");
        }
    }
}

#[tokio::test]
async fn forged_records_lead_no_history_in_a_circle() {
    let scene = Scene::new(Some(key())).await;
    let history = scene.repository.history().await;
    scene.damage(&layout::commit_key(&suite(), &history[1].0), None);
    for (before, after) in [(2, 1), (1, 2)] {
        let key = layout::successor_key(&suite(), Some(&history[before].0));
        scene.damage(&key, Some(format!("{}\n", history[after].0).into()));
    }
    scene.damage(&layout::commit_key(&suite(), &history[2].0), None);
    let natural = layout::successor_key(&suite(), Some(&history[3].0));
    scene.damage(&natural, None);
    assert_eq!(past(&scene).await, ["commit", "lost", "lost", "lost"]);
    assert_eq!(scene.verify(Depth::Listing).await.problems.len(), 4);
}

#[tokio::test]
async fn a_suite_of_which_only_package_files_are_left_begins_again_if_that_is_accepted() {
    for has_release in [true, false] {
        let scene = Scene::new(Some(key())).await;
        for key in scene.repository.bucket.keys() {
            let is_release = has_release && key == in_suite("Release");
            let is_mark = key == in_suite("suite.json");
            if key.starts_with("dists/stable/") && !is_release && !is_mark {
                scene.damage(&key, None);
            }
        }
        scene
            .repository
            .bucket
            .write(&in_suite("InRelease"), "damaged");
        let left = scene.repair(false).await.unwrap();
        let told = shown(&left.problems);
        assert!(told.starts_with("Head RepairUnproven"), "{told}");
        let left = scene.repair(true).await.unwrap();
        assert_eq!(shown(&left.problems), "");
        // The package of the other suite is left out.
        assert_eq!(scene.packages().await, expected());
        scene
            .publish("stable", &[built("more", "amd64")])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_suite_that_begins_again_has_nothing_that_devices_cannot_tell_apart() {
    let scene = Scene::new(Some(key())).await;
    for (version, architecture) in [("1.0-0", "all"), ("01.0", "amd64")] {
        let control = format!(
            "Package: fan\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: A <a@b.c>\nDescription: x\n"
        );
        let file = format!("pool/main/f/fan/fan_{version}_{architecture}.deb");
        let bytes = deb::build(&control, &[], 0).unwrap();
        scene.repository.bucket.write(&file, bytes);
    }
    for key in scene.repository.bucket.keys() {
        if key.starts_with("dists/stable/") && key != in_suite("suite.json") {
            scene.damage(&key, None);
        }
    }
    let head = in_suite("InRelease");
    scene.repository.bucket.write(&head, "damaged");
    let left = scene.repair(true).await.unwrap();
    assert_eq!(shown(&left.problems), "");
    let packages = scene.packages().await;
    let fans = packages.iter().filter(|name| name.starts_with("fan_"));
    assert_eq!(fans.count(), 1, "{packages:?}");
}

#[tokio::test]
async fn a_false_record_of_succession_is_replaced_by_a_commit_on_the_head() {
    for content in ["", "nonsense", "0000"] {
        let scene = Scene::new(Some(key())).await;
        let head = scene.commit();
        let content = match content {
            "0000" => format!("{}\n", Sha256([0; 32])),
            content => content.to_owned(),
        };
        let record = layout::successor_key(&suite(), Some(&head));
        scene.repository.bucket.write(&record, content);
        let refused = scene.publish("stable", &[built("more", "amd64")]).await;
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
        let found = scene.verify(Depth::Listing).await;
        assert_eq!(found.problems[0].part, Part::Head);
        let left = scene.repair(false).await.unwrap();
        assert_eq!(shown(&left.problems), "");
        assert_eq!(scene.packages().await, expected());
        scene
            .publish("stable", &[built("more", "amd64")])
            .await
            .unwrap();
    }
}
