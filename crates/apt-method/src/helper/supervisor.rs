//! The process that keeps root. It reads no file and parses nothing but requests and answers: it starts a
//! process for each, and ends that one and all that it started.

use std::{
    io::{self, Read, Write},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use aws_access::{ConnectProblem, CredentialError, CredentialProblem};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::answer;
use crate::message::{Decoder, Message};

/// How long an answer may take: somewhat more than the sources of credentials have.
const LIMIT: Duration = Duration::from_secs(80);

/// How long an answer may be: many times a session token.
const MAX_ANSWER: u64 = 64 << 10;

/// The process group that works on a request.
#[derive(Clone, Default)]
struct Group(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    leader: Option<Pid>,
    /// No more of them are started.
    is_over: bool,
}

impl Group {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, command: &mut Command) -> io::Result<Child> {
        let mut running = self.lock();
        if running.is_over {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        running.leader = i32::try_from(child.id()).ok().map(Pid::from_raw);
        Ok(child)
    }

    /// Ends all its processes. Its number is not given to others as long as the first of them has not been
    /// waited for.
    fn end(&self) {
        if let Some(group) = self.lock().leader.take() {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Answers requests with what `command` says to each, until `input` ends; then ends what is running.
///
/// # Errors
/// Nobody reads the answers.
pub fn serve(
    input: impl Read + Send + 'static,
    mut output: impl Write,
    command: impl Fn() -> Command,
) -> io::Result<()> {
    let (sender, requests) = mpsc::channel();
    let group = Group::default();
    let running = group.clone();
    thread::spawn(move || {
        let _ = pass_on(input, |request| sender.send(request).is_ok());
        running.lock().is_over = true;
        running.end();
    });
    for request in requests {
        let reply = reply(&request, &mut command(), &group, LIMIT)
            .unwrap_or_else(|error| answer::of(&Err(error)));
        output.write_all(&reply.to_bytes())?;
        output.flush()?;
    }
    Ok(())
}

/// Passes messages on as they come, until there are no more or nobody wants them.
fn pass_on(mut input: impl Read, mut take: impl FnMut(Message) -> bool) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut buffer = [0; 4096];
    loop {
        let length = input.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        decoder.push(&buffer[..length]);
        while let Some(message) = decoder.next_message() {
            if message.is_ok_and(|message| !take(message)) {
                return Ok(());
            }
        }
    }
}

/// What `command` says to a request.
fn reply(
    request: &Message,
    command: &mut Command,
    group: &Group,
    limit: Duration,
) -> Result<Message, CredentialError> {
    let failed = |error: io::Error| {
        CredentialError::new(
            CredentialProblem::Unavailable,
            "no process could be started that asks for credentials",
        )
        .with_source(error)
    };
    let mut child = group.start(command).map_err(failed)?;
    let answered = exchange(request, &mut child).recv_timeout(limit);
    group.end();
    let _ = child.wait();
    match answered {
        Ok(message) => Ok(message),
        Err(RecvTimeoutError::Timeout) => Err(CredentialError::new(
            CredentialProblem::Unreachable(ConnectProblem::TimedOut),
            format!("no credentials within {} s", limit.as_secs()),
        )),
        Err(RecvTimeoutError::Disconnected) => Err(CredentialError::new(
            CredentialProblem::Refused,
            "the source of credentials gave no answer, or far too long a one",
        )),
    }
}

/// Hands a child its request; its answer comes out.
fn exchange(request: &Message, child: &mut Child) -> Receiver<Message> {
    let (sender, answer) = mpsc::channel();
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let request = request.to_bytes();
    thread::spawn(move || {
        if let Some(mut input) = input {
            let _ = input.write_all(&request);
        }
        if let Some(output) = output {
            let _ = pass_on(output.take(MAX_ANSWER), |message| {
                sender.send(message).is_err()
            });
        }
    });
    answer
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// What a shell says to a request.
    fn said(script: &str, limit: Duration) -> Result<Message, CredentialError> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        reply(
            &Message::new(600, "Keys").with("Profile", "p"),
            &mut command,
            &Group::default(),
            limit,
        )
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_answer_to_a_request_comes_back() {
        let answer = said(
            "read code text; read name; echo \"201 Keys\"; echo \"Got: $code $name\"; echo",
            LONG,
        );
        assert_eq!(
            answer.unwrap().get("Got").as_deref(),
            Some("600 Profile: p")
        );
    }

    #[test]
    fn neither_time_nor_output_is_without_bound() {
        for script in ["exit 1", "yes", "echo 201 Keys; yes x:y"] {
            assert_eq!(
                said(script, LONG).unwrap_err().problem(),
                CredentialProblem::Refused,
                "{script}"
            );
        }
        let begin = Instant::now();
        let error = said("sleep 1000 & sleep 1000", Duration::from_millis(100)).unwrap_err();
        assert_eq!(
            error.problem(),
            CredentialProblem::Unreachable(ConnectProblem::TimedOut)
        );
        assert!(begin.elapsed() < LONG);
    }

    #[test]
    fn what_runs_ends_with_the_input() {
        let (input, method) = io::pipe().unwrap();
        let (watch, alive) = io::pipe().unwrap();
        let mut method = method;
        method
            .write_all(&Message::new(600, "Keys").to_bytes())
            .unwrap();
        let (started, starts) = mpsc::channel();
        let server = thread::spawn(move || {
            serve(input, io::sink(), move || {
                let mut command = Command::new("sh");
                command
                    .args(["-c", "sleep 1000 & sleep 1000"])
                    .stderr(alive.try_clone().unwrap());
                started.send(()).unwrap();
                command
            })
        });
        starts.recv_timeout(LONG).unwrap();
        drop(method);
        server.join().unwrap().unwrap();
        // All that had the pipe are gone.
        let mut watch = watch;
        assert_eq!(watch.read(&mut [0]).unwrap(), 0);
    }
}
