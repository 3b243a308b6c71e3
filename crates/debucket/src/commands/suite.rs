//! `debucket suite`: creates and deletes suites, and shows and changes their settings.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    str::FromStr,
};

use clap::{Args, Subcommand, builder::BoolishValueParser};
use deb_index::{
    change::{Edit, Intent, SettingsPatch},
    index::compression::Format,
    name::{Architecture, Component, SuiteName},
    suite::{
        release,
        settings::{FieldName, Line, Settings},
    },
};
use jiff::Timestamp;
use repository::{Folder, Repository};
use serde::Serialize;

use crate::{
    change::{ChangeOptions, Wanted},
    context::Context,
    duration::Span,
    error::Error,
    key_options::TrustOptions,
    printer::Report,
    settings_text,
    source::ReadFrom,
};

mod delete;

/// Create and delete suites, show and change their settings
#[derive(Debug, Args)]
pub struct Suite {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create an empty suite
    Create(Change),
    /// Change settings of a suite
    Set(Change),
    /// Show the settings of a suite
    Show(Show),
    /// List the suites of the repository
    List,
    Delete(delete::Delete),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict, such as a suite that exists with other settings; 4 no such suite.

Examples:
  debucket suite create testing --origin Acme --components main,extra --repo s3://acme-apt
  debucket suite set stable --valid-for 14d --keep 3 --field NotAutomatic=yes --repo s3://acme-apt
  debucket suite create trixie --alias stable --field Suite=stable --repo s3://acme-apt")]
struct Change {
    /// Name of the suite
    suite: SuiteName,
    #[command(flatten)]
    settings: SettingsOptions,
    #[command(flatten)]
    change: ChangeOptions,
}

/// Settings of a suite.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
struct SettingsOptions {
    /// Origin, for pinning; an empty text removes it, here and below
    #[arg(long, value_name = "TEXT")]
    origin: Option<OptionalLine>,
    /// Label, for pinning
    #[arg(long, value_name = "TEXT")]
    label: Option<OptionalLine>,
    /// Codename [default: the suite's name]
    #[arg(long, value_name = "TEXT")]
    codename: Option<OptionalLine>,
    /// Another name under which devices find the suite, such as stable for trixie; can be repeated
    #[arg(long = "alias", value_name = "NAME")]
    aliases: Vec<SuiteName>,
    /// Name that is no longer an alias of the suite; what it shows stays as it is until another suite takes it
    #[arg(long = "no-alias", value_name = "NAME")]
    dropped_aliases: Vec<SuiteName>,
    /// Version of the release
    #[arg(long, value_name = "TEXT")]
    release_version: Option<OptionalLine>,
    /// Description
    #[arg(long, value_name = "TEXT")]
    description: Option<OptionalLine>,
    /// Another field of Release, such as NotAutomatic=yes, or Suite=stable where that is an alias; can be repeated
    #[arg(long = "field", value_name = "NAME=TEXT")]
    fields: Vec<Field>,
    /// Components to add
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    components: Vec<Component>,
    /// A component to take out, with its packages; can be repeated, and needs --allow-release-info-change
    #[arg(long, value_name = "NAME")]
    remove_component: Vec<Component>,
    /// All architectures of the suite; the packages of one that is left out leave the suite, which needs
    /// --allow-release-info-change
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    architectures: Option<Vec<Architecture>>,
    /// Forms of the indexes: gz, xz, zst
    #[arg(long, value_name = "FORMAT", value_delimiter = ',')]
    formats: Option<Vec<Format>>,
    /// How many versions of a package each publish leaves in the suite; “all” for no limit
    #[arg(long, value_name = "NUMBER|all")]
    keep: Option<Limit<NonZeroU32>>,
    /// How long devices accept the suite after it was last signed (Valid-Until), such as 14d; “all” for no limit
    #[arg(long, value_name = "SPAN|all")]
    valid_for: Option<Limit<Span>>,
    /// Name the suite's keys in Release (Signed-By): apt then expects one of them of the next Release, while the suite is valid
    /// (--valid-for) and unless the device's sources name a key
    #[arg(long, value_name = "yes|no", value_parser = BoolishValueParser::new())]
    signed_by: Option<bool>,
}

/// A line, or nothing for an empty text.
#[derive(Debug, Clone)]
struct OptionalLine(Option<Line>);

impl FromStr for OptionalLine {
    type Err = <Line as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let line = (!text.is_empty()).then(|| text.parse()).transpose();
        line.map(Self)
    }
}

/// A field of `Release` and its value.
#[derive(Debug, Clone)]
struct Field(FieldName, OptionalLine);

impl FromStr for Field {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=TEXT")?;
        if release::is_computed(name) {
            return Err(format!("{name} follows from the suite and cannot be set").into());
        }
        Ok(Self(name.to_owned().try_into()?, value.parse()?))
    }
}

/// A limit that may be lifted.
#[derive(Debug, Clone, Copy)]
struct Limit<T>(Option<T>);

impl<T: FromStr> FromStr for Limit<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text {
            "all" | "none" => Ok(Self(None)),
            _ => text.parse().map(|limit| Self(Some(limit))),
        }
    }
}

#[derive(Debug, Args)]
struct Show {
    /// Name of the suite
    suite: SuiteName,
    #[command(flatten)]
    trust: TrustOptions,
}

impl Suite {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        match self.action {
            Action::Create(change) => change.run(context, true).await,
            Action::Set(change) => change.run(context, false).await,
            Action::Show(show) => show.run(context).await,
            Action::List => {
                let repository = context.repository().await?;
                Suites::read(context.url()?.to_string(), &repository)
                    .await?
                    .print(context)
            }
            Action::Delete(delete) => delete.run(context).await,
        }
    }
}

impl Change {
    async fn run(self, context: &Context, creates: bool) -> Result<(), Error> {
        self.check(creates)?;
        let keys = self.change.keys(&self.suite)?;
        let repository = self.change.repository(context).await?;
        let new = Settings::of_new_suite(keys.certificates());
        let suite = repository.suite(self.suite, keys);
        let mut edits = vec![Edit::Set(Box::new(self.settings.patch()?))];
        if creates {
            let mut settings = new;
            if settings.components.is_empty() {
                settings.components.push(Component::main());
            }
            edits.splice(0..0, [Edit::New, Edit::Exist(settings.into())]);
        }
        let wanted = Wanted {
            intent: Intent(edits),
            ..Wanted::default()
        };
        self.change.carry_out(context, &suite, wanted).await
    }
}

impl Change {
    /// Fails if the options contradict each other.
    fn check(&self, creates: bool) -> Result<(), Error> {
        let SettingsOptions {
            aliases,
            dropped_aliases,
            components,
            remove_component,
            ..
        } = &self.settings;
        let usage = |text| Err(Error::Usage(text));
        if creates && !(dropped_aliases.is_empty() && remove_component.is_empty()) {
            return usage(
                "--no-alias and --remove-component do not apply to a new suite".to_owned(),
            );
        }
        if let Some(name) = aliases.iter().find(|name| **name == self.suite) {
            return usage(format!("{name} is the suite's own name, not an alias"));
        }
        if let Some(name) = aliases.iter().find(|name| dropped_aliases.contains(name)) {
            return usage(format!("{name} is given to both --alias and --no-alias"));
        }
        if let Some(name) = components
            .iter()
            .find(|name| remove_component.contains(name))
        {
            return usage(format!(
                "the component {name} cannot both be added and removed"
            ));
        }
        Ok(())
    }
}

impl SettingsOptions {
    fn patch(self) -> Result<SettingsPatch, Error> {
        let own = [
            ("Origin", self.origin),
            ("Label", self.label),
            ("Codename", self.codename),
            ("Version", self.release_version),
            ("Description", self.description),
        ];
        let own = own.into_iter().filter_map(|(name, value)| {
            let name = FieldName::try_from(name.to_owned()).ok()?;
            value.map(|value| Field(name, value))
        });
        let mut fields = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for Field(name, OptionalLine(line)) in own.chain(self.fields) {
            if !seen.insert(name.to_string().to_ascii_lowercase()) {
                return Err(Error::Usage(format!(
                    "the field {name} is given twice (names of fields that differ in case only are the same)"
                )));
            }
            fields.insert(name, line);
        }
        Ok(SettingsPatch {
            fields,
            add_aliases: self.aliases.into_iter().collect(),
            drop_aliases: self.dropped_aliases.into_iter().collect(),
            components: self.components,
            remove_components: self.remove_component,
            architectures: self.architectures,
            drops_architectures: true,
            formats: self.formats,
            keep_versions: self.keep.map(|Limit(keep)| keep),
            signed_by: self.signed_by,
            valid_seconds: self.valid_for.map(|Limit(span)| span.map(|span| span.0)),
            ..SettingsPatch::default()
        })
    }
}

/// The JSON document of `debucket suite show`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    from: ReadFrom<'a>,
    /// The `Date` of the suite's `Release`.
    date: Timestamp,
    /// From when on devices refuse the suite as outdated; null if they never do.
    valid_until: Option<Timestamp>,
    settings: &'a Settings,
}

impl Show {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let repository = context.repository().await?;
        let found = context.read_suite(&repository, self.suite, &self.trust);
        let (suite, head) = found.await?;
        context.printer.result(&Document {
            from: ReadFrom::new(context, &suite, head.id())?,
            date: head.release.date,
            valid_until: release::valid_until(&head.commit),
            settings: &head.commit.settings,
        })
    }
}

impl Report for Document<'_> {
    fn text(&self) -> String {
        let mut text = format!(
            "suite: {}\ncommit: {}\ndate: {}\n",
            self.from.suite, self.from.commit, self.date
        );
        if let Some(time) = self.valid_until {
            text.push_str(&format!("valid until: {time}\n"));
        }
        for change in settings_text::changes(None, self.settings) {
            text.push_str(&format!("{}\n", change.line()));
        }
        text
    }
}

/// The JSON document of `debucket suite list`.
#[derive(Debug, Serialize)]
pub(super) struct Suites {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    pub(super) repo: String,
    /// In alphabetical order.
    pub(super) suites: Vec<SuiteName>,
    /// By alias: the suite that has it.
    pub(super) aliases: BTreeMap<SuiteName, SuiteName>,
    /// By name: the suite that had it as an alias, and which devices of that name find as it was then.
    dropped_aliases: BTreeMap<SuiteName, SuiteName>,
    /// Suites of other programs.
    foreign: Vec<SuiteName>,
}

impl Suites {
    pub(super) async fn read(repo: String, repository: &Repository) -> Result<Self, Error> {
        let mut found = Self {
            repo,
            suites: Vec::new(),
            aliases: BTreeMap::new(),
            dropped_aliases: BTreeMap::new(),
            foreign: Vec::new(),
        };
        for (name, folder) in repository.folders().await? {
            match folder? {
                Folder::Suite { has_head: true } => found.suites.push(name),
                Folder::Foreign => found.foreign.push(name),
                Folder::Alias(suite) => {
                    let aliases = match repository.has_alias(&suite, &name).await {
                        Ok(false) => &mut found.dropped_aliases,
                        // A head that cannot be read is told by whatever reads it.
                        Ok(true) | Err(_) => &mut found.aliases,
                    };
                    aliases.insert(name, suite);
                }
                Folder::Suite { has_head: false }
                | Folder::Deleting
                | Folder::Reserved(_)
                | Folder::Deleted
                | Folder::Remains => {}
            }
        }
        Ok(found)
    }

    pub(super) fn print(&self, context: &Context) -> Result<(), Error> {
        if self.text().is_empty() {
            context.printer.note(&format!(
                "there is no suite yet in {}; `debucket publish FILE --suite NAME` makes one, and so does `debucket suite create NAME`",
                self.repo
            ));
        }
        for suite in &self.foreign {
            let note = format!("`debucket adopt {suite}` takes {suite} over in place");
            context.printer.note(&note);
        }
        context.printer.result(self)
    }
}

impl Report for Suites {
    fn text(&self) -> String {
        let mut text = String::new();
        for suite in &self.suites {
            text.push_str(&format!("{suite}\n"));
        }
        for (alias, suite) in &self.aliases {
            text.push_str(&format!("{alias} -> {suite}\n"));
        }
        for (alias, suite) in &self.dropped_aliases {
            text.push_str(&format!("{alias} (was an alias of {suite})\n"));
        }
        for suite in &self.foreign {
            text.push_str(&format!("{suite} (of another program)\n"));
        }
        text
    }
}
