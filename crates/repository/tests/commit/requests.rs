//! What a publish costs.

use deb_index::change::Selector;
use repository::{Error, Writes};

use crate::repository::{
    Repository, committed, is_unchanged, key, keys, open, package, publish, suite,
};

#[tokio::test]
async fn a_package_costs_few_requests_and_a_thousand_a_few_more_than_a_thousand() {
    let (repository, signing) = (Repository::new(), Some(key()));
    committed(publish(&repository.bucket, &signing, &[&package("base")]).await);
    let requests = async |packages: &[&crate::repository::Package], is_new: bool| {
        let store = repository.faulty();
        let published = publish(&store, &signing, packages).await;
        assert_ne!(is_unchanged(published), is_new);
        let requests = store.requests();
        (requests.len(), format!("{requests:#?}"))
    };
    let one = package("one").only_for("amd64");
    let (count, log) = requests(&[&one], true).await;
    assert!(count <= 20, "{count} requests: {log}");
    let (count, log) = requests(&[&one], false).await;
    assert!(count <= 10, "{count} requests: {log}");
    let many: Vec<_> = (0..1000).map(|nth| package(&format!("p{nth}"))).collect();
    let many: Vec<_> = many.iter().collect();
    for is_new in [true, false] {
        let (count, _) = requests(&many, is_new).await;
        assert!(count <= 1060, "{count} requests");
    }
}

#[tokio::test]
async fn the_files_of_many_packages_are_found_by_listing_the_pool() {
    let (repository, signing) = (Repository::new(), Some(key()));
    let many: Vec<_> = (0..600).map(|nth| package(&format!("p{nth}"))).collect();
    let many: Vec<_> = many.iter().collect();
    committed(publish(&repository.bucket, &signing, &many).await);
    let store = repository.faulty();
    let source = open(store.clone(), Writes::Conditional);
    let source = source.suite(suite(), keys(&signing).for_reading());
    let head = source.existing_head().await.unwrap();
    let copies = source.copies(head, &[Selector::all(None)], None).await;
    let stanzas = copies.unwrap().stanzas;
    let before = store.requests().len();
    source.require_files(&stanzas).await.unwrap();
    assert!(store.requests().len() - before <= 2);
    let lost = &stanzas[stanzas.len() / 2].key;
    repository.bucket.write(lost, b"cut".to_vec());
    for _ in 0..2 {
        let refused = source.require_files(&stanzas).await;
        assert!(
            matches!(&refused, Err(Error::FileLost { key, .. }) if key == lost),
            "{refused:?}"
        );
        repository.bucket.remove(lost);
    }
}
