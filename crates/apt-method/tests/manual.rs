//! s3(8) and the examples that the package ships say what the code knows, no less and no more.

#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use apt_method_s3::{
    authconf::AuthConf,
    config::Config,
    settings::{NAMES, Settings},
};

fn packaging(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "packaging", name]
        .iter()
        .collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(packaging(name)).unwrap()
}

/// The text of one section of the manual.
fn section(manual: &str, name: &str) -> String {
    let (_, rest) = manual.split_once(&format!("\n.SH {name}\n")).unwrap();
    let (text, _) = rest.split_once("\n.SH ").unwrap();
    text.replace("\\-", "-")
}

/// The lines of example `number` (from 0) of the section EXAMPLES.
fn example(number: usize) -> String {
    let text = section(&read("s3.8"), "EXAMPLES");
    let block = text.split(".nf\n").nth(number + 1).unwrap();
    block.split(".fi\n").next().unwrap().to_owned()
}

/// What apt makes of a configuration file: keys with their values.
fn as_apt_reads_it(text: &str) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apt.conf");
    // Without this machine's own.
    let none = "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n";
    fs::write(&path, format!("{none}{text}")).unwrap();
    let output = Command::new("apt-config")
        .args(["dump", "Acquire::s3"])
        .env("APT_CONFIG", path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let item = |line: &str| {
        let (key, value) = line.split_once(' ').unwrap();
        let value = value
            .strip_prefix('"')
            .unwrap()
            .strip_suffix("\";")
            .unwrap();
        (key.to_owned(), value.to_owned())
    };
    text.lines()
        .map(item)
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// Fails unless each item is a setting of all buckets or of one, with a value that is understood.
fn check_items(items: &[(String, String)]) {
    assert!(!items.is_empty());
    let mut config = Config::default();
    for (key, value) in items {
        let name = key.rsplit("::").next().unwrap();
        assert!(NAMES.contains(&name), "{key}");
        config.set(key.as_str(), value.as_str());
    }
    for (key, _) in items {
        let (prefix, _) = key.rsplit_once("::").unwrap();
        Settings::from_config(&config, prefix).unwrap();
    }
}

#[test]
fn each_setting_has_its_paragraph() {
    let text = section(&read("s3.8"), "SETTINGS");
    let (ours, apts) = text.split_once("\nThese are known in\n").unwrap();
    let described = |text: &str| -> BTreeSet<String> {
        text.split("\n.TP\n.B ")
            .skip(1)
            .map(|paragraph| paragraph.lines().next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        described(ours),
        NAMES.iter().map(|name| (*name).to_owned()).collect()
    );
    let sources: Vec<_> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    for name in described(apts) {
        let quoted = format!("\"{name}\"");
        assert!(
            sources.iter().any(|source| source.contains(&quoted)),
            "{name}"
        );
    }
}

#[test]
fn the_examples_of_keys_are_understood() {
    for text in [example(1), read("examples/s3auth.conf")] {
        let conf = AuthConf::parse(&packaging("s3auth.conf"), &text).unwrap();
        assert_eq!(conf.global.region.as_deref(), Some("eu-central-1"));
        assert!(conf.section("acme-apt").keys().is_some());
        assert_eq!(
            conf.section("lab-apt").endpoint.as_deref(),
            Some("https://minio.example.org:9000")
        );
    }
}

#[test]
fn the_examples_of_apts_configuration_are_understood() {
    check_items(&as_apt_reads_it(&read("examples/90s3.conf")));
    let items = as_apt_reads_it(&example(2));
    assert_eq!(items.len(), 4, "{items:?}");
    check_items(&items);
}

#[test]
fn the_examples_of_sources_are_the_same() {
    let file: String = read("examples/acme.sources")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(example(0), file);
}

/// The string literals of the program, on one line: what a message can say.
fn messages() -> String {
    let mut text = String::new();
    let mut folders: Vec<PathBuf> = ["apt-method", "aws-access", "s3-storage"]
        .map(|name| {
            [env!("CARGO_MANIFEST_DIR"), "..", name, "src"]
                .iter()
                .collect()
        })
        .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => text += &fs::read_to_string(path).unwrap(),
            }
        }
    }
    // A line that goes on within a literal.
    let lines = text.split("\\\n").map(str::trim_start);
    lines.collect::<Vec<_>>().join(" ").replace("  ", " ")
}

#[test]
fn what_troubleshooting_quotes_is_said() {
    let path = [env!("CARGO_MANIFEST_DIR"), "../../docs/troubleshooting.md"].iter();
    let text = fs::read_to_string(path.collect::<PathBuf>()).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let quoted: Vec<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    assert!(quoted.len() > 15, "{quoted:?}");
    let messages = messages();
    for words in quoted {
        assert!(messages.contains(words), "nothing says {words:?}");
    }
}
