//! The metadata service of an EC2 instance, version 2, as far as a device needs it: a token for who asks for one, and with the
//! token the credentials of the instance's role.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::store::{Keys, REGION};

const TOKEN: &str = "token-of-this-run";

/// The service, until it is dropped.
pub(super) struct Metadata {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    given: Arc<AtomicUsize>,
    serving: Option<JoinHandle<()>>,
}

impl Metadata {
    /// Starts it for a machine with this role.
    pub(super) fn start(role: &str, keys: &Keys) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let given = Arc::new(AtomicUsize::new(0));
        let service = Service {
            role: role.to_owned(),
            keys: keys.clone(),
            given: Arc::clone(&given),
        };
        let stop = Arc::clone(&stopping);
        let serving = std::thread::Builder::new()
            .name("metadata".into())
            .spawn(move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    // A client that goes away in the middle is its own business.
                    let _ = stream.map(|stream| service.answer(stream));
                }
            })
            .context("cannot start a thread")?;
        Ok(Self {
            address,
            stopping,
            given,
            serving: Some(serving),
        })
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often the credentials were given.
    pub(super) fn times_given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

struct Service {
    role: String,
    keys: Keys,
    given: Arc<AtomicUsize>,
}

impl Service {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        let mut headers = Vec::new();
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            headers.push(line.to_ascii_lowercase());
        }
        let (status, body) = self.reply(&request, &headers);
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nX-aws-ec2-metadata-token-ttl-seconds: 300\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn reply(&self, request: &str, headers: &[String]) -> (&'static str, String) {
        let mut words = request.split(' ');
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let has = |start: &str| headers.iter().any(|header| header.starts_with(start));
        if (method, path) == ("PUT", "/latest/api/token") {
            return if has("x-aws-ec2-metadata-token-ttl-seconds:") {
                ("200 OK", TOKEN.to_owned())
            } else {
                ("400 Bad Request", String::new())
            };
        }
        if !has(&format!("x-aws-ec2-metadata-token: {TOKEN}")) {
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
        let service = Service {
            role: "reader".into(),
            keys: Keys {
                id: "ID".into(),
                secret: "SECRET".into(),
                token: Some("TOKEN".into()),
            },
            given: Arc::default(),
        };
        let path = "GET /latest/meta-data/iam/security-credentials/reader HTTP/1.1";
        assert_eq!(service.reply(path, &[]).0, "401 Unauthorized");
        let token = format!("x-aws-ec2-metadata-token: {TOKEN}");
        let (status, body) = service.reply(path, &[token]);
        assert_eq!(status, "200 OK");
        assert!(body.contains("\"Token\" : \"TOKEN\""));
        assert_eq!(
            service.reply("PUT /latest/api/token HTTP/1.1", &[]).0,
            "400 Bad Request"
        );
    }
}
