//! Packages of another repository are copied into this one, and named only if their bytes are the source's.

use std::sync::Arc;

use deb_index::change::{Edit, Intent, Selector};
use repository::{Error, Published, Silent, Writes};
use s3_storage::{ErrorKind, Fault, Gate, On, Operation, Storage};

use crate::repository::{
    Repository, Signing, committed, intent, is_unchanged, key, keys, open, package, package_of,
    publish, suite,
};

/// Promotes all packages of the suite in one bucket into the suite in another.
async fn promote<A: Storage + 'static, B: Storage + 'static>(
    from: &Arc<A>,
    to: &Arc<B>,
    signing: &Signing,
) -> Result<Published, Error> {
    let source = open(from.clone(), Writes::Conditional);
    let source = source.suite(suite(), keys(signing).for_reading());
    let copies = source
        .copies(source.existing_head().await?, &[Selector::all(None)], None)
        .await?;
    let files = source.files_to_copy(&copies.stanzas);
    let Intent(mut edits) = intent(&keys(signing), &[], false);
    edits.extend(files.iter().map(|file| Edit::Add {
        stanza: file.stanza.clone(),
        replace: false,
    }));
    let repository = open(to.clone(), Writes::Conditional);
    let suite = repository.suite(suite(), keys(signing));
    let draft = suite.draft(Intent(edits), Default::default()).await?;
    draft.commit(&files, &Default::default(), &Silent).await
}

/// A repository with some packages, signed.
async fn source(signing: &Signing) -> Repository {
    let source = Repository::new();
    let packages = [package("one"), package("two")];
    let packages: Vec<_> = packages.iter().collect();
    committed(publish(&source.bucket, signing, &packages).await);
    source
}

const ONE: &str = "pool/main/o/one/one_1.0_all.deb";

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_write_leaves_the_old_suite_or_the_new_one() {
    let signing = Some(key());
    let source = source(&signing).await;
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        for nth in 1.. {
            let repository = Repository::new();
            committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
            let victim = repository.faulty();
            victim.at(On::Writes, nth, fault.clone());
            let result = promote(&source.bucket, &victim, &signing).await;
            if !victim.is_killed() {
                committed(result);
                assert!(nth > 8, "a promotion takes more than {nth} writes");
                break;
            }
            let there = repository.check_as_client().await;
            assert!([1, 3].contains(&there.len()), "write {nth}: {there:?}");
            let again = promote(&source.bucket, &repository.bucket, &signing).await;
            assert_eq!(is_unchanged(again), there.len() == 3, "write {nth}");
            assert_eq!(repository.check_as_client().await.len(), 3);
        }
    }
}

#[tokio::test]
async fn a_reading_that_breaks_off_is_tried_again() {
    let signing = Some(key());
    let (source, repository) = (source(&signing).await, Repository::new());
    let unlucky = source.faulty();
    let one = || On::Key(Operation::Get, ONE.to_owned());
    unlucky.at(one(), 1, Fault::CutBody(1));
    unlucky.at(one(), 2, Fault::Fail(ErrorKind::Unavailable));
    committed(promote(&unlucky, &repository.bucket, &signing).await);
    assert_eq!(repository.check_as_client().await.len(), 2);

    unlucky.always(one(), Fault::Fail(ErrorKind::PermissionDenied));
    let error = promote(&unlucky, &Repository::new().bucket, &signing).await;
    let Err(Error::Source { source, .. }) = error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(*source, Error::Storage(error) if error.kind() == ErrorKind::PermissionDenied)
    );
}

/// That a promotion failed because of the file of package “one”, and changed nothing.
fn check_refused(result: Result<Published, Error>, repository: &Repository, expected: &str) {
    let Err(Error::Source { source, .. }) = result else {
        panic!("{result:?}")
    };
    match *source {
        Error::Damaged { key, problem, .. } => assert_eq!((&*key, problem), (ONE, expected)),
        error => panic!("{error:?}"),
    }
    assert_eq!(repository.release(), None, "nothing was published");
    assert_eq!(repository.bucket.read(ONE), None, "nothing was stored");
}

#[tokio::test]
async fn other_bytes_in_the_pool_of_the_source_are_refused_by_name() {
    let signing = Some(key());
    let (source, repository) = (source(&signing).await, Repository::new());
    for wrong in ["eno", "longer", ""] {
        source.bucket.write(ONE, wrong);
        let result = promote(&source.bucket, &repository.bucket, &signing).await;
        check_refused(
            result,
            &repository,
            "has other content than the suite's index says",
        );
    }
}

#[tokio::test]
async fn a_source_that_is_collected_meanwhile_is_named() {
    let signing = Some(key());
    let (source, repository) = (source(&signing).await, Repository::new());
    let (slow, gate) = (source.faulty(), Gate::new());
    let read = On::Key(Operation::Get, ONE.to_owned());
    slow.at(read, 1, Fault::PauseBefore(gate.clone()));
    let collect = async {
        gate.reached().await;
        source.bucket.remove(ONE);
        gate.open();
    };
    let (result, ()) = tokio::join!(promote(&slow, &repository.bucket, &signing), collect);
    check_refused(result, &repository, "is missing");
}

#[tokio::test]
async fn a_key_that_other_bytes_have_is_left_to_them() {
    let signing = Some(key());
    let (source, repository) = (source(&signing).await, Repository::new());
    repository.bucket.write(ONE, "what another suite names");
    // As a killed run leaves it.
    let two = "pool/main/t/two/two_1.0_all.deb";
    repository.bucket.write(two, "two");
    let done = committed(promote(&source.bucket, &repository.bucket, &signing).await);
    let keys = done.commit.changes.iter();
    let keys: Vec<_> = keys.flat_map(|change| change.filename.as_deref()).collect();
    assert!(keys.contains(&two) && !keys.contains(&ONE), "{keys:?}");
    assert_eq!(
        repository.bucket.read(ONE).unwrap(),
        "what another suite names"
    );
    assert_eq!(repository.check_as_client().await.len(), 2);
    assert!(is_unchanged(
        promote(&source.bucket, &repository.bucket, &signing).await
    ));
}

#[tokio::test]
async fn a_signed_suite_is_no_source_unless_its_signature_is_checked() {
    let source = source(&Some(key())).await;
    let repository = Repository::new();
    let error = promote(&source.bucket, &repository.bucket, &None).await;
    assert!(matches!(error, Err(Error::NotChecked { .. })), "{error:?}");
    let error = promote(&source.bucket, &repository.bucket, &Some(key())).await;
    assert!(matches!(error, Err(Error::Untrusted { .. })), "{error:?}");
}

#[tokio::test]
async fn a_package_goes_to_the_key_of_its_own() {
    let signing = Some(key());
    let (source, repository) = (Repository::new(), Repository::new());
    source.bucket.write(ONE, "a build that is no longer named");
    let one = package_of("one", "1.0", "one");
    committed(publish(&source.bucket, &signing, &[&one]).await);
    committed(promote(&source.bucket, &repository.bucket, &signing).await);
    assert_eq!(repository.bucket.read(ONE).unwrap(), "one");
    assert_eq!(repository.check_as_client().await.len(), 1);
}
