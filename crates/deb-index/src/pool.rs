//! Where things lie in a repository: keys relative to its root.
//!
//! The pool follows Debian's archive (`pool/main/h/hello/hello_2.10-3_amd64.deb`, `lib*` sources below four letters). Unlike
//! Debian's, a file name keeps the version's epoch, so that two epochs of one version never meet at one key. Indexes and
//! commits lie below `dists/<suite>/`; see [`crate::release`] and [`crate::commit`].

use crate::{
    compression::Format,
    digest::Sha256,
    name::{Architecture, Component, PackageName, SuiteName},
    version::Version,
};

/// Hex digits of the digest that tells a second build of one version from the first.
const DIGEST_DIGITS: usize = 16;

/// Key of a package file: `pool/<component>/<h|libh>/<source>/<name>_<version>_<arch>.deb`.
pub fn package_key(
    component: &Component,
    source: &PackageName,
    package: &PackageName,
    version: &Version,
    architecture: &Architecture,
) -> String {
    let letters = if source.as_str().starts_with("lib") && source.as_str().len() > 3 {
        4
    } else {
        1
    };
    let folder: String = source.as_str().chars().take(letters).collect();
    format!("pool/{component}/{folder}/{source}/{package}_{version}_{architecture}.deb")
}

/// Key of another build of the package at `key`, told apart by its digest:
/// `…/<name>_<version>_<arch>.<first 16 digits>.deb`.
pub fn key_with_digest(key: &str, sha256: &Sha256) -> String {
    let digits: String = sha256.to_string().chars().take(DIGEST_DIGITS).collect();
    format!("{}.{digits}.deb", key.strip_suffix(".deb").unwrap_or(key))
}

/// Key of anything in a suite: `dists/<suite>/<path>`, `path` as `Release` spells it.
pub fn in_suite(suite: &SuiteName, path: &str) -> String {
    format!("dists/{suite}/{path}")
}

/// Key of a commit: `dists/<suite>/commits/<sha256>.json`.
pub fn commit_key(suite: &SuiteName, commit: &Sha256) -> String {
    in_suite(suite, &format!("commits/{commit}.json"))
}

/// Path of an index within its suite, as `Release` lists it: `<component>/binary-<arch>/Packages[.<format>]`.
pub fn index_path(
    component: &Component,
    architecture: &Architecture,
    format: Option<Format>,
) -> String {
    let folder = index_folder(component, architecture);
    match format {
        Some(format) => format!("{folder}/Packages.{}", format.extension()),
        None => format!("{folder}/Packages"),
    }
}

/// Path of an index file by its digest, within its suite: `<component>/binary-<arch>/by-hash/SHA256/<hex>`.
pub fn by_hash_path(component: &Component, architecture: &Architecture, sha256: &Sha256) -> String {
    format!(
        "{}/by-hash/SHA256/{sha256}",
        index_folder(component, architecture)
    )
}

fn index_folder(component: &Component, architecture: &Architecture) -> String {
    format!("{component}/binary-{architecture}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: &str, package: &str, version: &str) -> String {
        package_key(
            &"main".parse().unwrap(),
            &source.parse().unwrap(),
            &package.parse().unwrap(),
            &version.parse().unwrap(),
            &"amd64".parse().unwrap(),
        )
    }

    #[test]
    fn a_library_lies_below_four_letters() {
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
}
