//! `cargo xtask interop`: readers that share no code with us must see what we publish as `debucket list` shows it.
//!
//! One set of packages is published twice, signed by Ed25519 and by RSA. apt and `reprepro update` read it over HTTP, python3-debian
//! and the crate debian-packaging from a copy on disk (`interop/`). What a reader sees is a set of lines, `COMPONENT
//! INDEX-ARCHITECTURE PACKAGE VERSION ARCHITECTURE SIZE SHA256 FILENAME`, for each form of the index, such as `gz/by-hash`.

mod packages;
mod readers;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::{
    binaries::{self, Binaries, Profile},
    deb,
    interrupt::TempFolder,
    process,
    store::{Choice, Store},
};

/// Compares what apt, reprepro, python3-debian and debian-packaging see in a repository.
#[derive(Debug, Args)]
pub(crate) struct Interop {}

/// Named by the algorithms of their keys.
const SUITES: [&str; 2] = ["ed25519", "rsa4096"];
const COMPONENTS: [&str; 5] = ["main", "extra", "tabs", "bytes", "bulk"];
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
const FORMS: [&str; 4] = ["gz", "gz/by-hash", "zst", "zst/by-hash"];
const BUCKET: &str = "interop";
const REPO: &str = "s3://interop";
const PUBLIC: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::interop/*"}]}"#;
/// The system's, which finds the modules of Debian's packages.
const PYTHON: &str = "/usr/bin/python3";

/// Lines by the form of the index.
type View = BTreeMap<String, BTreeSet<String>>;

impl Interop {
    /// Publishes, reads and compares.
    pub(crate) fn run(&self) -> Result<()> {
        let binaries = Binaries::provide(None, Profile::Dev)?;
        let readers = binaries::workspace().join("interop");
        let mut build = binaries::cargo();
        build.args(["build", "--locked", "--manifest-path"]);
        build.arg(readers.join("Cargo.toml"));
        build.arg("--target-dir").arg(binaries::target_folder());
        let built = binaries::run_build(&mut build)?;
        let debian_packaging = built.first().context("cargo built no program")?;

        let folder = TempFolder::new("interop")?;
        let store = Store::start(&Choice::Embedded)?;
        let bucket = store.create_bucket(BUCKET)?;
        store.put_policy(BUCKET, PUBLIC)?;
        let controls = packages::build(folder.path())?;
        let copy = folder.path().join("copy");
        for name in SUITES {
            let suite = Suite {
                name,
                folder: folder.path(),
                url: format!("{}/{BUCKET}/", store.endpoint),
                store: &store,
                debucket: &binaries.debucket,
            };
            suite.publish()?;
            for (key, bytes) in bucket.content()? {
                deb::write(&copy.join(key), &bytes, 0o644)?;
            }
            suite.compare(&copy, debian_packaging, &readers.join("read_packages.py"))?;
            suite.expect_controls(&copy, &controls)?;
            println!("{name}: all readers see the same");
        }
        Ok(())
    }
}

struct Suite<'a> {
    name: &'a str,
    folder: &'a Path,
    /// Where the repository is served over HTTP.
    url: String,
    store: &'a Store,
    debucket: &'a Path,
}

impl Suite<'_> {
    /// Runs it with these words as its arguments; paths are below `folder`.
    fn debucket(&self, words: &str) -> Result<String> {
        let mut command = Command::new(self.debucket);
        let command = self.store.reach(&mut command).current_dir(self.folder);
        let outcome = process::run(command.args(words.split(' ')))?;
        Ok(outcome.success()?.stdout)
    }

    fn public_key(&self) -> PathBuf {
        self.folder.join(self.name).with_extension("pub")
    }

    fn publish(&self) -> Result<()> {
        let name = self.name;
        self.debucket(&format!(
            "key generate --algorithm {name} --out {name}.key --public-out {name}.pub"
        ))?;
        for component in COMPONENTS {
            self.debucket(&format!("publish {component} --component {component} --suite {name} --repo {REPO} --sign-key {name}.key"))?;
        }
        Ok(())
    }

    /// What devices see, and of each package only its newest version, without the file name.
    fn listed(&self) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
        let (mut all, mut newest) = (BTreeSet::new(), BTreeMap::new());
        for architecture in ARCHITECTURES {
            let json = self.debucket(&format!(
                "list --arch {architecture} --suite {0} --repo {REPO} --keyring {0}.pub --quiet --output json",
                self.name
            ))?;
            let document: Value = serde_json::from_str(&json)?;
            for package in document["packages"].as_array().context("no packages")? {
                let text = |field| match &package[field] {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let name = format!("{} {architecture} {}", text("component"), text("package"));
                let rest = ["version", "architecture", "size", "sha256"]
                    .map(text)
                    .join(" ");
                all.insert(format!("{name} {rest} {}", text("filename")));
                // They are listed in the order of their versions.
                newest.insert(name, rest);
            }
        }
        let newest = newest.iter().map(|(name, rest)| format!("{name} {rest}"));
        Ok((all, newest.collect()))
    }

    fn compare(&self, copy: &Path, debian_packaging: &Path, script: &Path) -> Result<()> {
        let (listed, newest) = self.listed()?;
        let of = |lines: &BTreeSet<String>, components: &[&str]| -> BTreeSet<String> {
            let is_of = |line: &&String| components.iter().any(|one| line.starts_with(one));
            lines.iter().filter(is_of).cloned().collect()
        };
        expect("apt", &readers::apt(self)?, &listed, &FORMS)?;

        let python = |root: &Path, components: &[&str]| {
            let mut command = Command::new(PYTHON);
            command.arg(script).arg(root).arg(self.name);
            process::run(command.args(components))
        };
        let text = ["main", "extra", "tabs", "bulk"];
        let seen = view(python(copy, &text)?)?;
        expect("python3-debian", &seen, &of(&listed, &text), &FORMS)?;

        let debian_packaging = |components: &[&str]| {
            let mut command = Command::new(debian_packaging);
            process::run(command.arg(copy).arg(self.name).args(components))
        };
        let [gz, zst] = ["gz/by-hash", "zst/by-hash"];
        let lines = ["main", "extra", "bytes"];
        let seen = view(debian_packaging(&lines)?)?;
        expect("debian-packaging", &seen, &of(&listed, &lines), &[gz, zst])?;
        let bulk = view(debian_packaging(&["bulk"])?)?;
        expect("debian-packaging", &bulk, &of(&listed, &["bulk"]), &[zst])?;

        let mirror = self.folder.join(format!("mirror-{}", self.name));
        readers::reprepro(self, &mirror)?;
        let mut seen = view(python(&mirror, &text)?)?;
        // Its pool has other names.
        for lines in seen.values_mut() {
            let without_filename = |line: &String| Some(line.rsplit_once(' ')?.0.to_owned());
            *lines = lines.iter().filter_map(without_filename).collect();
        }
        expect("reprepro", &seen, &of(&newest, &text), &["plain"])?;

        // Faults of the readers, described in docs/fields.md. Where one is gone, what it left out belongs into the comparison above.
        python(copy, &["bytes"])?.expect_text("each line must start with whitespace")?;
        debian_packaging(&["tabs"])?.expect_text("could not detect value")?;
        ensure!(
            bulk.get(gz) != bulk.get(zst),
            "debian-packaging reads all members of a gz file now"
        );
        Ok(())
    }

    /// Fails unless an index has each control file byte for byte, and then only what apt needs to fetch the package.
    fn expect_controls(&self, copy: &Path, controls: &[String]) -> Result<()> {
        let mut stanzas = String::new();
        let suite = copy.join("dists").join(self.name);
        for folder in COMPONENTS
            .iter()
            .flat_map(|component| ARCHITECTURES.map(|one| format!("{component}/binary-{one}")))
        {
            let mut unpack = Command::new("gzip");
            unpack
                .arg("-dc")
                .arg(suite.join(folder).join("Packages.gz"));
            stanzas += &process::run(&mut unpack)?.success()?.stdout;
        }
        for control in controls {
            let mut rests = stanzas
                .split("\n\n")
                .filter_map(|stanza| stanza.strip_prefix(control.as_str()));
            let rest = rests
                .next()
                .with_context(|| format!("no stanza begins with\n{control}"))?;
            let added: Vec<_> = rest
                .lines()
                .filter_map(|line| line.split(':').next())
                .collect();
            ensure!(
                added == ["Filename", "Size", "MD5sum", "SHA1", "SHA256"],
                "{added:?}"
            );
        }
        Ok(())
    }
}

/// Sorts a reader's lines, `FORM LINE`, by form.
fn view(outcome: process::Outcome) -> Result<View> {
    let mut view = View::new();
    for line in outcome.success()?.stdout.lines() {
        let (form, line) = line.split_once(' ').context("a line of one word")?;
        let lines = view.entry(form.into()).or_default();
        ensure!(lines.insert(line.into()), "twice in one index: {line}");
    }
    Ok(view)
}

/// Fails unless `reader` saw exactly these lines in each of these forms.
fn expect(reader: &str, seen: &View, expected: &BTreeSet<String>, forms: &[&str]) -> Result<()> {
    ensure!(!expected.is_empty(), "nothing is published");
    for form in forms {
        let lines = seen
            .get(*form)
            .with_context(|| format!("{reader} saw no index as {form}"))?;
        ensure!(
            lines == expected,
            "{reader} does not see the indexes as {form} as they are; not seen: {:#?}; only seen: {:#?}",
            expected.difference(lines),
            lines.difference(expected)
        );
    }
    Ok(())
}
