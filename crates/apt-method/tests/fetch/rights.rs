//! Keys that only root can get, after the method has given up root. Without root nothing is given up, and all
//! of this holds as well.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use dev_s3::{AccessKey, DevS3, Grants};
use nix::unistd::{Pid, User, chown, getuid};

use crate::{
    store::store,
    support::{Method, Start, field, show},
};

/// A machine whose root has a home that nobody else can look into.
pub(crate) struct Machine {
    pub(crate) store: DevS3,
    pub(crate) start: Start,
    home: PathBuf,
}

impl Machine {
    pub(crate) async fn new() -> Self {
        let store = store().await;
        store.put("bucket", "file", b"abc").unwrap();
        let start = Start::default()
            .item("APT::Sandbox::User", "nobody")
            .item("Acquire::s3::Endpoint", &store.endpoint());
        let home = start.folder().join("home");
        fs::create_dir_all(home.join(".aws")).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        if getuid().is_root() {
            // As apt does with the folder for partial files.
            let nobody = User::from_name("nobody").unwrap().unwrap();
            chown(start.folder(), Some(nobody.uid), None).unwrap();
        }
        let start = start
            .variable("HOME", &home)
            .variable("PATH", "/usr/bin:/bin");
        Self { store, start, home }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.home.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.start = self.start.variable(name, value);
        self
    }

    pub(crate) fn item(mut self, key: &str, value: &str) -> Self {
        self.start = self.start.item(key, value);
        self
    }

    /// The store takes this key, with a token, and no other.
    pub(crate) fn takes(store: &DevS3, id: &str, token: &str) {
        let key = AccessKey::new(id, "secret", Grants::All).with_session_token(token);
        store.set_access_keys(vec![key]);
    }

    fn fetches(self) -> (Method, DevS3) {
        let mut method = self.start.configured();
        assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");
        (method, self.store)
    }
}

/// What a `credential_process` writes.
fn of_program(id: &str, token: &str) -> String {
    format!(
        r#"{{"Version":1,"AccessKeyId":"{id}","SecretAccessKey":"secret","SessionToken":"{token}"}}"#
    )
}

/// The processes that `parent` has started.
fn children(parent: Pid) -> Vec<i32> {
    let of_parent = |id: &i32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    let names = fs::read_dir("/proc").unwrap();
    names
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(of_parent)
        .collect()
}

/// A line of what the kernel says of a process.
fn status(id: i32, line: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let found = status.lines().find_map(|found| found.strip_prefix(line));
    found.unwrap().split_whitespace().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_keys_are_read_before_and_nothing_keeps_root() {
    let machine = Machine::new().await;
    let keys = format!(
        "[other]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        DevS3::DEFAULT_KEY_ID,
        DevS3::DEFAULT_SECRET
    );
    machine.write(".aws/credentials", &keys);
    let (method, _store) = machine
        .item("Acquire::s3::bucket::Profile", "other")
        .fetches();
    assert_eq!(children(method.id()), [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_root_gives_keys() {
    let machine = Machine::new().await;
    Machine::takes(&machine.store, "ASIAPROGRAM", "token");
    let keys = machine.write("keys", &of_program("ASIAPROGRAM", "token"));
    machine.write(
        ".aws/config",
        &format!("[default]\ncredential_process = cat {keys}\n"),
    );
    let (method, _store) = machine.fetches();
    let id = method.id();
    let helpers = children(id);
    assert_eq!(helpers.len(), usize::from(getuid().is_root()));
    assert_eq!(status(id.as_raw(), "NoNewPrivs:"), "1");
    for helper in &helpers {
        assert_eq!(status(*helper, "Uid:"), "0");
        assert_ne!(status(id.as_raw(), "Uid:"), "0");
    }
    drop(method);
    // It ends with the method.
    let is_running = |helper: &i32| {
        fs::read_to_string(format!("/proc/{helper}/cmdline"))
            .is_ok_and(|command| command.contains("--credentials"))
    };
    while helpers.iter().any(is_running) {
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_is_said_to_and_what_it_wrote_is_not() {
    let machine = Machine::new().await;
    machine.write(
        ".aws/config",
        "[default]\ncredential_process = echo hunter2 >&2; exit 3\n",
    );
    let mut method = machine.start.configured();
    let failed = show(&method.failure("s3://bucket/file", "file"));
    assert!(
        failed.contains("credential_process") && failed.contains("exit status: 3"),
        "{failed}"
    );
    assert!(!failed.contains("hunter2"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_may_run_as_another_user() {
    let machine = Machine::new().await;
    Machine::takes(&machine.store, "ASIAPROGRAM", "token");
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let config = folder.path().join("config");
    let user = if getuid().is_root() {
        "daemon"
    } else {
        "$(id -un)"
    };
    let text = format!(
        "[default]\ncredential_process = test \"$(id -un)\" = \"{user}\" && echo '{}'\n",
        of_program("ASIAPROGRAM", "token")
    );
    fs::write(&config, text).unwrap();
    machine
        .variable("AWS_CONFIG_FILE", config.to_str().unwrap())
        .item("Acquire::s3::CredentialProcess::User", "daemon")
        .fetches();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_replaced_in_roots_file_are_read_again() {
    let machine = Machine::new().await;
    let keys = |token: &str| {
        format!(
            "[default]\naws_access_key_id = ASIA\naws_secret_access_key = secret\naws_session_token = {token}\n"
        )
    };
    Machine::takes(&machine.store, "ASIA", "first");
    let path = machine.write(".aws/credentials", &keys("first"));
    let (mut method, store) = machine.fetches();
    Machine::takes(&store, "ASIA", "second");
    fs::write(path, keys("second")).unwrap();
    assert_eq!(method.content("s3://bucket/file", "again").1, b"abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_asked_anew_once_for_all_items() {
    let machine = Machine::new().await;
    Machine::takes(&machine.store, "ASIA", "first");
    let keys = machine.write("keys", &of_program("ASIA", "first"));
    let asked = machine.write("asked", "");
    let program = format!("[default]\ncredential_process = cat {keys}; echo once >> {asked}\n");
    machine.write(".aws/config", &program);
    let (mut method, store) = machine.fetches();
    Machine::takes(&store, "ASIA", "second");
    fs::write(keys, of_program("ASIA", "second")).unwrap();
    for name in ["1", "2", "3"] {
        method.acquire("s3://bucket/file", name);
    }
    for _ in 0..3 {
        let (_, done) = method.end_of_item();
        assert_eq!(done.code, 201, "{}", show(&done));
    }
    assert_eq!(fs::read_to_string(asked).unwrap(), "once\nonce\n");
}

/// A token service that knows one token.
fn token_service(token: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            let mut buffer = [0; 4096];
            while !request.contains("WebIdentityToken=") {
                let length = stream.read(&mut buffer).unwrap();
                assert_ne!(length, 0, "{request}");
                request.push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
            assert!(request.contains(token), "{request}");
            let body = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
                <AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>\
                <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
                </AssumeRoleWithWebIdentityResponse>";
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_of_root_is_read_by_the_environment_and_by_a_profile() {
    for by_profile in [false, true] {
        let machine = Machine::new().await;
        Machine::takes(&machine.store, "ASIAROLE", "token");
        let token = machine.write("token", "the-token");
        let role = "arn:aws:iam::123456789012:role/reader";
        let profile = format!("[default]\nrole_arn = {role}\nweb_identity_token_file = {token}\n");
        let machine = machine
            .variable("AWS_ENDPOINT_URL_STS", &token_service("the-token"))
            .variable("AWS_REGION", "us-east-1");
        if by_profile {
            machine.write(".aws/config", &profile);
            machine.fetches();
        } else {
            machine
                .variable("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
                .variable("AWS_ROLE_ARN", role)
                .fetches();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_in_a_file_of_root_are_trusted() {
    for place in ["setting", "https", "environment", "profile"] {
        let mut machine = Machine::new().await;
        let store = DevS3::builder().bucket("bucket").tls(true);
        machine.store = store.start().await.unwrap();
        machine.store.put("bucket", "file", b"abc").unwrap();
        let endpoint = machine.store.endpoint();
        let bundle = machine.write("ca.pem", machine.store.ca_pem().unwrap());
        machine.write(".aws/config", "[default]\nregion = us-east-1\n");
        let machine = machine
            .item("Acquire::s3::Endpoint", &endpoint)
            .item("Acquire::s3::AccessKeyId", DevS3::DEFAULT_KEY_ID)
            .item("Acquire::s3::SecretAccessKey", DevS3::DEFAULT_SECRET);
        let machine = match place {
            "setting" => machine.item("Acquire::s3::bucket::CAInfo", &bundle),
            "https" => machine.item("Acquire::https::CAInfo", &bundle),
            "environment" => machine.variable("AWS_CA_BUNDLE", &bundle),
            _ => {
                machine.write(".aws/config", &format!("[default]\nca_bundle = {bundle}\n"));
                machine
            }
        };
        println!("{place}");
        machine.fetches();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_identity_is_taken_for_a_profile_that_cannot_be_had() {
    let machine = Machine::new().await;
    machine.write(".aws/config", "[profile other]\nregion = eu-west-1\n");
    let mut method = machine
        .item("Acquire::s3::Profile", "missing")
        .start
        .configured();
    let failed = method.failure("s3://bucket/file", "file");
    assert!(
        field(&failed, "Message").contains("\"missing\""),
        "{}",
        show(&failed)
    );

    let machine = Machine::new().await;
    fs::create_dir(machine.home.join(".aws/credentials")).unwrap();
    let mut method = machine.start.configured();
    let failed = method.failure("s3://bucket/file", "file");
    assert!(
        field(&failed, "Message").contains(".aws/credentials"),
        "{}",
        show(&failed)
    );
}
