//! The metadata service of an EC2 instance, version 2, as far as a device needs it: a token for who asks for one, and with the
//! token the credentials of the instance's role.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::Result;

use crate::{
    loopback::{Answer, Loopback, Request},
    store::{Keys, REGION},
};

const TOKEN: &str = "token-of-this-run";
const HEADERS: &[&str] = &[
    "Content-Type: text/plain",
    "X-aws-ec2-metadata-token-ttl-seconds: 300",
];

/// The service, until it is dropped.
pub(super) struct Metadata {
    service: Loopback,
    instance: Arc<Instance>,
}

impl Metadata {
    /// Starts it for a machine with this role.
    pub(super) fn start(role: &str, keys: &Keys) -> Result<Self> {
        let instance = Arc::new(Instance {
            role: role.to_owned(),
            keys: keys.clone(),
            given: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&instance);
        let service = Loopback::start(HEADERS, move |request| shared.reply(request))?;
        Ok(Self { service, instance })
    }

    pub(super) fn url(&self) -> String {
        self.service.url()
    }

    /// How often the credentials were given.
    pub(super) fn times_given(&self) -> usize {
        self.instance.given.load(Ordering::SeqCst)
    }
}

/// What the service knows of.
struct Instance {
    role: String,
    keys: Keys,
    /// How often the keys were.
    given: AtomicUsize,
}

impl Instance {
    fn reply(&self, request: &Request) -> Answer {
        let (method, path) = (request.method.as_str(), request.path.as_str());
        if (method, path) == ("PUT", "/latest/api/token") {
            return match request.header("x-aws-ec2-metadata-token-ttl-seconds") {
                Some(_) => ("200 OK", TOKEN.to_owned()),
                None => ("400 Bad Request", String::new()),
            };
        }
        if request.header("x-aws-ec2-metadata-token") != Some(TOKEN) {
            return ("401 Unauthorized", String::new());
        }
        let Some(name) = path.strip_prefix("/latest/meta-data/") else {
            return ("404 Not Found", String::new());
        };
        match name.trim_end_matches('/') {
            "iam/security-credentials" => ("200 OK", self.role.clone()),
            "placement/region" => ("200 OK", REGION.to_owned()),
            other if other == format!("iam/security-credentials/{}", self.role) => {
                self.given.fetch_add(1, Ordering::SeqCst);
                ("200 OK", self.credentials())
            }
            _ => ("404 Not Found", String::new()),
        }
    }

    /// On several lines, as the service has it.
    fn credentials(&self) -> String {
        format!(
            "{{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2026-01-01T00:00:00Z\",\n  \"Type\" : \"AWS-HMAC\",\n  \
             \"AccessKeyId\" : \"{}\",\n  \"SecretAccessKey\" : \"{}\",\n  \"Token\" : \"{}\",\n  \
             \"Expiration\" : \"2099-01-01T00:00:00Z\"\n}}",
            self.keys.id,
            self.keys.secret,
            self.keys.token.as_deref().unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_given_only_with_a_token() {
        let instance = Instance {
            role: "reader".into(),
            keys: Keys {
                id: "ID".into(),
                secret: "SECRET".into(),
                token: Some("TOKEN".into()),
            },
            given: AtomicUsize::new(0),
        };
        let mut request = Request {
            method: "GET".into(),
            path: "/latest/meta-data/iam/security-credentials/reader".into(),
            ..Request::default()
        };
        assert_eq!(instance.reply(&request).0, "401 Unauthorized");
        request
            .headers
            .push(("x-aws-ec2-metadata-token".into(), TOKEN.into()));
        let (status, body) = instance.reply(&request);
        assert_eq!(status, "200 OK");
        assert!(body.contains("\"Token\" : \"TOKEN\""));
        let without_ttl = Request {
            method: "PUT".into(),
            path: "/latest/api/token".into(),
            ..Request::default()
        };
        assert_eq!(instance.reply(&without_ttl).0, "400 Bad Request");
    }
}
