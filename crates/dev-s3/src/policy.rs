//! Policies: who may do what with which bucket or key, in the JSON of
//! [IAM](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html).
//!
//! Understood are statements with `Effect`, `Principal`, `Action`, `Resource`, and conditions of the
//! operators and keys that stand below. Anything else is refused when the policy is read, so that
//! none of it is passed over in silence.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>

use std::collections::BTreeMap;

use hyper::header::{self, HeaderMap, HeaderName};
use serde::Deserialize;

use crate::{
    operation::{Conditions, Operation},
    query::Query,
};

/// A policy of a bucket, or of an access key.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Policy {
    #[serde(default, rename = "Version")]
    _version: Option<String>,
    #[serde(default, rename = "Id")]
    _id: Option<String>,
    statement: OneOrMany<Statement>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(default, rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    principal: Option<Principal>,
    action: OneOrMany<String>,
    resource: OneOrMany<String>,
    #[serde(default)]
    condition: BTreeMap<Operator, BTreeMap<ConditionKey, OneOrMany<String>>>,
}

/// What a statement does with what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Effect {
    /// Allows it, unless something else denies it.
    Allow,
    /// Denies it, whatever else allows it.
    Deny,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Principal {
    Anyone(Star),
    Named(BTreeMap<PrincipalKind, OneOrMany<String>>),
}

#[derive(Debug, Clone, Deserialize)]
enum Star {
    #[serde(rename = "*")]
    Star,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum PrincipalKind {
    #[serde(rename = "AWS")]
    Aws,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Operator {
    StringEquals,
    StringLike,
    /// As `StringLike`, and where the request does not have the key.
    StringLikeIfExists,
    Bool,
    /// `true`: the request does not have the key.
    Null,
}

/// What a condition asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum ConditionKey {
    /// Of a listing.
    #[serde(rename = "s3:prefix")]
    Prefix,
    /// Of a listing.
    #[serde(rename = "s3:delimiter")]
    Delimiter,
    /// Of a write: the header `If-Match`.
    #[serde(rename = "s3:if-match")]
    IfMatch,
    /// Of a write: the header `If-None-Match`.
    #[serde(rename = "s3:if-none-match")]
    IfNoneMatch,
    /// Whether a write makes an object: the parts of an upload do not, its completion does.
    #[serde(rename = "s3:ObjectCreationOperation")]
    ObjectCreationOperation,
    /// Whether the request comes by TLS.
    #[serde(rename = "aws:SecureTransport")]
    SecureTransport,
    /// The organization of the account that the request comes from. The server has none; who asks
    /// a policy by itself may.
    #[serde(rename = "aws:PrincipalOrgID")]
    PrincipalOrgId,
}

/// The keys of a request that conditions can ask about; those that it does not have are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<ConditionKey, String>);

impl Context {
    /// Of an S3 operation with these headers and this query.
    pub(crate) fn of(operation: Operation, headers: &HeaderMap, query: Query<'_>) -> Self {
        let header = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let write = |creates: bool| {
            vec![
                (
                    ConditionKey::ObjectCreationOperation,
                    Some(creates.to_string()),
                ),
                (ConditionKey::IfMatch, header(header::IF_MATCH)),
                (ConditionKey::IfNoneMatch, header(header::IF_NONE_MATCH)),
            ]
        };
        let found = match operation.conditions() {
            Conditions::None => Vec::new(),
            Conditions::Listing => vec![
                (ConditionKey::Prefix, query.get("prefix")),
                (ConditionKey::Delimiter, query.get("delimiter")),
            ],
            Conditions::Object => write(true),
            Conditions::Part => write(false),
        };
        let found = found
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        Self(found.collect())
    }

    /// The same with `value` for `key`.
    #[must_use]
    pub fn with(mut self, key: ConditionKey, value: impl Into<String>) -> Self {
        self.0.insert(key, value.into());
        self
    }

    /// The same without `key`.
    #[must_use]
    pub fn without(mut self, key: ConditionKey) -> Self {
        self.0.remove(&key);
        self
    }

    /// The value of `key`, if the request has it.
    pub fn get(&self, key: ConditionKey) -> Option<&str> {
        self.0.get(&key).map(String::as_str)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The access key's id; `None` for a request without a signature.
    pub who: Option<&'a str>,
    /// `s3:GetObject`.
    pub action: &'a str,
    /// `arn:aws:s3:::bucket/key`.
    pub resource: &'a str,
    /// What conditions can ask about.
    pub context: &'a Context,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// One that is malformed, or has what is not understood here.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// What the policy of an access key says: its principals do not matter. `None`: nothing.
    pub fn of_key(&self, question: Question<'_>) -> Option<Effect> {
        self.decide(question, |_| true)
    }

    /// What the policy of a bucket says. `None`: nothing.
    pub fn of_bucket(&self, question: Question<'_>) -> Option<Effect> {
        self.decide(question, |statement| {
            statement
                .principal
                .as_ref()
                .is_some_and(|principal| principal.is(question.who))
        })
    }

    fn decide(
        &self,
        question: Question<'_>,
        applies: impl Fn(&Statement) -> bool,
    ) -> Option<Effect> {
        let mut decision = None;
        for statement in self
            .statement
            .as_slice()
            .iter()
            .filter(|statement| applies(statement) && statement.matches(question))
        {
            if statement.effect == Effect::Deny {
                return Some(Effect::Deny);
            }
            decision = Some(Effect::Allow);
        }
        decision
    }
}

impl Statement {
    fn matches(&self, question: Question<'_>) -> bool {
        // Actions are the same in any case, resources are not.
        let action = question.action.to_ascii_lowercase();
        self.action
            .as_slice()
            .iter()
            .any(|pattern| like(&pattern.to_ascii_lowercase(), &action))
            && self
                .resource
                .as_slice()
                .iter()
                .any(|pattern| like(pattern, question.resource))
            && self.condition.iter().all(|(operator, keys)| {
                keys.iter().all(|(key, expected)| {
                    operator.holds(question.context.get(*key), expected.as_slice())
                })
            })
    }
}

impl Operator {
    /// Whether a request whose key has this value, or does not have the key, is one of `expected`.
    fn holds(self, value: Option<&str>, expected: &[String]) -> bool {
        let any = |matches: &dyn Fn(&str, &str) -> bool| {
            value.is_some_and(|value| expected.iter().any(|pattern| matches(pattern, value)))
        };
        match self {
            Self::StringEquals => any(&|pattern, value| pattern == value),
            Self::StringLike => any(&like),
            Self::StringLikeIfExists => value.is_none() || any(&like),
            Self::Bool => any(&|pattern, value| pattern.eq_ignore_ascii_case(value)),
            Self::Null => {
                let missing = value.is_none().to_string();
                expected
                    .iter()
                    .any(|pattern| pattern.eq_ignore_ascii_case(&missing))
            }
        }
    }
}

impl Principal {
    /// `*` also stands for requests without a signature; a key is named by its id, bare or as the
    /// end of an ARN.
    fn is(&self, who: Option<&str>) -> bool {
        match self {
            Self::Anyone(Star::Star) => true,
            Self::Named(named) => named.values().flat_map(OneOrMany::as_slice).any(|name| {
                name == "*"
                    || who.is_some_and(|who| {
                        name == who || name.strip_suffix(who).is_some_and(|arn| arn.ends_with('/'))
                    })
            }),
        }
    }
}

/// Whether `text` is like `pattern`, in which `*` stands for any characters and `?` for one.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star was, and how much of the text it takes so far.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    static NOTHING: Context = Context(BTreeMap::new());

    fn ask<'a>(who: Option<&'a str>, action: &'a str, resource: &'a str) -> Question<'a> {
        Question {
            who,
            action,
            resource,
            context: &NOTHING,
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*", "abc", true),
            ("a*c", "abcbc", true),
            ("a*d", "abcbc", false),
            ("*/Release*", "dists/stable/Release.gpg", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("s3:get*", "s3:putobject", false),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_deny_wins_and_silence_is_neither() {
        let policy = Policy::parse(
            r#"{"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"},
                {"Effect": "Deny", "Principal": {"AWS": "reader"}, "Action": ["s3:Get*"], "Resource": ["arn:aws:s3:::b/secret*"]},
                {"Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::1:user/reader"]}, "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b"}
            ]}"#,
        )
        .unwrap();
        assert_eq!(
            policy.of_bucket(ask(None, "s3:GetObject", "arn:aws:s3:::b/secret")),
            Some(Effect::Allow)
        );
        assert_eq!(
            policy.of_bucket(ask(Some("reader"), "s3:GetObject", "arn:aws:s3:::b/secret")),
            Some(Effect::Deny)
        );
        assert_eq!(
            policy.of_bucket(ask(Some("reader"), "s3:ListBucket", "arn:aws:s3:::b")),
            Some(Effect::Allow)
        );
        assert_eq!(
            policy.of_bucket(ask(Some("a-reader"), "s3:ListBucket", "arn:aws:s3:::b")),
            None
        );
        assert_eq!(
            policy.of_bucket(ask(None, "s3:PutObject", "arn:aws:s3:::b/x")),
            None
        );
    }

    #[test]
    fn a_condition_holds_for_its_prefix_only() {
        let policy = Policy::parse(
            r#"{"Statement": {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*", "Condition": {"StringLike": {"s3:prefix": ["apt/*", "apt"]}}}}"#,
        )
        .unwrap();
        let list = |prefix: Option<&str>| {
            let context = prefix.map_or_else(Context::default, |prefix| {
                Context::default().with(ConditionKey::Prefix, prefix)
            });
            policy.of_key(Question {
                context: &context,
                ..ask(Some("k"), "s3:ListBucket", "arn:aws:s3:::b")
            })
        };
        assert_eq!(list(Some("apt/dists/")), Some(Effect::Allow));
        assert_eq!(list(Some("other/")), None);
        assert_eq!(list(None), None);
    }

    #[test]
    fn a_write_is_asked_for_its_condition() {
        let policy = Policy::parse(
            r#"{"Statement": [
                {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*", "Condition": {"Null": {"s3:if-none-match": "false"}}},
                {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*", "Condition": {"Bool": {"s3:ObjectCreationOperation": "false"}}},
                {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
            ]}"#,
        )
        .unwrap();
        let put = |operation, condition: Option<&'static str>, tls: &str| {
            let headers =
                condition.map(|name| (HeaderName::from_static(name), "*".parse().unwrap()));
            let context = Context::of(operation, &headers.into_iter().collect(), Query::new(None))
                .with(ConditionKey::SecureTransport, tls);
            policy.of_key(Question {
                context: &context,
                ..ask(Some("k"), "s3:PutObject", "arn:aws:s3:::b/k")
            })
        };
        assert_eq!(
            put(Operation::PutObject, Some("if-none-match"), "true"),
            Some(Effect::Allow)
        );
        assert_eq!(
            put(Operation::PutObject, Some("if-none-match"), "false"),
            Some(Effect::Deny)
        );
        assert_eq!(put(Operation::PutObject, Some("if-match"), "true"), None);
        assert_eq!(put(Operation::PutObject, None, "true"), None);
        assert_eq!(put(Operation::CompleteMultipartUpload, None, "true"), None);
        assert_eq!(
            put(Operation::UploadPart, None, "true"),
            Some(Effect::Allow)
        );
    }

    #[test]
    fn a_condition_if_the_key_exists_holds_without_it() {
        let policy = Policy::parse(
            r#"{"Statement": {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*", "Condition": {"StringLikeIfExists": {"s3:prefix": "apt/*"}}}}"#,
        )
        .unwrap();
        for (query, expected) in [
            (None, Some(Effect::Allow)),
            (
                Some("list-type=2&prefix=apt%2Fdists%2F"),
                Some(Effect::Allow),
            ),
            (Some("list-type=2&prefix=other%2F"), None),
            (Some("list-type=2&prefix="), None),
        ] {
            let context = Context::of(
                Operation::ListObjectsV2,
                &HeaderMap::new(),
                Query::new(query),
            );
            let question = Question {
                context: &context,
                ..ask(Some("k"), "s3:ListBucket", "arn:aws:s3:::b")
            };
            assert_eq!(policy.of_key(question), expected, "{query:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "NotAction": "s3:*", "Resource": "*"}]}"#,
            r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}]}"#,
            r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"StringNotLike": {"s3:prefix": "a"}}}]}"#,
            r#"{"Statement": [{"Effect": "Allow", "Principal": "everyone", "Action": "s3:*", "Resource": "*"}]}"#,
            "{}",
            "",
        ] {
            assert!(Policy::parse(text).is_err(), "{text}");
        }
    }
}
