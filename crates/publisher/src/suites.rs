//! The suites of a repository: the folders below `dists/` that hold a head.

use deb_index::name::SuiteName;
use s3_storage::{ListPage, Storage};

use crate::error::Error;

/// Names of all suites, in order. A suite's name may have several segments (`bookworm/updates`).
///
/// # Errors
/// Those of the store.
pub async fn suites(storage: &dyn Storage) -> Result<Vec<SuiteName>, Error> {
    let mut found = Vec::new();
    let mut folders = vec!["dists/".to_owned()];
    while let Some(folder) = folders.pop() {
        let ListPage {
            objects, prefixes, ..
        } = list_folder(storage, &folder).await?;
        let is_head =
            |key: &str| matches!(key.strip_prefix(&folder), Some("InRelease" | "Release"));
        let is_suite = objects.iter().any(|object| is_head(&object.key));
        let name = folder
            .strip_prefix("dists/")
            .and_then(|name| name.strip_suffix('/'));
        if let (true, Some(Ok(name))) = (is_suite, name.map(str::parse)) {
            found.push(name);
        }
        // What is inside an index's folder, or a history, is no suite.
        folders.extend(
            prefixes
                .into_iter()
                .filter(|prefix| !prefix.contains("/binary-") && !prefix.ends_with("/commits/")),
        );
    }
    found.sort();
    Ok(found)
}

/// All pages of a folder as one.
async fn list_folder(storage: &dyn Storage, folder: &str) -> Result<ListPage, Error> {
    let mut all = storage.list(folder, Some("/"), None).await?;
    while let Some(next) = all.next.take() {
        let page = storage.list(folder, Some("/"), Some(next)).await?;
        all.objects.extend(page.objects);
        all.prefixes.extend(page.prefixes);
        all.next = page.next;
    }
    Ok(all)
}
