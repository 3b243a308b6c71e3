//! The least rights that devices and publishers need, as policies of
//! [AWS IAM](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html).
//!
//! A device reads objects and nothing else. (Without `s3:ListBucket` a missing object reads as
//! forbidden; our acquire method knows that.)
//!
//! A publisher lists too, since it must tell a missing suite from one that it may not read: S3
//! answers 404 for a missing object only to those who may list the bucket. The condition on the
//! listed prefix has to be one that holds where a request names no prefix, as the reading of an
//! object does, hence `StringLikeIfExists`. It deletes nothing but the few objects with which it
//! tries, before the first commit of a suite, whether the store honours conditional writes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::repository::RepositoryUrl;

/// Folder of the objects that a probe of the store leaves and removes.
const PROBE_FOLDER: &str = "debucket-probe/";

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
    resource: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
}

impl Statement {
    fn allow(sid: &'static str, action: Vec<&'static str>, resource: String) -> Self {
        Self {
            sid,
            effect: "Allow",
            action,
            resource,
            condition: BTreeMap::new(),
        }
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
        Self::new(vec![Statement::allow(
            "ReadRepository",
            vec!["s3:GetObject"],
            objects(url, ""),
        )])
    }

    /// What a publisher needs.
    pub fn publisher(url: &RepositoryUrl) -> Self {
        let write = vec!["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"];
        let mut list = Statement::allow(
            "ListRepository",
            vec!["s3:ListBucket"],
            format!("arn:aws:s3:::{}", url.bucket),
        );
        if !url.prefix.is_empty() {
            let prefix = BTreeMap::from([("s3:prefix", format!("{}/*", url.prefix))]);
            list.condition.insert("StringLikeIfExists", prefix);
        }
        Self::new(vec![
            Statement::allow("WriteRepository", write, objects(url, "")),
            Statement::allow(
                "RemoveProbe",
                vec!["s3:DeleteObject"],
                objects(url, PROBE_FOLDER),
            ),
            list,
        ])
    }
}

/// The ARN of all objects below `folder` of the repository.
fn objects(url: &RepositoryUrl, folder: &str) -> String {
    match url.prefix.as_str() {
        "" => format!("arn:aws:s3:::{}/{folder}*", url.bucket),
        prefix => format!("arn:aws:s3:::{}/{prefix}/{folder}*", url.bucket),
    }
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
            "Sid": "ReadRepository", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::acme-apt/robots/*",
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
                .map(|statement| statement["Resource"].as_str().unwrap())
                .collect();
            assert_eq!(deleting, [probe]);
            let list = &policy["Statement"][2];
            assert_eq!(list["Resource"], "arn:aws:s3:::acme-apt");
            assert_eq!(list.get("Condition").is_some(), url.ends_with("robots"));
        }
    }
}
