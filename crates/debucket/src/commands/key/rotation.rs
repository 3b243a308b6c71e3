//! `debucket key add`, `retire` and `reset`: the keys that sign a suite.
//!
//! Each key of a suite signs each of its heads, so that a device needs only one of them. A rotation adds the next key, waits until
//! the devices have it, and retires the old one: see `docs/keys.md`.

use clap::Args;
use deb_index::{
    change::{Edit, Intent, Retired, SettingsPatch},
    fingerprint::Fingerprint,
    name::SuiteName,
};
use repository::Keys;

use crate::{
    change::{ChangeOptions, Wanted},
    context::Context,
    error::Error,
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
        carry_out(context, self.suite, keys, patch, message, self.change).await
    }
}

async fn carry_out(
    context: &Context,
    suite: SuiteName,
    keys: Keys,
    patch: SettingsPatch,
    message: String,
    mut change: ChangeOptions,
) -> Result<(), Error> {
    change.set_default_message(message);
    let repository = change.repository(context).await?;
    let suite = repository.suite(suite, keys);
    let wanted = Wanted {
        intent: Intent(vec![Edit::Set(Box::new(patch))]),
        ..Wanted::default()
    };
    change.carry_out(context, &suite, wanted).await
}
