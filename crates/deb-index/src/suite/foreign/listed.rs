//! The files that a `Release` of another program lists, put together to indexes.

use std::collections::BTreeMap;

use crate::{index::IndexPath, suite::commit::Stored};

/// Extensions of compressed forms, whether this program reads them or not.
const EXTENSIONS: [&str; 6] = ["gz", "xz", "zst", "bz2", "lzma", "lz4"];
/// The forms of an index that a `Release` lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForeignIndex {
    pub plain: Option<Stored>,
    /// By extension.
    pub files: BTreeMap<String, Stored>,
}

/// The indexes that `SHA256` lists, and the files that are none.
pub(super) fn indexes(listed: &str) -> (BTreeMap<IndexPath, ForeignIndex>, Vec<String>) {
    let file = |line| {
        let mut words = str::split_ascii_whitespace(line);
        let (sha256, size, path) = (words.next()?, words.next()?, words.next()?);
        let stored = Stored {
            size: size.parse().ok()?,
            sha256: sha256.parse().ok()?,
            rest: Default::default(),
        };
        Some((path, stored))
    };
    let mut files = BTreeMap::new();
    let mut left_out = Vec::new();
    for line in listed.lines().filter(|line| !line.trim().is_empty()) {
        match file(line) {
            Some((path, stored)) => drop(files.insert(path, stored)),
            None => left_out.push(line.trim().to_owned()),
        }
    }
    let mut indexes = BTreeMap::<IndexPath, ForeignIndex>::new();
    for (path, stored) in &files {
        let form = path.rsplit_once('.').filter(|(base, extension)| {
            let is_packages = || {
                base.parse()
                    .is_ok_and(|path: IndexPath| path.as_packages().is_some())
            };
            EXTENSIONS.contains(extension) && (files.contains_key(base) || is_packages())
        });
        let index = form.map_or(*path, |(base, _)| base);
        let is_difference = path
            .split('/')
            .any(|segment| segment.ends_with(".diff") || segment == "by-hash");
        let Some(index) = index.parse().ok().filter(|_| !is_difference) else {
            left_out.push((*path).to_owned());
            continue;
        };
        let index = indexes.entry(index).or_default();
        match form {
            Some((_, extension)) => {
                index.files.insert(extension.to_owned(), stored.clone());
            }
            None => index.plain = Some(stored.clone()),
        }
    }
    (indexes, left_out)
}

/// The name by which devices ask for a component that `Release` spells with a folder in front, as the archive of Debian's security
/// updates did: apt takes `updates/main` for `main`, too. None if the indexes are where the full name says.
pub(super) fn as_asked_for<'n>(
    component: &'n str,
    indexes: &BTreeMap<IndexPath, ForeignIndex>,
) -> Option<&'n str> {
    let (_, own) = component.rsplit_once('/')?;
    let has_index = |name: &str| {
        let mut packages = indexes.keys().filter_map(IndexPath::as_packages);
        packages.any(|(component, _)| component.as_str() == name)
    };
    (!has_index(component) && has_index(own)).then_some(own)
}
