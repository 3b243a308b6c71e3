//! `debucket key add`, `retire` and `reset`: the keys that sign a suite.
//!
//! Each key of a suite signs each of its heads, so that a device needs only one of them. A rotation adds the next key, waits until
//! the devices have it, and retires the old one: see `docs/keys.md`.

use clap::Args;
use deb_index::{
    change::{Edit, Intent, Retired, SettingsPatch},
    digest::Sha256,
    fingerprint::Fingerprint,
    name::SuiteName,
};
use repository::{Depth, Keys, Part, Remedy, RepairOptions, Suite};
use serde::Serialize;

use crate::{
    authorship::authorship,
    change::{ChangeOptions, Wanted},
    context::Context,
    error::Error,
    printer::Report,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 no such suite.

Example:
  debucket key add stable 7C0A94DA778FF31D0658528505CF487437401BFA --sign-key old.asc --sign-key new.asc")]
pub(super) struct Add {
    /// Name of the suite
    suite: SuiteName,
    /// Fingerprint of the key to add, which is one of those given with --sign-key
    fingerprint: Fingerprint,
    #[command(flatten)]
    change: ChangeOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 failed; 2 usage; 3 conflict; 4 no such suite, or it is not signed by this key.

Example:
  debucket key retire stable 15BC6A2F1B6BFE2C2E2A7B4C5D6E7F8091A2B3C4 --sign-key new.asc")]
pub(super) struct Retire {
    /// Name of the suite
    suite: SuiteName,
    /// Fingerprint of the key to take out; its secret is not needed
    fingerprint: Fingerprint,
    #[command(flatten)]
    change: ChangeOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Devices refuse the suite until they get a new certificate by another way.

Exit codes: 0 done, or nothing to do; 1 failed; 2 usage; 3 conflict; 4 no such suite.

Example:
  debucket key reset stable --i-lost-the-keys-of stable --keyring old.pub.asc --sign-key new.asc")]
pub(super) struct Reset {
    /// Name of the suite
    suite: SuiteName,
    /// The suite's name again: devices that have only its old keys will refuse it
    #[arg(long, value_name = "SUITE")]
    i_lost_the_keys_of: SuiteName,
    /// Where the head is lost too: bring the newest commit back, although no signature by a key in --keyring vouches for it.
    /// Anyone who can write to the bucket could have made it
    #[arg(long)]
    accept_unproven: bool,
    /// Commit that the lost head is to name again, where it is not known which one it named
    #[arg(long, value_name = "COMMIT", requires = "accept_unproven")]
    commit: Option<Sha256>,
    #[command(flatten)]
    change: ChangeOptions,
}

impl Add {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let keys = self.change.keys(&self.suite)?;
        let given = keys.certificates().into_iter();
        let accept_keys: Vec<_> = given
            .filter(|key| key.fingerprint == self.fingerprint)
            .collect();
        if accept_keys.is_empty() {
            return Err(Error::Usage(format!(
                "the key {} was not given: pass its secret with --sign-key, beside those that the suite has",
                self.fingerprint
            )));
        }
        let patch = SettingsPatch {
            accept_keys,
            ..SettingsPatch::default()
        };
        let message = format!("Sign with the key {} too", self.fingerprint);
        carry_out(context, self.suite, keys, patch, message, self.change).await
    }
}

impl Retire {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let keys = self.change.keys(&self.suite)?;
        let repository = self.change.repository(context).await?;
        let head = repository.suite(self.suite.clone(), keys.for_reading());
        let head = head.existing_head().await?;
        if !head.commit.settings.accepts(&self.fingerprint) {
            return Err(Error::NoKey {
                suite: self.suite,
                key: self.fingerprint,
            });
        }
        let patch = SettingsPatch {
            retire_keys: Retired::These(vec![self.fingerprint]),
            ..SettingsPatch::default()
        };
        let message = format!("Sign without the key {}", self.fingerprint);
        carry_out(context, self.suite, keys, patch, message, self.change).await
    }
}

impl Reset {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        if self.i_lost_the_keys_of != self.suite {
            return Err(Error::Usage(format!(
                "--i-lost-the-keys-of names suite {}, and not {}",
                self.i_lost_the_keys_of, self.suite
            )));
        }
        let keys = match self.change.keys(&self.suite)? {
            Keys::Sign { signers, further } => Keys::Replace {
                signers,
                old: further,
            },
            other => other,
        };
        if let Keys::Replace { old, .. } = &keys
            && old.certificates.is_empty()
        {
            context.printer.warn(
                "the suite is believed as it is: with the old certificate (--keyring) its signature would be checked",
            );
        }
        let patch = SettingsPatch {
            accept_keys: keys.certificates(),
            retire_keys: Retired::Others,
            ..SettingsPatch::default()
        };
        let message = "Sign with new keys instead of lost ones".to_owned();
        let repository = self.change.repository(context).await?;
        let suite = repository.suite(self.suite.clone(), keys);
        let restored = match self.bring_back(context, &suite, &message).await? {
            Some(restoration) if self.change.dry_run => {
                return context.printer.outcome(&restoration, || restoration.text());
            }
            Some(_) => {
                context.printer.warn(NEW_KEYS);
                Some(NEW_KEYS)
            }
            None => None,
        };
        change(context, &suite, patch, message, restored, self.change).await
    }

    /// Brings a lost head back, which the new keys then sign. `None` if it was not lost.
    async fn bring_back(
        &self,
        context: &Context,
        suite: &Suite<'_>,
        message: &str,
    ) -> Result<Option<Restoration>, Error> {
        let lost = match suite.existing_head().await {
            Ok(_) => return Ok(None),
            Err(error @ repository::Error::Storage(_)) => return Err(error.into()),
            Err(error) => error,
        };
        let repository = suite.repository();
        let suites = std::slice::from_ref(suite);
        let found = repository.verify(suites, Depth::Listing).await?;
        let problems = found.iter().flat_map(|found| &found.problems);
        let mut problems = problems.filter(|it| matches!(it.part, Part::Head | Part::Commit));
        let Some(problem) = problems.next() else {
            return Err(lost.into());
        };
        match problem.remedy {
            Remedy::Repair => {}
            Remedy::RepairUnproven if self.accept_unproven => {}
            Remedy::NameCommit if self.commit.is_some() => {}
            Remedy::NameCommit => return Err(Error::NameCommit(problem.to_string())),
            Remedy::RepairUnproven => {
                return Err(Error::ResetUnproven(suite.name().clone()));
            }
            _ => return Err(lost.into()),
        }
        let restoration = Restoration {
            repo: repository.url().to_string(),
            suite: suite.name().clone(),
            dry_run: self.change.dry_run,
            changed: true,
            problem: problem.to_string(),
            warnings: [NEW_KEYS],
        };
        if self.change.dry_run {
            return Ok(Some(restoration));
        }
        let options = RepairOptions {
            unproven: self.accept_unproven,
            commit: self.commit,
            authorship: authorship(message.to_owned()),
        };
        repository.repair(suites, &found, &options).await?;
        suite.existing_head().await?;
        context
            .printer
            .note("the head was lost: it was brought back, and is signed by the new keys");
        Ok(Some(restoration))
    }
}

/// What devices notice of a head that comes back with other keys.
const NEW_KEYS: &str = "devices refuse the suite until they have the certificate of its new keys";

/// A lost head that would be brought back: until then there is nothing to plan a change on.
#[derive(Debug, Serialize)]
struct Restoration {
    repo: String,
    suite: SuiteName,
    dry_run: bool,
    changed: bool,
    /// Why the head cannot be used.
    problem: String,
    warnings: [&'static str; 1],
}

impl Report for Restoration {
    fn text(&self) -> String {
        format!(
            "{}: the head of suite {} in {} would be brought back, and signed by the new keys\n{NEW_KEYS}\n\
             nothing was written in this dry run\n",
            self.problem, self.suite, self.repo
        )
    }
}

async fn carry_out(
    context: &Context,
    suite: SuiteName,
    keys: Keys,
    patch: SettingsPatch,
    message: String,
    options: ChangeOptions,
) -> Result<(), Error> {
    let repository = options.repository(context).await?;
    let suite = repository.suite(suite, keys);
    change(context, &suite, patch, message, None, options).await
}

async fn change(
    context: &Context,
    suite: &Suite<'_>,
    patch: SettingsPatch,
    message: String,
    restored: Option<&'static str>,
    mut options: ChangeOptions,
) -> Result<(), Error> {
    options.set_default_message(message);
    let wanted = Wanted {
        intent: Intent(vec![Edit::Set(Box::new(patch))]),
        restored,
        ..Wanted::default()
    };
    options.carry_out(context, suite, wanted).await
}
