//! Names that the files and folders of every suite have, which nothing that users name may collide with.
//!
//! They are compared without regard to case: a store that keeps its objects on a file system may fold it.

/// Files and folders of a suite.
const OWN: [&str; 7] = [
    "InRelease",
    "Release",
    "Release.gpg",
    "by-hash",
    "commits",
    "succession",
    "suite.json",
];
/// The folders at the root of a repository.
const ROOT: [&str; 2] = ["dists", "pool"];
/// Folders of indexes of other kinds, in a component.
const INDEX_FOLDERS: [&str; 4] = ["debian-installer", "dep11", "i18n", "source"];
/// Begins the name of the folder of an index, in a component.
const INDEX: &str = "binary-";

fn is_among(name: &str, names: &[&str]) -> bool {
    names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether a suite has a file or folder of its own by this name.
pub(crate) fn is_own(name: &str) -> bool {
    is_among(name, &OWN)
}

/// Whether a component has a folder of this name for indexes of other kinds than its own `Packages`.
pub(crate) fn is_index_folder(name: &str) -> bool {
    is_among(name, &INDEX_FOLDERS)
}

/// Whether neither a component nor a segment of a suite's name may have this name.
pub(crate) fn is_reserved(name: &str) -> bool {
    let start = name.get(..INDEX.len()).unwrap_or_default();
    is_own(name) || is_among(name, &ROOT) || start.eq_ignore_ascii_case(INDEX)
}
