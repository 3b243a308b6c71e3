//! A security token service as far as a pipeline needs one: it gives the store's keys for a token that it knows.
//!
//! It answers `AssumeRoleWithWebIdentity` and refuses everything else, so that a pipeline whose token, role or session name does not
//! arrive as it should gets no keys (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::store::Keys;

/// The service; it ends when it is dropped.
pub(super) struct TokenService {
    pub(super) endpoint: String,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    token: String,
    role: String,
    keys: Keys,
    given: AtomicUsize,
    ends: AtomicBool,
}

impl TokenService {
    /// Gives `keys` for `token` to whoever wants to be `role`, an ARN.
    pub(super) fn start(token: &str, role: &str, keys: &Keys) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State {
            token: token.into(),
            role: role.into(),
            keys: keys.clone(),
            given: AtomicUsize::new(0),
            ends: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ends.load(Ordering::SeqCst) {
                    return;
                }
                // A caller that went away is no concern of the next one.
                let _ = stream.and_then(|stream| shared.answer(stream));
            }
        });
        Ok(Self {
            endpoint,
            state,
            thread: Some(thread),
        })
    }

    /// How often it gave the keys.
    pub(super) fn given(&self) -> usize {
        self.state.given.load(Ordering::SeqCst)
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.state.ends.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = TcpStream::connect(self.endpoint.trim_start_matches("http://"));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (status, answer) = self.decide(&String::from_utf8_lossy(&body));
        let mut stream = reader.into_inner();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        )
    }

    fn decide(&self, form: &str) -> (&'static str, String) {
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
            ends: AtomicBool::new(false),
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
