//! `debucket show`: what the index says about a package.

use std::cmp::Ordering;

use clap::Args;
use deb_index::{
    digest::Sha256,
    name::{Component, PackageName, SuiteName},
    paragraph::{Field, Paragraph},
    version::Version,
};
use repository::Listed;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{context::Context, error::Error, source::SourceOptions};

/// Show all fields of a package
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 failed; 2 usage; 4 no such suite, package or version.

Examples:
  debucket show helloworld --repo s3://acme-apt
  debucket show helloworld=1.0 --repo s3://acme-apt")]
pub struct Show {
    /// Name of the package, with or without its version
    #[arg(value_name = "PACKAGE[=VERSION]")]
    package: Wanted,
    /// Its version [default: the newest]
    #[arg(id = "of-version", value_name = "VERSION")]
    version: Option<Version>,
    /// Show all versions
    #[arg(long, short, conflicts_with = "of-version")]
    all_versions: bool,
    #[command(flatten)]
    source: SourceOptions,
}

/// `NAME` or `NAME=VERSION`.
#[derive(Debug, Clone)]
struct Wanted {
    name: PackageName,
    version: Option<Version>,
}

impl std::str::FromStr for Wanted {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version.parse()?)),
            None => (text, None),
        };
        Ok(Self {
            name: name.parse()?,
            version,
        })
    }
}

/// The JSON document of `debucket show`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    suite: &'a SuiteName,
    /// The commit that was read.
    commit: Sha256,
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
        let repo = context.url()?.to_string();
        let Wanted {
            name,
            version: exact,
        } = self.package;
        if exact.is_some() && (self.version.is_some() || self.all_versions) {
            let message = "give the version once, and not with --all-versions";
            return Err(Error::Usage(message.to_owned()));
        }
        let repository = context.repository().await?;
        let (suite, list) = self.source.read(context, &repository).await?;
        let mut packages = suite.sorted(&list)?;
        packages.retain(|package| package.stanza.name == name.as_str());
        let there = versions(&packages);
        // Sorted by version, so the newest is the last.
        let newest = || packages.last()?.stanza.version.parse().ok();
        let wanted: Option<Version> = exact.or(self.version).or_else(newest);
        if !self.all_versions {
            packages.retain(|package| is_version(package, wanted.as_ref()));
        }
        if packages.is_empty() {
            let suite = suite.name();
            return Err(Error::NotFound(match wanted {
                Some(version) if !there.is_empty() => {
                    format!("suite {suite} has no version {version} of {name}; it has {there}")
                }
                _ => format!("suite {suite} has no package {name}"),
            }));
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
            repo,
            suite: suite.name(),
            commit: list.id,
            packages: packages.collect::<Result<Vec<_>, Error>>()?,
        })
    }
}

/// Whether it is `wanted` as dpkg compares versions: `1.0` is `1.0-0`.
fn is_version(package: &Listed<'_>, wanted: Option<&Version>) -> bool {
    match (package.stanza.version.parse::<Version>(), wanted) {
        (Ok(version), Some(wanted)) => version.compare(wanted) == Ordering::Equal,
        _ => false,
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
