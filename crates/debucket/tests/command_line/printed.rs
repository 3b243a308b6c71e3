//! Each command that is printed can be run as it stands: it is spelled as the program takes it, and it reaches the same repository.

use std::{fs, path::Path, process::Command};

use clap::Parser as _;
use debucket::cli::Cli;

use crate::run::Run;

/// Options that say how a repository is reached.
const REACH: [&str; 7] = [
    "--repo",
    "--endpoint-url",
    "--profile",
    "--region",
    "--ca-bundle",
    "--path-style",
    "--virtual-hosted",
];
/// Options beside them that each command which takes them repeats, and a value.
const REPEATED: [(&str, &str); 4] = [
    ("--sign-key", "x"),
    ("--keyring", "x"),
    ("--unsigned", ""),
    ("--single-writer", ""),
];
/// Commands that ask no store.
const ALONE: [&str; 2] = ["debucket key generate", "debucket key export"];

/// The commands in a text, which are between backquotes.
pub(crate) fn commands(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|command| command.starts_with("debucket "))
}

/// The words that a shell makes of a command.
pub(crate) fn words(command: &str) -> Vec<String> {
    let script = format!("printf '%s\\n' {command}");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let words = String::from_utf8(output.stdout).unwrap();
    words.lines().map(ToOwned::to_owned).collect()
}

/// Why a command is not one that the program takes, with something in the place of what is left open.
fn problem(command: &str) -> Option<String> {
    let command = command.replace("FINGERPRINT", &"0".repeat(40));
    let cli = Cli::try_parse_from(words(&command));
    Some(format!("{command}: {}", cli.err()?))
}

/// That all commands which a run printed can be run as they are.
#[track_caller]
pub(crate) fn check(arguments: &[&str], run: &Run) {
    for command in [&run.stdout, &run.stderr]
        .into_iter()
        .flat_map(|it| commands(it))
    {
        assert_eq!(problem(command), None, "{run:#?}");
        let is_alone = ALONE.iter().any(|alone| command.starts_with(alone));
        for option in REACH.iter().filter(|_| !is_alone) {
            let is_given = |word: &&str| word.split('=').next() == Some(*option);
            let is_given = arguments.iter().any(is_given);
            assert!(!is_given || command.contains(option), "{command}: {run:#?}");
        }
        // A source has its own, and what a policy needs none.
        let is_policy = command.starts_with("debucket client-config");
        let has_source = arguments.iter().any(|word| word.starts_with("--from-"));
        for (option, value) in REPEATED
            .iter()
            .filter(|_| !is_alone && !has_source && !is_policy)
        {
            let is_lacking = arguments.contains(option) && !command.contains(option);
            let is_taken = || problem(&format!("{command} {option} {value}")).is_none();
            assert!(!is_lacking || !is_taken(), "{command}: {option}: {run:#?}");
        }
    }
}

/// The text of the sources, without comments, where a line that goes on is one.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let lines = source.lines().map(str::trim_start);
        for line in lines.filter(|line| !line.starts_with("//")) {
            match line.strip_suffix('\\') {
                Some(line) => text.push_str(line),
                None => text.extend([line, "\n"]),
            }
        }
    }
}

/// No text of the program has a command that it does not take, or that leaves open which suite is meant.
#[test]
fn each_command_in_a_message_is_one() {
    let mut text = String::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut text,
    );
    let (mut seen, mut problems) = (0, Vec::new());
    for command in text.lines().flat_map(commands) {
        seen += 1;
        let mut filled = command.to_owned();
        for (part, value) in [
            ("={}", "=1.0"),
            ("{name}", " stable"),
            ("{of}", " --suite stable"),
            ("{folder}", " stable"),
            ("{more}", ""),
            ("{key}", "FINGERPRINT"),
            ("{commit}", "abcdef"),
            ("{certificate}", "FINGERPRINT"),
        ] {
            filled = filled.replace(part, value);
        }
        while let (Some(from), Some(to)) = (filled.find('{'), filled.find('}')) {
            filled.replace_range(from..=to, "stable");
        }
        problems.extend(problem(&filled));
        let of_all = [
            "client-config",
            "doctor",
            "gc",
            "key generate",
            "key export",
        ];
        let is_of_all = of_all
            .iter()
            .any(|name| filled.starts_with(&format!("debucket {name}")));
        let names = [" stable", " NAME", "--suites", "suite list", "suite create"];
        if !is_of_all && !names.iter().any(|name| filled.contains(name)) {
            problems.push(format!("{command}: of which suite?"));
        }
    }
    assert!(seen > 50, "{seen}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
