//! The voice of the demo: numbered steps, why each is there, the command as one would type it, and what it said.

use std::{
    io::{IsTerminal as _, Write as _},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::process::{self, Outcome};

/// Tells a story of a known number of steps on standard output.
pub(crate) struct Narrator {
    steps: usize,
    step: usize,
    colour: bool,
}

impl Narrator {
    /// A story of `steps` steps; in colour on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn new(steps: usize) -> Self {
        let colour = std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            steps,
            step: 0,
            colour,
        }
    }

    /// The next step, and why it is done.
    pub(crate) fn step(&mut self, title: &str, why: &str) {
        self.step += 1;
        self.say("");
        self.say(&self.paint("1", &format!("{}/{}  {title}", self.step, self.steps)));
        for line in wrap(why, 92) {
            self.say(&format!("     {line}"));
        }
    }

    /// A remark between commands.
    pub(crate) fn remark(&self, text: &str) {
        for line in wrap(text, 92) {
            self.say(&format!("     {}", self.paint("2", &line)));
        }
    }

    /// A command as one would type it.
    pub(crate) fn command(&self, line: &str) {
        self.say(&format!(
            "     {} {}",
            self.paint("36", "$"),
            self.paint("36", line)
        ));
    }

    /// What a command said.
    pub(crate) fn output(&self, text: &str) {
        for line in text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
        {
            self.say(&format!("       {line}"));
        }
    }

    /// Shows a file as one would write it.
    pub(crate) fn file(&self, shown: &str, content: &str) {
        self.command(&format!("cat {shown}"));
        self.output(content);
    }

    /// Shows `command` as `shown`, runs it, and shows what it said; fails with all of it if the command does.
    pub(crate) fn run(&self, shown: &str, command: &mut Command) -> Result<Outcome> {
        self.command(shown);
        let outcome = process::run(command)?
            .success()
            .with_context(|| format!("`{shown}` failed"))?;
        // Progress goes to standard error and comes before the result.
        self.output(&outcome.stderr);
        self.output(&outcome.stdout);
        Ok(outcome)
    }

    /// The closing line.
    pub(crate) fn close(&self, text: &str) {
        self.say("");
        self.say(&self.paint("32", text));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// A line; a reader who has gone away (`| head`) is no reason to fail before the clean-up.
    fn say(&self, line: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// Breaks `text` at spaces into lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 3), ["unbreakable"]);
        assert!(wrap("  ", 10).is_empty());
    }
}
