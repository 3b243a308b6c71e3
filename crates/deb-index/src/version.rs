//! Version numbers of packages and their order.
//!
//! A version is `[epoch:]upstream[-revision]`; its parts and its order are set by the Debian Policy,
//! [5.6.12](https://www.debian.org/doc/debian-policy/ch-controlfields.html#version), and what is
//! accepted here is what dpkg accepts in a package that it installs.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::quote::printable;

/// The version of a package, its text kept as it was written.
///
/// Two versions are `==` when their texts are. They may still be the same version to dpkg, as `1.0`
/// and `1.00` or `0:1` and `1` are: ask [`Version::compare`] for that. Because the two differ there
/// is no `Ord`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Version {
    text: Box<str>,
    epoch: u32,
    /// Where the upstream part begins in `text`.
    upstream: u32,
    /// Where the upstream part ends: at the `-` of the revision, or at the end of `text`.
    upstream_end: u32,
}

/// A text that is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version “{version}” {reason}")]
pub struct VersionError {
    /// The text, shortened and printable.
    pub version: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The longest version accepted in a package, in bytes: it becomes a part of a file name.
const MAX_VERSION: usize = 200;

/// The largest epoch that dpkg takes.
const MAX_EPOCH: u32 = i32::MAX as u32;

impl Version {
    /// The epoch; 0 where none is written.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The version without its epoch, as file names in a pool carry it.
    #[must_use]
    pub fn without_epoch(&self) -> &str {
        self.text.get(self.upstream as usize..).unwrap_or_default()
    }

    #[must_use]
    pub fn upstream(&self) -> &str {
        let part = self.upstream as usize..self.upstream_end as usize;
        self.text.get(part).unwrap_or_default()
    }

    /// The Debian revision, after the last `-`; `None` in a native package.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.text.get(self.upstream_end as usize + 1..)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The order in which dpkg and APT see two versions; `Less` when `self` is the older one.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_part(self.upstream(), other.upstream()))
            .then_with(|| {
                compare_part(
                    self.revision().unwrap_or_default(),
                    other.revision().unwrap_or_default(),
                )
            })
    }

    /// Parses a version of any length, as a relation may have it; the error is the rule that it breaks.
    pub(crate) fn of_any_length(text: &str) -> Result<Self, &'static str> {
        parse(text)
    }
}

/// Compares upstream parts, or revisions: runs of other characters and runs of digits in turn.
fn compare_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        let order = compare_letters(take_run(&mut a, false), take_run(&mut b, false))
            .then_with(|| compare_digits(take_run(&mut a, true), take_run(&mut b, true)));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Splits the longest run of digits, or of anything else, off the front.
fn take_run<'a>(text: &mut &'a [u8], digits: bool) -> &'a [u8] {
    let end = text
        .iter()
        .position(|b| b.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    *text = rest;
    run
}

/// Compares runs of digits as numbers of any length.
fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |run: &[u8]| run.iter().position(|&b| b != b'0').unwrap_or(run.len());
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Compares runs without digits: `~` before the end of the run, the end before letters, letters
/// before all else.
fn compare_letters(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(&b) if b.is_ascii_alphabetic() => i32::from(b),
        Some(&b) => i32::from(b) + 256,
    };
    (0..a.len().max(b.len()))
        .map(|at| weight(a.get(at)).cmp(&weight(b.get(at))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let parsed = if text.len() > MAX_VERSION {
            Err("is longer than 200 bytes")
        } else {
            parse(text)
        };
        parsed.map_err(|reason| VersionError {
            version: printable(text),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Version, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    let (epoch, rest) = match text.split_once(':') {
        Some((epoch, rest)) => (parse_epoch(epoch)?, rest),
        None => (0, text),
    };
    let (upstream, revision) = match rest.rsplit_once('-') {
        Some((upstream, revision)) => (upstream, Some(revision)),
        None => (rest, None),
    };
    if upstream.is_empty() {
        return Err("has an empty upstream part");
    }
    if !upstream.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("has an upstream part that does not begin with a digit");
    }
    let taken = |b: u8, also: &[u8]| b.is_ascii_alphanumeric() || also.contains(&b);
    if !upstream.bytes().all(|b| taken(b, b"-+.~:")) {
        return Err("may have only letters, digits, “.”, “+”, “-” and “~”, and “:” after an epoch");
    }
    match revision {
        Some("") => return Err("has an empty revision after “-”"),
        Some(revision) if !revision.bytes().all(|b| taken(b, b"+.~")) => {
            return Err("may have only letters, digits, “.”, “+” and “~” in its revision");
        }
        _ => {}
    }
    let start = text.len() - rest.len();
    let offset = |at: usize| u32::try_from(at).map_err(|_| "is longer than 4 GiB");
    Ok(Version {
        text: text.into(),
        epoch,
        upstream: offset(start)?,
        upstream_end: offset(start + upstream.len())?,
    })
}

fn parse_epoch(epoch: &str) -> Result<u32, &'static str> {
    if epoch.is_empty() {
        return Err("has an empty epoch before “:”");
    }
    if !epoch.bytes().all(|b| b.is_ascii_digit()) {
        return Err("has an epoch before “:” that is not a number");
    }
    match epoch.parse() {
        Ok(number) if number <= MAX_EPOCH => Ok(number),
        _ => Err("has an epoch above 2147483647"),
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn parts() {
        let v = version("2:1.2-rc1:3-4+deb12u1");
        assert_eq!(v.epoch(), 2);
        assert_eq!(v.upstream(), "1.2-rc1:3");
        assert_eq!(v.revision(), Some("4+deb12u1"));
        assert_eq!(v.without_epoch(), "1.2-rc1:3-4+deb12u1");
        assert_eq!(v.as_str(), "2:1.2-rc1:3-4+deb12u1");
        let native = version("1.0");
        assert_eq!(native.revision(), None);
        assert_eq!(native.without_epoch(), "1.0");
        assert_eq!(native.upstream(), "1.0");
    }

    #[test]
    fn refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "1\n",
            "1_0",
            "a1",
            "-1",
            "1-",
            ":1",
            "a:1",
            "-1:1",
            "+1:1",
            "1:",
            "1:-1",
            "2147483648:1",
            "99999999999999999999:1",
            "1:a",
            "1/2",
            "1-2:3",
            "é",
            "1é",
            "1\0",
            "v1.0",
            "~1",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text:?}");
        }
        assert!("2147483647:1".parse::<Version>().is_ok());
    }

    #[test]
    fn numbers_of_any_length() {
        let long = "1".repeat(150);
        assert_eq!(version(&long).compare(&version("2")), Ordering::Greater);
        assert_eq!(
            version("12345678901234567890").compare(&version("12345678901234567891")),
            Ordering::Less
        );
    }

    #[test]
    fn equal_to_dpkg_is_not_the_same_text() {
        assert_eq!(
            version("0:1.0").compare(&version("1.00-0")),
            Ordering::Equal
        );
        assert_ne!(version("0:1.0"), version("1.00-0"));
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_the_text(text in "\\PC{0,40}") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string(), text);
                prop_assert_eq!(version.compare(&version), Ordering::Equal);
            }
        }

        #[test]
        fn the_order_is_antisymmetric(
            a in "[0-9][0-9a-b.+~]{0,5}(-[0a~]{1,3})?",
            b in "[0-9][0-9a-b.+~]{0,5}(-[0a~]{1,3})?",
        ) {
            let (a, b) = (version(&a), version(&b));
            prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
        }
    }
}
