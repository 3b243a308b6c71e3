//! Options of a call that each command which is printed repeats, so that it works as it stands. What the environment has needs no
//! repeating.

use std::{path::Path, sync::Arc};

use clap::{ArgMatches, Command, parser::ValueSource};

use crate::text::shell_word;

/// The options beside those that say how the repository is reached, which each command has that takes them. No key is
/// among them: a call with a key itself is refused.
const REPEATED: [&str; 10] = [
    "sign-key",
    "sign-key-passphrase-file",
    "keyring",
    "unsigned",
    "from-keyring",
    "from-unsigned",
    "single-writer",
    "acl",
    "sse",
    "sse-kms-key-id",
];
/// Those of them that name files. One that is not there may be the secret itself, and what a shell opens is there for one call only.
const FILES: [&str; 4] = [
    "sign-key",
    "sign-key-passphrase-file",
    "keyring",
    "from-keyring",
];
/// Those of them that say how a suite is signed.
const SIGNING: usize = 4;
/// Commands that ask no store.
const ALONE: [&str; 2] = ["debucket key generate", "debucket key export"];

/// The options that a call was given.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// How the repository is reached, each after a space.
    reach: String,
    /// Names of the others, and their values as a shell takes them.
    others: Vec<(&'static str, Option<String>)>,
    /// The program, to find out which of them each of its commands takes.
    program: Arc<Command>,
}

impl Given {
    /// All but how the repository is reached.
    #[must_use]
    pub fn of(program: Command, matches: &ArgMatches) -> Self {
        let mut matches = matches;
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        let mut others = Vec::new();
        for name in REPEATED {
            let id = name.replace('-', "_");
            let is_there = matches.try_contains_id(&id).unwrap_or(false);
            if !is_there || matches.value_source(&id) != Some(ValueSource::CommandLine) {
                continue;
            }
            if matches.try_get_one::<bool>(&id).is_ok() {
                others.push((name, None));
                continue;
            }
            let values = matches.get_raw(&id).into_iter().flatten();
            let values = values.filter_map(|value| value.to_str());
            let is_there = |value: &&str| !FILES.contains(&name) || Path::new(value).is_file();
            let values = values.filter(is_there);
            others.extend(values.map(|value| (name, Some(shell_word(value).into_owned()))));
        }
        Self {
            reach: String::new(),
            others,
            program: program.into(),
        }
    }

    #[must_use]
    pub(crate) fn reaching(&self, reach: String) -> Self {
        Self {
            reach,
            ..self.clone()
        }
    }

    /// What of it counts for a suite that packages are taken from, but for how that is reached: the keys that are given for it,
    /// otherwise the same ones.
    pub(crate) fn of_source(&self) -> Self {
        let others = self.others.iter();
        let theirs = others.clone().filter_map(|(name, value)| {
            let name = name.strip_prefix("from-")?;
            let name = REPEATED.into_iter().find(|repeated| *repeated == name)?;
            Some((name, value.clone()))
        });
        let mut theirs: Vec<_> = theirs.collect();
        if theirs.is_empty() {
            let signing = others.filter(|(name, _)| REPEATED[..SIGNING].contains(name));
            theirs.extend(signing.cloned());
        }
        Self {
            reach: String::new(),
            others: theirs,
            program: self.program.clone(),
        }
    }

    /// A text with these options in each command that has to reach a repository, unless it names one or has them already.
    pub(crate) fn complete(&self, text: &str) -> String {
        // Every second piece is a command.
        let pieces = text.split('`').enumerate().map(|(at, piece)| {
            if at % 2 == 0 || !is_open(piece) {
                return piece.to_owned();
            }
            format!("{piece}{}", self.missing_in(piece))
        });
        pieces.collect::<Vec<_>>().join("`")
    }

    /// Those that a command takes and does not have, each after a space.
    fn missing_in(&self, command: &str) -> String {
        let words: Vec<_> = command.split_whitespace().collect();
        let mut taken = &*self.program;
        for word in words.iter().skip(1) {
            match taken.find_subcommand(word) {
                Some(inner) => taken = inner,
                None => break,
            }
        }
        let mut text = match command.contains(&self.reach) {
            true => String::new(),
            false => self.reach.clone(),
        };
        for (name, value) in &self.others {
            let option = format!("--{name}");
            let is_taken = taken.get_arguments().any(|it| it.get_long() == Some(name));
            if is_taken && !words.contains(&option.as_str()) {
                text.extend([" ", &option]);
                text.extend(value.iter().flat_map(|value| [" ", value]));
            }
        }
        text
    }
}

/// Whether it is a command that leaves open which repository it is for.
fn is_open(command: &str) -> bool {
    command.starts_with("debucket ")
        && !ALONE.iter().any(|alone| command.starts_with(alone))
        && !command.contains(" --repo ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn given(words: &[&str]) -> Given {
        let matches = Cli::command().get_matches_from(words);
        Given::of(Cli::command(), &matches).reaching(" --repo s3://b".to_owned())
    }

    fn file(folder: &tempfile::TempDir, name: &str) -> String {
        let path = folder.path().join(name);
        std::fs::write(&path, "").unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn each_command_repeats_what_it_takes() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, odd) = (file(&folder, "a.asc"), file(&folder, "b$"));
        let given = given(&[
            "debucket",
            "publish",
            "x.deb",
            "--sign-key",
            &plain,
            &format!("--sign-key={odd}"),
            "--sign-key-passphrase-file",
            "hunter2",
            "--keyring",
            "/dev/null",
            "--single-writer",
            "--acl",
            "private",
        ]);
        let writing = " --single-writer --acl private";
        let signing = format!(" --sign-key {plain} --sign-key '{odd}'{writing}");
        for (command, options) in [
            ("verify stable --repair", signing.as_str()),
            ("key list stable", ""),
            ("gc", writing),
            ("refresh --sign-key c", writing),
        ] {
            let advice = |options: &str| {
                let command = format!("debucket {command}{options}");
                format!("try `{command}` or --sign-key")
            };
            let complete = advice(&format!(" --repo s3://b{options}"));
            assert_eq!(given.complete(&advice("")), complete);
            // What is complete stays as it is.
            assert_eq!(given.complete(&complete), complete);
        }
        for text in [
            "`debucket key export --sign-key FILE`",
            "`debucket list --suites --repo s3://other`",
            "`apt update`",
        ] {
            assert_eq!(given.complete(text), text);
        }
    }

    #[test]
    fn a_source_has_the_keys_that_are_given_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let (own, theirs) = (file(&folder, "own"), file(&folder, "theirs"));
        let promote = "debucket promote x --from stable --to b --single-writer --sign-key";
        for (more, options) in [
            (&[][..], format!(" --sign-key {own}")),
            (&["--from-keyring", &theirs], format!(" --keyring {theirs}")),
            (&["--from-unsigned"], String::new()),
        ] {
            let words: Vec<_> = promote.split(' ').chain([own.as_str()]).collect();
            let source = given(&[&words[..], more].concat()).of_source();
            let complete = format!("`debucket verify stable{options}`");
            assert_eq!(source.complete("`debucket verify stable`"), complete);
        }
    }
}
