//! Credentials that only root can get, for a method that has given up root.
//!
//! A `credential_process`, a single sign-on, a token file or a credentials file that is rewritten within
//! the hour needs the rights that the method no longer has. So where the configuration has one of these,
//! this program is started once more before the drop. That process keeps root, or becomes
//! `Acquire::s3::CredentialProcess::User`. Over a pipe it takes one kind of request, for the keys of a
//! profile, and never speaks to S3. It ends with the method.
//!
//! It is small, too: each request is answered by a third process ([`answer`]), which reads the files anew and
//! may run programs. [`supervisor`] bounds its time and what it writes.

pub mod answer;
pub mod supervisor;

use std::{
    fmt, io,
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use aws_access::{
    ConnectProblem, CredentialError, CredentialProblem, CredentialSource, Keys, Proxy,
};

use crate::{
    config::Config,
    environment::Environment,
    message::{Decoder, Message},
    sandbox,
    settings::Settings,
};

/// The argument that makes this program the helper; the user to become may follow.
pub const ARGUMENT: &str = "--credentials";

/// This program, even if another file has its name by now.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The user that the helper becomes; without it, it keeps its rights.
pub fn user(config: &Config) -> Option<&str> {
    config
        .get("Acquire::s3::CredentialProcess::User")
        .filter(|user| *user != "root")
}

/// The running helper. It ends when this is dropped.
pub struct Helper(Mutex<(ChildStdin, ChildStdout)>);

impl Helper {
    /// Starts it, with the rights of this process.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(config: &Config, environment: &Environment) -> io::Result<Self> {
        let mut child = Command::new(THIS_PROGRAM)
            .arg0("s3")
            .arg(ARGUMENT)
            .args(user(config))
            .envs(environment.home(user(config)).map(|home| ("HOME", home)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        Ok(Self(Mutex::new(pipes.ok_or(io::ErrorKind::BrokenPipe)?)))
    }

    /// Sends a request and waits for its answer.
    fn ask(&self, request: &Message) -> io::Result<Message> {
        let mut pipes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (input, output) = &mut *pipes;
        input.write_all(&request.to_bytes())?;
        let mut decoder = Decoder::default();
        let mut buffer = [0; 4096];
        loop {
            if let Some(message) = decoder.next_message() {
                return message.map_err(io::Error::other);
            }
            match output.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => decoder.push(&buffer[..length]),
            }
        }
    }
}

impl fmt::Debug for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Helper")
    }
}

/// The keys of one profile, from the helper.
#[derive(Debug)]
pub struct OfHelper {
    helper: Arc<Helper>,
    request: Message,
}

impl OfHelper {
    /// Those that `settings` lead to. Services are asked through `proxy`.
    pub fn new(
        helper: Arc<Helper>,
        settings: &Settings,
        ca_file: Option<&Path>,
        proxy: &Proxy,
    ) -> Self {
        Self {
            helper,
            request: answer::request(settings, ca_file, proxy),
        }
    }
}

#[async_trait]
impl CredentialSource for OfHelper {
    async fn keys(&self) -> Result<Keys, CredentialError> {
        let (helper, request) = (Arc::clone(&self.helper), self.request.clone());
        let asked = tokio::task::spawn_blocking(move || helper.ask(&request)).await;
        match asked.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(message) => answer::keys_of(&message),
            Err(error) => Err(CredentialError::new(
                CredentialProblem::Unreachable(ConnectProblem::Other),
                "the process that asks for credentials as root has ended",
            )
            .with_source(error)),
        }
    }
}

/// Becomes the helper. Requests come from `input` and answers go to `output`, until `input` ends.
///
/// # Errors
/// The rights of `user` cannot be taken on, or the pipe broke.
pub fn run(
    user: Option<&str>,
    input: impl io::Read + Send + 'static,
    output: impl io::Write,
) -> Result<(), String> {
    if let Some(user) = user {
        sandbox::become_user(user)?;
    }
    supervisor::serve(input, output, || {
        let mut command = Command::new(THIS_PROGRAM);
        command.arg0("s3").arg(answer::ARGUMENT);
        command
    })
    .map_err(|error| error.to_string())
}
