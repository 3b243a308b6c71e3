//! Why no answer came, on real sockets: the kind of the error, and the value that it was found by,
//! which is still among its causes.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use aws_access::{Silence, cause};
use aws_smithy_runtime_api::client::dns::ResolveDnsError;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use s3_storage::{
    ConnectProblem, Error, ErrorKind, GetOptions, Payload, Proxy, PutMode, PutOptions, S3,
    S3Config, Storage,
};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

use crate::server::{Reply, answer, config, serve};

/// Far more than a connection on loopback takes.
const SILENCE: Duration = Duration::from_millis(500);

async fn failure(config: S3Config) -> Error {
    let config = config.with_access(|access| {
        access.silence_timeout = SILENCE;
        access.max_attempts = 2;
    });
    let s3 = S3::connect(config).await.unwrap();
    let options = PutOptions::new(PutMode::Create);
    let read = s3.get("key", GetOptions::default()).await.unwrap_err();
    let written = s3
        .put("key", Payload::Bytes("content".into()), options)
        .await;
    let written = written.unwrap_err();
    assert_eq!(read.kind(), written.kind(), "{read} and {written}");
    let shown = written.to_string();
    let mut source = std::error::Error::source(&written);
    assert!(source.is_some(), "{written:?} has no cause");
    while let Some(cause) = source {
        assert!(
            !shown.contains(&cause.to_string()),
            "{shown} repeats {cause}"
        );
        source = cause.source();
    }
    println!("{:?}: {}", written.kind(), written.in_full());
    written
}

fn certificate(name: &str, change: impl FnOnce(&mut CertificateParams)) -> (String, TlsAcceptor) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    (certificate.pem(), TlsAcceptor::from(Arc::new(tls)))
}

async fn unused() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_port_where_nothing_listens_refuses() {
    for scheme in ["http", "https"] {
        let error = failure(config(scheme, unused().await)).await;
        assert_eq!(error.kind(), ErrorKind::Connect(ConnectProblem::Refused));
        assert!(error.is_transient() && !error.is_ambiguous(), "{error:?}");
        let io: &io::Error = cause(&error).unwrap();
        assert_eq!(io.kind(), io::ErrorKind::ConnectionRefused);
    }
    // The proxy's, too.
    for scheme in ["http", "https"] {
        let proxy = format!("http://me:not-shown@{}", unused().await);
        let config = config(scheme, unused().await).with_access(|access| {
            access.endpoint = Some(format!("{scheme}://store.invalid"));
            access.proxy = Proxy::Url(proxy);
        });
        let error = failure(config).await;
        let way = format!("{scheme}://store.invalid through the proxy http://127.0.0.1:");
        assert!(error.message().contains(&way), "{error}");
        assert!(!error.in_full().contains("not-shown"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Connect(ConnectProblem::Refused));
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_unresolved() {
    for scheme in ["http", "https"] {
        let endpoint = format!("{scheme}://no-such-host.invalid:9000");
        let config = config(scheme, unused().await);
        let error = failure(config.with_access(|access| access.endpoint = Some(endpoint))).await;
        assert_eq!(error.kind(), ErrorKind::Connect(ConnectProblem::Unresolved));
        assert!(error.is_transient() && !error.is_ambiguous(), "{error:?}");
        assert!(cause::<ResolveDnsError>(&error).is_some());
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_untrusted() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = |_: &mut CertificateParams| {};
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2001, 1, 1);
    let (other, _) = certificate("localhost", nothing);
    let (_, right) = certificate("localhost", nothing);
    let (of_another_name, wrong_name) = certificate("elsewhere.example", nothing);
    let (of_the_past, too_old) = certificate("localhost", expired);
    for (name, tls, trusted) in [
        ("another authority", right, &other),
        ("another name", wrong_name, &of_another_name),
        ("another time", too_old, &of_the_past),
    ] {
        let (address, requests) = serve(Some(tls), |_, _| answer("200 OK", "", "", None)).await;
        let bundle = folder.path().join(name);
        std::fs::write(&bundle, trusted).unwrap();
        let config = config("https", address);
        let config = config.with_access(|access| access.ca_bundle = Some(bundle.into()));
        let error = failure(config).await;
        let problem = match name {
            "another time" => ConnectProblem::NotValidNow,
            _ => ConnectProblem::Untrusted,
        };
        assert_eq!(error.kind(), ErrorKind::Connect(problem), "{name}");
        assert!(!error.is_transient() && !error.is_ambiguous(), "{error:?}");
        let tls: &rustls::Error = cause(&error).unwrap();
        assert!(
            matches!(tls, rustls::Error::InvalidCertificate(_)),
            "{name}: {tls:?}"
        );
        assert!(requests.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    // Before there is a connection: a queue that is full, so that nothing more gets through.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(SILENCE, tokio::net::TcpStream::connect(address)).await
    {
        queue.push(stream);
    }
    let error = failure(config("http", address)).await;
    assert_eq!(error.kind(), ErrorKind::Connect(ConnectProblem::TimedOut));
    assert!(error.is_transient() && !error.is_ambiguous(), "{error:?}");

    let silent = || {
        serve(None, |_, _| Reply {
            bytes: String::new(),
            closes: false,
        })
    };
    // While the connection is set up: nothing was sent.
    let (address, _) = silent().await;
    let error = failure(config("https", address)).await;
    assert_eq!(error.kind(), ErrorKind::Connect(ConnectProblem::TimedOut));
    assert!(error.is_transient() && !error.is_ambiguous(), "{error:?}");
    // Afterwards.
    let (address, _) = silent().await;
    let error = failure(config("http", address)).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_transient() && error.is_ambiguous(), "{error:?}");
    assert!(cause::<Silence>(&error).is_some());
}

#[tokio::test]
async fn http_where_tls_is_spoken_and_the_reverse_are_told_apart_from_a_broken_line() {
    let (_, tls) = certificate("localhost", |_| {});
    let (address, _) = serve(Some(tls), |_, _| answer("200 OK", "", "", None)).await;
    let error = failure(config("http", address)).await;
    assert_eq!(
        error.kind(),
        ErrorKind::Connect(ConnectProblem::WrongProtocol)
    );
    assert!(!error.is_transient(), "{error:?}");

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refuses = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = plain.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, answer).await;
        }
    });
    let error = failure(config("https", refuses)).await;
    assert_eq!(
        error.kind(),
        ErrorKind::Connect(ConnectProblem::WrongProtocol)
    );
    assert!(!error.is_transient() && !error.is_ambiguous(), "{error:?}");
    assert!(cause::<rustls::Error>(&error).is_some());

    let (address, _) = serve(None, |_, _| Reply {
        bytes: String::new(),
        closes: true,
    })
    .await;
    let error = failure(config("http", address)).await;
    assert_eq!(error.kind(), ErrorKind::Connect(ConnectProblem::Other));
    assert!(error.is_transient() && error.is_ambiguous(), "{error:?}");
}
