//! `debucket publish`: packages into a suite, as one commit.

use std::path::PathBuf;

use clap::Args;
use deb_index::{
    name::{Architecture, Component},
    plan::Intent,
    settings::{Description, Line},
};

use crate::{
    authorship,
    cli::OutputOptions,
    error::Error,
    inputs,
    options::{StoreOptions, SuiteOption, WriteOptions},
    output::publish as output,
    progress::Progress,
    publish::Publication,
    signing_options::SigningOptions,
};

/// Arguments of `debucket publish`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 not found.

Examples:
  debucket publish build/*.deb --repo s3://acme-apt --sign-key key.asc
  debucket publish hello_1.0_amd64.deb --repo s3://acme-apt/robots --suite testing --dry-run")]
pub struct Publish {
    /// Packages: .deb files, folders (their .deb files), or globs
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The component
    #[arg(long, default_value = "main")]
    component: Component,
    /// All architectures of the suite [default: amd64, arm64 and those of its packages]
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    architectures: Option<Vec<Architecture>>,
    /// Put another build of a version in the place of the one that is there
    #[arg(long)]
    replace: bool,
    /// Why, for the history
    #[arg(long, short, default_value = "")]
    message: String,
    /// Show what would be done, and write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Publish into a store without conditional writes; you vouch that nobody else publishes
    /// meanwhile
    #[arg(long)]
    single_writer: bool,
    /// Origin of the suite, for pinning
    #[arg(long)]
    origin: Option<Line>,
    /// Label of the suite
    #[arg(long)]
    label: Option<Line>,
    /// Description of the suite
    #[arg(long)]
    description: Option<Line>,
    // Behind the others: the heading of what is flattened would hold for what follows it.
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    signing: SigningOptions,
    #[command(flatten)]
    write: WriteOptions,
}

impl Publish {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn run(self, store: &StoreOptions, output: &OutputOptions) -> Result<(), Error> {
        let url = store.url()?;
        let files = inputs::describe_all(&self.paths, &self.component).await?;
        let suite = self.suite.suite;
        let signing = self.signing.signing(&suite)?;
        let storage = store.open_for_writing(&self.write).await?;
        let mut publication = Publication {
            storage: storage.as_ref(),
            suite: &suite,
            signing: &signing,
            files,
            intent: Intent {
                replace: self.replace,
                architectures: self.architectures,
                description: Description {
                    origin: self.origin,
                    label: self.label,
                    description: self.description,
                },
                single_writer: self.single_writer,
                ..Intent::default()
            },
            by: authorship::by(self.message),
        };
        let preview = publication.preview().await?;
        if self.dry_run {
            return output::preview(output, &url, &suite, &publication.files, &preview);
        }
        let all = publication.files.clone();
        let progress = Progress::new(output, &preview.plan);
        let published = publication
            .publish(preview, |file| progress.of(file))
            .await?;
        progress.finish();
        output::published(output, &url, &suite, &all, &published)
    }
}
