//! Heads that are signed and whole, and not the newest.

use std::time::Duration;

use bytes::Bytes;
use deb_index::{digest::Sha256, suite::layout};
use repository::{Allow, Error, Keys, Writes};
use s3_storage::{
    ErrorKind, Fault, Gate, On, Operation, Payload, PutMode, PutOptions, Storage as _,
};

use crate::repository::{
    Options, Repository, committed, in_suite, is_unchanged, key, keys, package, publish,
    publish_as, suite,
};

const ACCEPT: Allow = Allow {
    release_info_change: false,
    new_signing_key: false,
    put_back: true,
    store_clock: false,
    reset_date: false,
};

/// A suite of three commits, whose head is the first or the second of them again.
struct PutBack {
    repository: Repository,
    signing: Option<String>,
    ids: Vec<Sha256>,
    heads: Vec<Bytes>,
    /// The commit that the head names.
    head: Sha256,
    /// Key of the record of what took its place.
    record: String,
}

impl PutBack {
    async fn to(nth: usize) -> Self {
        let (repository, signing) = (Repository::new(), Some(key()));
        let (mut ids, mut heads) = (Vec::new(), Vec::new());
        for name in ["one", "two", "three"] {
            ids.push(committed(publish(&repository.bucket, &signing, &[&package(name)]).await).id);
            heads.push(repository.bucket.read(&in_suite("InRelease")).unwrap());
        }
        repository
            .bucket
            .write(&in_suite("InRelease"), heads[nth].clone());
        Self {
            repository,
            signing,
            head: ids[nth],
            record: layout::successor_key(&suite(), Some(&ids[nth])),
            ids,
            heads,
        }
    }

    fn remove(&self, key: &str) {
        assert!(self.repository.bucket.remove(key), "{key}");
    }

    fn remove_commit(&self, nth: usize) {
        self.remove(&layout::commit_key(&suite(), &self.ids[nth]));
    }

    /// Writes `Release` with another commit in its metadata.
    async fn show(&self, commit: &str) {
        let bytes = self.repository.bucket.read(&in_suite("Release")).unwrap();
        let mut options = PutOptions::new(PutMode::Overwrite);
        let field = ("debucket-commit".to_owned(), commit.to_owned());
        options.metadata.extend([field]);
        let store = &self.repository.bucket;
        let (key, payload) = (in_suite("Release"), Payload::Bytes(bytes));
        store.put(&key, payload, options).await.unwrap();
    }

    async fn reader_is_warned(&self) -> bool {
        let store = crate::repository::open(self.repository.bucket.clone(), Writes::Conditional);
        let suite = store.suite(suite(), Keys::Unchecked);
        let head = suite.existing_head().await.unwrap();
        let warnings = suite.warnings(&head);
        let is_about_it = |warning| matches!(warning, repository::Warning::PutBack(_));
        warnings.into_iter().any(is_about_it)
    }

    /// The error of a publish, which changes nothing; a reader is warned. Told to go on, it does, and so does every later one.
    async fn expect_refused(self) -> Error {
        let before = self.repository.bucket.read(&in_suite("InRelease"));
        let wanted = package("wanted");
        let refused = publish(&self.repository.bucket, &self.signing, &[&wanted]).await;
        let error = refused.unwrap_err();
        assert_eq!(self.repository.bucket.read(&in_suite("InRelease")), before);
        assert!(self.reader_is_warned().await, "{error}");
        // Also where there is nothing else to do.
        let accept = Options::allowing(ACCEPT);
        let store = &self.repository.bucket;
        let accepted = publish_as(store, keys(&self.signing), &[&package("one")], accept).await;
        assert_eq!(committed(accepted).commit.parent, Some(self.head));
        self.repository.check_followers().await;
        assert!(!self.reader_is_warned().await);
        committed(publish(store, &self.signing, &[&wanted]).await);
        assert!(is_unchanged(
            publish(store, &self.signing, &[&wanted]).await
        ));
        self.repository.check_followers().await;
        error
    }
}

#[tokio::test]
async fn the_record_of_succession_tells() {
    for nth in [0, 1] {
        let put_back = PutBack::to(nth).await;
        put_back.remove(&in_suite("Release"));
        let newer = put_back.ids[nth + 1];
        let error = put_back.expect_refused().await;
        assert!(
            matches!(error, Error::PutBack { newer: told, .. } if told == newer),
            "{error}"
        );
    }
}

#[tokio::test]
async fn release_tells() {
    for nth in [0, 1] {
        let put_back = PutBack::to(nth).await;
        put_back.remove(&put_back.record);
        let newest = put_back.ids[2];
        let error = put_back.expect_refused().await;
        assert!(
            matches!(error, Error::PutBack { newer, .. } if newer == newest),
            "{error}"
        );
    }
}

#[tokio::test]
async fn commits_that_cannot_be_read_leave_a_doubt() {
    for nth in [1, 2] {
        let put_back = PutBack::to(0).await;
        put_back.remove(&put_back.record);
        put_back.remove_commit(nth);
        let error = put_back.expect_refused().await;
        assert!(matches!(error, Error::MayBePutBack { .. }), "{error}");
    }
    let put_back = PutBack::to(0).await;
    put_back.remove_commit(1);
    let error = put_back.expect_refused().await;
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn false_evidence_is_a_nuisance_and_no_more() {
    let unknown = Sha256::of(b"no commit").to_string();
    for record in ["", "garbage", "\u{0}", &unknown] {
        let put_back = PutBack::to(0).await;
        let garbage = Bytes::from(record.to_owned());
        put_back.repository.bucket.write(&put_back.record, garbage);
        let error = put_back.expect_refused().await;
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
    // A commit that exists, and did not take the place of the head.
    let put_back = PutBack::to(0).await;
    let other = put_back.ids[2].to_string();
    put_back.repository.bucket.write(&put_back.record, other);
    let error = put_back.expect_refused().await;
    assert!(matches!(error, Error::Damaged { .. }), "{error}");

    // The head is the newest; a record says that it is not.
    let newest = PutBack::to(2).await;
    newest.show(&unknown).await;
    let error = newest.expect_refused().await;
    assert!(matches!(error, Error::MayBePutBack { .. }), "{error}");
    let newest = PutBack::to(2).await;
    newest.repository.bucket.write(&newest.record, "garbage");
    let error = newest.expect_refused().await;
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn followers_that_lag_are_no_evidence() {
    for nth in [0, 1] {
        let lagging = PutBack::to(2).await;
        lagging.show(&lagging.ids[nth].to_string()).await;
        assert!(!lagging.reader_is_warned().await);
        let store = &lagging.repository.bucket;
        committed(publish(store, &lagging.signing, &[&package("wanted")]).await);
        lagging.repository.check_followers().await;
    }
}

#[tokio::test]
async fn a_publisher_that_may_not_write_followers_can_go_on() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let store = repository.faulty();
    let mut requests = Vec::new();
    for nth in 0..210 {
        let before = store.requests().len();
        let package = package(&format!("p{nth}"));
        let published = publish(&store, &signing, &[&package]).await.unwrap();
        assert_eq!(published.stale_followers.is_some(), nth > 0);
        requests.push(store.requests().len() - before);
        if nth == 0 {
            let denied = Fault::Fail(ErrorKind::PermissionDenied);
            let followers = On::Key(Operation::Put, "stable/Release".to_owned());
            store.always(followers, denied);
        }
        repository.clock.advance(Duration::from_secs(1));
    }
    assert!(requests[209] <= requests[2] + 1, "{requests:?}");
}

#[tokio::test]
async fn a_head_that_was_given_up_does_not_come_back_unnoticed() {
    let put_back = PutBack::to(0).await;
    let (store, signing) = (&put_back.repository.bucket, &put_back.signing);
    let wanted = package("wanted");
    let accept = Options::allowing(ACCEPT);
    committed(publish_as(store, keys(signing), &[&wanted], accept).await);
    // The newest of the commits that were given up: nothing has taken its place.
    store.write(&in_suite("InRelease"), put_back.heads[2].clone());
    let error = publish(store, signing, &[&package("more")]).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::MayBePutBack { .. }), "{error}");
    assert!(put_back.reader_is_warned().await);
}

#[tokio::test]
async fn two_that_go_on_make_one_commit_where_there_is_nothing_else_to_do() {
    let put_back = PutBack::to(0).await;
    let (store, signing) = (&put_back.repository.bucket, &put_back.signing);
    let (slow, gate) = (put_back.repository.faulty(), Gate::new());
    let on = On::Key(Operation::Put, "InRelease".to_owned());
    slow.at(on, 1, Fault::PauseBefore(gate.clone()));
    let one = package("one");
    let packages = [&one];
    let accept = Options::allowing(ACCEPT);
    let later = publish_as(&slow, keys(signing), &packages, accept);
    let first = async {
        gate.reached().await;
        // Otherwise both make the very same commit.
        put_back.repository.clock.advance(Duration::from_secs(1));
        committed(publish_as(store, keys(signing), &packages, accept).await);
        gate.open();
    };
    let (later, ()) = tokio::join!(later, first);
    assert!(is_unchanged(later));
    assert_eq!(put_back.repository.history().await.len(), 2);
    put_back.repository.check_followers().await;
}

#[tokio::test]
async fn a_head_that_is_put_back_while_a_publish_runs_is_noticed() {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("one")]).await);
    let old = repository.bucket.read(&in_suite("InRelease")).unwrap();
    committed(publish(&repository.bucket, &signing, &[&package("two")]).await);
    let (slow, gate) = (repository.faulty(), Gate::new());
    let on = On::Key(Operation::Put, "InRelease".to_owned());
    slow.at(on, 1, Fault::PauseBefore(gate.clone()));
    let wanted = package("wanted");
    let publish = async { publish(&slow, &signing, &[&wanted]).await };
    let attacker = async {
        gate.reached().await;
        repository.bucket.write(&in_suite("InRelease"), old.clone());
        gate.open();
    };
    let (published, ()) = tokio::join!(publish, attacker);
    let error = published.unwrap_err();
    assert!(matches!(error, Error::PutBack { .. }), "{error}");
    assert_eq!(repository.bucket.read(&in_suite("InRelease")), Some(old));
}

#[tokio::test]
async fn the_head_of_an_unsigned_suite_is_judged_too() {
    let repository = Repository::new();
    let store = &repository.bucket;
    committed(publish(store, &None, &[&package("one")]).await);
    let old = store.read(&in_suite("Release")).unwrap();
    committed(publish(store, &None, &[&package("two")]).await);
    store.write(&in_suite("Release"), old);
    let error = publish(store, &None, &[&package("wanted")]).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::PutBack { .. }), "{error}");
    let accept = Options::allowing(ACCEPT);
    committed(publish_as(store, Keys::Unsigned, &[&package("one")], accept).await);
    committed(publish(store, &None, &[&package("wanted")]).await);
    repository.check_followers().await;
}
