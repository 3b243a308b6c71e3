//! `debucket promote`: packages of one suite into another. Their files in the pool are shared, not copied.

use clap::Args;
use deb_index::{
    change::{Edit, Intent, Selector},
    name::{Component, SuiteName},
};

use crate::{
    change::{ChangeOptions, Wanted, new_suite},
    context::Context,
    error::Error,
};

/// Add packages of one suite to another
///
/// Both suites then name the same files in the pool: nothing is sent again.
#[derive(Debug, Args)]
#[command(
    visible_alias = "copy",
    after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 no such suite, or no such package.

Examples:
  debucket promote helloworld=1.0 --from testing --to stable --repo s3://acme-apt
  debucket promote --all --from testing --to stable --mirror --repo s3://acme-apt --dry-run"
)]
pub struct Promote {
    /// Packages: NAME, NAME=VERSION, NAME:ARCH or 'NAME (<< VERSION)', where NAME may be a glob
    #[arg(value_name = "PACKAGE", required_unless_present = "all")]
    packages: Vec<Selector>,
    /// All packages of the suite
    #[arg(long, conflicts_with = "packages")]
    all: bool,
    /// Suite to read
    #[arg(long, value_name = "SUITE")]
    from: SuiteName,
    /// Suite to add to; a new one is created
    #[arg(long, value_name = "SUITE")]
    to: SuiteName,
    /// Only from this component
    #[arg(long)]
    component: Option<Component>,
    /// Component to add to [default: the one that each package is in]
    #[arg(long, value_name = "COMPONENT")]
    to_component: Option<Component>,
    /// Also remove what the source does not have
    #[arg(long)]
    mirror: bool,
    /// Replace another build of the same version
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

impl Promote {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        if self.from == self.to && self.to_component.is_none() {
            return Err(Error::Usage("--from and --to are the same suite".into()));
        }
        if self.mirror && !self.all {
            return Err(Error::Usage("--mirror goes with --all".into()));
        }
        let keys = self.change.keys(&self.to)?;
        let repository = self.change.repository(context).await?;
        let source = repository.suite(self.from.clone(), keys.for_reading());
        let mut of = self.packages;
        if self.all {
            of.push(Selector::all(None));
        }
        for selector in &mut of {
            selector.component.clone_from(&self.component);
        }
        let copies = source.copies(&of, self.to_component.as_ref()).await?;
        context.warn_of(&source, &copies.head);
        let components = &copies.head.commit.settings.components;
        if let Some(component) = self
            .component
            .as_ref()
            .filter(|own| !components.contains(own))
        {
            return Err(Error::NotFound(format!(
                "suite {} has no component {component}",
                self.from
            )));
        }
        if !copies.unmatched.is_empty() && !self.all {
            let unmatched = copies.unmatched.join(", ");
            return Err(Error::NotFound(format!(
                "suite {} has no package {unmatched}",
                self.from
            )));
        }
        let mut settings = new_suite(&keys);
        let theirs = &copies.head.commit.settings;
        settings.architectures.clone_from(&theirs.architectures);
        let formats = theirs
            .known_formats()
            .map(|format| format.extension().to_owned());
        settings.formats = formats.collect();
        match &self.to_component {
            Some(component) => settings.components.push(component.clone()),
            None => settings.components.clone_from(&theirs.components),
        }
        let mut edits = vec![Edit::Exist(settings)];
        let stanzas = copies.stanzas.iter();
        let except = stanzas.map(|stanza| (stanza.id.component.clone(), stanza.sha256));
        let except = except.collect();
        edits.extend(copies.stanzas.into_iter().map(|stanza| Edit::Add {
            stanza,
            replace: self.replace,
        }));
        if self.mirror {
            let component = self.to_component.or(self.component);
            edits.push(Edit::Remove {
                of: Selector::all(component),
                except,
            });
        }
        let suite = repository.suite(self.to, keys);
        let wanted = Wanted {
            intent: Intent(edits),
            allow_missing: true,
            ..Wanted::default()
        };
        self.change.carry_out(context, &suite, wanted).await
    }
}
