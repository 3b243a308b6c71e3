//! Policies: who may do what with which bucket or key, in the JSON of
//! [IAM](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html).
//!
//! Understood are statements with `Effect`, `Principal`, `Action`, `Resource`, and conditions
//! `StringEquals` and `StringLike` on `s3:prefix` and `s3:delimiter`. Anything else is refused when
//! the policy is read, so that none of it is passed over in silence.

use std::collections::BTreeMap;

use serde::Deserialize;

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
pub(crate) enum Effect {
    Allow,
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

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Operator {
    StringEquals,
    StringLike,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum ConditionKey {
    #[serde(rename = "s3:prefix")]
    Prefix,
    #[serde(rename = "s3:delimiter")]
    Delimiter,
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
pub(crate) struct Question<'a> {
    /// The access key's id; `None` for a request without a signature.
    pub(crate) who: Option<&'a str>,
    /// `s3:GetObject`.
    pub(crate) action: &'a str,
    /// `arn:aws:s3:::bucket/key`.
    pub(crate) resource: &'a str,
    /// Of a listing.
    pub(crate) prefix: Option<&'a str>,
    /// Of a listing.
    pub(crate) delimiter: Option<&'a str>,
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
    pub(crate) fn of_key(&self, question: Question<'_>) -> Option<Effect> {
        self.decide(question, |_| true)
    }

    /// What the policy of a bucket says. `None`: nothing.
    pub(crate) fn of_bucket(&self, question: Question<'_>) -> Option<Effect> {
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
                keys.iter().all(|(key, patterns)| {
                    let value = match key {
                        ConditionKey::Prefix => question.prefix,
                        ConditionKey::Delimiter => question.delimiter,
                    };
                    value.is_some_and(|value| {
                        patterns.as_slice().iter().any(|pattern| match operator {
                            Operator::StringEquals => pattern == value,
                            Operator::StringLike => like(pattern, value),
                        })
                    })
                })
            })
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

    fn ask<'a>(who: Option<&'a str>, action: &'a str, resource: &'a str) -> Question<'a> {
        Question {
            who,
            action,
            resource,
            prefix: None,
            delimiter: None,
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
        let list = |prefix| {
            policy.of_key(Question {
                prefix,
                ..ask(Some("k"), "s3:ListBucket", "arn:aws:s3:::b")
            })
        };
        assert_eq!(list(Some("apt/dists/")), Some(Effect::Allow));
        assert_eq!(list(Some("other/")), None);
        assert_eq!(list(None), None);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "NotAction": "s3:*", "Resource": "*"}]}"#,
            r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}"#,
            r#"{"Statement": [{"Effect": "Allow", "Principal": "everyone", "Action": "s3:*", "Resource": "*"}]}"#,
            "{}",
            "",
        ] {
            assert!(Policy::parse(text).is_err(), "{text}");
        }
    }
}
