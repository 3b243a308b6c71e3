//! The suites of a repository: the folders below `dists/` that hold a head.

use deb_index::name::SuiteName;
use futures::TryStreamExt as _;
use s3_storage::{Listed, Storage};

use crate::error::Error;

/// Names of all suites, in order. A suite's name may have several segments (`bookworm/updates`).
///
/// # Errors
/// Those of the store.
pub async fn suites(storage: &dyn Storage) -> Result<Vec<SuiteName>, Error> {
    let mut found = Vec::new();
    let mut folders = vec!["dists/".to_owned()];
    while let Some(folder) = folders.pop() {
        let mut is_suite = false;
        let mut inside = Vec::new();
        let mut listed = storage.list(&folder, Some("/"));
        while let Some(entry) = listed.try_next().await? {
            match entry {
                Listed::Object(object) => {
                    let name = object.key.strip_prefix(&folder);
                    is_suite |= matches!(name, Some("InRelease" | "Release"));
                }
                Listed::Folder(folder) => inside.push(folder),
            }
        }
        let name = folder
            .strip_prefix("dists/")
            .and_then(|name| name.strip_suffix('/'));
        if let (true, Some(Ok(name))) = (is_suite, name.map(str::parse)) {
            found.push(name);
        }
        // What is inside an index's folder, or a history, is no suite.
        folders.extend(
            inside
                .into_iter()
                .filter(|prefix| !prefix.contains("/binary-") && !prefix.ends_with("/commits/")),
        );
    }
    found.sort();
    Ok(found)
}
