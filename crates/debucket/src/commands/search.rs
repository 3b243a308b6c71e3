//! `debucket search`: finds packages by name and description.

use std::collections::HashSet;

use clap::Args;
use deb_index::{name::Component, paragraph::Paragraph};
use repository::Listed;
use serde::Serialize;

use crate::{
    context::Context,
    error::Error,
    printer::Report,
    source::{ReadFrom, SourceOptions},
    text::Table,
};

/// Find packages by their names and descriptions
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, also where nothing matches; 1 failed; 2 usage; 4 no such suite, component or architecture.

Example:
  debucket search robot driver --repo s3://acme-apt")]
pub struct Search {
    /// Words to find in the name or the description, in upper or lower case; all of them must be there
    #[arg(value_name = "TEXT", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    source: SourceOptions,
}

/// The JSON document of `debucket search`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    from: ReadFrom<'a>,
    /// The newest version for each architecture, ordered by name.
    packages: Vec<Package<'a>>,
}

#[derive(Debug, Serialize)]
struct Package<'a> {
    component: &'a Component,
    package: &'a str,
    version: &'a str,
    architecture: &'a str,
    /// The first line of its description.
    synopsis: &'a str,
}

impl Search {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let repository = context.repository().await?;
        let (suite, list) = self.source.read(context, &repository).await?;
        let packages = suite.sorted(&list)?;
        let words: Vec<_> = self.words.iter().map(|word| word.to_lowercase()).collect();
        let matches = |package: &&Listed<'_>| {
            let paragraph = Paragraph::parse(package.stanza.bytes);
            let description = paragraph.ok().and_then(|fields| fields.get("Description"));
            let description = String::from_utf8_lossy(description.unwrap_or_default());
            let text = format!("{} {description}", package.stanza.name).to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let mut found: Vec<&Listed<'_>> = packages.iter().filter(matches).collect();
        // Sorted by name and version: of each name and architecture, the last is the newest.
        let mut seen = HashSet::new();
        found.reverse();
        found.retain(
            |Listed {
                 component, stanza, ..
             }| { seen.insert((component, stanza.name, stanza.architecture)) },
        );
        found.reverse();
        let packages = found.into_iter().map(|package| Package {
            component: &package.component,
            package: package.stanza.name,
            version: package.stanza.version,
            architecture: package.stanza.architecture,
            synopsis: package.stanza.field("Description").unwrap_or_default(),
        });
        context.printer.result(&Document {
            from: ReadFrom::new(context, &suite, list.id)?,
            packages: packages.collect(),
        })
    }
}

impl Report for Document<'_> {
    fn text(&self) -> String {
        let mut table = Table::default();
        for package in &self.packages {
            let cells = [
                package.package,
                package.version,
                package.architecture,
                package.synopsis,
            ];
            table.line(cells.map(ToOwned::to_owned));
        }
        table.render()
    }
}
