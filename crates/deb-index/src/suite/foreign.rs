//! `Release` of a suite that another program made, read in order to take the suite over.
//!
//! What devices compare stays as it is: the fields become settings, whose `Release` reads the same to apt. Of the files that are
//! listed, the forms of one index are put together: those of `Packages`, and of any other index whose plain form is listed. Any
//! other file is an index of its own, without further forms.
//!
//! Left out are differences between old states of an index (`Packages.diff`), which no longer lead to the next one, and what no
//! commit can name.

use std::{collections::BTreeMap, num::NonZeroU32, str::FromStr};

use jiff::{Timestamp, fmt::rfc2822};

use crate::{
    change::client_view::ClientView,
    index::IndexPath,
    name::{Architecture, Component, NameError, SuiteName},
    paragraph::{Paragraph, ParagraphError},
    suite::{
        commit::Stored,
        release,
        settings::{FieldName, Line, Settings},
    },
};

/// Extensions of compressed forms, whether this program reads them or not.
const EXTENSIONS: [&str; 6] = ["gz", "xz", "zst", "bz2", "lzma", "lz4"];
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
}

/// The forms of an index that a `Release` lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForeignIndex {
    pub plain: Option<Stored>,
    /// By extension.
    pub files: BTreeMap<String, Stored>,
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
        Ok(Self {
            date: date(&release, "Date"),
            by_hash: is_set("Acquire-By-Hash", "yes"),
            reads_all: lists_all && !is_set("No-Support-for-Architecture-all", "Packages"),
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

/// The indexes that `SHA256` lists, and the files that are none.
fn indexes(listed: &str) -> (BTreeMap<IndexPath, ForeignIndex>, Vec<String>) {
    let file = |line| {
        let mut words = str::split_ascii_whitespace(line);
        let (sha256, size, path) = (words.next()?, words.next()?, words.next()?);
        let stored = Stored {
            size: size.parse().ok()?,
            sha256: sha256.parse().ok()?,
            rest: Default::default(),
        };
        Some((path, stored))
    };
    let mut files = BTreeMap::new();
    let mut left_out = Vec::new();
    for line in listed.lines().filter(|line| !line.trim().is_empty()) {
        match file(line) {
            Some((path, stored)) => drop(files.insert(path, stored)),
            None => left_out.push(line.trim().to_owned()),
        }
    }
    let mut indexes = BTreeMap::<IndexPath, ForeignIndex>::new();
    for (path, stored) in &files {
        let form = path.rsplit_once('.').filter(|(base, extension)| {
            let is_packages = *base == "Packages" || base.ends_with("/Packages");
            EXTENSIONS.contains(extension) && (is_packages || files.contains_key(base))
        });
        let index = form.map_or(*path, |(base, _)| base);
        let is_difference = path
            .split('/')
            .any(|segment| segment.ends_with(".diff") || segment == "by-hash");
        let Some(index) = index.parse().ok().filter(|_| !is_difference) else {
            left_out.push((*path).to_owned());
            continue;
        };
        let index = indexes.entry(index).or_default();
        match form {
            Some((_, extension)) => {
                index.files.insert(extension.to_owned(), stored.clone());
            }
            None => index.plain = Some(stored.clone()),
        }
    }
    (indexes, left_out)
}

/// The name by which devices ask for a component that `Release` spells with a folder in front, as the archive of Debian's security
/// updates did: apt takes `updates/main` for `main`, too. None if the indexes are where the full name says.
fn as_asked_for<'n>(
    component: &'n str,
    indexes: &BTreeMap<IndexPath, ForeignIndex>,
) -> Option<&'n str> {
    let (_, own) = component.rsplit_once('/')?;
    let has_index = |name: &str| {
        let mut packages = indexes.keys().filter_map(IndexPath::as_packages);
        packages.any(|(component, _)| component.as_str() == name)
    };
    (!has_index(component) && has_index(own)).then_some(own)
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
        // An index for all that no device reads stays as it is.
        if !architecture.is_all() && !settings.architectures.contains(&architecture) {
            settings.architectures.push(architecture);
        }
    }
    if !indexes.keys().any(|path| settings.packages(path).is_some()) {
        return Err(ForeignError::NoPackages);
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
        assert_eq!(
            parse("Architectures: amd64\n", &files),
            ("amd64".to_owned(), false, 1)
        );
        let (architectures, ..) = parse("Architectures: amd64 all\n", &files[1..]);
        assert_eq!(architectures, "amd64");
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
