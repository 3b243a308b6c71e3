//! Listing and deleting.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{Holds as _, put, refused};
use crate::{ErrorKind, Listed, PutMode, Storage};

async fn all(s: &dyn Storage, prefix: &str, delimiter: Option<&str>) -> Vec<Listed> {
    let listed = s.list(prefix, delimiter).try_collect().await;
    listed.holds("a bucket can be listed")
}

fn names(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(Listed::key).collect()
}

/// All keys below a prefix.
pub(super) async fn keys(s: &dyn Storage, prefix: &str) -> Vec<String> {
    let listed = all(s, prefix, None).await;
    listed
        .into_iter()
        .map(|entry| match entry {
            Listed::Object(object) => object.key,
            Listed::Folder(folder) => panic!("{folder}: a folder without a delimiter"),
        })
        .collect()
}

pub(super) async fn an_empty_bucket_lists_nothing(s: &dyn Storage) {
    for delimiter in [None, Some("/")] {
        assert_eq!(all(s, "", delimiter).await, [], "the bucket is empty");
    }
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
    let listed = all(s, "list/", Some("/")).await;
    assert_eq!(
        names(&listed),
        ["list/a", "list/b!", "list/b/", "list/c/", "list/e"],
        "the keys without the delimiter, and once each what is grouped by it, in one order"
    );
    for entry in &listed {
        let is_folder = matches!(entry, Listed::Folder(_));
        assert_eq!(is_folder, entry.key().ends_with('/'), "{entry:?}");
    }
    let listed = all(s, "list", Some("/")).await;
    assert_eq!(
        names(&listed),
        ["list/", "listing"],
        "the delimiter counts after the prefix"
    );
    let Listed::Object(object) = &listed[1] else {
        panic!("{listed:?}: the last entry is an object")
    };
    let head = s.head("listing").await.holds("HEAD");
    assert_eq!(
        (object.size, &object.etag),
        (head.size.unwrap_or(0), &head.etag),
        "a listing and HEAD tell the same"
    );
    assert!(
        object.last_modified.is_some(),
        "a listing tells when an object was written"
    );
}

/// Such keys can be in a bucket, whoever put them there, and hide no other ones.
pub(super) async fn keys_that_xml_cannot_carry(s: &dyn Storage) {
    let odd = [
        "odd/\u{1}/one",
        "odd/\u{1b}[31m",
        "odd/\u{7f}",
        "odd/line\nbreak\r",
        "odd/plain",
        "odd/space and+plus/x",
        "odd/\u{fffe}",
    ];
    for key in odd {
        put(s, key, "x", PutMode::Create).await.holds(key);
    }
    let mut expected = odd.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(keys(s, "odd/").await, expected, "they are listed");
    assert_eq!(
        keys(s, "odd/\u{1}/").await,
        ["odd/\u{1}/one"],
        "also by prefix"
    );
    let listed = all(s, "odd/", Some("/")).await;
    let folders = listed.iter().filter(|it| matches!(it, Listed::Folder(_)));
    let folders: Vec<_> = folders.map(Listed::key).collect();
    assert_eq!(folders, ["odd/\u{1}/", "odd/space and+plus/"], "as folders");
    s.delete(&expected).await.holds("they can be deleted");
    assert_eq!(keys(s, "odd/").await, [""; 0], "and are gone");
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
    let listed = all(s, "many/", None).await;
    assert!(
        names(&listed) == expected,
        "all pages together have each key once, in order: {} of {MANY}",
        listed.len()
    );
    let listed = all(s, "many/", Some("/")).await;
    let folders: Vec<_> = (0..MANY)
        .map(|number| Listed::Folder(format!("many/{number:04}/")))
        .collect();
    assert!(
        listed == folders,
        "the folders have pages, too: {} of {MANY}",
        listed.len()
    );
    s.delete(&expected)
        .await
        .holds("more than 1,000 keys can be deleted at once");
    assert_eq!(keys(s, "many/").await, [""; 0], "they are gone");
}

pub(super) async fn remove_everything(s: &dyn Storage) {
    let left = keys(s, "").await;
    s.delete(&left).await.holds("everything can be deleted");
}
