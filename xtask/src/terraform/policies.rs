//! The policies that Terraform rendered for one repository, and what they say to the requests that were recorded.
//!
//! The evaluation is that of the embedded server (`dev_s3::Policy`): a request is allowed if the policy of who asks, or that of
//! the bucket, allows it, and neither denies it; by way of an endpoint, if that one's policy allows it as well
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>).

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use dev_s3::{ConditionKey, Context, Effect, LoggedRequest, Operation, Policy, Question};
use serde_json::Value;

use crate::{apt_root, process};

/// What nobody who reads or publishes ever needs.
const FOREIGN: [&str; 17] = [
    "s3:BypassGovernanceRetention",
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObjectVersion",
    "s3:GetBucketPolicy",
    "s3:GetObjectVersion",
    "s3:ListAllMyBuckets",
    "s3:ListBucketVersions",
    "s3:PutBucketAcl",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutObjectAcl",
    "s3:PutReplicationConfiguration",
];

/// A repository that Terraform made room for.
pub(super) struct Policies {
    pub(super) bucket: String,
    /// Empty, or the folder without its slash.
    pub(super) prefix: String,
    pub(super) reader: Policy,
    pub(super) publisher: Policy,
    /// As JSON: the server reads it itself.
    pub(super) bucket_policy: String,
    of_bucket: Policy,
    of_endpoint: Policy,
    /// Whether publishers may come by way of the endpoint.
    publish_through_endpoint: bool,
}

/// A request as policies see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    action: &'static str,
    resource: String,
    context: Context,
}

impl Request {
    /// Those of the log that `access_key` signed, each once.
    pub(super) fn recorded(log: &[LoggedRequest], access_key: &str) -> Vec<Self> {
        let mut requests: Vec<Self> = Vec::new();
        let signed = log
            .iter()
            .map(|logged| &logged.request)
            .filter(|request| request.access_key.as_deref() == Some(access_key));
        for request in signed {
            let recorded = Self {
                action: request.action(),
                resource: request.resource(),
                // The server that they were recorded at speaks TLS.
                context: request
                    .context
                    .clone()
                    .with(ConditionKey::SecureTransport, "true"),
            };
            // Which keys these are, stands in the body; debucket removes nothing but what its probe has written.
            let these: Vec<_> = if request.operation == Operation::DeleteObjects {
                requests
                    .iter()
                    .filter(|written| written.resource.contains("/debucket-probe/"))
                    .map(|written| written.as_action("s3:DeleteObject"))
                    .collect()
            } else {
                vec![recorded]
            };
            for request in these {
                if !requests.contains(&request) {
                    requests.push(request);
                }
            }
        }
        requests
    }

    fn elsewhere(&self, from: &str, to: &str) -> Self {
        Self {
            resource: self.resource.replacen(from, to, 1),
            ..self.clone()
        }
    }

    fn as_action(&self, action: &'static str) -> Self {
        Self {
            action,
            context: Context::default().with(ConditionKey::SecureTransport, "true"),
            ..self.clone()
        }
    }

    fn unconditional(&self) -> Self {
        let context = self.context.clone();
        Self {
            context: context
                .without(ConditionKey::IfMatch)
                .without(ConditionKey::IfNoneMatch),
            ..self.clone()
        }
    }

    fn is_conditional(&self) -> bool {
        [ConditionKey::IfMatch, ConditionKey::IfNoneMatch]
            .iter()
            .any(|key| self.context.get(*key).is_some())
    }

    /// Whether the object is named by its digest, so that writing it again changes nothing.
    fn is_by_digest(&self) -> bool {
        self.resource.contains("/dists/")
            && ["/by-hash/", "/commits/"]
                .iter()
                .any(|folder| self.resource.contains(folder))
    }

    fn is_head(&self) -> bool {
        self.resource.contains("/dists/")
            && ["/InRelease", "/Release"]
                .iter()
                .any(|name| self.resource.ends_with(name))
    }
}

/// Numbers for the line that tells of them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    allowed: usize,
    denied: usize,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} recorded requests allowed, {} others denied",
            self.allowed, self.denied
        )
    }
}

impl Policies {
    /// Reads them from the outputs of a stack: `of` gives the output of a name.
    pub(super) fn read(repository: &str, of: impl Fn(&str) -> Result<String>) -> Result<Self> {
        let parse = |name: &str| -> Result<Policy> {
            let json = of(name)?;
            Policy::parse(&json).with_context(|| format!("{name} is not understood: {json}"))
        };
        let (bucket, prefix) = bucket_and_folder(repository)?;
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            reader: parse("reader_policy")?,
            publisher: parse("publisher_policy")?,
            bucket_policy: of("bucket_policy")?,
            of_bucket: parse("bucket_policy")?,
            of_endpoint: parse("endpoint_policy")?,
            publish_through_endpoint: of("endpoint_policy")?.contains("s3:PutObject"),
        })
    }

    /// Fails unless `reader_policy`, `publisher_policy` and `collector_policy` are what `debucket` prints, but for the rights on the KMS key.
    pub(super) fn compare(
        repository: &str,
        debucket: &Path,
        of: impl Fn(&str) -> Result<String>,
    ) -> Result<()> {
        for role in ["reader", "publisher", "collector"] {
            let mut command = Command::new(debucket);
            apt_root::isolate(&mut command);
            let outcome = process::run(command.args([
                "client-config",
                "--repo",
                repository,
                "--policy",
                role,
            ]))?
            .success()?;
            let printed: Value = serde_json::from_str(&outcome.stdout)?;
            let mut rendered: Value = serde_json::from_str(&of(&format!("{role}_policy"))?)?;
            if let Some(statements) = rendered["Statement"].as_array_mut() {
                statements.retain(|statement| statement["Sid"] != "UseKey");
            }
            ensure!(
                printed == rendered,
                "the {role} policy of the module apt-repository differs from that of crates/debucket/src/iam.rs\n\
                 debucket:  {printed}\nterraform: {rendered}"
            );
        }
        Ok(())
    }

    fn allows(&self, identity: &Policy, request: &Request) -> bool {
        let question = question(request);
        let answers = [
            identity.of_key(question),
            self.of_bucket.of_bucket(question),
        ];
        answers.contains(&Some(Effect::Allow)) && !answers.contains(&Some(Effect::Deny))
    }

    fn passes_endpoint(&self, request: &Request) -> bool {
        self.of_endpoint.of_bucket(question(request)) == Some(Effect::Allow)
    }

    /// Everything that was recorded is allowed, and nothing else that one could make of it.
    pub(super) fn judge(&self, reader: &[Request], publisher: &[Request]) -> Result<Tally> {
        let mut tally = Tally::default();
        for (role, identity, requests) in [
            ("reader", &self.reader, reader),
            ("publisher", &self.publisher, publisher),
        ] {
            ensure!(!requests.is_empty(), "nothing of the {role} was recorded");
            for request in requests {
                ensure!(
                    self.allows(identity, request),
                    "the {role} policy denies what a {role} needs: {request:?}"
                );
                let may_pass = role == "reader"
                    || self.publish_through_endpoint
                    || ["s3:GetObject", "s3:ListBucket"].contains(&request.action);
                ensure!(
                    self.passes_endpoint(request) == may_pass,
                    "the endpoint's policy is wrong for a {role}'s {request:?}"
                );
                tally.allowed += 1;
                for (what, other) in self.variants(request) {
                    ensure!(
                        !self.allows(identity, &other),
                        "the {role} policy allows {what}: {other:?}"
                    );
                    tally.denied += 1;
                }
                let foreign = request.elsewhere(&self.bucket, &format!("{}-2", self.bucket));
                ensure!(
                    !self.passes_endpoint(&foreign),
                    "the endpoint leads to another bucket: {foreign:?}"
                );
                tally.denied += 1;
            }
        }
        for request in publisher
            .iter()
            .filter(|request| request.action != "s3:GetObject")
        {
            ensure!(
                !self.allows(&self.reader, request),
                "the reader policy allows {request:?}"
            );
            tally.denied += 1;
            // Whoever asks, also one who may do everything else.
            if request.is_head() && request.action == "s3:PutObject" {
                ensure!(
                    self.of_bucket.of_bucket(question(&request.unconditional()))
                        == Some(Effect::Deny),
                    "the bucket's policy lets a head be overwritten: {request:?}"
                );
                tally.denied += 1;
            }
        }
        Ok(tally)
    }

    /// What one could make of a request that is allowed, and none of which may be.
    fn variants(&self, request: &Request) -> Vec<(&'static str, Request)> {
        let mut variants = vec![
            (
                "the same in another bucket",
                request.elsewhere(&self.bucket, &format!("{}-2", self.bucket)),
            ),
            (
                "the same without TLS",
                Request {
                    context: request
                        .context
                        .clone()
                        .with(ConditionKey::SecureTransport, "false"),
                    ..request.clone()
                },
            ),
        ];
        if !self.prefix.is_empty() && request.action != "s3:ListBucket" {
            let from = format!("/{}/", self.prefix);
            variants.push((
                "the same in another folder",
                request.elsewhere(&from, "/other/"),
            ));
        }
        if let Some(prefix) = request.context.get(ConditionKey::Prefix)
            && !self.prefix.is_empty()
        {
            let other = prefix.replacen(&self.prefix, "other", 1);
            variants.push((
                "listing another folder",
                Request {
                    context: request.context.clone().with(ConditionKey::Prefix, other),
                    ..request.clone()
                },
            ));
        }
        if request.is_conditional() && !request.is_by_digest() {
            variants.push(("a write without its condition", request.unconditional()));
        }
        if request.resource.contains("/pool/") && request.is_conditional() {
            let update = request.unconditional();
            variants.push((
                "replacing a package",
                Request {
                    context: update.context.with(ConditionKey::IfMatch, "\"etag\""),
                    ..request.clone()
                },
            ));
        }
        if !request.resource.contains("/debucket-probe/") {
            variants.push(("deleting it", request.as_action("s3:DeleteObject")));
        }
        variants.extend(
            FOREIGN
                .iter()
                .map(|action| ("what is not its business", request.as_action(action))),
        );
        variants
    }

    /// Who is of the organization may read, and only that; nobody else may, without a policy of their own.
    pub(super) fn judge_organization(&self, id: &str, reader: &[Request]) -> Result<usize> {
        let nothing = Policy::parse(r#"{"Statement": []}"#)?;
        let mut asked = 0;
        for request in reader {
            let of = |organization: &str| Request {
                context: request
                    .context
                    .clone()
                    .with(ConditionKey::PrincipalOrgId, organization),
                ..request.clone()
            };
            ensure!(
                self.allows(&nothing, &of(id)),
                "an account of the organization may not read: {request:?}"
            );
            for denied in [
                of("o-another000"),
                request.clone(),
                Request {
                    action: "s3:PutObject",
                    ..of(id)
                },
                of(id).elsewhere(&format!("/{}/", self.prefix), "/other/"),
            ] {
                ensure!(
                    !self.allows(&nothing, &denied),
                    "the bucket's policy allows {denied:?}"
                );
            }
            asked += 5;
        }
        Ok(asked)
    }
}

/// What `s3://BUCKET[/FOLDER]` names; no folder is an empty one.
pub(super) fn bucket_and_folder(repository: &str) -> Result<(&str, &str)> {
    let location = repository
        .strip_prefix("s3://")
        .with_context(|| format!("{repository} is no address of a repository"))?;
    Ok(location.split_once('/').unwrap_or((location, "")))
}

fn question(request: &Request) -> Question<'_> {
    Question {
        who: Some("somebody"),
        action: request.action,
        resource: &request.resource,
        context: &request.context,
    }
}
