//! A security token service as far as a pipeline needs one: it gives the store's keys for a token that it knows.
//!
//! It answers `AssumeRoleWithWebIdentity` and refuses everything else, so that a pipeline whose token, role or session name does not
//! arrive as it should gets no keys (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::Result;

use crate::{
    loopback::{Answer, Loopback},
    store::Keys,
};

/// The service; it ends when it is dropped.
pub(super) struct TokenService {
    service: Loopback,
    state: Arc<State>,
}

struct State {
    token: String,
    role: String,
    keys: Keys,
    given: AtomicUsize,
}

impl TokenService {
    /// Gives `keys` for `token` to whoever wants to be `role`, an ARN.
    pub(super) fn start(token: &str, role: &str, keys: &Keys) -> Result<Self> {
        let state = Arc::new(State {
            token: token.into(),
            role: role.into(),
            keys: keys.clone(),
            given: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        let service = Loopback::start(&["Content-Type: text/xml"], move |request| {
            shared.decide(&request.body)
        })?;
        Ok(Self { service, state })
    }

    pub(super) fn url(&self) -> String {
        self.service.url()
    }

    /// How often it gave the keys.
    pub(super) fn given(&self) -> usize {
        self.state.given.load(Ordering::SeqCst)
    }
}

impl State {
    fn decide(&self, form: &str) -> Answer {
        let has = |name: &str, value: &str| {
            let pair = format!("{name}={}", value.replace(':', "%3A").replace('/', "%2F"));
            form.split('&').any(|part| part == pair)
        };
        let is_right = has("Action", "AssumeRoleWithWebIdentity")
            && has("WebIdentityToken", &self.token)
            && has("RoleArn", &self.role);
        if !is_right {
            return (
                "400 Bad Request",
                "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>no such token</Message></Error></ErrorResponse>".into(),
            );
        }
        self.given.fetch_add(1, Ordering::SeqCst);
        let Keys { id, secret, .. } = &self.keys;
        (
            "200 OK",
            format!(
                "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_given_for_the_token_and_the_role_alone() {
        let state = State {
            token: "abc".into(),
            role: "arn:aws:iam::1:role/x".into(),
            keys: Keys {
                id: "id".into(),
                secret: "secret".into(),
                token: None,
            },
            given: AtomicUsize::new(0),
        };
        let ask = |token: &str, role: &str| {
            let form =
                format!("Action=AssumeRoleWithWebIdentity&RoleArn={role}&WebIdentityToken={token}");
            state.decide(&form).0
        };
        let role = "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx";
        assert_eq!(ask("abc", role), "200 OK");
        assert_eq!(ask("abcd", role), "400 Bad Request");
        assert_eq!(
            ask("abc", "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fy"),
            "400 Bad Request"
        );
        assert_eq!(state.given.load(Ordering::SeqCst), 1);
    }
}
