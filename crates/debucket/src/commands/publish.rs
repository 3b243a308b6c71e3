//! `debucket publish`: packages into a suite, as one commit.

use std::path::PathBuf;

use clap::Args;
use deb_index::{
    change::{Edit, Intent, SettingsPatch},
    name::{Architecture, Component},
    suite::settings::{FieldName, Line},
};
use repository::{Keys, PackageFile};

use crate::{
    change::{ChangeOptions, Wanted, new_suite},
    context::Context,
    error::Error,
    inputs,
    store_options::SuiteOption,
};

/// Add packages to a suite
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
    /// Component to publish into
    #[arg(long, default_value = "main")]
    component: Component,
    /// All architectures of the suite [default: amd64, arm64 and those of its packages]
    #[arg(long, value_name = "ARCH", value_delimiter = ',')]
    architectures: Option<Vec<Architecture>>,
    /// Replace another build of the same version
    #[arg(long)]
    replace: bool,
    /// Origin of the suite, for pinning
    #[arg(long)]
    origin: Option<Line>,
    /// Label of the suite, for pinning
    #[arg(long)]
    label: Option<Line>,
    /// Description of the suite
    #[arg(long)]
    description: Option<Line>,
    // Last: the heading of flattened options would apply to what follows them.
    #[command(flatten)]
    suite: SuiteOption,
    #[command(flatten)]
    change: ChangeOptions,
}

impl Publish {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        context.url()?;
        let (files, warnings) = inputs::describe_all(&self.paths, &self.component).await?;
        for warning in &warnings {
            context.printer.warn(warning);
        }
        let name = self.suite.name()?;
        let keys = self.change.keys(&name)?;
        let intent = self.intent(&files, &keys);
        let repository = self.change.repository(context).await?;
        let suite = repository.suite(name, keys);
        let wanted = Wanted {
            intent,
            files,
            warnings,
            ..Wanted::default()
        };
        self.change.carry_out(context, &suite, wanted).await
    }

    fn intent(&self, files: &[PackageFile], keys: &Keys) -> Intent {
        let fields = [
            ("Origin", &self.origin),
            ("Label", &self.label),
            ("Description", &self.description),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| {
            let name = FieldName::try_from(name.to_owned()).ok()?;
            value.is_some().then(|| (name, value.clone()))
        });
        let patch = SettingsPatch {
            fields: fields.collect(),
            architectures: self.architectures.clone(),
            ..SettingsPatch::default()
        };
        let additions = files.iter().map(|file| Edit::Add {
            stanza: file.stanza.clone(),
            replace: self.replace,
        });
        let edits = [Edit::Exist(new_suite(keys)), Edit::Set(patch)];
        Intent(edits.into_iter().chain(additions).collect())
    }
}
