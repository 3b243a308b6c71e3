//! `Release`: what a suite is and which index files it has, each with its size and digest. Once signed it is `InRelease`, the
//! head of a suite.
//!
//! Format: <https://wiki.debian.org/DebianRepository/Format>. Digests are SHA-256 only. The plain form of an index is listed
//! although it is not stored, because apt checks what it unpacks against it. `X-Debucket-Commit` names the commit that made the
//! file. No line ends in white space: OpenPGP's cleartext signatures would lose it.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::{SignedDuration, Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};

use crate::{
    change::client_view::ClientView,
    digest::Sha256,
    name::SuiteName,
    paragraph::{self, Paragraph, ParagraphError},
    suite::commit::Commit,
};

/// Field that names the commit.
const COMMIT_FIELD: &str = "X-Debucket-Commit";
/// Field that names the suite, then its aliases.
const NAMES_FIELD: &str = "X-Debucket-Names";

/// Fields that follow from the content of a suite, or from other settings than [`Settings::fields`].
const COMPUTED: [&str; 13] = [
    "Date",
    "Valid-Until",
    "Acquire-By-Hash",
    "Architectures",
    "Components",
    "MD5Sum",
    "SHA1",
    "SHA256",
    "SHA512",
    "Signed-By",
    "Hash",
    COMMIT_FIELD,
    NAMES_FIELD,
];

/// Whether a field follows from something else, so that it cannot be given a value.
///
/// [`Settings::fields`]: crate::suite::settings::Settings::fields
#[must_use]
pub fn is_computed(field: &str) -> bool {
    COMPUTED.iter().any(|own| own.eq_ignore_ascii_case(field))
}

/// How `Date` reads, without its zone: `Mon, 23 Nov 2026 10:00:00`.
const DATE_FORMAT: &str = "%a, %d %b %Y %H:%M:%S";

/// A `Release` file, as a publisher needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub date: Timestamp,
    /// The commit that made it.
    pub commit: Sha256,
    /// The suite, then its aliases.
    pub names: Vec<SuiteName>,
    /// What devices compare when the file changes.
    pub view: ClientView,
    /// Digests of the files it lists, by path.
    pub files: BTreeMap<String, Sha256>,
}

/// Why a `Release` cannot be read or built on.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error("it is malformed")]
    Malformed(#[from] ParagraphError),
    #[error("it has no valid Date")]
    NoDate,
    /// It was written by another program.
    #[error("it was not written by debucket: there is no valid {COMMIT_FIELD} field")]
    NotOurs,
}

impl Release {
    /// Reads the bytes of a `Release`.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ReleaseError> {
        let paragraph = first_paragraph(bytes)?;
        let commit = paragraph
            .get_str(COMMIT_FIELD)
            .and_then(|text| text.parse().ok())
            .ok_or(ReleaseError::NotOurs)?;
        let date = paragraph
            .get_str("Date")
            .and_then(parse_date)
            .ok_or(ReleaseError::NoDate)?;
        let listed = paragraph.get_str("SHA256").unwrap_or_default().lines();
        let files = listed.filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (sha256, _size, path) = (words.next()?, words.next()?, words.next()?);
            Some((path.to_owned(), sha256.parse().ok()?))
        });
        let names = paragraph.get_str(NAMES_FIELD).unwrap_or_default();
        let names = names.split_ascii_whitespace();
        Ok(Self {
            date,
            commit,
            names: names.flat_map(str::parse).collect(),
            view: ClientView::of_release(&paragraph),
            files: files.collect(),
        })
    }
}

/// What apt reads of a `Release`: one paragraph, and not the empty lines around it, which other programs may leave.
pub(super) fn first_paragraph(bytes: &[u8]) -> Result<Paragraph<'_>, ParagraphError> {
    Paragraph::parse(paragraph::stanzas(bytes).next().unwrap_or_default())
}

/// Renders the `Release` of a commit that is stored as `id`.
#[must_use]
pub fn render(commit: &Commit, id: &Sha256) -> Vec<u8> {
    let settings = &commit.settings;
    let view = ClientView::of_settings(&commit.suite, settings);
    let date = format_date(commit.time);
    let valid_until = valid_until(commit).map(format_date);
    let (architectures, components) = (view.architectures.join(" "), view.components.join(" "));
    let description = settings.description.as_ref().map(ToString::to_string);
    let keys = settings.signing_keys.iter();
    let keys = keys.map(|key| key.fingerprint.to_string());
    let signed_by = settings
        .signed_by
        .then(|| keys.collect::<Vec<_>>().join(", "));
    let aliases = settings.aliases.iter().map(ToString::to_string);
    let names = [commit.suite.to_string()].into_iter().chain(aliases);
    let names = names.collect::<Vec<_>>().join(" ");
    let own = [
        ("Origin", view.origin.as_deref()),
        ("Label", view.label.as_deref()),
        ("Suite", view.suite.as_deref()),
        ("Codename", view.codename.as_deref()),
        ("Version", view.version.as_deref()),
        ("Date", Some(&date)),
        ("Valid-Until", valid_until.as_deref()),
        ("Acquire-By-Hash", Some("yes")),
        (
            "Signed-By",
            signed_by.as_deref().filter(|keys| !keys.is_empty()),
        ),
        ("Architectures", Some(&architectures)),
        ("Components", Some(&components)),
        ("Description", description.as_deref()),
        (COMMIT_FIELD, Some(&id.to_string())),
        (NAMES_FIELD, Some(&names)),
        ("SHA256", None),
    ];
    let mut text = String::new();
    for (name, value) in own {
        if let Some(value) = value {
            // Writing to a string does not fail, here and below.
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    for (name, value) in &settings.fields {
        let name = name.to_string();
        if !own.iter().any(|(own, _)| own.eq_ignore_ascii_case(&name)) {
            let _ = writeln!(text, "{name}: {value}");
        }
    }
    text.push_str("SHA256:\n");
    let mut line = |sha256: &Sha256, size: u64, path: &str| {
        let _ = writeln!(text, " {sha256} {size:>8} {path}");
    };
    for (path, index) in &commit.indexes {
        line(&index.sha256, index.size, path.as_str());
        for (extension, stored) in &index.files {
            line(&stored.sha256, stored.size, &path.with_extension(extension));
        }
    }
    text.into_bytes()
}

/// When devices begin to refuse the `Release` of a commit as outdated; none: never.
#[must_use]
pub fn valid_until(commit: &Commit) -> Option<Timestamp> {
    let seconds = commit.settings.valid_seconds?.get();
    let valid = SignedDuration::from_secs(seconds.into());
    commit.time.checked_add(valid).ok()
}

/// `time` as `Release` writes it, in UTC.
pub fn format_date(time: Timestamp) -> String {
    format!(
        "{} UTC",
        strtime::format(DATE_FORMAT, &time.to_zoned(TimeZone::UTC)).unwrap_or_default()
    )
}

fn parse_date(text: &str) -> Option<Timestamp> {
    let date: DateTime = strtime::parse(DATE_FORMAT, text.strip_suffix(" UTC")?)
        .ok()?
        .to_datetime()
        .ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_it_was_written() {
        let time = Timestamp::from_second(1_764_000_000).unwrap();
        assert_eq!(format_date(time), "Mon, 24 Nov 2025 16:00:00 UTC");
        assert_eq!(parse_date(&format_date(time)), Some(time));
        assert_eq!(parse_date("yesterday"), None);
    }

    #[test]
    fn the_work_of_another_program_is_told_apart() {
        let text = b"Suite: stable\nDate: Mon, 24 Nov 2025 16:00:00 UTC\n";
        assert!(matches!(Release::parse(text), Err(ReleaseError::NotOurs)));
        let text = format!("Date: never\n{COMMIT_FIELD}: {}\n", Sha256::of(b"x"));
        assert!(matches!(
            Release::parse(text.as_bytes()),
            Err(ReleaseError::NoDate)
        ));
    }

    #[test]
    fn fields_of_the_settings_are_rendered_and_cannot_forge_ours() {
        const KEY: &str = "15BC6A2F1B6BFE2C2E2A7B4C5D6E7F8091A2B3C4";
        let commit: Commit = serde_json::from_value(serde_json::json!({
            "format": 1, "suite": "stable", "parent": null, "time": "2025-11-24T16:00:00Z",
            "authorship": {}, "changes": [],
            "settings": {
                "label": "Acme", "components": ["main"], "architectures": ["amd64"], "formats": ["gz"],
                "signing_keys": [{"fingerprint": KEY, "keys": [KEY], "certificate": ""}],
                "signed_by": true, "aliases": ["next", "later"],
                "fields": {"NotAutomatic": "yes", "Codename": "trixie", "date": "never", "SHA256": "none", "signed-by": "me"},
            },
            "indexes": {"main/source/Sources": {
                "size": 5, "sha256": Sha256::of(b"plain"), "files": {"br": {"size": 2, "sha256": Sha256::of(b"br")}},
            }},
        }))
        .unwrap();
        let id = Sha256([0xab; 32]);
        let text = String::from_utf8(render(&commit, &id)).unwrap();
        let expected = format!(
            "Label: Acme\nSuite: stable\nCodename: trixie\nDate: Mon, 24 Nov 2025 16:00:00 UTC\nAcquire-By-Hash: yes\nSigned-By: {KEY}\n\
             Architectures: amd64\nComponents: main\nX-Debucket-Commit: {id}\nX-Debucket-Names: stable later next\nNotAutomatic: yes\nSHA256:\n \
             {}        5 main/source/Sources\n {}        2 main/source/Sources.br\n",
            Sha256::of(b"plain"),
            Sha256::of(b"br")
        );
        assert_eq!(text, expected);
        let release = Release::parse(text.as_bytes()).unwrap();
        assert_eq!((release.commit, release.date), (id, commit.time));
        let names = release.names.iter().map(ToString::to_string);
        assert_eq!(names.collect::<Vec<_>>(), ["stable", "later", "next"]);
        assert_eq!(
            release.view,
            ClientView::of_settings(&commit.suite, &commit.settings)
        );
        assert_eq!(release.files["main/source/Sources.br"], Sha256::of(b"br"));
    }
}
