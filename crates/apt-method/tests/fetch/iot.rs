//! Keys for a device that shows its certificate to AWS IoT Core. Its files can be read by root only, and
//! root is given up; without root nothing is given up, and all of this holds as well.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use dev_s3::DevS3;

use crate::{
    iot_service::{Authority, Running, Service, Turn},
    rights::Machine,
    support::{expect_reason, field, show},
};

const LONG: Turn = Turn::Give("2099-01-01T00:00:00Z");
const NOW: (i32, i32) = (2000, 2099);

/// The text of a key for tests.
fn key(name: &str) -> String {
    let path = format!("{}/tests/fetch/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(path).unwrap()
}

/// A service for the devices of `devices`, and what it does one after the other.
fn service(devices: &Authority, years: (i32, i32), turns: &[Turn]) -> Running {
    Service {
        name: "localhost",
        years,
        turns: turns.to_vec(),
        devices,
    }
    .start()
}

/// A machine with the files of a device, and the settings for it in order.
struct Device {
    machine: Machine,
    settings: Vec<(&'static str, String)>,
}

impl Device {
    /// With this key, and a certificate of `devices` for the key in PKCS#8 called `of`.
    async fn new(devices: &Authority, running: &Running, of: &str, key_name: &str) -> Self {
        let machine = Machine::new().await;
        Machine::takes(&machine.store, "ASIADEVICE", "token");
        let settings = vec![
            ("Endpoint", format!("localhost:{}", running.port)),
            ("RoleAlias", "apt-reader".to_owned()),
            ("Thing", "kiosk:7".to_owned()),
            (
                "Certificate",
                machine.write("device.pem", &devices.device(&key(of))),
            ),
            ("PrivateKey", machine.write("device.key", &key(key_name))),
            ("CAFile", machine.write("service.pem", &running.authority)),
        ];
        Self { machine, settings }
    }

    /// With a key that is as good as others.
    async fn usual(devices: &Authority, running: &Running) -> Self {
        Self::new(devices, running, "p256", "p256").await
    }

    /// Sets a setting to another value; an empty one is none.
    fn set(mut self, name: &str, value: &str) -> Self {
        let setting = self.settings.iter_mut().find(|(known, _)| *known == name);
        value.clone_into(&mut setting.unwrap().1);
        self
    }

    /// The machine with the settings in apt's configuration.
    fn configured(self) -> Machine {
        let add = |machine: Machine, (name, value): (&str, String)| {
            machine.item(&format!("Acquire::s3::IoT::{name}"), &value)
        };
        self.settings.into_iter().fold(self.machine, add)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_gets_keys_once_for_all_items_with_each_form_of_a_key() {
    let devices = Authority::new();
    for (of, key) in [
        ("rsa", "rsa"),
        ("rsa", "rsa-pkcs1"),
        ("p256", "p256"),
        ("p256", "p256-sec1"),
        ("p384", "p384-sec1"),
    ] {
        let running = service(&devices, NOW, &[LONG]);
        // Nothing listens there: what is on this machine is not asked through a proxy.
        let device = Device::new(&devices, &running, of, key).await;
        let machine = device
            .configured()
            .variable("https_proxy", "http://127.0.0.1:9");
        let mut method = machine.start.configured();
        for name in ["1", "2", "3"] {
            method.acquire("s3://bucket/file", name);
        }
        for _ in 0..3 {
            let (_, done) = method.end_of_item();
            assert_eq!(done.code, 201, "{key}: {}", show(&done));
        }
        let requests = running.requests();
        assert_eq!(requests.len(), 1, "{key}: {requests:?}");
        let request = requests[0].to_ascii_lowercase();
        assert!(
            request.starts_with("localhost get /role-aliases/apt-reader/credentials http/1.1\r\n"),
            "{request}"
        );
        for line in [
            "\r\nx-amzn-iot-thingname: kiosk:7\r\n".to_owned(),
            format!("\r\nhost: localhost:{}\r\n", running.port),
        ] {
            assert!(request.contains(&line), "{request}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_may_have_a_device_of_its_own() {
    let devices = Authority::new();
    let running = service(&devices, NOW, &[LONG]);
    let Device { machine, settings } = Device::usual(&devices, &running).await;
    let text = settings.iter().filter(|(name, _)| *name != "Thing");
    let text: String = text
        .map(|(name, value)| format!("Iot{name} = {value}\n"))
        .collect();
    let text = format!("AccessKeyId = nobody\nSecretAccessKey = x\n[bucket]\n{text}");
    let path = machine.write("s3auth.conf", &text);
    let machine = machine.item("Acquire::s3::AuthConf", &path);
    let mut method = machine.start.configured();
    assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");
    assert!(!running.requests()[0].contains("thingname"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_over_are_renewed() {
    let devices = Authority::new();
    let running = service(&devices, NOW, &[Turn::Give("2020-01-01T00:00:00Z"), LONG]);
    let machine = Device::usual(&devices, &running).await.configured();
    let mut method = machine.start.configured();
    for name in ["1", "2", "3"] {
        assert_eq!(method.content("s3://bucket/file", name).1, b"abc");
    }
    assert_eq!(running.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_in_trouble_is_asked_again() {
    let devices = Authority::new();
    let trouble = [
        Turn::Say(503, "X-Any: thing", "<html>"),
        Turn::Say(400, "x-amzn-ErrorType: ThrottlingException:http://x", "{}"),
        LONG,
    ];
    let running = service(&devices, NOW, &trouble);
    let machine = Device::usual(&devices, &running).await.configured();
    let mut method = machine.start.configured();
    assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");
    assert_eq!(running.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_is_told_with_what_to_do() {
    let say = |status, body| Turn::Say(status, "X-Any: thing", body);
    let (known, others) = (Authority::new(), Authority::new());
    let refused = "HttpError401";
    for (devices, years, turn, reason, words) in [
        (
            &known,
            NOW,
            say(403, r#"{"message":"Access Denied"}"#),
            refused,
            &[
                "403: Access Denied",
                "active",
                "iot:AssumeRoleWithCertificate",
                "\"kiosk:7\"",
            ][..],
        ),
        (
            &known,
            NOW,
            say(404, r#"{"message":"Role alias does not exist"}"#),
            refused,
            &[
                "404: Role alias does not exist",
                "\"apt-reader\"",
                "iot:CredentialProvider",
            ],
        ),
        (
            &known,
            NOW,
            say(400, r#"{"message":"Unable to assume the role"}"#),
            refused,
            &[
                "400: Unable to assume the role",
                "credentials.iot.amazonaws.com",
            ],
        ),
        (
            &known,
            NOW,
            say(200, "{}"),
            refused,
            &["holds no credentials"],
        ),
        (&known, NOW, say(503, ""), "HttpError503", &["status 503"]),
        (
            &known,
            NOW,
            Turn::Wait,
            "ConnectionTimedOut",
            &["within 1 s"],
        ),
        (
            &others,
            NOW,
            LONG,
            refused,
            &["does not accept the device's certificate"],
        ),
        (
            &known,
            (2090, 2099),
            LONG,
            "HttpError495",
            &["clock", "not valid yet"],
        ),
        (
            &known,
            (2000, 2001),
            LONG,
            "HttpError495",
            &["clock", "expired"],
        ),
    ] {
        let running = service(&known, years, &[turn]);
        let device = Device::usual(devices, &running).await;
        let machine = match turn {
            Turn::Wait => device.configured().item("Acquire::s3::Timeout", "1"),
            _ => device.configured(),
        };
        let failed = machine
            .start
            .configured()
            .failure("s3://bucket/file", "file");
        expect_reason(&failed, reason);
        for word in words {
            assert!(
                field(&failed, "Message").contains(word),
                "{word}: {}",
                show(&failed)
            );
        }
        let is_transient = failed.get("Transient-Failure").is_some();
        assert_eq!(
            is_transient,
            !reason.ends_with("401") && !reason.ends_with("495")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_or_not_trusted_is_named() {
    let devices = Authority::new();
    let running = service(&devices, NOW, &[LONG]);
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("localhost:{}", unused.port());
    let device = Device::usual(&devices, &running)
        .await
        .set("Endpoint", &endpoint);
    let mut method = device.configured().start.configured();
    let failed = method.failure("s3://bucket/file", "file");
    expect_reason(&failed, "ConnectionRefused");
    assert!(
        field(&failed, "Message").contains(&endpoint),
        "{}",
        show(&failed)
    );

    let device = Device::usual(&devices, &running).await;
    let other = device.machine.write("other.pem", &devices.pem);
    let mut method = device.set("CAFile", &other).configured().start.configured();
    let failed = method.failure("s3://bucket/file", "file");
    expect_reason(&failed, "HttpError495");
    assert!(
        field(&failed, "Message").contains("IotCAFile"),
        "{}",
        show(&failed)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setting_is_named_and_no_other_identity_is_used() {
    let devices = Authority::new();
    let running = service(&devices, NOW, &[LONG]);
    let wrong_key = |name| ("PrivateKey", Some(key(name)), "");
    for ((setting, content, value), words) in [
        (("Endpoint", None, ""), "is not set"),
        (("RoleAlias", None, ""), "is not set"),
        (("Certificate", None, ""), "is not set"),
        (("PrivateKey", None, ""), "is not set"),
        (
            ("Endpoint", None, "a1-ats.iot.eu-west-1.amazonaws.com"),
            "iot:CredentialProvider",
        ),
        (("RoleAlias", None, "a/b"), "letters"),
        (("Thing", None, "a b"), "letters"),
        (
            ("Certificate", None, "/nonexistent/device.pem"),
            "/nonexistent/device.pem",
        ),
        (
            ("PrivateKey", None, "/nonexistent/device.key"),
            "/nonexistent/device.key",
        ),
        (
            ("CAFile", None, "/nonexistent/ca.pem"),
            "/nonexistent/ca.pem",
        ),
        (("Certificate", Some("hunter2".to_owned()), ""), "PEM"),
        (("CAFile", Some("hunter2".to_owned()), ""), "no certificate"),
        (("PrivateKey", Some("hunter2".to_owned()), ""), "PEM"),
        (wrong_key("p384"), "not the one of the certificate"),
        (wrong_key("p521-sec1"), "P-384"),
        (wrong_key("p256-encrypted"), "encrypted"),
        (wrong_key("rsa-encrypted-pkcs1"), "encrypted"),
    ] {
        let device = Device::usual(&devices, &running).await;
        let value = match content {
            Some(content) => device.machine.write("wrong.pem", &content),
            None => value.to_owned(),
        };
        let machine = device.set(setting, &value).configured();
        machine.store.set_access_keys(vec![dev_s3::AccessKey::new(
            DevS3::DEFAULT_KEY_ID,
            DevS3::DEFAULT_SECRET,
            dev_s3::Grants::All,
        )]);
        let machine = machine
            .variable("AWS_ACCESS_KEY_ID", DevS3::DEFAULT_KEY_ID)
            .variable("AWS_SECRET_ACCESS_KEY", DevS3::DEFAULT_SECRET);
        let failed = machine
            .start
            .configured()
            .failure("s3://bucket/file", "file");
        expect_reason(&failed, "HttpError400");
        let message = field(&failed, "Message");
        let named = format!("Acquire::s3::IoT::{setting} (Iot{setting})");
        assert!(
            message.contains(&named) && message.contains(words),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
    assert!(running.requests().is_empty());
}

/// A proxy that connects all to one port, and asks for a password.
fn proxy(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            let service = "connect c1.credentials.iot.eu-west-1.amazonaws.com:443 http/1.1\r\n";
            assert!(head.starts_with(service), "{head}");
            if !head.contains("\r\nproxy-authorization: basic bwu6b3blbg==\r\n") {
                write!(
                    stream,
                    "HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n"
                )
                .unwrap();
                continue;
            }
            write!(stream, "HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            for (from, to) in [(&stream, &server), (&server, &stream)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                thread::spawn(move || io::copy(&mut from, &mut to));
            }
        }
    });
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_elsewhere_is_asked_through_the_proxy() {
    let name = "c1.credentials.iot.eu-west-1.amazonaws.com";
    let devices = Authority::new();
    let running = Service {
        name,
        years: NOW,
        turns: vec![LONG],
        devices: &devices,
    }
    .start();
    let port = proxy(running.port);
    for (user, is_let_through) in [("me:open@", true), ("", false)] {
        let device = Device::usual(&devices, &running)
            .await
            .set("Endpoint", name);
        let proxy = format!("http://{user}127.0.0.1:{port}");
        let machine = device.configured().variable("https_proxy", &proxy);
        let mut method = machine.start.configured();
        if is_let_through {
            assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");
            assert!(running.requests()[0].starts_with(&format!("{name} GET ")));
        } else {
            let failed = method.failure("s3://bucket/file", "file");
            expect_reason(&failed, "HttpError401");
            let message = field(&failed, "Message");
            assert!(
                message.contains("407") && message.contains(&port.to_string()),
                "{message}"
            );
        }
    }
}
