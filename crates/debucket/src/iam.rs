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
//! Who deletes a suite (`debucket suite delete`) closes it as a publisher does, and deletes what is below `dists/`.
//!
//! The Terraform module `apt-repository` has the same statements; `cargo xtask terraform` compares
//! them. A store that does not know these conditions refuses the policy when it is set.

use std::collections::BTreeMap;

use serde::Serialize;

use repository::RepositoryUrl;

/// Package files.
const POOL: &str = "pool/";
/// Heads, `suite.json`, followers, records of succession, indexes and commits.
const DISTS: &str = "dists/";
/// Folder of the record of what a collector is going to delete.
const GC: &str = "gc/";
/// What can become garbage.
const GARBAGE: [&str; 4] = [
    POOL,
    "dists/*/by-hash/",
    "dists/*/commits/",
    "dists/*/succession/",
];
/// Folder of the objects that a probe of the store leaves and removes.
const PROBE_FOLDER: &str = "debucket-probe/";
/// What is named by its digest.
const BY_DIGEST: [&str; 2] = ["dists/*/by-hash/", "dists/*/commits/"];

/// A policy.
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
    fn new(statement: Vec<Statement>) -> Self {
        Self {
            version: "2012-10-17",
            statement,
        }
    }

    /// What a device needs.
    pub fn reader(url: &RepositoryUrl) -> Self {
        Self::new(vec![read(url)])
    }

    /// What a publisher needs.
    pub fn publisher(url: &RepositoryUrl) -> Self {
        let put = |sid, folders: &[&str]| put(url, sid, folders);
        Self::new(vec![
            read(url),
            // The header is there.
            put("CreateObjects", &[POOL, DISTS, PROBE_FOLDER]).when(
                "Null",
                "s3:if-none-match",
                "false",
            ),
            put("ReplaceObjects", &[DISTS, GC, PROBE_FOLDER]).when("Null", "s3:if-match", "false"),
            put("WriteByDigest", &BY_DIGEST),
            // A request that makes no object: the beginning of an upload, and its parts.
            put("UploadParts", &[POOL]).when("Bool", "s3:ObjectCreationOperation", "false"),
            Statement::allow(
                "AbortUpload",
                "s3:AbortMultipartUpload",
                objects(url, &[POOL]),
            ),
            Statement::allow(
                "RemoveProbe",
                "s3:DeleteObject",
                objects(url, &[PROBE_FOLDER]),
            ),
            list(url),
        ])
    }

    /// What a garbage collector needs.
    pub fn collector(url: &RepositoryUrl) -> Self {
        Self::new(vec![
            read(url),
            put(url, "CreateRecord", &[GC]).when("Null", "s3:if-none-match", "false"),
            put(url, "ReplaceRecord", &[GC]).when("Null", "s3:if-match", "false"),
            Statement::allow("DeleteGarbage", "s3:DeleteObject", objects(url, &GARBAGE)),
            list(url),
        ])
    }

    /// What somebody needs who deletes a suite.
    pub fn deleter(url: &RepositoryUrl) -> Self {
        let mut policy = Self::publisher(url);
        policy.statement.extend([
            put(url, "CreateRecord", &[GC]).when("Null", "s3:if-none-match", "false"),
            Statement::allow("DeleteSuites", "s3:DeleteObject", objects(url, &[DISTS])),
        ]);
        policy
    }
}

fn put(url: &RepositoryUrl, sid: &'static str, folders: &[&str]) -> Statement {
    Statement::allow(sid, "s3:PutObject", objects(url, folders))
}

fn list(url: &RepositoryUrl) -> Statement {
    let mut list = Statement::allow(
        "ListRepository",
        "s3:ListBucket",
        vec![format!("arn:aws:s3:::{}", url.bucket)],
    );
    if !url.prefix.is_empty() {
        list = list.when(
            "StringLikeIfExists",
            "s3:prefix",
            &format!("{}/*", url.prefix),
        );
    }
    list
}

fn read(url: &RepositoryUrl) -> Statement {
    Statement::allow("ReadRepository", "s3:GetObject", objects(url, &[""]))
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
        let policy = json(&Policy::reader(&"s3://acme-apt/robots".parse().unwrap()));
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
            let policy = json(&Policy::publisher(&url.parse().unwrap()));
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
