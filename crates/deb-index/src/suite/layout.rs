//! Every key of a repository, relative to its root.
//!
//! The pool follows Debian's archive (`pool/main/h/hello/hello_2.10-3_amd64.deb`; sources that begin with `lib` are below four
//! letters). Unlike Debian's, a file name keeps the version's epoch, so that two epochs of one version never meet at one key.
//! Everything else is below `dists/<suite>/`.

use crate::{
    digest::Sha256,
    index::IndexPath,
    name::{PackageName, SuiteName},
    package_id::PackageId,
};

/// Folder of all suites.
pub const SUITES: &str = "dists/";
/// Key of the record of the objects that a garbage collection is going to delete.
pub const CONDEMNED: &str = "gc/condemned.json";
/// Hex digits of the digest that tells a second build of one version from the first.
const DIGEST_DIGITS: usize = 16;

/// Key of a package file: `pool/<component>/<h|libh>/<source>/<name>_<version>_<arch>.deb`.
#[must_use]
pub fn package_key(id: &PackageId, source: &PackageName) -> String {
    let letters = if source.as_str().starts_with("lib") && source.as_str().len() > 3 {
        4
    } else {
        1
    };
    let folder: String = source.as_str().chars().take(letters).collect();
    format!("pool/{}/{folder}/{source}/{id}.deb", id.component)
}

/// Key of another build of the package at `key`, told apart by its digest:
/// `…/<name>_<version>_<arch>.<first 16 digits>.deb`.
#[must_use]
pub fn key_with_digest(key: &str, sha256: &Sha256) -> String {
    let digits: String = sha256.to_string().chars().take(DIGEST_DIGITS).collect();
    format!("{}.{digits}.deb", key.strip_suffix(".deb").unwrap_or(key))
}

/// Key of anything in a suite: `dists/<suite>/<path>`, with the path as `Release` spells it.
#[must_use]
pub fn in_suite(suite: &SuiteName, path: &str) -> String {
    format!("{SUITES}{suite}/{path}")
}

/// Key of the head of a suite: `InRelease`, or `Release` in an unsigned suite.
#[must_use]
pub fn head_key(suite: &SuiteName, is_signed: bool) -> String {
    in_suite(suite, if is_signed { "InRelease" } else { "Release" })
}

/// Key of the object that decides, before the first head, whether a suite is signed: `dists/<suite>/suite.json`.
#[must_use]
pub fn founding_key(suite: &SuiteName) -> String {
    in_suite(suite, "suite.json")
}

/// The suite, or alias, in whose folder an object is directly, such as its head.
#[must_use]
pub fn folder_of(key: &str) -> Option<SuiteName> {
    let (folder, _) = key.strip_prefix(SUITES)?.rsplit_once('/')?;
    folder.parse().ok()
}

/// Folder of a suite's commits: `dists/<suite>/commits/`.
#[must_use]
pub fn commits(suite: &SuiteName) -> String {
    in_suite(suite, "commits/")
}

/// Key of a file of an index, under its digest: `dists/<suite>/<component>/binary-<arch>/by-hash/SHA256/<sha256>`.
#[must_use]
pub fn by_hash_key(suite: &SuiteName, index: &IndexPath, file: &Sha256) -> String {
    in_suite(suite, &index.by_hash(file))
}

/// Key of a commit: `dists/<suite>/commits/<sha256>.json`.
#[must_use]
pub fn commit_key(suite: &SuiteName, commit: &Sha256) -> String {
    format!("{}{commit}.json", commits(suite))
}

/// Folder of the records that name the commits that took the place of others as head.
#[must_use]
pub fn succession(suite: &SuiteName) -> String {
    in_suite(suite, "succession/")
}

/// Key of the record that names the commit that took the place of another as head: `dists/<suite>/succession/<sha256>`, or
/// `…/first` for the first commit.
#[must_use]
pub fn successor_key(suite: &SuiteName, commit: Option<&Sha256>) -> String {
    let folder = succession(suite);
    match commit {
        Some(commit) => format!("{folder}{commit}"),
        None => format!("{folder}first"),
    }
}

/// The commit at a key; the inverse of [`commit_key`].
#[must_use]
pub fn commit_at(suite: &SuiteName, key: &str) -> Option<Sha256> {
    let name = key.strip_prefix(&commits(suite))?;
    name.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: &str, package: &str, version: &str) -> String {
        let id = PackageId {
            component: "main".parse().unwrap(),
            name: package.parse().unwrap(),
            version: version.parse().unwrap(),
            architecture: "amd64".parse().unwrap(),
        };
        package_key(&id, &source.parse().unwrap())
    }

    #[test]
    fn a_library_is_below_four_letters() {
        assert_eq!(
            key("hello", "hello", "2.10-3"),
            "pool/main/h/hello/hello_2.10-3_amd64.deb"
        );
        assert_eq!(
            key("libssh", "libssh-4", "1"),
            "pool/main/libs/libssh/libssh-4_1_amd64.deb"
        );
        assert_eq!(key("lib", "lib", "1"), "pool/main/l/lib/lib_1_amd64.deb");
    }

    #[test]
    fn epochs_do_not_collide() {
        assert_ne!(key("a0", "a0", "1:1.0"), key("a0", "a0", "2:1.0"));
        assert_ne!(key("a0", "a0", "1:1.0"), key("a0", "a0", "1.0"));
    }

    #[test]
    fn another_build_has_its_digest_in_the_name() {
        let other = key_with_digest("pool/main/h/hello/hello_1_all.deb", &Sha256([0xab; 32]));
        assert_eq!(other, "pool/main/h/hello/hello_1_all.abababababababab.deb");
    }

    #[test]
    fn a_commit_is_found_at_its_key() {
        let (suite, id) = ("bookworm/updates".parse().unwrap(), Sha256([1; 32]));
        let key = commit_key(&suite, &id);
        assert_eq!(key, format!("dists/bookworm/updates/commits/{id}.json"));
        assert_eq!(commit_at(&suite, &key), Some(id));
        assert_eq!(
            commit_at(&suite, "dists/bookworm/updates/commits/x.json"),
            None
        );
    }
}
