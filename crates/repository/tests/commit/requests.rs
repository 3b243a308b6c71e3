//! What a publish costs.

use crate::repository::{Repository, committed, is_unchanged, key, package, publish};

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
