//! `debucket promote`: packages of one suite into another. Within a repository both name the same files in the pool; from another
//! repository the files are copied.

use clap::Args;
use deb_index::{
    change::{Edit, Intent, Phasing, Selector},
    name::{Component, SuiteName},
    phase::Percentage,
    suite::settings::Settings,
};
use repository::{Copies, Head, Keys, Repository, RepositoryUrl, Suite};

use super::phase::warning as zero_warning;
use crate::{
    change::{ChangeOptions, Wanted},
    context::Context,
    error::{Error, not_found},
    key_options::SourceTrust,
};

/// Add packages of one suite to another
///
/// Both suites then name the same files in the pool: nothing is sent again. From another repository (--from-repo) the files are
/// copied, by the store where it can.
#[derive(Debug, Args)]
#[command(
    visible_alias = "copy",
    after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 no such suite, or no such package.

Examples:
  debucket promote helloworld=1.0 --from testing --to stable --repo s3://acme-apt
  debucket promote --all --from testing --to stable --mirror --repo s3://acme-apt --dry-run
  debucket promote --all --from-repo s3://acme-staging --from beta --to stable --repo s3://acme-apt"
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
    /// Give the packages that are added to this percentage of the devices only (Phased-Update-Percentage) [default: all, whatever
    /// it is in the suite that they come from]
    #[arg(long, value_name = "PERCENT")]
    phase: Option<Percentage>,
    /// Add versions again that were taken back (phase --halt)
    #[arg(long)]
    undo_halt: bool,
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    change: ChangeOptions,
}

/// Where the suite to read is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source")]
struct SourceOptions {
    /// Repository of the suite to read, s3://BUCKET[/PREFIX] [default: that of --repo]
    #[arg(long, value_name = "URL")]
    from_repo: Option<RepositoryUrl>,
    /// AWS profile that reads it [default: that of --profile]
    #[arg(long, value_name = "PROFILE", requires = "from_repo")]
    from_profile: Option<String>,
    /// URL of its S3-compatible store [default: that of --endpoint-url]
    #[arg(long, value_name = "URL", requires = "from_repo")]
    from_endpoint_url: Option<String>,
    #[command(flatten)]
    trust: SourceTrust,
}

impl SourceOptions {
    /// The repository of the suite to read; none if it is the one that is changed.
    async fn repository(&self, context: &Context) -> Result<Option<Repository>, Error> {
        let store = &context.store;
        let theirs = store.with(self.from_profile.as_ref(), self.from_endpoint_url.as_ref());
        let is_other_store =
            self.from_endpoint_url.is_some() && self.from_endpoint_url != store.endpoint();
        let own = context.url()?;
        let url = self.from_repo.as_ref();
        let url = url.filter(|url| **url != own || is_other_store);
        context.set_source(&theirs, url.is_some());
        match url {
            Some(url) => Ok(Some(context.other_repository(url, &theirs).await?)),
            None => Ok(None),
        }
    }
}

impl Promote {
    pub(crate) async fn run(mut self, context: &Context) -> Result<(), Error> {
        if self.mirror && !self.all {
            return Err(Error::Usage("--mirror goes with --all".into()));
        }
        let keys = self.change.keys(&self.to)?;
        let repository = self.change.repository(context).await?;
        let other = self.source.repository(context).await?;
        let source_keys = self.change.source_keys(&self.source.trust, &keys)?;
        let from = other.as_ref().unwrap_or(&repository);
        let source = from.suite(self.from.clone(), source_keys);
        let from_unsigned = self.source.trust.from_unsigned;
        let elsewhere = other.as_ref().and(self.source.from_repo.as_ref());
        let elsewhere = elsewhere.map(ToString::to_string);
        let unusable = |error| match error {
            Error::Repository(repository::Error::NotChecked { suite }) if from_unsigned => {
                Error::SourceIsSigned(suite)
            }
            Error::Repository(error) => from.unusable(error).into(),
            Error::NotFound { suite, what, .. } => Error::NotFound {
                suite,
                what,
                repository: elsewhere.clone(),
            },
            error => error,
        };
        let resolved = source.resolved().await;
        let (source, head) = resolved.map_err(|error| unusable(error.into()))?;
        if other.is_none() && *source.name() == self.to && self.to_component.is_none() {
            return Err(Error::Usage("--from and --to are the same suite".into()));
        }
        let copies = self.copies(context, &source, head).await;
        let Copies {
            head, mut stanzas, ..
        } = copies.map_err(unusable)?;
        let new_suite = self.new_suite(&keys, &head.commit.settings);
        // Its commit may be as large as an index.
        drop(head);
        let files = match &other {
            Some(_) => source.files_to_copy(&stanzas),
            None => {
                source.require_files(&stanzas).await?;
                Vec::new()
            }
        };
        let mut edits = vec![Edit::Exist(new_suite.into())];
        let except = self.mirror.then(|| {
            let files = stanzas.iter();
            let files = files.map(|stanza| (stanza.id.component.clone(), stanza.sha256));
            files.collect()
        });
        for (stanza, file) in stanzas.iter_mut().zip(&files) {
            *stanza = file.stanza.clone();
        }
        let phase = self.phase.map(|percentage| Edit::Phase {
            of: stanzas.iter().map(|stanza| stanza.id.clone()).collect(),
            percentage,
            only: Phasing::Added,
        });
        edits.extend(stanzas.into_iter().map(|stanza| Edit::Add {
            stanza,
            replace: self.replace,
        }));
        edits.extend(phase);
        if !self.undo_halt {
            edits.push(Edit::RespectHalts);
        }
        if let Some(except) = except {
            let component = self.to_component.or(self.component);
            edits.push(Edit::Remove {
                of: Selector::all(component),
                except,
            });
        }
        let zero = self.phase.and_then(|phase| zero_warning(context, phase));
        let suite = repository.suite(self.to, keys);
        let wanted = Wanted {
            intent: Intent(edits),
            warnings: zero.into_iter().collect(),
            files,
            allow_missing: true,
            restored: None,
            phase: self.phase,
        };
        self.change.carry_out(context, &suite, wanted).await
    }

    /// The packages to add, as the source has them.
    async fn copies(
        &mut self,
        context: &Context,
        source: &Suite<'_>,
        head: Head,
    ) -> Result<Copies, Error> {
        let mut of = std::mem::take(&mut self.packages);
        if self.all {
            of.push(Selector::all(None));
        }
        for selector in &mut of {
            selector.component.clone_from(&self.component);
        }
        let component = self.to_component.as_ref();
        let read = source.reading(head, async |head| {
            source.copies(head.clone(), &of, component).await
        });
        let (_, copies) = read.await?;
        context.warn_of(source, &copies.head);
        let components = &copies.head.commit.settings.components;
        let component = self.component.as_ref();
        if let Some(component) = component.filter(|own| !components.contains(own)) {
            return Err(Error::NotFound {
                suite: self.from.clone(),
                what: format!("component {component}"),
                repository: None,
            });
        }
        if !copies.unmatched.is_empty() && !self.all {
            return Err(not_found(&self.from, &copies.unmatched));
        }
        Ok(copies)
    }

    /// The settings of the suite to add to, if it has to be created.
    fn new_suite(&self, keys: &Keys, theirs: &Settings) -> Settings {
        let mut settings = Settings::of_new_suite(keys.certificates());
        settings.architectures.clone_from(&theirs.architectures);
        let formats = theirs
            .known_formats()
            .map(|format| format.extension().to_owned());
        settings.formats = formats.collect();
        match &self.to_component {
            Some(component) => settings.components.push(component.clone()),
            None => settings.components.clone_from(&theirs.components),
        }
        settings
    }
}
