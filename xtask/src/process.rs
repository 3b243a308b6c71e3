//! Programs that are run: their output is kept, their time is bounded, and a failure says what ran and what it said.
//!
//! Everything that xtask starts goes through here, so that a program that hangs fails the run that started it
//! instead of stopping it for ever, and so that no child asks a question on the terminal (standard input is empty).

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{Read as _, Seek as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::interrupt;

/// How long a program may take unless told otherwise.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(180);

/// What a program left behind.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The command line, for messages.
    pub(crate) command: String,
    pub(crate) status: ExitStatus,
    /// What it wrote to standard output.
    pub(crate) stdout: String,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// The exit code, or 128 + the signal that ended it, as a shell gives it.
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Both streams, standard output first.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Fails unless the exit code is 0.
    pub(crate) fn success(self) -> Result<Self> {
        self.expect_code(0)
    }

    /// Fails unless the exit code is `code`.
    pub(crate) fn expect_code(self, code: i32) -> Result<Self> {
        if self.code() == code {
            return Ok(self);
        }
        bail!(
            "exit code {} instead of {code}\n{}",
            self.code(),
            self.report()
        );
    }

    /// Fails unless either stream holds `needle`.
    pub(crate) fn expect_text(self, needle: &str) -> Result<Self> {
        if self.text().contains(needle) {
            return Ok(self);
        }
        bail!("`{needle}` is missing from the output\n{}", self.report());
    }

    /// Fails if either stream holds `needle`.
    pub(crate) fn expect_no_text(self, needle: &str) -> Result<Self> {
        if !self.text().contains(needle) {
            return Ok(self);
        }
        bail!("`{needle}` is in the output\n{}", self.report());
    }

    /// The command and all that it wrote, for a person who looks for the cause.
    pub(crate) fn report(&self) -> String {
        let mut report = format!("$ {}\n", self.command);
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            for line in text.lines() {
                report.push_str(&format!("  {name}| {line}\n"));
            }
        }
        report.push_str(&format!(
            "  exit code {} after {:.2} s\n",
            self.code(),
            self.elapsed.as_secs_f64()
        ));
        report
    }
}

/// Runs `command` to its end, with the usual time limit.
pub(crate) fn run(command: &mut Command) -> Result<Outcome> {
    run_within(command, TIME_LIMIT)
}

/// Runs `command` to its end; it is killed after `limit`.
///
/// Output goes to files instead of pipes: a grandchild that keeps a pipe open cannot block the run then.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<Outcome> {
    start(command)?.finish(limit)
}

/// A program that is running.
pub(crate) struct Running {
    command: String,
    child: Child,
    stdout: File,
    stderr: File,
    started: Instant,
}

/// Starts `command` with empty standard input and its output kept.
pub(crate) fn start(command: &mut Command) -> Result<Running> {
    interrupt::hold_if_ending();
    let line = render(command);
    let stdout = tempfile::tempfile().context("cannot make a temporary file")?;
    let stderr = tempfile::tempfile().context("cannot make a temporary file")?;
    let started = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    interrupt::child_started(child.id());
    Ok(Running {
        command: line,
        child,
        stdout,
        stderr,
        started,
    })
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Ends it with SIGKILL and gives what it wrote until then.
    pub(crate) fn kill(mut self) -> Result<Outcome> {
        self.child.kill()?;
        self.finish(Duration::from_secs(10))
    }

    /// Waits for its end, `limit` at most from its start.
    pub(crate) fn finish(mut self, limit: Duration) -> Result<Outcome> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if self.started.elapsed() > limit {
                self.child.kill()?;
                let _ = self.child.wait()?;
                interrupt::child_ended(self.child.id());
                let outcome = self.outcome(ExitStatus::from_raw(9))?;
                bail!(
                    "no end after {} s, killed\n{}",
                    limit.as_secs(),
                    outcome.report()
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        interrupt::child_ended(self.child.id());
        self.outcome(status)
    }

    fn outcome(&mut self, status: ExitStatus) -> Result<Outcome> {
        Ok(Outcome {
            command: self.command.clone(),
            status,
            stdout: read_back(&mut self.stdout)?,
            stderr: read_back(&mut self.stderr)?,
            elapsed: self.started.elapsed(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        interrupt::child_ended(self.child.id());
    }
}

fn read_back(file: &mut File) -> Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The command line as one would type it, with the variables that were set for it.
pub(crate) fn render(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        let Some(value) = value else { continue };
        words.push(format!("{}={}", name.to_string_lossy(), quote(value)));
    }
    words.push(quote(command.get_program()));
    words.extend(command.get_args().map(quote));
    words.join(" ")
}

/// A word as a shell takes it.
pub(crate) fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Whether a program of this name is on `PATH`.
pub(crate) fn on_path(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else {
        return false;
    };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// `PATH` with these folders before what it is.
pub(crate) fn path_with(first: &[impl AsRef<Path>]) -> Result<OsString> {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let folders = first
        .iter()
        .map(|folder| folder.as_ref().to_owned())
        .chain(std::env::split_paths(&rest));
    std::env::join_paths(folders).context("a folder has a colon in its name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_only_where_a_shell_would_split_it() {
        assert_eq!(
            quote(OsStr::new("s3://bucket/prefix")),
            "s3://bucket/prefix"
        );
        assert_eq!(quote(OsStr::new("two words")), "'two words'");
        assert_eq!(quote(OsStr::new("it's")), r"'it'\''s'");
        assert_eq!(quote(OsStr::new("")), "''");
    }

    #[test]
    fn an_outcome_has_both_streams_and_the_code() {
        let outcome =
            run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).unwrap();
        assert_eq!(
            (
                outcome.code(),
                outcome.stdout.as_str(),
                outcome.stderr.as_str()
            ),
            (3, "out\n", "err\n")
        );
        assert!(outcome.clone().success().is_err());
        outcome.expect_code(3).unwrap();
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let error =
            run_within(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("killed"), "{error}");
    }
}
