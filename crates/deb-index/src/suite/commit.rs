//! The commit: one step in the history of a suite, stored as `dists/<suite>/commits/<sha256>.json`.
//!
//! A commit is named by the digest of its bytes and names its parent; the signed head names the newest one. A reader who has
//! verified the head can trust the whole chain. A commit holds all that a publisher must know to build on it, so publishers
//! agree without a shared configuration.
//!
//! The format can grow. What a program does not know it keeps, so that an older publisher never undoes the work of a newer one:
//!
//! - The identity of an index is its [path](IndexPath). Indexes of unknown kinds are carried over, into the next `Release` too.
//! - Compressed forms are named by their extension, so that forms that this program cannot make are carried over as well.
//! - Unknown fields are kept wherever their object is kept. A new commit inherits those of its parent, except in `authorship`,
//!   which describes one commit alone.
//! - The actions in `changes` are words for people. Nothing is planned on them.
//! - `requires` names features that a program must know to *build on* the commit. Reading never needs them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    digest::Sha256,
    index::IndexPath,
    name::{Component, SuiteName},
    phase::Percentage,
    stanza::StanzaRef,
    suite::settings::Settings,
};

mod taken_back;

pub use taken_back::TakenBack;

/// A step in the history of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// Version of this format.
    pub format: u32,
    /// The suite whose history this is. A head copied to another suite is noticed by it.
    pub suite: SuiteName,
    /// The commit that this one was built on; none for the first.
    pub parent: Option<Sha256>,
    /// The `Date` of its `Release`, by the store's clock.
    pub time: Timestamp,
    pub authorship: Authorship,
    /// Features that a program must know to build on this commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    pub settings: Settings,
    /// What this commit changed, for the history.
    pub changes: Arc<Vec<Change>>,
    /// Versions that were taken back and have not come in since.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taken_back: BTreeSet<TakenBack>,
    /// All indexes of the suite.
    pub indexes: BTreeMap<IndexPath, Index>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Who made a commit, and why. Not inherited by the next commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Authorship {
    /// `user@host`, or the CI job.
    #[serde(default)]
    pub author: String,
    /// The program that made it: `debucket 0.1.0`.
    #[serde(default)]
    pub tool: String,
    /// The author's message; may be empty.
    #[serde(default)]
    pub message: String,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// What happened to one package. All but the action may be missing from a change that a later program recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// [`Change::ADD`], [`Change::REPLACE`], [`Change::PHASE`], [`Change::REMOVE`], or another program's word.
    pub action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Length of the `.deb` in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Digest of the `.deb`, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Key of the `.deb`, relative to the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Missing where the package is for all devices, before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseChange>,
    /// Whether a version was taken back, so that it is not what an earlier state is brought back for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_back: bool,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The part of the devices that a package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseChange {
    /// None for a package that was not in the suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Percentage>,
    pub to: Percentage,
}

impl PhaseChange {
    /// The change from one stanza of a package to the next; none if both are for all devices.
    #[must_use]
    pub fn between(before: Option<&StanzaRef<'_>>, after: &StanzaRef<'_>) -> Option<Self> {
        let (from, to) = (before.map(StanzaRef::phase), after.phase());
        let is_phased = from.is_some_and(|from| from != Percentage::ALL) || to != Percentage::ALL;
        is_phased.then_some(Self { from, to })
    }
}

impl Change {
    /// A package that was not in the suite.
    pub const ADD: &'static str = "add";
    /// Other bytes for a package that was in the suite.
    pub const REPLACE: &'static str = "replace";
    /// The same package for another part of the devices.
    pub const PHASE: &'static str = "phase";
    /// A suite that another program made was taken over.
    pub const ADOPT: &'static str = "adopt";
    /// A package that is no longer in the suite.
    pub const REMOVE: &'static str = "remove";

    #[must_use]
    pub fn new(action: &str, component: &Component, stanza: &StanzaRef<'_>) -> Self {
        Self {
            action: action.to_owned(),
            component: Some(component.to_string()),
            package: Some(stanza.name.to_owned()),
            version: Some(stanza.version.to_owned()),
            architecture: Some(stanza.architecture.to_owned()),
            size: stanza.field("Size").and_then(|size| size.parse().ok()),
            sha256: stanza.field("SHA256").map(ToOwned::to_owned),
            filename: stanza.field("Filename").map(ToOwned::to_owned),
            phase: None,
            taken_back: false,
            rest: Map::new(),
        }
    }

    /// Whether a file came into the suite by it.
    #[must_use]
    pub fn brings_file(&self) -> bool {
        ![Self::REMOVE, Self::PHASE].contains(&self.action.as_str())
    }
}

/// An index: its plain form, which is not stored, and its stored forms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Number of its entries, where they are counted: the stanzas of `Packages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Length of the plain index in bytes.
    pub size: u64,
    /// Digest of the plain index.
    pub sha256: Sha256,
    /// By extension: `gz`, `zst`, `xz`, or one that this program does not know.
    pub files: BTreeMap<String, Stored>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A stored object: its length in bytes and its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    pub size: u64,
    pub sha256: Sha256,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Stored {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            size: bytes.len() as u64,
            sha256: Sha256::of(bytes),
            rest: Map::new(),
        }
    }
}

/// Why a commit cannot be read or built on.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Its bytes are not those that its name promises.
    #[error(
        "it has other content than its name says: the repository is damaged or was tampered with"
    )]
    Tampered,
    #[error("it is not a commit")]
    Malformed(#[source] serde_json::Error),
    /// It was written by a later version of the program, in a form that this one cannot read or must not build on.
    #[error("it needs {0}, which this version of debucket does not know")]
    TooNew(String),
}

impl Commit {
    /// The format that is written.
    pub const FORMAT: u32 = 1;
    /// Features that this program knows.
    const FEATURES: [&'static str; 2] = [Self::ALIASES, Self::CLOSED];
    /// Requirement: who builds on the commit stores index files in the folders of the suite's aliases too.
    pub const ALIASES: &'static str = "aliases";
    /// Requirement: nobody builds on the commit, because the suite is being deleted.
    pub const CLOSED: &'static str = "closed";

    /// Its bytes as they are stored, and their digest: its name.
    #[must_use]
    pub fn to_bytes(&self) -> (Vec<u8>, Sha256) {
        // Strings, numbers, and maps keyed by strings: nothing that JSON could refuse.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        let id = Sha256::of(&bytes);
        (bytes, id)
    }

    /// Reads the commit `id`.
    ///
    /// # Errors
    /// [`CommitError`]. A format that is newer than this program's is an error only if it cannot be read.
    pub fn parse(id: &Sha256, bytes: &[u8]) -> Result<Self, CommitError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        if Sha256::of(bytes) != *id {
            return Err(CommitError::Tampered);
        }
        let malformed = match serde_json::from_slice(bytes) {
            Ok(commit) => return Ok(commit),
            Err(error) => error,
        };
        match serde_json::from_slice(bytes) {
            Ok(Head { format }) if format > Self::FORMAT => {
                Err(CommitError::TooNew(format!("commit format {format}")))
            }
            _ => Err(CommitError::Malformed(malformed)),
        }
    }

    /// The stored files of its indexes, each with the index's path and the file's extension.
    pub fn files(&self) -> impl Iterator<Item = (&IndexPath, &str, &Stored)> {
        self.indexes.iter().flat_map(|(path, index)| {
            let files = index.files.iter();
            files.map(move |(extension, stored)| (path, extension.as_str(), stored))
        })
    }

    /// The versions that are taken back after `changes`, to a suite in which those of `before` are.
    #[must_use]
    pub fn taken_back_after(before: Option<&Self>, changes: &[Change]) -> BTreeSet<TakenBack> {
        let mut taken_back = before.map(|it| it.taken_back.clone()).unwrap_or_default();
        for change in changes {
            if change.taken_back {
                taken_back.insert(TakenBack::of_change(change));
            } else if !taken_back.is_empty() && change.action == Change::ADD {
                taken_back.remove(&TakenBack::of_change(change));
            }
        }
        taken_back
    }

    /// Whether the suite is being deleted, so that nobody may build on the commit.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.requires.iter().any(|name| name == Self::CLOSED)
    }

    /// What a commit with these settings requires, built on `base`.
    #[must_use]
    pub fn requirements(base: Option<&Self>, settings: &Settings, closes: bool) -> Vec<String> {
        let inherited = base.into_iter().flat_map(|base| base.requires.clone());
        let mut requires: Vec<_> = inherited.filter(|name| name != Self::ALIASES).collect();
        let own = [
            (Self::ALIASES, !settings.aliases.is_empty()),
            (Self::CLOSED, closes),
        ];
        for (name, _) in own.into_iter().filter(|(_, is_required)| *is_required) {
            requires.push(name.to_owned());
        }
        requires
    }

    /// Whether this program may build on the commit.
    ///
    /// # Errors
    /// [`CommitError::TooNew`], with the requirements that are not known.
    pub fn check_requirements(&self) -> Result<(), CommitError> {
        let unknown = self
            .requires
            .iter()
            .filter(|name| !Self::FEATURES.contains(&name.as_str()))
            .map(|name| format!("the feature “{}”", name.escape_debug()));
        let format = (self.format > Self::FORMAT).then(|| format!("commit format {}", self.format));
        let missing: Vec<String> = unknown.chain(format).collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(CommitError::TooNew(missing.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first() -> Commit {
        Commit {
            format: Commit::FORMAT,
            suite: "stable".parse().unwrap(),
            parent: None,
            time: Timestamp::from_second(1_764_000_000).unwrap(),
            authorship: Authorship {
                author: "ci@build".into(),
                tool: "debucket 0.1.0".into(),
                ..Authorship::default()
            },
            requires: Vec::new(),
            settings: Settings {
                components: vec!["main".parse().unwrap()],
                ..Settings::default()
            },
            changes: vec![Change {
                action: Change::ADD.to_owned(),
                package: Some("hello".to_owned()),
                ..Change::default()
            }]
            .into(),
            taken_back: BTreeSet::new(),
            indexes: BTreeMap::from([(
                "main/binary-amd64/Packages".parse().unwrap(),
                Index {
                    entries: Some(0),
                    size: 0,
                    sha256: Sha256::of(b""),
                    files: BTreeMap::from([("gz".to_owned(), Stored::of(b"gz"))]),
                    rest: Map::new(),
                },
            )]),
            rest: Map::new(),
        }
    }

    fn parse(text: &str) -> Result<Commit, CommitError> {
        Commit::parse(&Sha256::of(text.as_bytes()), text.as_bytes())
    }

    #[test]
    fn is_read_as_it_was_written() {
        let (bytes, id) = first().to_bytes();
        assert_eq!(Commit::parse(&id, &bytes).unwrap(), first());
    }

    #[test]
    fn other_bytes_are_tampering() {
        let (mut bytes, id) = first().to_bytes();
        bytes.push(b' ');
        assert!(matches!(
            Commit::parse(&id, &bytes),
            Err(CommitError::Tampered)
        ));
    }

    #[test]
    fn what_a_later_program_added_is_read_and_written_back() {
        let (bytes, _) = first().to_bytes();
        let mut value: Value = serde_json::from_slice(&bytes).unwrap();
        value["changes"] =
            serde_json::json!([{"action": "phase", "package": "hello", "percent": 10}]);
        value["settings"]["retention"] = serde_json::json!({"keep": 3});
        value["settings"]["formats"] = serde_json::json!(["gz", "br"]);
        value["indexes"]["main/source/Sources"] = serde_json::json!({
            "entries": 1, "size": 5, "sha256": Sha256::of(b"plain"), "segments": [1, 2],
            "files": {"br": {"size": 2, "sha256": Sha256::of(b"br"), "midstate": "00"}},
        });
        value["authorship"]["run"] = serde_json::json!(7);
        value["later"] = serde_json::json!({"any": ["thing", null, true]});
        let mut text = value.to_string();
        // Numbers that neither an integer nor a float of this machine holds.
        for (place, number) in [
            ("\"any\":", "18446744073709551617"),
            ("\"percent\":", "0.12345678901234567890123"),
            ("\"keep\":", "-170141183460469231731687303715884105729"),
            ("\"segments\":", "100000000000000000000.5"),
            ("\"midstate\":", "3.1415926535897932384626433832795"),
            ("\"run\":", "9007199254740993.0"),
        ] {
            let more = format!("\"number {number}\":{number},{place}");
            text = text.replacen(place, &more, 1);
        }
        let read = parse(&text).unwrap();
        read.check_requirements().unwrap();
        let written = read.to_bytes().0;
        let value = serde_json::from_str::<Value>(&text).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), value);
        let written = String::from_utf8(written).unwrap();
        assert_eq!(written.matches("\"number ").count(), 6);
        for named in written.split("\"number ").skip(1) {
            let (name, rest) = named.split_once("\": ").unwrap();
            assert!(rest.starts_with(name), "{name}: {rest:.40}");
        }
    }

    #[test]
    fn what_is_required_follows_from_the_settings_and_is_inherited() {
        let with = |aliases: &[&str]| Settings {
            aliases: aliases.iter().flat_map(|name| name.parse()).collect(),
            ..Settings::default()
        };
        let base = Commit {
            requires: vec!["segments".to_owned(), Commit::ALIASES.to_owned()],
            ..first()
        };
        let after = |aliases: &[&str], closes| {
            Commit::requirements(Some(&base), &with(aliases), closes).join(" ")
        };
        assert_eq!(after(&["trixie"], false), "segments aliases");
        assert_eq!(after(&[], false), "segments");
        assert_eq!(after(&[], true), "segments closed");
        assert!(Commit::requirements(None, &with(&[]), false).is_empty());
        let closed = Commit {
            requires: Commit::requirements(None, &with(&["a"]), true),
            ..first()
        };
        assert!(closed.is_closed() && closed.check_requirements().is_ok());
    }

    #[test]
    fn an_unknown_requirement_stops_building_but_not_reading() {
        let commit = Commit {
            requires: vec!["segments".to_owned()],
            ..first()
        };
        let (bytes, id) = commit.to_bytes();
        let read = Commit::parse(&id, &bytes).unwrap();
        let error = read.check_requirements().unwrap_err();
        assert!(error.to_string().contains("“segments”"), "{error}");
        let later = parse(&String::from_utf8(first().to_bytes().0).unwrap().replacen(
            "\"format\": 1",
            "\"format\": 2",
            1,
        ));
        assert!(later.unwrap().check_requirements().is_err());
        assert!(matches!(
            parse("{\"format\": 2, \"all\": \"new\"}"),
            Err(CommitError::TooNew(_))
        ));
        assert!(matches!(parse("{}"), Err(CommitError::Malformed(_))));
    }
}
