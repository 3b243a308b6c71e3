//! apt's side of the conversation, for tests of the real program.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::ffi::OsString;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use apt_method_s3::message::{Decoder, Message};

/// Far longer than anything takes: only a hang gets there.
const HANG: Duration = Duration::from_secs(60);

/// A request without a body, to its blank line or as far as it comes.
pub(crate) fn read_request(stream: &mut impl Read) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(length @ 1..) => request.extend_from_slice(&buffer[..length]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// A running method.
pub(crate) struct Method {
    child: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Message>,
    /// Where items go.
    pub(crate) folder: tempfile::TempDir,
}

/// A method that is not started yet, with an environment of its own.
pub(crate) struct Start {
    environment: Vec<(OsString, OsString)>,
    items: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

impl Default for Start {
    fn default() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = Self {
            environment: Vec::new(),
            items: Vec::new(),
            folder,
        };
        let none = start
            .folder
            .path()
            .join("no-s3auth.conf")
            .display()
            .to_string();
        // Nothing of the machine's own settings.
        start
            .variable("AWS_EC2_METADATA_DISABLED", "true")
            .item("Acquire::s3::AuthConf", &none)
            .item("Acquire::Send-URI-Encoded", "1")
    }
}

impl Start {
    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub(crate) fn item(mut self, key: &str, value: &str) -> Self {
        self.items.push((key.into(), value.into()));
        self
    }

    /// Keys and endpoint as settings.
    pub(crate) fn store(self, endpoint: &str, id: &str, secret: &str) -> Self {
        self.item("Acquire::s3::Endpoint", endpoint)
            .item("Acquire::s3::AccessKeyId", id)
            .item("Acquire::s3::SecretAccessKey", secret)
    }

    /// Where items go.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it and reads what it can do.
    pub(crate) fn start(self) -> Method {
        // apt's `ExecFork` gives its methods the default signals back; tests that run in the background of a
        // shell may have to ignore SIGINT.
        let mut command = Command::new("/usr/bin/env");
        command
            .args(["--default-signal=INT", env!("CARGO_BIN_EXE_apt-method-s3")])
            .env_clear()
            .envs(self.environment);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut decoder = Decoder::default();
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                decoder.push(&buffer[..length]);
                while let Some(message) = decoder.next_message() {
                    if sender
                        .send(message.expect("a message of the method is malformed"))
                        .is_err()
                    {
                        return;
                    }
                }
            }
        });
        let mut method = Method {
            child,
            stdin,
            messages,
            folder: self.folder,
        };
        assert_eq!(method.next().code, 100);
        method
    }

    /// Starts it and sends the configuration.
    pub(crate) fn configured(self) -> Method {
        let items = self.items.clone();
        let mut method = self.start();
        method.configure(&items);
        method
    }
}

impl Method {
    pub(crate) fn configure(&mut self, items: &[(String, String)]) {
        let message = items.iter().fold(
            Message::new(601, "Configuration"),
            |message, (key, value)| message.with("Config-Item", format!("{key}={value}")),
        );
        self.send(&message);
    }

    pub(crate) fn send(&mut self, message: &Message) {
        self.send_raw(&message.to_bytes());
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Where the item of this name goes.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A request for `uri` into the file `name`.
    pub(crate) fn request(&self, uri: &str, name: &str) -> Message {
        let path = self.path(name).display().to_string();
        Message::new(600, "URI Acquire")
            .with("URI", uri)
            .with("Filename", path)
    }

    pub(crate) fn acquire(&mut self, uri: &str, name: &str) {
        let request = self.request(uri, name);
        self.send(&request);
    }

    /// The next message, whatever it is.
    pub(crate) fn next(&mut self) -> Message {
        match self.messages.recv_timeout(HANG) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("the method says nothing"),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the method has ended: {:?}", self.child.wait())
            }
        }
    }

    /// The next answer (200, 201, 400), without the words about progress.
    pub(crate) fn answer(&mut self) -> Message {
        loop {
            let message = self.next();
            if !matches!(message.code, 101 | 102) {
                return message;
            }
        }
    }

    /// The next message that ends an item, and the 200 before it if there was one.
    pub(crate) fn end_of_item(&mut self) -> (Option<Message>, Message) {
        let mut started = None;
        loop {
            match self.answer() {
                message if message.code == 200 => started = Some(message),
                message => return (started, message),
            }
        }
    }

    /// Fetches one item.
    pub(crate) fn fetch(&mut self, uri: &str, name: &str) -> (Option<Message>, Message) {
        self.acquire(uri, name);
        self.end_of_item()
    }

    /// Fetches one item that must succeed, and its content.
    pub(crate) fn content(&mut self, uri: &str, name: &str) -> (Message, Vec<u8>) {
        let (_, done) = self.fetch(uri, name);
        assert_eq!(done.code, 201, "{}", show(&done));
        (done, std::fs::read(self.path(name)).unwrap())
    }

    /// Fetches one item that must fail.
    pub(crate) fn failure(&mut self, uri: &str, name: &str) -> Message {
        let (_, failed) = self.fetch(uri, name);
        assert_eq!(failed.code, 400, "{}", show(&failed));
        failed
    }

    pub(crate) fn id(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Closes the method's input.
    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end; everything that it still said.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<Message>) {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < HANG, "the method does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        (status, self.messages.iter().collect())
    }
}

impl Drop for Method {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A message as text.
pub(crate) fn show(message: &Message) -> String {
    String::from_utf8_lossy(&message.to_bytes()).into_owned()
}

/// A field that must be there.
pub(crate) fn field(message: &Message, key: &str) -> String {
    message
        .get(key)
        .unwrap_or_else(|| panic!("no {key} in {}", show(message)))
}

/// Fails unless the message gives this `FailReason`.
pub(crate) fn expect_reason(failed: &Message, reason: &str) {
    assert_eq!(field(failed, "FailReason"), reason, "{}", show(failed));
}
