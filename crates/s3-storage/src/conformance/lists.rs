//! Listing and deleting.

use futures::{StreamExt as _, stream};

use super::{Holds as _, put, refused};
use crate::{ErrorKind, ListPage, PutMode, Storage};

/// All pages of a listing.
async fn all(s: &dyn Storage, prefix: &str, delimiter: Option<&str>) -> (ListPage, usize) {
    let mut whole = ListPage::default();
    let mut pages = 0;
    let mut next = None;
    loop {
        let page = s
            .list(prefix, delimiter, next)
            .await
            .holds("a page can be listed");
        pages += 1;
        let more = page.next.is_some();
        assert!(
            !more || !page.objects.is_empty() || !page.prefixes.is_empty(),
            "a page that is not the last is not empty"
        );
        whole.objects.extend(page.objects);
        whole.prefixes.extend(page.prefixes);
        next = page.next;
        assert!(pages < 5000, "a listing ends");
        if !more {
            return (whole, pages);
        }
    }
}

/// All keys below a prefix.
pub(super) async fn keys(s: &dyn Storage, prefix: &str) -> Vec<String> {
    all(s, prefix, None)
        .await
        .0
        .objects
        .into_iter()
        .map(|object| object.key)
        .collect()
}

pub(super) async fn an_empty_bucket_lists_nothing(s: &dyn Storage) {
    let page = s
        .list("", None, None)
        .await
        .holds("an empty bucket can be listed");
    assert!(
        page.objects.is_empty() && page.prefixes.is_empty() && page.next.is_none(),
        "the bucket is empty, not {page:?}"
    );
}

pub(super) async fn folders(s: &dyn Storage) {
    for key in [
        "list/a",
        "list/b/1",
        "list/b/2",
        "list/b!",
        "list/c/d/1",
        "list/e",
        "listing",
    ] {
        put(s, key, key, PutMode::Overwrite).await.holds("write");
    }
    assert_eq!(
        keys(s, "list/").await,
        [
            "list/a",
            "list/b!",
            "list/b/1",
            "list/b/2",
            "list/c/d/1",
            "list/e"
        ],
        "all below a prefix, by their bytes' order"
    );
    assert_eq!(
        keys(s, "list/b").await,
        ["list/b!", "list/b/1", "list/b/2"],
        "a prefix need not end at a slash"
    );
    assert_eq!(
        keys(s, "list/none").await,
        [""; 0],
        "nothing below a prefix of nothing"
    );
    let (page, _) = all(s, "list/", Some("/")).await;
    let objects: Vec<_> = page
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .collect();
    assert_eq!(
        objects,
        ["list/a", "list/b!", "list/e"],
        "the keys before the delimiter"
    );
    assert_eq!(
        page.prefixes,
        ["list/b/", "list/c/"],
        "and what is grouped by it, once each"
    );
    let (page, _) = all(s, "list", Some("/")).await;
    assert_eq!(
        (page.objects.len(), page.prefixes),
        (1, vec!["list/".to_owned()]),
        "the delimiter counts after the prefix"
    );
    let object = &page.objects[0];
    let head = s.head("listing").await.holds("HEAD");
    assert_eq!(
        (object.size, &object.etag),
        (head.size, &head.etag),
        "a listing and HEAD tell the same"
    );
    assert!(
        object.last_modified.is_some(),
        "a listing tells when an object was written"
    );
}

pub(super) async fn deletion(s: &dyn Storage) {
    put(s, "delete/one", "x", PutMode::Create)
        .await
        .holds("write");
    put(s, "delete/two", "x", PutMode::Create)
        .await
        .holds("write");
    s.delete(&[]).await.holds("to delete nothing");
    s.delete(&["delete/none".to_owned()])
        .await
        .holds("a missing key is no error");
    s.delete(&["delete/one".to_owned(), "delete/none".to_owned()])
        .await
        .holds("nor is one among others");
    refused(
        s.head("delete/one").await,
        &[ErrorKind::NotFound],
        "a deleted object is gone",
    );
    assert_eq!(keys(s, "delete/").await, ["delete/two"], "nothing else is");
}

pub(super) async fn pages(s: &dyn Storage) {
    const MANY: usize = 1005;
    let expected: Vec<_> = (0..MANY)
        .map(|number| format!("many/{number:04}/leaf"))
        .collect();
    let writes: Vec<_> = expected
        .iter()
        .map(|key| put(s, key, "", PutMode::Overwrite))
        .collect();
    let mut written = stream::iter(writes).buffer_unordered(16);
    while let Some(result) = written.next().await {
        result.holds("write");
    }
    let (page, pages) = all(s, "many/", None).await;
    let listed: Vec<_> = page.objects.into_iter().map(|object| object.key).collect();
    assert!(
        listed == expected,
        "all pages together have each key once, in order: {} of {MANY}",
        listed.len()
    );
    assert!(pages > 1, "a listing of {MANY} keys has pages");
    let (page, pages) = all(s, "many/", Some("/")).await;
    let folders: Vec<_> = (0..MANY)
        .map(|number| format!("many/{number:04}/"))
        .collect();
    assert!(
        page.prefixes == folders && page.objects.is_empty(),
        "the groups have pages, too: {} of {MANY}",
        page.prefixes.len()
    );
    assert!(pages > 1, "a listing of {MANY} groups has pages");
    s.delete(&expected)
        .await
        .holds("more than 1,000 keys can be deleted at once");
    assert_eq!(keys(s, "many/").await, [""; 0], "they are gone");
}

pub(super) async fn remove_everything(s: &dyn Storage) {
    let left = keys(s, "").await;
    s.delete(&left).await.holds("everything can be deleted");
}
