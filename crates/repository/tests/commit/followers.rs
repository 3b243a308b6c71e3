//! Followers that were deleted, or that an older publisher wrote last.

use s3_storage::{Fault, Gate, On, Operation};

use crate::repository::{Repository, committed, in_suite, is_unchanged, key, package, publish};
use deb_index::stanza::Stanza;

/// The same package for one architecture.
fn only_for(architecture: &str, package: &mut crate::repository::Package) {
    let stanza = &package.file.stanza;
    let text = String::from_utf8(stanza.bytes.to_vec()).unwrap();
    let text = text.replace(
        "Architecture: all",
        &format!("Architecture: {architecture}"),
    );
    let mut id = stanza.id.clone();
    id.architecture = architecture.parse().unwrap();
    let key = stanza.key.replace("_all.", &format!("_{architecture}."));
    let changed = Stanza {
        id,
        bytes: text.into(),
        ..stanza.clone()
    };
    package.file.stanza = changed.at_key(key);
}

#[tokio::test]
async fn deleted_followers_come_back_with_the_next_publish() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let base = package("base");
    committed(publish(&repository.bucket, &signing, &[&base]).await);
    for follower in [
        "Release",
        "Release.gpg",
        "main/binary-amd64/Packages.gz",
        "main/binary-arm64/Packages.zst",
    ] {
        for what in ["deleted", "overwritten"] {
            let damage = || match what {
                "deleted" => assert!(repository.bucket.remove(&in_suite(follower))),
                _ => repository
                    .bucket
                    .write(&in_suite(follower), "an older state"),
            };
            damage();
            assert!(is_unchanged(
                publish(&repository.bucket, &signing, &[&base]).await
            ));
            repository.check_followers().await;
            damage();
            // One that changes only the index of amd64.
            let name = format!("p{}", repository.history().await.len());
            let mut next = package(&name);
            only_for("amd64", &mut next);
            committed(publish(&repository.bucket, &signing, &[&next]).await);
            repository.check_followers().await;
        }
    }
}

/// On a store whose ETags depend on the content alone, an index that is as it was before has its old ETag again.
#[tokio::test]
async fn an_older_publisher_that_is_killed_after_it_wrote_last_is_made_good() {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let follower = in_suite("main/binary-amd64/Packages.gz");
    let before = repository.bucket.read(&follower).unwrap();
    let (slow, gate) = (repository.faulty(), Gate::new());
    let on = On::Key(Operation::Put, "binary-amd64/Packages.gz".to_owned());
    slow.at(on, 1, Fault::PauseBefore(gate.clone()));
    let (old, new) = (package("old"), package("new"));
    let older = async { publish(&slow, &signing, &[&old]).await };
    let newer = async {
        gate.reached().await;
        committed(publish(&repository.bucket, &signing, &[&new]).await);
        // As if a third one had taken both out again.
        repository.bucket.write(&follower, before.clone());
        slow.at(On::Requests, 1, Fault::KillAfter);
        gate.open();
    };
    let (_, ()) = tokio::join!(older, newer);
    let again = publish(&repository.bucket, &signing, &[&new]).await;
    assert!(is_unchanged(again));
    repository.check_followers().await;
}
