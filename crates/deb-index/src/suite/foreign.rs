//! `Release` of a suite that another program made, read in order to take the suite over.
//!
//! What devices compare stays as it is: the fields become settings, whose `Release` reads the same to apt. Of the files that are
//! listed, the forms of one index are put together: those of `Packages`, and of any other index whose plain form is listed. Any
//! other file is an index of its own, without further forms.
//!
//! An index for all architectures is taken in even where `Architectures` does not list `all`: apt reads it then only for those
//! who ask for `all` by name. So that this stays so, the suite gets the field that says it (tried with apt 2.6).
//!
//! Left out are differences between old states of an index (`Packages.diff`), which no longer lead to the next one, and what no
//! commit can name.

mod listed;

use std::{collections::BTreeMap, num::NonZeroU32, str::FromStr};

use jiff::{Timestamp, fmt::rfc2822};

pub use self::listed::ForeignIndex;
use self::listed::{as_asked_for, indexes};
use crate::{
    change::client_view::ClientView,
    index::IndexPath,
    name::{Architecture, Component, NameError, SuiteName},
    paragraph::{Paragraph, ParagraphError},
    suite::{
        inspection::Damage,
        release,
        settings::{FieldName, Line, Settings},
    },
};

/// With the value [`NOT_BY_ITSELF`], apt does not read the index for all architectures beside its own, unless it is asked to.
const NO_SUPPORT: &str = "No-Support-for-Architecture-all";
const NOT_BY_ITSELF: &str = "Packages";

/// A suite as another program's `Release` describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignRelease {
    /// None if it has no date, or one in an unknown form.
    pub date: Option<Timestamp>,
    /// What devices compare.
    pub view: ClientView,
    /// The settings from which the same view follows, without formats and keys.
    pub settings: Settings,
    pub indexes: BTreeMap<IndexPath, ForeignIndex>,
    /// Whether clients fetch indexes by hash.
    pub by_hash: bool,
    /// Whether apt reads the index for all architectures beside that of its own.
    pub reads_all: bool,
    /// Listed files that are not taken over.
    pub left_out: Vec<String>,
    /// Dates that are there and mean nothing. apt refuses the suite because of them.
    pub damage: Vec<Damage>,
}

/// Why a suite cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    #[error("it is malformed")]
    Malformed(#[from] ParagraphError),
    #[error("it lists no files by SHA-256")]
    NoSha256,
    #[error("its component or architecture has an unsupported name")]
    Name(#[from] NameError),
    #[error("it lists no Packages index")]
    NoPackages,
    /// Its index belongs to no component.
    #[error("it is that of a flat repository")]
    Flat,
}

impl ForeignRelease {
    /// Reads the `Release` of `suite`.
    ///
    /// # Errors
    /// [`ForeignError`].
    pub fn parse(suite: &SuiteName, bytes: &[u8]) -> Result<Self, ForeignError> {
        let release = release::first_paragraph(bytes)?;
        let listed = release.get_str("SHA256").ok_or(ForeignError::NoSha256)?;
        let (indexes, left_out) = indexes(listed);
        let is_set = |field, value: &str| {
            let text = release.get_str(field).unwrap_or_default();
            text.eq_ignore_ascii_case(value)
        };
        let mut view = ClientView::of_release(&release);
        for component in &mut view.components {
            if let Some(own) = as_asked_for(component, &indexes) {
                *component = own.to_owned();
            }
        }
        let lists_all = view.architectures.iter().any(|name| name == "all");
        let settings = settings(suite, &release, &view, &indexes)?;
        let date = date(&release, "Date");
        let dates = [
            ("Date", date.is_some()),
            ("Valid-Until", settings.valid_seconds.is_some()),
        ];
        let is_there = |field| {
            release
                .get_str(field)
                .is_some_and(|text| !text.trim().is_empty())
        };
        let broken = dates
            .into_iter()
            .filter(|(field, is_read)| is_there(field) && !is_read);
        let damage = broken.map(|(field, _)| Damage::of_release(field));
        Ok(Self {
            date,
            damage: damage.collect(),
            by_hash: is_set("Acquire-By-Hash", "yes"),
            reads_all: lists_all && !is_set(NO_SUPPORT, NOT_BY_ITSELF),
            view,
            settings,
            indexes,
            left_out,
        })
    }

    /// The `Packages` indexes that this program goes on with.
    pub fn packages(
        &self,
    ) -> impl Iterator<Item = (&IndexPath, &ForeignIndex, Component, Architecture)> {
        self.indexes.iter().filter_map(|(path, index)| {
            let (component, architecture) = self.settings.packages(path)?;
            Some((path, index, component, architecture))
        })
    }
}

fn settings(
    suite: &SuiteName,
    release: &Paragraph<'_>,
    view: &ClientView,
    indexes: &BTreeMap<IndexPath, ForeignIndex>,
) -> Result<Settings, ForeignError> {
    let mut settings = Settings {
        components: names(&view.components)?,
        ..Settings::default()
    };
    let all_names: Vec<Architecture> = names(&view.architectures)?;
    for architecture in all_names {
        let has_index = || {
            let mut packages = indexes.keys().filter_map(IndexPath::as_packages);
            packages.any(|(_, other)| other == architecture)
        };
        // `source` has no packages, and `all` counts only where it has an index of its own.
        let is_wanted = match architecture.as_str() {
            "source" => false,
            "all" => has_index(),
            _ => true,
        };
        if is_wanted {
            settings.architectures.push(architecture);
        }
    }
    for (component, architecture) in indexes.keys().filter_map(IndexPath::as_packages) {
        if !settings.components.contains(&component) {
            settings.components.push(component);
        }
        if !settings.architectures.contains(&architecture) {
            settings.architectures.push(architecture);
        }
    }
    if !indexes.keys().any(|path| settings.packages(path).is_some()) {
        let is_flat = indexes
            .keys()
            .any(|path| path.as_str().starts_with("Packages"));
        return Err(if is_flat {
            ForeignError::Flat
        } else {
            ForeignError::NoPackages
        });
    }
    for field in release.fields() {
        // `Signed-By` among them: the key that signs may change. A device that has the old file still holds the new one against it.
        if release::is_computed(field.name) {
            continue;
        }
        // Only `Description` and the like have several lines; no device compares them.
        let text = String::from_utf8_lossy(field.value);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_single = !text.contains('\n');
        let value = Line::from_str(if is_single { text.trim() } else { &line }).ok();
        if let (Ok(name), Some(value)) = (FieldName::try_from(field.name.to_owned()), value) {
            settings.set_field(&name, Some(value));
        }
    }
    let is_listed = view.architectures.iter().any(|name| name == "all");
    if settings.architectures.iter().any(Architecture::is_all)
        && !is_listed
        && let Ok(name) = FieldName::try_from(NO_SUPPORT.to_owned())
    {
        settings.set_field(&name, NOT_BY_ITSELF.parse().ok());
    }
    for (name, value) in [("Suite", &view.suite), ("Codename", &view.codename)] {
        let Ok(field) = FieldName::try_from(name.to_owned()) else {
            continue;
        };
        match value.as_deref() {
            Some(value) if value == suite.as_str() => settings.set_field(&field, None),
            Some(_) => {}
            None => settings.absent_fields.push(field),
        }
    }
    let valid = date(release, "Date").zip(date(release, "Valid-Until"));
    let seconds = valid.map(|(date, until)| until.duration_since(date).as_secs());
    settings.valid_seconds = seconds
        .and_then(|seconds| u32::try_from(seconds).ok())
        .and_then(NonZeroU32::new);
    Ok(settings)
}

fn names<T: FromStr<Err = NameError> + PartialEq>(words: &[String]) -> Result<Vec<T>, NameError> {
    let mut names = Vec::new();
    for word in words {
        let name = word.parse()?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// A date as other programs write it: as mail does, with `UTC` or `Z` for the zone.
fn date(release: &Paragraph<'_>, field: &str) -> Option<Timestamp> {
    let text = release.get_str(field)?;
    let local = text.strip_suffix(" UTC").or(text.strip_suffix(" Z"));
    let zoned = local.map_or_else(|| text.to_owned(), |local| format!("{local} +0000"));
    Some(rfc2822::parse(&zoned).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256;

    fn parse(head: &str, files: &[&str]) -> Result<ForeignRelease, ForeignError> {
        let lines = files
            .iter()
            .map(|path| format!(" {} 7 {path}\n", Sha256::of(path.as_bytes())));
        let text = format!("{head}SHA256:\n{}", lines.collect::<String>());
        ForeignRelease::parse(&"stable".parse().unwrap(), text.as_bytes())
    }

    fn words<T: ToString>(list: &[T]) -> String {
        let words: Vec<_> = list.iter().map(ToString::to_string).collect();
        words.join(" ")
    }

    #[test]
    fn what_devices_compare_stays_as_it_is() {
        for head in [
            "Suite: stable\nCodename: stable\n",
            "Codename: stable\n",
            "Suite: \nCodename: trixie\nOrigin: Acme\n",
            "Origin: . trixie\nLabel: . trixie\nSuite: trixie\nCodename: trixie\nVersion: 13.1\n",
            "",
        ] {
            let head = format!("{head}Components: main\nArchitectures: amd64\n");
            let found = parse(&head, &["main/binary-amd64/Packages.gz"]).unwrap();
            let view = ClientView::of_settings(&"stable".parse().unwrap(), &found.settings);
            assert_eq!(found.view.changes_to(&view), [], "{head}");
            assert_eq!(view.changes_to(&found.view), [], "{head}");
        }
    }

    #[test]
    fn fields_become_settings() {
        let head = "Date: Mon, 2 Nov 2026 10:00:00 UTC\nValid-Until: Mon, 09 Nov 2026 10:00:00 +0000\n\
                    NotAutomatic: yes\nSigned-By: 0123\nDescription: a\n b\n c\nComponents: main\n\
                    Architectures: amd64 source\nAcquire-By-Hash: yes\n";
        let found = parse(head, &["main/binary-amd64/Packages.gz"]).unwrap();
        let settings = &found.settings;
        assert!(found.by_hash);
        assert_eq!(found.date.unwrap().to_string(), "2026-11-02T10:00:00Z");
        assert_eq!(settings.valid_seconds.unwrap().get(), 7 * 86_400);
        assert_eq!(settings.description.as_ref().unwrap().to_string(), "a b c");
        let fields: Vec<_> = settings.fields.keys().map(ToString::to_string).collect();
        assert_eq!(fields, ["NotAutomatic"]);
        assert_eq!(words(&settings.architectures), "amd64");
    }

    #[test]
    fn a_date_that_means_nothing_is_damage() {
        let date = "Date: Mon, 2 Nov 2026 10:00:00 UTC";
        for (dates, damage) in [
            (String::new(), &[][..]),
            (format!("{date}\nValid-Until:\n"), &[]),
            ("Date: today\n".to_owned(), &["Date"]),
            (
                format!("{date}\nValid-Until: in a week\n"),
                &["Valid-Until"],
            ),
            (
                "Valid-Until: Mon, 9 Nov 2026 10:00:00 UTC\n".to_owned(),
                &["Valid-Until"],
            ),
            (
                format!("{date}\nValid-Until: Sun, 1 Nov 2026 10:00:00 UTC\n"),
                &["Valid-Until"],
            ),
        ] {
            let head = format!("{dates}Components: main\nArchitectures: amd64\n");
            let found = parse(&head, &["main/binary-amd64/Packages.gz"]).unwrap();
            let damage: Vec<_> = damage
                .iter()
                .map(|field| format!("Release: no valid {field}"))
                .collect();
            assert_eq!(words(&found.damage), damage.join(" "), "{head}");
        }
    }

    #[test]
    fn the_forms_of_an_index_are_put_together() {
        let found = parse(
            "Components: main\nArchitectures: amd64\n",
            &[
                "Contents-amd64.gz",
                "InRelease",
                "extra/binary-riscv64/Packages",
                "main/binary-amd64/Packages",
                "main/binary-amd64/Packages.bz2",
                "main/binary-amd64/Packages.diff/Index",
                "main/binary-amd64/Packages.gz",
                "main/binary-amd64/Release",
                "main/i18n/Translation-en",
                "main/i18n/Translation-en.bz2",
                "main/dep11/icons-64x64.tar.gz",
            ],
        )
        .unwrap();
        let shown = found.indexes.iter().map(|(path, index)| {
            let mut files: Vec<&str> = index.files.keys().map(String::as_str).collect();
            if index.plain.is_some() {
                files.insert(0, "plain");
            }
            format!("{path}: {}", files.join(" "))
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "Contents-amd64.gz: plain",
                "extra/binary-riscv64/Packages: plain",
                "main/binary-amd64/Packages: plain bz2 gz",
                "main/binary-amd64/Release: plain",
                "main/dep11/icons-64x64.tar.gz: plain",
                "main/i18n/Translation-en: plain bz2",
            ]
        );
        assert_eq!(
            found.left_out,
            ["InRelease", "main/binary-amd64/Packages.diff/Index"]
        );
        assert_eq!(words(&found.settings.components), "main extra");
        assert_eq!(words(&found.settings.architectures), "amd64 riscv64");
        assert_eq!(found.packages().count(), 2);
    }

    #[test]
    fn all_is_an_architecture_where_devices_read_its_index() {
        let files = ["main/binary-all/Packages.gz", "main/binary-amd64/Packages"];
        let parse = |more: &str, files| {
            let found = parse(&format!("Components: main\n{more}"), files).unwrap();
            let architectures = words(&found.settings.architectures);
            (architectures, found.reads_all, found.packages().count())
        };
        assert_eq!(
            parse("Architectures: all amd64\n", &files),
            ("all amd64".to_owned(), true, 2)
        );
        assert_eq!(
            parse(
                "Architectures: all amd64\nNo-Support-for-Architecture-all: Packages\n",
                &files
            ),
            ("all amd64".to_owned(), false, 2)
        );
        let (architectures, ..) = parse("Architectures: amd64 all\n", &files[1..]);
        assert_eq!(architectures, "amd64");
        // Who asks for `all` goes on reading it, and nobody else begins to.
        assert_eq!(
            parse("Architectures: amd64\n", &files),
            ("amd64 all".to_owned(), false, 2)
        );
        let found = super::tests::parse("Components: main\nArchitectures: amd64\n", &files);
        let fields = found.unwrap().settings.fields;
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, to)| format!("{name}: {to}"))
            .collect();
        assert_eq!(fields, ["No-Support-for-Architecture-all: Packages"]);
    }

    #[test]
    fn a_component_may_have_several_segments() {
        let parse = |files: &[&str]| {
            let head = "Components: updates/main updates/extra\nArchitectures: amd64\n";
            let found = parse(head, files).unwrap();
            let view = ClientView::of_settings(&"stable".parse().unwrap(), &found.settings);
            assert_eq!(found.view.components, view.components);
            (words(&found.settings.components), found.packages().count())
        };
        let (own, installer) = (
            "updates/main/binary-amd64/Packages",
            "updates/main/debian-installer/binary-amd64/Packages",
        );
        let both = ("updates/main updates/extra".to_owned(), 1);
        assert_eq!(parse(&[own, installer]), both);
        // The folder is in the name of the suite.
        let own = "main/binary-amd64/Packages";
        assert_eq!(parse(&[own]), ("main updates/extra".to_owned(), 1));
        let all = [own, "extra/binary-amd64/Packages"];
        assert_eq!(parse(&all), ("main extra".to_owned(), 2));
    }

    #[test]
    fn empty_lines_around_a_release_do_not_matter() {
        let digest = Sha256::of(b"");
        let text = format!(
            "\n\r\nComponents: main\nArchitectures: amd64\nSHA256:\n {digest} 0 main/binary-amd64/Packages\n 7 odd\n\n\nOrigin: none\n"
        );
        let found = ForeignRelease::parse(&"stable".parse().unwrap(), text.as_bytes()).unwrap();
        assert_eq!(found.packages().count(), 1);
        assert_eq!(found.left_out, ["7 odd"]);
        assert_eq!(found.view.origin, None);
    }

    #[test]
    fn what_cannot_be_taken_over_is_refused() {
        let amd64 = &["main/binary-amd64/Packages"][..];
        assert!(matches!(
            parse("Components: a//b\nArchitectures: amd64\n", amd64),
            Err(ForeignError::Name(_))
        ));
        assert!(matches!(
            parse("Components: main\n", &[]),
            Err(ForeignError::NoPackages)
        ));
        assert!(matches!(
            parse("Suite: stable\n", &["Packages.gz"]),
            Err(ForeignError::Flat)
        ));
        // apt finds an index only by exactly its name and digest.
        let amd64 = "Components: main\nArchitectures: amd64\nSHA256:\n";
        let digest = Sha256::of(b"").to_string();
        for line in [
            format!("{digest} 7 ./main/binary-amd64/Packages"),
            format!("{} 7 main/binary-amd64/Packages", digest.to_uppercase()),
        ] {
            let text = format!("{amd64} {line}\n");
            let refused = ForeignRelease::parse(&"stable".parse().unwrap(), text.as_bytes());
            assert!(matches!(refused, Err(ForeignError::NoPackages)), "{line}");
        }
        let text = b"Suite: stable\nMD5Sum:\n 0 0 x\n";
        assert!(matches!(
            ForeignRelease::parse(&"stable".parse().unwrap(), text),
            Err(ForeignError::NoSha256)
        ));
    }
}
