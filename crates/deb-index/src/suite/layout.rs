//! Every key of a repository, relative to its root.
//!
//! The pool follows Debian's archive (`pool/main/h/hello/hello_2.10-3_amd64.deb`; sources that begin with `lib` are below four
//! letters). Unlike Debian's, a file name keeps the version's epoch, so that two epochs of one version never meet at one key.
//! Everything else is below `dists/<suite>/`.

use crate::{
    digest::Sha256,
    index::IndexPath,
    name::{Component, PackageName, SuiteName},
    package_id::PackageId,
};

/// Folder of all suites.
pub const SUITES: &str = "dists/";
/// Folder of the package files.
pub const POOL: &str = "pool/";
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
    format!("{POOL}{}/{folder}/{source}/{id}.deb", id.component)
}

/// The component of a package file by its key: the inverse of [`package_key`], and for other files of the pool their first folder.
#[must_use]
pub fn component_of(key: &str) -> Option<Component> {
    let path = key.strip_prefix(POOL)?;
    let mut parts = path.rsplitn(4, '/').skip(1);
    let (source, letters, component) = (parts.next()?, parts.next(), parts.next());
    let is_ours = letters.is_some_and(|letters| source.starts_with(letters));
    let component = component.filter(|_| is_ours);
    component.or(path.split('/').next())?.parse().ok()
}

/// Key of another build of the package at `key`, told apart by its digest:
/// `…/<name>_<version>_<arch>.<first 16 digits>.deb`.
#[must_use]
pub fn key_with_digest(key: &str, sha256: &Sha256) -> String {
    let digits: String = sha256.to_string().chars().take(DIGEST_DIGITS).collect();
    format!("{}.{digits}.deb", key.strip_suffix(".deb").unwrap_or(key))
}

/// Whether an object of the pool is a package file, by its name: of a package, an installer's (`.udeb`) or a debugging one
/// (`.ddeb`). Everything else there, such as source packages, was put there by others.
#[must_use]
pub fn is_package_file(key: &str) -> bool {
    let extension = key.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| ["deb", "udeb", "ddeb"].contains(&extension))
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
    fn a_key_tells_the_component() {
        for (key, component) in [
            ("pool/main/h/hello/hello_1_all.deb", Some("main")),
            (
                "pool/updates/main/libs/libssh/x_1_all.deb",
                Some("updates/main"),
            ),
            // Of other programs.
            ("pool/stable/h/he/hello_1_all.deb", Some("stable")),
            ("pool/main/files/hello/x_1_all.deb", Some("main")),
            ("pool/main/x_1_all.deb", Some("main")),
            ("pool/x_1_all.deb", None),
            ("files/h/hello/x_1_all.deb", None),
        ] {
            let found = component_of(key).map(|component| component.to_string());
            assert_eq!(found.as_deref(), component, "{key}");
        }
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
    fn package_files_are_told_from_what_others_put_there() {
        let id = Sha256([0xab; 32]);
        for package in [
            key("hello", "hello", "1"),
            key_with_digest("pool/main/h/hello/hello_1_all.deb", &id),
            "pool/d-i/disk_1_amd64.udeb".to_owned(),
            "pool/hello-dbgsym_1_amd64.ddeb".to_owned(),
        ] {
            assert!(is_package_file(&package), "{package}");
        }
        for other in [
            "pool/",
            "pool/deb",
            "pool/hello_1_all.deb.asc",
            "pool/hello_1.dsc",
        ] {
            assert!(!is_package_file(other), "{other}");
        }
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
