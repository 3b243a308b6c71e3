//! `docs/quickstart-aws.md`, followed to the letter: each command that stands there, in its order, in a folder that stands for the
//! checkout.
//!
//! AWS is the emulator. The reader's machine and the device are private roots of apt, so `sudo` has nothing to do. `cargo xtask
//! dist` is not run but for its arguments: its own test builds for real, and here are the same packages around the programs of
//! this run. All others (`terraform`, `debucket`, `apt-get`, `dpkg`, `curl`) are the real ones.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::{emulator::Moto, first_boot::Device, metadata::Metadata, sources, tools::Tools};
use crate::{
    apt_root::AptRoot,
    binaries::workspace,
    deb,
    dist::sample::Samples,
    interrupt::Group,
    process::{self, Outcome},
    store::REGION,
};

const DOCUMENT: &str = "docs/quickstart-aws.md";
/// The most that the commands of one block may take.
const LIMIT: Duration = Duration::from_secs(600);
/// After this, the device is there and boots.
const APPLY: &str = "terraform -chdir=terraform/demo apply";

/// Where the commands of a block are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On the reader's machine.
    Here,
    /// On the device.
    Device,
    /// In an interactive program, which nobody is there to talk with.
    Interactive,
}

/// A fenced block of commands.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    place: Place,
    /// Of its first command.
    line: usize,
    commands: String,
}

/// The blocks of a document, by the words after their fences.
fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(words), None) => {
                let place = match words {
                    "sh" => Place::Here,
                    "sh on the device" => Place::Device,
                    _ => Place::Interactive,
                };
                open = Some(Block {
                    place,
                    line: number + 2,
                    commands: String::new(),
                });
            }
            (None, Some(block)) => {
                block.commands.push_str(line);
                block.commands.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Follows the document, and says how far that went.
pub(super) fn follow(tools: &Tools, moto: &Moto, own: &Samples, folder: &Path) -> Result<String> {
    let document = fs::read_to_string(workspace().join(DOCUMENT))
        .with_context(|| format!("cannot read {DOCUMENT}"))?;
    let reader = Reader::prepare(tools, moto, own, folder)?;
    let metadata = Metadata::start("device", &Moto::keys())?;
    let device = Device::new(&reader.folder, &metadata, moto.endpoint(), None)?;
    let mut exports = String::new();
    let mut greetings = Vec::new();
    let (mut run, mut left) = (0, 0);
    for block in blocks(&document) {
        let outcome = match block.place {
            Place::Interactive => {
                left += 1;
                continue;
            }
            Place::Here => reader.type_in(&format!("{exports}{}", block.commands)),
            Place::Device => device.type_in(&reader.programs, &block.commands),
        };
        let outcome = outcome
            .and_then(Outcome::success)
            .with_context(|| format!("{DOCUMENT}, line {}", block.line))?;
        run += 1;
        // A shell keeps them from one block to the next.
        for line in block.commands.lines() {
            if line.starts_with("export ") {
                exports.push_str(&format!("{line}\n"));
            }
        }
        if block.commands.contains(APPLY) {
            let output = |name: &str| -> Result<String> {
                let command = format!("terraform -chdir=terraform/demo output -raw {name}");
                Ok(reader.type_in(&command)?.success()?.stdout)
            };
            device.boot(&output("bootstrap")?, &output("bucket_name")?)?;
        }
        if block.place == Place::Device {
            greetings.extend(
                outcome
                    .stdout
                    .lines()
                    .filter(|line| line.contains("This is helloworld"))
                    .map(str::to_owned),
            );
        }
    }
    let versions = ["0.1", "0.2"].map(|version| format!("This is helloworld {version},"));
    ensure!(
        greetings.len() == versions.len()
            && greetings
                .iter()
                .zip(&versions)
                .all(|(greeting, version)| greeting.contains(version)),
        "the device was to greet as 0.1 and then as 0.2, and said {greetings:?}"
    );
    moto.expect_empty()?;
    Ok(format!(
        "{run} blocks of commands; {left} interactive one not run"
    ))
}

/// Who follows the document: a checkout, and a machine that packages are installed on.
struct Reader<'a> {
    tools: &'a Tools,
    moto: &'a Moto,
    folder: PathBuf,
    checkout: PathBuf,
    /// What stands before the programs of this machine.
    programs: PathBuf,
    apt: AptRoot,
}

impl<'a> Reader<'a> {
    fn prepare(tools: &'a Tools, moto: &'a Moto, own: &Samples, parent: &Path) -> Result<Self> {
        let folder = parent.join("quickstart");
        let (checkout, programs) = (folder.join("checkout"), folder.join("bin"));
        sources::copy(&workspace().join("terraform"), &checkout.join("terraform"))?;
        moto.take_over(&checkout)?;
        let packages = folder.join("packages");
        fs::create_dir_all(&packages)?;
        own.debucket(own.version(), &packages)?;
        own.method(own.version(), &packages)?;
        let xtask = std::env::current_exe()?;
        let cargo = format!(
            "#!/bin/sh\nset -eu\n[ \"$1\" = xtask ]\nshift\ncase $1 in\ndist)\n\t'{xtask}' \"$@\" --help >/dev/null\n\t\
             mkdir -p target/dist\n\tcp '{packages}'/*.deb target/dist\n\t;;\n*) exec '{xtask}' \"$@\" ;;\nesac\n",
            xtask = xtask.display(),
            packages = packages.display(),
        );
        deb::write(&programs.join("cargo"), cargo.as_bytes(), 0o755)?;
        deb::write(&programs.join("sudo"), b"#!/bin/sh\nexec \"$@\"\n", 0o755)?;
        let apt = AptRoot::bare(&folder, "machine")?;
        apt.pretend_installed(&["libc6", "ca-certificates"])?;
        Ok(Self {
            tools,
            moto,
            folder,
            checkout,
            programs,
            apt,
        })
    }

    /// Types commands into a shell in the checkout.
    fn type_in(&self, commands: &str) -> Result<Outcome> {
        let keys = Moto::keys();
        let mut command = self.apt.command("sh");
        command
            .args(["-euc", commands])
            .current_dir(&self.checkout)
            .env(
                "PATH",
                process::path_with(&[&self.programs, &self.apt.path("usr/bin")])?,
            )
            .env("AWS_ENDPOINT_URL", self.moto.endpoint())
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", keys.id)
            .env("AWS_SECRET_ACCESS_KEY", keys.secret);
        self.tools.at_any_init(&mut command);
        // Terraform's providers are processes of their own.
        let running = process::start(command.process_group(0))?;
        let _group = Group::of(running.id());
        running.finish(LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_places() {
        let document =
            "text\n```sh\na\nb\n```\n\n```sh on the device\nc\n```\n```console\nd\n```\n";
        let block = |place, line, commands: &str| Block {
            place,
            line,
            commands: commands.into(),
        };
        assert_eq!(
            blocks(document),
            [
                block(Place::Here, 3, "a\nb\n"),
                block(Place::Device, 8, "c\n"),
                block(Place::Interactive, 11, "d\n"),
            ]
        );
    }
}
