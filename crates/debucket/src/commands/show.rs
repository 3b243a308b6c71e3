//! `debucket show`: what the index says about a package.

use std::collections::HashMap;

use clap::Args;
use deb_index::{
    change::Selector,
    name::Component,
    paragraph::{Field, Paragraph},
    version::Version,
};
use repository::Listed;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    context::Context,
    error::Error,
    source::{ReadFrom, SourceOptions},
};

/// Show all fields of a package
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 failed; 2 usage; 4 no such suite, package or version.

Examples:
  debucket show helloworld --repo s3://acme-apt
  debucket show helloworld=1.0 --repo s3://acme-apt")]
pub struct Show {
    /// Package: NAME, NAME=VERSION, NAME:ARCH or 'NAME (<< VERSION)', where NAME may be a glob
    #[arg(value_name = "PACKAGE")]
    package: Selector,
    /// Its version [default: the newest]
    #[arg(id = "of-version", value_name = "VERSION")]
    version: Option<Version>,
    /// Show all versions
    #[arg(long, short, conflicts_with = "of-version")]
    all_versions: bool,
    #[command(flatten)]
    source: SourceOptions,
}

/// The JSON document of `debucket show`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    from: ReadFrom<'a>,
    /// One for each architecture, and with `--all-versions` for each version.
    packages: Vec<Package<'a>>,
}

#[derive(Debug, Serialize)]
struct Package<'a> {
    component: &'a Component,
    package: &'a str,
    version: &'a str,
    architecture: &'a str,
    /// All fields of its stanza, under the names and in the order that they have there. A value of several lines keeps them.
    fields: Fields<'a>,
}

/// An object in the order of the stanza.
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

impl Show {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let is_exact = self.package.is_exact();
        if is_exact && (self.version.is_some() || self.all_versions) {
            let message = "give the version once, and not with --all-versions";
            return Err(Error::Usage(message.to_owned()));
        }
        let wanted = match self.version {
            None => self.package,
            version => self.package.in_version(version),
        };
        let repository = context.repository().await?;
        let (suite, list) = self.source.read(context, &repository).await?;
        let mut packages = suite.sorted(&list)?;
        let any_version = wanted.in_version(None);
        packages.retain(|package| any_version.matches(&package.component, &package.stanza));
        let there = versions(&packages);
        packages.retain(|package| wanted.matches(&package.component, &package.stanza));
        if packages.is_empty() {
            let has = if there.is_empty() { "" } else { "; it has " };
            return Err(Error::NotFound {
                suite: suite.name().clone(),
                what: format!("package {wanted}{has}{there}"),
                repository: None,
            });
        }
        if !self.all_versions && !wanted.is_exact() {
            // Sorted by version, so the newest of each name is the last.
            let newest = packages.iter().map(|package| package.stanza);
            let newest: HashMap<_, _> =
                newest.map(|stanza| (stanza.name, stanza.version)).collect();
            packages.retain(|package| newest[package.stanza.name] == package.stanza.version);
        }
        if !context.printer.is_json() {
            let stanzas = packages
                .iter()
                .map(|package| package.stanza.bytes.trim_ascii_end());
            let mut text = stanzas.collect::<Vec<_>>().join(&b"\n\n"[..]);
            text.push(b'\n');
            return context.printer.bytes(&text).map(drop);
        }
        let packages = packages.iter().map(|package| {
            let stanza = package.stanza;
            let key = format!("the stanza of {} {}", stanza.name, stanza.version);
            let damaged = |_| repository::Error::Damaged {
                suite: suite.name().clone(),
                key,
                problem: "is malformed",
            };
            let paragraph = Paragraph::parse(stanza.bytes).map_err(damaged)?;
            Ok(Package {
                component: &package.component,
                package: stanza.name,
                version: stanza.version,
                architecture: stanza.architecture,
                fields: Fields(paragraph.fields().to_vec()),
            })
        });
        context.printer.json(&Document {
            from: ReadFrom::new(context, &suite, list.id)?,
            packages: packages.collect::<Result<Vec<_>, Error>>()?,
        })
    }
}

/// Each version once.
fn versions(packages: &[Listed<'_>]) -> String {
    let mut versions: Vec<_> = packages
        .iter()
        .map(|package| package.stanza.version)
        .collect();
    versions.dedup();
    versions.join(", ")
}
