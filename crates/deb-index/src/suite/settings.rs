//! How a suite is set up. The settings are part of its commits, so every publisher agrees on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZeroU32,
    str::FromStr,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    fingerprint::Fingerprint,
    index::{IndexPath, compression::Format},
    name::{Architecture, Component, SuiteName},
};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `Origin` in `Release`: who made the packages. apt pins by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Line>,
    /// `Label` in `Release`. apt pins by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Line>,
    /// `Description` in `Release`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Line>,
    /// Further fields of `Release`, such as `NotAutomatic: yes`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<FieldName, Line>,
    /// Those of `Suite` and `Codename` that `Release` does not have, as in a suite that another program made without them. By
    /// default both are the name of the suite.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent_fields: Vec<FieldName>,
    /// Other names of the suite: in the folder of each, devices see what they see in the suite's own.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aliases: BTreeSet<SuiteName>,
    /// In the order in which they were first published into.
    pub components: Vec<Component>,
    /// Without `all`, unless another program made the suite and gave the packages for all architectures an index of their own.
    /// They are in that index then as well as in those of the other architectures.
    pub architectures: Vec<Architecture>,
    /// Extensions of the forms in which indexes are stored; may hold some that this program does not know.
    pub formats: Vec<String>,
    /// How many versions of each package a publish leaves in the suite, the newest; all if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_versions: Option<NonZeroU32>,
    /// How long after its `Date` a `Release` is valid, in seconds (`Valid-Until`); for ever if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_seconds: Option<NonZeroU32>,
    /// Keys that sign the suite: every head is signed by each of them, so that a device needs only one. Empty for an unsigned suite.
    pub signing_keys: Vec<AcceptedKey>,
    /// When `signing_keys` changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_since: Option<Timestamp>,
    /// Whether `Release` names these keys (`Signed-By`), which apt then expects of the next one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed_by: bool,
    /// Whether the store was never found to support conditional writes, because a publisher promised to be the only one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single_writer: bool,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A certificate whose signatures devices accept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedKey {
    /// Fingerprint of the primary key.
    pub fingerprint: Fingerprint,
    /// The keys of the certificate that can sign, as devices have it. A signature by any other key is unknown to them.
    pub keys: Vec<Fingerprint>,
    /// The armored certificate.
    pub certificate: String,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Settings {
    /// Those of a new suite with these keys. It has no component yet.
    ///
    /// With amd64 and arm64, the devices of both find a first package for all architectures. Every client reads gz, and modern ones
    /// prefer zst, which is fast on both sides.
    #[must_use]
    pub fn of_new_suite(signing_keys: Vec<AcceptedKey>) -> Self {
        Self {
            architectures: ["amd64", "arm64"]
                .iter()
                .flat_map(|it| it.parse())
                .collect(),
            formats: [Format::Gz, Format::Zst]
                .map(|it| it.extension().to_owned())
                .into(),
            signing_keys,
            ..Self::default()
        }
    }

    /// The forms of an index that this program makes.
    pub fn known_formats(&self) -> impl Iterator<Item = Format> {
        self.formats.iter().filter_map(|format| format.parse().ok())
    }

    /// Component and architecture of a `Packages` index, if they are the suite's. An index of others was carried over from another
    /// program, and stays as it is.
    #[must_use]
    pub fn packages(&self, path: &IndexPath) -> Option<(Component, Architecture)> {
        let (component, architecture) = path.as_packages()?;
        let is_ours =
            self.components.contains(&component) && self.architectures.contains(&architecture);
        is_ours.then_some((component, architecture))
    }

    /// Gives a field of `Release` a value; none removes it.
    pub fn set_field(&mut self, name: &FieldName, value: Option<Line>) {
        let is = |other: &str| name.0.eq_ignore_ascii_case(other);
        let own = [
            ("Origin", &mut self.origin),
            ("Label", &mut self.label),
            ("Description", &mut self.description),
        ];
        for (field, place) in own {
            if is(field) {
                *place = value;
                return;
            }
        }
        self.absent_fields.retain(|field| !is(&field.0));
        self.fields.retain(|field, _| !is(&field.0));
        self.fields.extend(value.map(|value| (name.clone(), value)));
    }

    /// Whether a certificate with this primary key signs.
    #[must_use]
    pub fn accepts(&self, primary: &Fingerprint) -> bool {
        self.signing_keys
            .iter()
            .any(|key| key.fingerprint == *primary)
    }
}

/// The name of a control field: printable ASCII without `:`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldName(String);

/// The text is not a [`FieldName`].
#[derive(Debug, thiserror::Error)]
#[error(
    "a field name has only printable ASCII characters other than “:” and does not begin with “-” or “#”"
)]
pub struct InvalidFieldName;

impl TryFrom<String> for FieldName {
    type Error = InvalidFieldName;

    fn try_from(text: String) -> Result<Self, InvalidFieldName> {
        let is_valid = |c: char| c.is_ascii_graphic() && c != ':';
        if text.is_empty() || text.starts_with(['-', '#']) || !text.chars().all(is_valid) {
            return Err(InvalidFieldName);
        }
        Ok(Self(text))
    }
}

impl From<FieldName> for String {
    fn from(name: FieldName) -> Self {
        name.0
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value on one line of a control file: not empty, no control characters, no white space at its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line(String);

/// The text is not a [`Line`].
#[derive(Debug, thiserror::Error)]
#[error("must be one line of text, without white space at its ends")]
pub struct NotALine;

impl FromStr for Line {
    type Err = NotALine;

    fn from_str(text: &str) -> Result<Self, NotALine> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Line {
    type Error = NotALine;

    fn try_from(text: String) -> Result<Self, NotALine> {
        if text.is_empty() || text.trim() != text || text.contains(char::is_control) {
            return Err(NotALine);
        }
        Ok(Self(text))
    }
}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_smuggle_a_field_in() {
        assert!("ACME Robots".parse::<Line>().is_ok());
        for bad in ["", " a", "a ", "a\nDate: x", "a\u{85}b", "a\tb"] {
            assert!(bad.parse::<Line>().is_err(), "{bad:?}");
            assert!(
                serde_json::from_value::<Line>(bad.into()).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_field_name_cannot_either() {
        assert!(FieldName::try_from("NotAutomatic".to_owned()).is_ok());
        for bad in ["", "a b", "a:", "-a", "#a", "a\n", "é"] {
            assert!(FieldName::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
