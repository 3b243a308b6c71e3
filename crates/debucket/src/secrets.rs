//! Keys among the arguments, and in variables that are for something else.
//!
//! A variable of a shell in the wrong place puts a secret key there, or, without quotes, the pieces of one. Every error about such a
//! value would show it, and a log of CI would keep it. So all of them are looked at before anything else is done, and a call with one
//! that looks like a key is refused without showing any of its values.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use repo_signing::looks_like_key;

use crate::{environment, error::Error};

/// Variables that hold no secret, and that errors may show.
const SHOWN: [&str; 10] = [
    environment::REPO,
    environment::SUITE,
    "DEBUCKET_AUTHOR",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
];

/// Characters of the shortest piece of base64 that counts as one: tools break lines after 64 or 76, and secret keys of AWS have 40.
const PIECE: usize = 40;

/// Hexadecimal digits of the longest digest that people name.
const DIGEST: usize = 64;

/// Refuses a call that has a key where none belongs.
///
/// # Errors
/// [`Error::Secret`].
pub fn refuse(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Error> {
    for (position, argument) in arguments.into_iter().enumerate().skip(1) {
        if is_secret(&argument) {
            return Err(Error::Secret(format!("argument {position}")));
        }
    }
    for name in SHOWN {
        if environment::variable(name).is_some_and(|value| is_secret(&value)) {
            return Err(Error::Secret(name.to_owned()));
        }
    }
    Ok(())
}

/// Whether a value looks like a key, or has one.
pub(crate) fn is_secret(value: &OsStr) -> bool {
    let bytes = value.as_encoded_bytes();
    let contains = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    if value.to_str().is_some_and(has_credentials) {
        return true;
    }
    if contains(b"-----BEGIN") || contains(b"PRIVATE KEY") || looks_like_key(bytes) {
        return true;
    }
    bytes.split(|byte| !is_of_base64(*byte)).any(is_piece) && !is_path(value)
}

/// Whether it is the address of a repository with credentials in it, as other tools take them.
fn has_credentials(text: &str) -> bool {
    let rest = text.split_once("s3://").map(|(_, rest)| rest);
    let host = rest.map(|rest| rest.split_once('/').map_or(rest, |(host, _)| host));
    host.is_some_and(|host| host.contains('@'))
}

/// In either alphabet, with the padding.
fn is_of_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

/// Whether a word is too random for anything but a secret: text that people write changes between capitals, small letters, digits
/// and signs less often.
fn is_piece(word: &[u8]) -> bool {
    let digits = word.split(|byte| !byte.is_ascii_hexdigit());
    if digits.into_iter().any(|run| run.len() > DIGEST) {
        return true;
    }
    let class = |byte: &u8| match byte {
        b'A'..=b'Z' => 0,
        b'a'..=b'z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let has = |wanted: u8| word.iter().any(|byte| class(byte) == wanted);
    let changes = word
        .windows(2)
        .filter(|pair| class(&pair[0]) != class(&pair[1]))
        .count();
    word.len() >= PIECE && has(0) && has(1) && changes * 5 >= word.len() * 2
}

/// Whether it is a path whose first folders are there, possibly after the name of its option. The rest may be new, or a glob.
fn is_path(value: &OsStr) -> bool {
    let of_option = value
        .to_str()
        .and_then(|text| text.split_once('='))
        .map(|(_, path)| Path::new(path));
    let is_there = |path: &Path| path.file_name().is_some() && path.symlink_metadata().is_ok();
    let mut paths = of_option.into_iter().chain([Path::new(value)]);
    paths.any(|path| path.ancestors().any(is_there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_in_a_folder_of_any_name_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder
            .path()
            .join("e2E-oKrdrE-a1B2c3D4e5F6g7H8-xY9zW8vU7tS6rQ5pO4n");
        std::fs::create_dir(&inner).unwrap();
        let path = inner.join("next");
        assert!(!is_secret(path.as_os_str()));
        assert!(!is_secret(inner.join("new/a-*.deb").as_os_str()));
        assert!(!is_secret(OsStr::new(&format!("--out={}", path.display()))));
        let (_, piece) = path.to_str().unwrap().split_at(1);
        assert!(is_secret(OsStr::new(piece)));
        assert!(is_secret(OsStr::new(
            "/e2EoKrdrEa1B2c3D4e5F6g7H8xY9zW8vU7tS6rQ5pO4n"
        )));
    }

    #[test]
    fn credentials_in_an_address_are_a_secret() {
        for value in [
            "s3://AKIA:secret@acme-apt/robots",
            "--repo=s3://AKIA@acme-apt",
        ] {
            assert!(is_secret(OsStr::new(value)), "{value}");
        }
    }

    #[test]
    fn what_people_write_is_no_secret() {
        for value in [
            "--message=Merge branch 'main' into Feature/ROS2_Navigation-Stack-2024 and more of it",
            "Feature-branch-ROS2-navigation-stack-improvements",
            "/home/Ada/Projects/acme-robots/2024/target/Release/helloworld",
            "--sse-kms-key-id=arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "s3://acme-apt-123456789012-eu-west-1-production/robots/ROS2",
            "s3://acme-apt/team@home",
            "0123456789abcdef0123456789abcdef01234567",
            "15BC6A2F1B6BFE2C2E2A7B4C5D6E7F8091A2B3C4",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "ros-jazzy-rmw-fastrtps-dynamic-cpp_8.4.2-1noble.20250514.010203_amd64.deb",
        ] {
            assert!(!is_secret(OsStr::new(value)), "{value}");
        }
    }
}
