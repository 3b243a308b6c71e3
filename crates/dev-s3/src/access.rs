//! Who may do what: access keys, what they are granted, and the bucket's policy.
//!
//! A key may do what its grants or the bucket's policy allow, unless either denies it; a request
//! without a signature only what the bucket's policy allows. As on AWS, a missing key looks
//! forbidden to whom the bucket may not be listed.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use s3s::{
    S3Error, S3Result,
    access::{S3Access, S3AccessContext},
    auth::{Credentials, S3Auth, SecretKey},
    s3_error,
};

use crate::{
    operation::{Operation, arn},
    policy::{ConditionKey, Context, Effect, Policy, Question},
    query::Query,
    store::Store,
};

/// Credentials that the store knows.
#[derive(Clone)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
    /// Temporary credentials: the token that must come with each request.
    pub session_token: Option<String>,
    /// What it may do where the bucket's policy says nothing.
    pub grants: Grants,
}

/// What an access key may do where the bucket's policy says nothing.
#[derive(Debug, Clone)]
pub enum Grants {
    All,
    /// `s3:GetObject` on every key, and nothing else: no listing.
    GetObjectOnly,
    /// What this policy says; its principals do not matter.
    Policy(Policy),
    /// Nothing: all is up to the bucket's policy.
    Nothing,
}

impl AccessKey {
    /// A long-lived key.
    pub fn new(id: impl Into<String>, secret: impl Into<String>, grants: Grants) -> Self {
        Self {
            id: id.into(),
            secret: secret.into(),
            session_token: None,
            grants,
        }
    }

    /// The same as temporary credentials: requests must carry `token`.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

/// The door keeper: knows the keys and asks the policies.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    keys: Arc<RwLock<Vec<AccessKey>>>,
    store: Arc<Store>,
    tls: bool,
}

impl Access {
    pub(crate) fn new(keys: Vec<AccessKey>, store: Arc<Store>, tls: bool) -> Self {
        Self {
            keys: Arc::new(RwLock::new(keys)),
            store,
            tls,
        }
    }

    pub(crate) fn set_keys(&self, keys: Vec<AccessKey>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn key(&self, id: &str) -> Option<AccessKey> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|key| key.id == id)
            .cloned()
    }

    /// Whether this may be done with `bucket`.
    fn allows(&self, bucket: &str, question: Question<'_>) -> bool {
        let bucket_says = self
            .store
            .with_bucket(bucket, |bucket| Ok(bucket.policy.clone()))
            .ok()
            .flatten()
            .and_then(|policy| policy.policy.of_bucket(question));
        let key_says = match question
            .who
            .and_then(|who| self.key(who))
            .map(|key| key.grants)
        {
            None | Some(Grants::Nothing) => None,
            Some(Grants::All) => Some(Effect::Allow),
            Some(Grants::GetObjectOnly) => {
                (question.action == "s3:GetObject").then_some(Effect::Allow)
            }
            Some(Grants::Policy(policy)) => policy.of_key(question),
        };
        ![bucket_says, key_says].contains(&Some(Effect::Deny))
            && [bucket_says, key_says].contains(&Some(Effect::Allow))
    }

    /// `AccessDenied` unless `action` on a bucket or a key is allowed.
    pub(crate) fn require(
        &self,
        credentials: Option<&Credentials>,
        action: &str,
        bucket: &str,
        key: Option<&str>,
    ) -> S3Result {
        let who = credentials.map(|credentials| credentials.access_key.as_str());
        let question = Question {
            who,
            action,
            resource: &arn(bucket, key),
            context: &self.over(Context::default()),
        };
        if self.allows(bucket, question) {
            Ok(())
        } else {
            Err(denied())
        }
    }

    /// The answer for a key that does not exist.
    pub(crate) fn missing(
        &self,
        credentials: Option<&Credentials>,
        bucket: &str,
        key: &str,
    ) -> S3Error {
        let who = credentials.map(|credentials| credentials.access_key.as_str());
        let question = Question {
            who,
            action: "s3:ListBucket",
            resource: &arn(bucket, None),
            context: &self.over(Context::default().with(ConditionKey::Prefix, key)),
        };
        if self.allows(bucket, question) {
            s3_error!(NoSuchKey, "The specified key does not exist.")
        } else {
            denied()
        }
    }

    /// The same with what the server knows of the connection.
    fn over(&self, context: Context) -> Context {
        context.with(ConditionKey::SecureTransport, self.tls.to_string())
    }

    fn check_session_token(&self, context: &S3AccessContext<'_>) -> S3Result {
        let Some(key) = context
            .credentials()
            .and_then(|credentials| self.key(&credentials.access_key))
        else {
            return Ok(());
        };
        let header = context
            .headers()
            .get("x-amz-security-token")
            .and_then(|value| value.to_str().ok());
        if key.session_token.is_some() && key.session_token.as_deref() != header {
            return Err(s3_error!(
                InvalidToken,
                "The provided token is malformed or otherwise invalid."
            ));
        }
        Ok(())
    }
}

fn denied() -> S3Error {
    s3_error!(AccessDenied, "Access Denied")
}

#[async_trait::async_trait]
impl S3Auth for Access {
    async fn get_secret_key(&self, id: &str) -> S3Result<SecretKey> {
        match self.key(id) {
            Some(key) => Ok(SecretKey::from(key.secret)),
            None => Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result {
        self.check_session_token(context)?;
        let operation = Operation::named(context.s3_op().name());
        let action = operation.action();
        let path = context.s3_path();
        let requested = self.over(Context::of(
            operation,
            context.headers(),
            Query::of(context.uri()),
        ));
        let who = context
            .credentials()
            .map(|credentials| credentials.access_key.as_str());
        let Some(bucket) = path.get_bucket_name() else {
            // All buckets: the resource is `*`, and there is no bucket whose policy could be asked.
            let question = Question {
                who,
                action,
                resource: "*",
                context: &requested,
            };
            return if self.allows("", question) {
                Ok(())
            } else {
                Err(denied())
            };
        };
        if operation == Operation::DeleteObjects {
            // Asked key by key, when they are known.
            return if who.is_some() { Ok(()) } else { Err(denied()) };
        }
        if operation != Operation::CreateBucket {
            // Whether a bucket exists is no secret.
            self.store.with_bucket(bucket, |_| Ok(()))?;
        }
        let resource = arn(bucket, path.get_object_key());
        let question = Question {
            who,
            action,
            resource: &resource,
            context: &requested,
        };
        if self.allows(bucket, question) {
            Ok(())
        } else {
            Err(denied())
        }
    }
}
