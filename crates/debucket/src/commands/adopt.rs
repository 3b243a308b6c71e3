//! `debucket adopt`: takes over a suite that another program made, in place.

use clap::Args;
use deb_index::{
    change::client_view::ViewChange,
    digest::Sha256,
    fingerprint::Fingerprint,
    index::IndexPath,
    name::SuiteName,
    suite::{inspection::Damage, settings::Settings},
};
use jiff::Timestamp;
use repository::{Accept, Adoption, Outcome, Takeover};
use serde::Serialize;

use crate::{
    authorship::authorship,
    change::{ChangeOptions, stale_followers},
    context::Context,
    error::Error,
    printer::Report,
    settings_text,
    text::short,
    uploads::Progress,
};

/// Take over a suite that deb-s3, aptly, reprepro or another tool made
///
/// The suite stays where it is: no package is moved, no stanza is changed, and devices go on as before. Its indexes and the
/// sizes of the packages that they name are checked, and the first commit is written. Stop the other tool first.
///
/// A signed suite must be signed by a key in --keyring or by the signing key. If the signing key is another one than before,
/// install it on the devices first, then pass --adopt-signing-key.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed, or something is broken; 2 usage; 3 conflict, such as \
another program that changed the suite meanwhile; 4 no such suite.

Examples:
  debucket adopt stable --repo s3://acme-apt --sign-key key.asc --dry-run
  debucket adopt stable --repo s3://acme-apt --sign-key new.asc --keyring old.asc --adopt-signing-key")]
pub struct Adopt {
    /// Suite to take over
    suite: SuiteName,
    /// Take over a suite that is not signed, or by an unknown key
    #[arg(long)]
    unverified: bool,
    /// Leave out packages whose stanzas or files are broken
    #[arg(long)]
    accept_damage: bool,
    #[command(flatten)]
    change: ChangeOptions,
}

/// The JSON document of `debucket adopt`.
#[derive(Debug, Serialize)]
struct AdoptReport {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    suite: SuiteName,
    /// Whether nothing was written because only the plan was asked for.
    dry_run: bool,
    /// Whether the suite was taken over, or would be.
    changed: bool,
    /// The first commit, or the one that was there. Null if none was written.
    commit: Option<Sha256>,
    /// The `Date` of the suite's `Release`. Null if none was written.
    date: Option<Timestamp>,
    /// Number of packages in the suite, each counted once.
    packages: usize,
    /// `Packages` indexes that are written anew; all others keep their bytes.
    rewritten: Vec<IndexPath>,
    /// Packages whose `Filename` did not name the key of their file, and now does.
    corrected: Vec<String>,
    /// Indexes of other kinds, which stay as they are.
    carried_over: Vec<IndexPath>,
    /// Files that the old `Release` lists and the new one does not.
    left_out: Vec<String>,
    /// What is broken. Packages among it are left out if that was accepted.
    damage: Vec<Damage>,
    /// What devices notice, or have to accept.
    client_changes: Vec<ViewChange>,
    /// The suite's settings from here on. Null if there was nothing to do.
    settings: Option<Settings>,
    /// What did not go well, though the command succeeded.
    warnings: Vec<String>,
}

impl Adopt {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Error> {
        let keys = self.change.keys(&self.suite)?;
        let repository = self.change.repository(context).await?;
        let suite = repository.suite(self.suite, keys);
        let accept = Accept {
            unverified: self.unverified,
            damage: self.accept_damage,
        };
        let mut report = AdoptReport {
            repo: repository.url().to_string(),
            suite: suite.name().clone(),
            dry_run: self.change.dry_run,
            changed: false,
            commit: None,
            date: None,
            packages: 0,
            rewritten: Vec::new(),
            corrected: Vec::new(),
            carried_over: Vec::new(),
            left_out: Vec::new(),
            damage: Vec::new(),
            client_changes: Vec::new(),
            settings: None,
            warnings: Vec::new(),
        };
        let takeover = match suite.adoption(accept, self.change.allow()).await? {
            Adoption::Ours(head) => {
                report.commit = Some(head.id());
                report.date = Some(head.release.date);
                return report.print(context);
            }
            Adoption::Foreign(takeover) => takeover,
        };
        report.found(&takeover);
        context.warn_of_all(&suite, &takeover.warnings);
        for key in takeover.begins_to_sign() {
            let warning = begins_to_sign(suite.name(), key);
            context.printer.warn(&warning);
            report.warnings.push(warning);
        }
        if let Err(refusal) = takeover.check() {
            report.print(context)?;
            return Err(refusal.into());
        }
        report.changed = true;
        if !self.change.dry_run {
            let progress = Progress::new(context, 0, false);
            let by = authorship(self.change.message);
            let published = takeover.commit(&by, &progress).await?;
            drop(progress);
            if let Outcome::Committed(committed) = &published.outcome {
                report.commit = Some(committed.id);
                report.date = Some(committed.commit.time);
                report.settings = Some(committed.commit.settings.clone());
            }
            let stale = stale_followers(context, suite.name(), &published);
            report.warnings.extend(stale);
        }
        report.print(context)
    }
}

impl AdoptReport {
    fn print(&self, context: &Context) -> Result<(), Error> {
        context.printer.outcome(self, || match &self.commit {
            Some(id) => format!("suite {} is at commit {}", self.suite, short(id)),
            None => "nothing was written".to_owned(),
        })
    }
}

impl AdoptReport {
    fn found(&mut self, takeover: &Takeover<'_>) {
        self.packages = takeover.packages;
        self.rewritten = takeover.rewritten().cloned().collect();
        self.corrected = takeover.corrected.iter().cloned().collect();
        self.carried_over.clone_from(&takeover.carried_over);
        self.left_out.clone_from(&takeover.left_out);
        self.damage.clone_from(&takeover.damage);
        self.client_changes = takeover.view_changes().to_vec();
        self.settings = Some(takeover.settings());
        let warnings = takeover.warnings.iter().map(ToString::to_string);
        self.warnings.extend(warnings);
    }

    fn conclusion(&self) -> String {
        let Self { repo, suite, .. } = self;
        let id = self.commit.as_ref().map(short).unwrap_or_default();
        match (self.changed, self.dry_run, &self.settings) {
            (true, true, _) => "dry run: nothing was written\n".to_owned(),
            (true, false, _) => format!("took over suite {suite} in {repo}: commit {id}\n"),
            (false, _, Some(_)) => format!("suite {suite} in {repo} was not taken over\n"),
            (false, _, None) => {
                format!("nothing to do: debucket keeps suite {suite} in {repo} (commit {id})\n")
            }
        }
    }
}

/// The key may come from a variable that is set for other suites.
fn begins_to_sign(suite: &SuiteName, key: Fingerprint) -> String {
    format!(
        "suite {suite} is not signed: from now on, the key {key} signs it, which devices then need; with --unsigned, it stays as it is"
    )
}

impl Report for AdoptReport {
    fn text(&self) -> String {
        let mut text = String::new();
        if self.dry_run
            && let Some(settings) = &self.settings
        {
            for change in settings_text::changes(None, settings) {
                text.push_str(&format!("{}\n", change.line()));
            }
        }
        if self.settings.is_some() {
            text.push_str(&format!("packages: {}\n", self.packages));
        }
        for (word, paths) in [
            ("written anew", &self.rewritten),
            ("carried over", &self.carried_over),
        ] {
            for path in paths {
                text.push_str(&format!("{word}: {path}\n"));
            }
        }
        for (word, names) in [
            ("file name corrected", &self.corrected),
            ("left out", &self.left_out),
        ] {
            for name in names {
                text.push_str(&format!("{word}: {name}\n"));
            }
        }
        for damage in &self.damage {
            text.push_str(&format!("broken: {damage}\n"));
        }
        for change in &self.client_changes {
            let effect = change.effect();
            text.push_str(&format!("devices notice: {change} ({effect})\n"));
        }
        text.push_str(&self.conclusion());
        text
    }
}
