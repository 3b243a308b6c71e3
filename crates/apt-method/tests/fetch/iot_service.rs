//! AWS IoT Core's credential provider as far as a device sees it, with mutual TLS, on loopback.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

/// An authority of certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "tests");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A device's certificate for a key in PKCS#8.
    pub(crate) fn device(&self, key: &str) -> String {
        let key = KeyPair::from_pem(key).unwrap();
        let params = CertificateParams::default();
        params.signed_by(&key, &self.issuer).unwrap().pem()
    }
}

/// What the service does with a request.
#[derive(Clone, Copy)]
pub(crate) enum Turn {
    /// Answers with a status, a line for the head and a body.
    Say(u16, &'static str, &'static str),
    /// Gives keys that are valid until then.
    Give(&'static str),
    /// Says nothing.
    Wait,
}

/// What it is like.
pub(crate) struct Service<'a> {
    pub(crate) name: &'a str,
    /// The first and the last year of its certificate.
    pub(crate) years: (i32, i32),
    /// The last is repeated.
    pub(crate) turns: Vec<Turn>,
    /// Whose devices it knows.
    pub(crate) devices: &'a Authority,
}

/// A service that runs.
pub(crate) struct Running {
    pub(crate) port: u16,
    /// The authority of its certificate.
    pub(crate) authority: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// The server's name as the device sent it and the head of each request, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Service<'_> {
    pub(crate) fn start(self) -> Running {
        let authority = Authority::new();
        let mut params = CertificateParams::new([self.name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(self.years.0, 1, 1);
        params.not_after = date_time_ymd(self.years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut devices = RootCertStore::empty();
        let found = rustls::pki_types::pem::PemObject::from_pem_slice(self.devices.pem.as_bytes());
        devices.add(found.unwrap()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(devices), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], key);
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let turns = self.turns;
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, log, turns) = (Arc::clone(&config), Arc::clone(&log), turns.clone());
                thread::spawn(move || serve(stream.unwrap(), config, &log, &turns));
            }
        });
        Running {
            port,
            authority: authority.pem,
            requests,
        }
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    log: &Mutex<Vec<String>>,
    turns: &[Turn],
) -> Option<()> {
    let raw = stream.try_clone().unwrap();
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.extend(byte),
            _ => {
                // What was not read would make the device's end of the connection drop the alert.
                let _ = raw.shutdown(Shutdown::Write);
                let _ = io::copy(&mut &raw, &mut io::sink());
                return None;
            }
        }
    }
    let name = stream.conn.server_name().unwrap_or_default().to_owned();
    let number = {
        let mut log = log.lock().unwrap();
        log.push(format!("{name} {}", String::from_utf8_lossy(&head)));
        log.len() - 1
    };
    let (status, line, body) = match *turns.get(number).or(turns.last())? {
        Turn::Say(status, line, body) => (status, line, body.to_owned()),
        Turn::Give(expiration) => {
            let keys = format!(
                r#"{{"credentials":{{"accessKeyId":"ASIADEVICE","secretAccessKey":"secret","sessionToken":"token","expiration":"{expiration}"}}}}"#
            );
            (200, "X-Any: thing", keys)
        }
        Turn::Wait => {
            let _ = stream.read(&mut [0]);
            return None;
        }
    };
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} Status\r\n{line}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.conn.send_close_notify();
    let _ = stream.flush();
    Some(())
}
