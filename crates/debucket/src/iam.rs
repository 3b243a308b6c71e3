//! The least rights that devices and publishers need, as policies of
//! [AWS IAM](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html).
//!
//! A device reads objects and nothing else. (Without `s3:ListBucket` a missing object reads as
//! forbidden; our acquire method knows that.)
//!
//! A publisher may write each kind of object only on the condition that it sends with it
//! ([how S3 says so](https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html)):
//! a package is created and never replaced; a head, its followers and the records of succession are
//! created, or replaced if they are still the ones that were read; only what is named by its digest is written whatever is
//! there. So the same rights in another tool's hands overwrite nothing. The parts of a large
//! package carry no condition, but its completion, which makes the object, does.
//!
//! It lists too, since it must tell a missing suite from one that it may not read: S3
//! answers 404 for a missing object only to those who may list the bucket. The condition on the
//! listed prefix has to be one that holds where a request names no prefix, as the reading of an
//! object does, hence `StringLikeIfExists`; so a publisher can learn the names of other keys in the
//! bucket, but nothing more of them. It deletes nothing but the few objects with which it
//! tries, before the first commit of a suite, whether the store honours conditional writes.
//!
//! To promote from another repository, a publisher of this one also needs a reader's rights on that: in its own policy and, if the
//! bucket is another account's, in the bucket's. Without them the objects are read with other credentials, and sent.
//!
//! A collector (`debucket gc`) reads and lists as a publisher does, and deletes what can become garbage: packages, indexes by
//! hash, commits, and the records of what took their place. It can neither publish nor delete a head. The record of what it is
//! going to delete (`gc/`) is changed by publishers too, to keep what they use.
//!
//! A deleter (`debucket suite delete`) closes a suite as a publisher does, and deletes what is below `dists/`.
//!
//! The Terraform module `apt-repository` has the same statements; `cargo xtask terraform` compares
//! them. A store that does not know these conditions refuses the policy when it is set.

use std::collections::BTreeMap;

use serde::Serialize;

use repository::RepositoryUrl;

use crate::error::Role;

/// Package files.
const POOL: &str = "pool/";
/// Heads, `suite.json`, followers, records of succession, indexes and commits.
const DISTS: &str = "dists/";
/// Folder of the record of what a collector is going to delete.
const GC: &str = "gc/";
/// Folder of the objects that a probe of the store leaves and removes.
pub(crate) const PROBE_FOLDER: &str = "debucket-probe/";
/// The folders of a repository.
pub(crate) const FOLDERS: [&str; 3] = [DISTS, POOL, GC];

/// Something that a role may do. Its policy is made of these, and `debucket doctor` tries each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant {
    sid: &'static str,
    /// Name of the check that tries it.
    pub(crate) check: &'static str,
    pub(crate) may: May,
    /// Where. A `*` stands for any part of a key.
    pub(crate) folders: &'static [&'static str],
}

/// What may be done with objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    Read,
    List,
    Create,
    Replace,
    /// Whatever is there.
    Write,
    /// Requests that make no object: the beginning of an upload, and its parts.
    UploadParts,
    AbortUpload,
    Delete,
}

const fn grant(
    sid: &'static str,
    check: &'static str,
    may: May,
    folders: &'static [&'static str],
) -> Grant {
    Grant {
        sid,
        check,
        may,
        folders,
    }
}

const READ: Grant = grant("ReadRepository", "read", May::Read, &[""]);
const LIST: Grant = grant("ListRepository", "list", May::List, &[""]);
const CREATE: Grant = grant(
    "CreateObjects",
    "create",
    May::Create,
    &[POOL, DISTS, PROBE_FOLDER],
);
const REPLACE: Grant = grant(
    "ReplaceObjects",
    "replace",
    May::Replace,
    &[DISTS, GC, PROBE_FOLDER],
);
const BY_DIGEST: Grant = grant(
    "WriteByDigest",
    "write-by-digest",
    May::Write,
    &["dists/*/by-hash/", "dists/*/commits/"],
);
const UPLOAD: Grant = grant("UploadParts", "upload-in-parts", May::UploadParts, &[POOL]);
const ABORT: Grant = grant("AbortUpload", "upload-in-parts", May::AbortUpload, &[POOL]);
const REMOVE_PROBE: Grant = grant("RemoveProbe", "delete", May::Delete, &[PROBE_FOLDER]);
const CREATE_RECORD: Grant = grant("CreateRecord", "record", May::Create, &[GC]);
const REPLACE_RECORD: Grant = grant("ReplaceRecord", "record", May::Replace, &[GC]);
/// What can become garbage.
const GARBAGE: Grant = grant(
    "DeleteGarbage",
    "delete",
    May::Delete,
    &[
        POOL,
        "dists/*/by-hash/",
        "dists/*/commits/",
        "dists/*/succession/",
    ],
);
const DELETE_SUITES: Grant = grant("DeleteSuites", "delete-suites", May::Delete, &[DISTS]);

/// What a role may do.
pub(crate) fn grants(role: Role) -> &'static [Grant] {
    /// The last two are a deleter's only.
    const COMMITS: [Grant; 10] = [
        READ,
        CREATE,
        REPLACE,
        BY_DIGEST,
        UPLOAD,
        ABORT,
        REMOVE_PROBE,
        LIST,
        CREATE_RECORD,
        DELETE_SUITES,
    ];
    match role {
        Role::Reader => &[READ],
        Role::Publisher => &COMMITS[..COMMITS.len() - 2],
        Role::Collector => &[READ, CREATE_RECORD, REPLACE_RECORD, GARBAGE, LIST],
        Role::Deleter => &COMMITS,
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<&'static str>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
}

impl Statement {
    fn allow(sid: &'static str, action: &'static str, resource: Vec<String>) -> Self {
        Self {
            sid,
            effect: "Allow",
            action: vec![action],
            resource,
            condition: BTreeMap::new(),
        }
    }

    /// Only where `operator` holds for `key` and `value`.
    fn when(mut self, operator: &'static str, key: &'static str, value: &str) -> Self {
        self.condition
            .insert(operator, BTreeMap::from([(key, value.to_owned())]));
        self
    }
}

impl Policy {
    pub fn of(role: Role, url: &RepositoryUrl) -> Self {
        let statements = grants(role).iter().map(|grant| grant.statement(url));
        Self {
            version: "2012-10-17",
            statement: statements.collect(),
        }
    }
}

impl Grant {
    fn statement(&self, url: &RepositoryUrl) -> Statement {
        let allow = |action| Statement::allow(self.sid, action, objects(url, self.folders));
        match self.may {
            May::Read => allow("s3:GetObject"),
            May::List => list(self.sid, url),
            // The header is there.
            May::Create => allow("s3:PutObject").when("Null", "s3:if-none-match", "false"),
            May::Replace => allow("s3:PutObject").when("Null", "s3:if-match", "false"),
            May::Write => allow("s3:PutObject"),
            May::UploadParts => {
                allow("s3:PutObject").when("Bool", "s3:ObjectCreationOperation", "false")
            }
            May::AbortUpload => allow("s3:AbortMultipartUpload"),
            May::Delete => allow("s3:DeleteObject"),
        }
    }
}

fn list(sid: &'static str, url: &RepositoryUrl) -> Statement {
    let bucket = format!("arn:aws:s3:::{}", url.bucket);
    let list = Statement::allow(sid, "s3:ListBucket", vec![bucket]);
    if url.prefix.is_empty() {
        return list;
    }
    let below = format!("{}/*", url.prefix);
    list.when("StringLikeIfExists", "s3:prefix", &below)
}

/// The ARNs of all objects below each of `folders` of the repository.
fn objects(url: &RepositoryUrl, folders: &[&str]) -> Vec<String> {
    let prefix = match url.prefix.as_str() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    folders
        .iter()
        .map(|folder| format!("arn:aws:s3:::{}/{prefix}{folder}*", url.bucket))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(policy: &Policy) -> serde_json::Value {
        serde_json::to_value(policy).unwrap()
    }

    #[test]
    fn a_reader_reads_below_its_prefix_only() {
        let policy = json(&Policy::of(
            Role::Reader,
            &"s3://acme-apt/robots".parse().unwrap(),
        ));
        let statement = serde_json::json!([{
            "Sid": "ReadRepository", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::acme-apt/robots/*"],
        }]);
        assert_eq!(policy["Statement"], statement);
    }

    #[test]
    fn a_publisher_deletes_nothing_but_its_probe() {
        for (url, probe) in [
            ("s3://acme-apt", "arn:aws:s3:::acme-apt/debucket-probe/*"),
            (
                "s3://acme-apt/robots",
                "arn:aws:s3:::acme-apt/robots/debucket-probe/*",
            ),
        ] {
            let policy = json(&Policy::of(Role::Publisher, &url.parse().unwrap()));
            let deleting: Vec<_> = policy["Statement"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|statement| {
                    statement["Action"]
                        .as_array()
                        .unwrap()
                        .contains(&"s3:DeleteObject".into())
                })
                .flat_map(|statement| statement["Resource"].as_array().unwrap())
                .map(|resource| resource.as_str().unwrap())
                .collect();
            assert_eq!(deleting, [probe]);
            let list = policy["Statement"].as_array().unwrap().last().unwrap();
            assert_eq!(list["Resource"][0], "arn:aws:s3:::acme-apt");
            assert_eq!(list.get("Condition").is_some(), url.ends_with("robots"));
        }
    }
}
