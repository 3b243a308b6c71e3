//! `debucket key list`: the keys that sign a suite.

use std::collections::HashSet;

use clap::Args;
use deb_index::{digest::Sha256, fingerprint::Fingerprint, name::SuiteName};
use jiff::Timestamp;
use repo_signing::{Certificate, Keyring, SignatureTime};
use repository::{Head, HeadSignatures};
use serde::Serialize;

use crate::{
    context::Context, error::Error, key_options::TrustOptions, printer::Report, text::Table,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done; 1 failed; 2 usage; 4 no such suite.

Example:
  debucket key list stable --keyring acme.asc --repo s3://acme-apt")]
pub(super) struct List {
    /// Name of the suite
    suite: SuiteName,
    #[command(flatten)]
    trust: TrustOptions,
}

/// The JSON document of `debucket key list`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// The repository, `s3://BUCKET[/PREFIX]`.
    repo: String,
    suite: &'a SuiteName,
    /// The commit that was read.
    commit: Sha256,
    /// Whether the suite's signature was checked with a key that was given. If not, the list is only what the store says.
    verified: bool,
    /// The certificates that sign the suite; empty for an unsigned suite.
    keys: Vec<Key>,
}

/// A certificate of a suite.
#[derive(Debug, Serialize)]
struct Key {
    /// Fingerprint of its primary key.
    fingerprint: Fingerprint,
    user_ids: Vec<String>,
    /// Whether one of its keys signed the head.
    signed_head: bool,
    /// Its keys that can sign, as devices have them.
    signing_keys: Vec<SigningKey>,
    /// The armored certificate.
    certificate: String,
}

/// A key of a certificate.
#[derive(Debug, Serialize)]
struct SigningKey {
    fingerprint: Fingerprint,
    signed_head: bool,
    /// When it expires; null if it does not, or cannot be used.
    expires: Option<Timestamp>,
    /// Why it cannot sign now; null if it can.
    problem: Option<String>,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let repo = context.url()?.to_string();
        let repository = context.repository().await?;
        let found = context.read_suite(&repository, self.suite, &self.trust);
        let (suite, head) = found.await?;
        context.printer.result(&Document {
            repo,
            suite: suite.name(),
            commit: head.id(),
            verified: matches!(head.signatures, HeadSignatures::By(_)),
            keys: keys(&head),
        })
    }
}

fn keys(head: &Head) -> Vec<Key> {
    let accepted = &head.commit.settings.signing_keys;
    let certificates: Vec<_> = accepted
        .iter()
        .map(|key| Certificate::from_bytes(key.certificate.as_bytes()).ok())
        .collect();
    let keyring: Keyring = certificates.iter().flatten().cloned().collect();
    let verified = keyring.verify_inrelease(&head.bytes);
    let signatures = verified.map(|verified| verified.signatures);
    let signed: HashSet<_> = signatures.iter().flatten().map(|by| by.key).collect();
    let now = head.store_time.unwrap_or(head.release.date);
    let now = SignatureTime::try_from(now.as_second()).ok();
    let time = |time: SignatureTime| Timestamp::from_second(time.seconds().into()).ok();
    let keys = accepted.iter().zip(certificates);
    keys.map(|(accepted, certificate)| {
        let signing_key = |&fingerprint: &Fingerprint| {
            let state = certificate.as_ref().zip(now);
            let state = state.map(|(certificate, now)| certificate.check(fingerprint, now));
            SigningKey {
                fingerprint,
                signed_head: signed.contains(&fingerprint),
                expires: state
                    .as_ref()
                    .and_then(|state| time(state.as_ref().ok()?.expires?)),
                problem: state.and_then(|state| Some(state.err()?.to_string())),
            }
        };
        let certificate = certificate.as_ref();
        Key {
            fingerprint: accepted.fingerprint,
            user_ids: certificate.map(Certificate::user_ids).unwrap_or_default(),
            signed_head: accepted.keys.iter().any(|key| signed.contains(key)),
            signing_keys: accepted.keys.iter().map(signing_key).collect(),
            certificate: accepted.certificate.clone(),
        }
    })
    .collect()
}

impl Report for Document<'_> {
    fn text(&self) -> String {
        if self.keys.is_empty() {
            return format!("suite {} is unsigned\n", self.suite);
        }
        let mut table = Table::default();
        for key in &self.keys {
            table.line([key.fingerprint.to_string(), key.user_ids.join(", ")]);
            for key in &key.signing_keys {
                let state = match (&key.problem, key.expires) {
                    (Some(problem), _) => problem.clone(),
                    (None, Some(time)) => format!("expires {time}"),
                    (None, None) => "does not expire".to_owned(),
                };
                let signed = if key.signed_head {
                    ", signed the head"
                } else {
                    ""
                };
                table.line([format!("  {}", key.fingerprint), format!("{state}{signed}")]);
            }
        }
        table.render()
    }
}
