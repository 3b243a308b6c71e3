//! The result of `debucket show`.

use deb_index::{
    digest::Sha256,
    name::{Component, SuiteName},
    paragraph::{Field, Paragraph},
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    catalogue,
    cli::{OutputFormat, OutputOptions},
    error::Error,
    output,
    repository::RepositoryUrl,
    snapshot::Head,
};

/// The JSON document of `debucket show`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    /// The suite.
    suite: &'a SuiteName,
    /// The commit that was read.
    commit: Sha256,
    /// The packages that were asked for: one for each architecture, and with `--all-versions` for
    /// each version.
    packages: Vec<Package<'a>>,
}

/// A package.
#[derive(Debug, Serialize)]
struct Package<'a> {
    /// Its component.
    component: &'a Component,
    /// Its name.
    package: &'a str,
    /// Its version.
    version: &'a str,
    /// Its architecture.
    architecture: &'a str,
    /// All fields of its stanza under the names and in the order that they have there. A value of
    /// several lines keeps them.
    fields: Fields<'a>,
}

/// An object, ordered as the stanza is.
#[derive(Debug)]
struct Fields<'a>(Vec<Field<'a>>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for field in &self.0 {
            map.serialize_entry(field.name, &String::from_utf8_lossy(field.value))?;
        }
        map.end()
    }
}

/// Shows packages: for people, their stanzas byte for byte.
///
/// # Errors
/// Those of writing; [`Error::Damaged`] for a stanza that is none.
pub fn packages(
    output: &OutputOptions,
    url: &RepositoryUrl,
    suite: &SuiteName,
    head: &Head,
    packages: &[catalogue::Package<'_>],
) -> Result<(), Error> {
    if output.output == OutputFormat::Human {
        let stanzas = packages
            .iter()
            .map(|package| package.entry.stanza.trim_ascii_end());
        let mut text = stanzas.collect::<Vec<_>>().join(&b"\n\n"[..]);
        text.push(b'\n');
        return output::text(text).map(|_| ());
    }
    let parsed = packages.iter().map(|package| {
        let entry = package.entry;
        let paragraph = Paragraph::parse(entry.stanza).map_err(|error| Error::Damaged {
            suite: suite.clone(),
            reason: format!("the stanza of {} {}: {error}", entry.package, entry.version),
        })?;
        Ok(Package {
            component: package.component,
            package: entry.package,
            version: entry.version,
            architecture: entry.architecture,
            fields: Fields(paragraph.fields().to_vec()),
        })
    });
    let packages = parsed.collect::<Result<Vec<_>, Error>>()?;
    output::json(&Document {
        repo: url.to_string(),
        suite,
        commit: head.id,
        packages,
    })
}
