//! `debucket suite delete`: takes a suite away for good.

use std::{
    collections::BTreeSet,
    io::{self, BufRead as _, IsTerminal as _},
};

use clap::Args;
use deb_index::name::SuiteName;
use jiff::Timestamp;
use repository::Deletion;
use serde::Serialize;

use crate::{
    authorship::authorship,
    change::ChangeOptions,
    context::Context,
    error::{Error, Role, list},
    printer::Report,
    text::bytes,
};

/// Delete a suite and its aliases for good, or what is left under a name that is no longer an alias
///
/// Devices find the whole suite until it is gone. From the beginning, nothing can be published into it. After an interruption, run the
/// same command again. The package files are left to `debucket gc`. It needs more rights than a publisher has:
/// `debucket client-config --policy deleter` prints them.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 failed; 2 usage, or not confirmed; 3 conflict, such as an alias in the way; 4 no such suite.

Examples:
  debucket suite delete testing --dry-run --repo s3://acme-apt
  debucket suite delete testing --yes --repo s3://acme-apt")]
pub(super) struct Delete {
    /// Name of the suite
    suite: SuiteName,
    /// Do not ask for the name again
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

/// The JSON document of `debucket suite delete`.
#[derive(Debug, Serialize)]
struct Document {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    suite: SuiteName,
    dry_run: bool,
    /// Whether the suite is gone.
    deleted: bool,
    /// From when on the name can be used again; null if it can be now, or in a dry run.
    reserved_until: Option<Timestamp>,
    /// Entries of its package indexes, a package for all architectures once for each; null if there is no suite any more.
    entries: Option<u64>,
    /// The aliases that are deleted with it.
    aliases: BTreeSet<SuiteName>,
    /// Objects that are deleted.
    objects: u64,
    /// Their size in bytes.
    bytes: u64,
}

impl Delete {
    pub(super) async fn run(mut self, context: &Context) -> Result<(), Error> {
        let name = self.suite.clone();
        self.change.set_default_message(format!("Delete {name}"));
        let keys = self.change.keys(&name)?;
        let repository = self.change.repository_as(Role::Deleter, context).await?;
        let suite = repository.suite(name, keys);
        let planned = suite.deletion(self.change.allow()).await?;
        if self.change.dry_run {
            let document = self.document(context, planned)?;
            return context.printer.result(&document);
        }
        self.confirm(context, &planned)?;
        let authorship = authorship(self.change.message.clone());
        let progress = crate::uploads::Progress::new(context, 0, false);
        context.set_goes_on();
        let deleted = suite.delete_all(planned, self.change.allow(), &authorship, &progress);
        let document = self.document(context, deleted.await?)?;
        context
            .printer
            .outcome(&document, || format!("suite {} was deleted", self.suite))
    }

    /// Asks for the name again, unless that was forgone.
    fn confirm(&self, context: &Context, planned: &Deletion) -> Result<(), Error> {
        if self.yes {
            return Ok(());
        }
        let unconfirmed = |text: &str| Err(Error::Usage(text.to_owned()));
        if !io::stdin().is_terminal() {
            return unconfirmed("deleting a suite has to be confirmed: pass --yes");
        }
        context.printer.note(&format!(
            "{}; type the name again to delete it: {}",
            what(planned),
            self.suite
        ));
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        if read.is_err() || line.trim() != self.suite.to_string() {
            return unconfirmed("the name was not typed again; nothing was deleted");
        }
        Ok(())
    }

    fn document(&self, context: &Context, deletion: Deletion) -> Result<Document, Error> {
        Ok(Document {
            repo: context.url()?.to_string(),
            suite: self.suite.clone(),
            dry_run: self.change.dry_run,
            deleted: !self.change.dry_run,
            reserved_until: deletion.reserved_until,
            entries: deletion.entries,
            objects: deletion.objects.objects,
            bytes: deletion.objects.bytes,
            aliases: deletion.aliases,
        })
    }
}

fn what(deletion: &Deletion) -> String {
    let objects = deletion.objects;
    let mut text = format!("{} objects ({})", objects.objects, bytes(objects.bytes));
    if let Some(entries) = deletion.entries {
        text.push_str(&format!(", {entries} entries in its indexes"));
    }
    text
}

impl Report for Document {
    fn text(&self) -> String {
        let would = if self.dry_run { "would be " } else { "" };
        let names = [&self.suite].into_iter().chain(&self.aliases);
        let names: Vec<_> = names.collect();
        let entries = self.entries.unwrap_or_default();
        let mut text = format!(
            "{would}deleted: {}\n{} objects ({}), {entries} entries of package indexes\n",
            list(&names),
            self.objects,
            bytes(self.bytes)
        );
        text.push_str(&format!(
            "devices of {} find nothing there any more: apt update fails\n",
            list(&names)
        ));
        if let Some(until) = self.reserved_until {
            text.push_str(&format!(
                "the name stays reserved until {until}, because an interrupted run may not have ended\n"
            ));
        }
        if self.dry_run {
            text.push_str("dry run: nothing was changed\n");
        }
        text
    }
}
