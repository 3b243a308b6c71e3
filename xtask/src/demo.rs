//! `cargo xtask demo`: from nothing to an installed and upgraded package, told step by step.
//!
//! Everything is real but the place: the S3 server runs in this process on a free loopback port, and apt works on a private
//! root in a temporary folder. No root is needed, no container, no network, and nothing is left behind.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::{
    apt_root::AptRoot,
    binaries::{Binaries, Profile},
    demo_deb,
    dist::sample::Samples,
    interrupt::TempFolder,
    narrate::Narrator,
    process,
    store::{Choice, Store},
};

/// Shows the main job from beginning to end, in a private corner of this machine.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Use the programs of this folder instead of building them
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<std::path::PathBuf>,
}

const BUCKET: &str = "acme-apt";
const REPO: &str = "s3://acme-apt";
const STEPS: usize = 11;

impl Demo {
    /// Runs the demo; the temporary folder and the server are gone at its end, however it ends.
    pub(crate) fn run(&self) -> Result<()> {
        require_programs()?;
        if self.bin_dir.is_none() {
            eprintln!("Building debucket and the apt method.");
        }
        let binaries = Binaries::provide(self.bin_dir.as_deref(), Profile::Dev)?;
        let folder = TempFolder::new("demo")?;
        Stage {
            narrator: Narrator::new(STEPS),
            binaries,
            folder,
        }
        .play()
    }
}

/// What the demo cannot do without.
fn require_programs() -> Result<()> {
    for (program, package) in [
        ("apt-get", "apt"),
        ("dpkg-deb", "dpkg"),
        ("dpkg-query", "dpkg"),
        ("gzip", "gzip"),
        ("strip", "binutils"),
    ] {
        ensure!(
            process::on_path(program),
            "`{program}` is missing: the demo needs Debian or Ubuntu with the package {package}"
        );
    }
    Ok(())
}

struct Stage {
    narrator: Narrator,
    binaries: Binaries,
    folder: TempFolder,
}

impl Stage {
    fn play(mut self) -> Result<()> {
        let folder = self.folder.path().to_owned();
        let store = self.start_store()?;
        let first = self.build_package(
            "0.1",
            "The package to publish: one script that prints a greeting.",
        )?;
        self.make_key(&store)?;
        self.publish(&store, &first, "Greet the world", "One command: the package goes into the pool, a signed index of the suite \"stable\" follows, and it becomes visible in one instant.")?;
        let own = Samples::prepare(&self.binaries, &folder.join("own"))?;
        let apt = self.configure_apt(&store, &folder, &own)?;
        self.install(&apt)?;
        let second = demo_deb::build("0.2", &folder)?;
        self.publish_next(&store, &second)?;
        self.upgrade(&apt)?;
        self.publish_ourselves(&store, &own)?;
        self.update_the_method(&apt, &own)?;
        self.history(&store)?;
        drop(store);
        drop(self.folder);
        self.narrator.close("Done: the server has stopped and the temporary folder is gone. README.md shows the same with your bucket.");
        Ok(())
    }

    fn start_store(&mut self) -> Result<Store> {
        self.narrator.step("Start an S3 server", "Stands in for Amazon S3. It is embedded in this program, listens on a free port of the loopback, and checks signatures as S3 does.");
        let store = Store::start(&Choice::Embedded)?;
        store.create_bucket(BUCKET)?;
        for (name, value) in [
            ("AWS_ENDPOINT_URL", &store.endpoint),
            ("AWS_ACCESS_KEY_ID", &store.keys.id),
            ("AWS_SECRET_ACCESS_KEY", &store.keys.secret),
            ("AWS_REGION", &store.region),
        ] {
            self.narrator.command(&format!("export {name}={value}"));
        }
        self.narrator.remark("With Amazon S3 you would set only the region; the credentials come from where the AWS CLI has them.");
        Ok(store)
    }

    fn build_package(&mut self, version: &str, why: &str) -> Result<std::path::PathBuf> {
        self.narrator
            .step(&format!("Build helloworld {version}"), why);
        self.narrator
            .command(&format!("cargo xtask demo-deb --version {version}"));
        let file = demo_deb::build(version, self.folder.path())?;
        self.narrator.output(&file_name(&file));
        Ok(file)
    }

    fn debucket(&self, store: &Store) -> Command {
        let mut command = Command::new(&self.binaries.debucket);
        store
            .reach(&mut command)
            .current_dir(self.folder.path())
            .env("DEBUCKET_AUTHOR", "ada@acme");
        command
    }

    fn make_key(&mut self, store: &Store) -> Result<()> {
        self.narrator.step("Create a signing key", "apt trusts a repository by its signature, not by its place. The secret half stays with the publisher, the public half goes to the devices.");
        let shown = "debucket key generate --user-id 'Acme Packages <apt@acme.example>' --out signing-key.asc --public-out acme.asc";
        let user_id = "Acme Packages <apt@acme.example>";
        let arguments = [
            "key",
            "generate",
            "--user-id",
            user_id,
            "--out",
            "signing-key.asc",
            "--public-out",
            "acme.asc",
        ];
        self.narrator
            .run(shown, self.debucket(store).args(arguments))?;
        Ok(())
    }

    fn publish(&mut self, store: &Store, package: &Path, message: &str, why: &str) -> Result<()> {
        self.narrator
            .step(&format!("Publish {}", file_name(package)), why);
        self.publish_command(store, &[package], message)
    }

    fn publish_command(&self, store: &Store, packages: &[&Path], message: &str) -> Result<()> {
        let files: Vec<_> = packages.iter().map(|package| file_name(package)).collect();
        let shown = format!(
            "debucket publish {} --repo {REPO} --sign-key signing-key.asc --message '{message}'",
            files.join(" ")
        );
        let options = ["--repo", REPO, "--sign-key", "signing-key.asc", "--message"];
        self.narrator.run(
            &shown,
            self.debucket(store)
                .arg("publish")
                .args(&files)
                .args(options)
                .arg(message),
        )?;
        Ok(())
    }

    fn configure_apt(&mut self, store: &Store, folder: &Path, own: &Samples) -> Result<AptRoot> {
        self.narrator.step(
            "Set up a device",
            "Our method is a package; apt then knows s3:// addresses. Here apt gets a private root, so that this machine's own packages stay untouched.",
        );
        let apt = AptRoot::bare(folder, "device")?;
        fs::copy(
            folder.join("acme.asc"),
            apt.path("etc/apt/keyrings/acme.asc"),
        )
        .context("the key was not exported")?;
        apt.pretend_installed(&["libc6", "ca-certificates"])?;
        let root = apt.folder().display().to_string();
        self.narrator.command(&format!(
            "export APT_CONFIG={}    # moves everything of apt to {root}",
            apt.config().display()
        ));
        let package = own.method(own.version(), folder)?;
        self.apt_get(
            &apt,
            &["install", "--yes", &format!("./{}", file_name(&package))],
        )?;

        let sources = format!(
            "Types: deb\nURIs: {REPO}\nSuites: stable\nComponents: main\nSigned-By: {root}/etc/apt/keyrings/acme.asc\n"
        );
        apt.write("sources.list.d/acme.sources", &sources)?;
        self.narrator.file(
            &format!("{root}/etc/apt/sources.list.d/acme.sources"),
            &sources,
        );

        let auth = store.s3auth(&store.endpoint, Some(&store.keys));
        apt.write("s3auth.conf", &auth)?;
        self.narrator
            .file(&format!("{root}/etc/apt/s3auth.conf"), &auth);
        self.narrator
            .remark("A device on AWS needs no such file: its role gives it credentials by itself.");
        Ok(apt)
    }

    fn install(&mut self, apt: &AptRoot) -> Result<()> {
        self.narrator.step("Install it with apt", "The real apt-get: it starts our method, fetches the signed index and the package over s3://, checks both, and lets dpkg unpack them.");
        self.apt_get(apt, &["update"])?;
        self.apt_get(apt, &["install", "--yes", "helloworld"])?;
        self.greet(apt, "0.1")
    }

    fn publish_next(&mut self, store: &Store, package: &Path) -> Result<()> {
        self.narrator.step("Publish helloworld 0.2", "A second version. The first one stays in the repository, so a device can still go back to it.");
        self.narrator.command("cargo xtask demo-deb --version 0.2");
        self.narrator.output(&file_name(package));
        self.publish_command(store, &[package], "Greet again")
    }

    fn upgrade(&mut self, apt: &AptRoot) -> Result<()> {
        self.narrator.step(
            "Upgrade the device",
            "What every device does by itself with unattended-upgrades.",
        );
        self.apt_get(apt, &["update"])?;
        self.apt_get(apt, &["upgrade", "--yes"])?;
        self.greet(apt, "0.2")
    }

    /// The second act: debucket looks after its own.
    fn publish_ourselves(&mut self, store: &Store, own: &Samples) -> Result<()> {
        self.narrator.step("Publish debucket itself", "The publisher and the method are packages like any other, so a fleet gets their updates from the same bucket. `cargo xtask dist` builds those that are shipped; here it is this build, packed as the next version.");
        let version = next_version(own);
        let debucket = own.debucket(&version, self.folder.path())?;
        let method = own.method(&version, self.folder.path())?;
        self.publish_command(store, &[&debucket, &method], "Next debucket")
    }

    fn update_the_method(&mut self, apt: &AptRoot, own: &Samples) -> Result<()> {
        self.narrator.step("Update the method through the method", "The installed method fetches its own successor; dpkg puts that into its place, and the next run of apt starts it.");
        let before = fs::metadata(apt.method())?.ino();
        self.apt_get(apt, &["update"])?;
        self.apt_get(apt, &["upgrade", "--yes"])?;
        self.apt_get(apt, &["update"])?;
        let installed = apt.installed("apt-method-s3")?;
        ensure!(
            installed.as_deref() == Some(next_version(own).as_str()),
            "dpkg has the method as {installed:?}"
        );
        ensure!(
            fs::metadata(apt.method())?.ino() != before,
            "the method's file is still the old one"
        );
        Ok(())
    }

    fn history(&mut self, store: &Store) -> Result<()> {
        self.narrator.step(
            "Look at the history",
            "Each publication is a commit that names its parent, as in git.",
        );
        for command in ["log", "list"] {
            let shown = format!("debucket {command} --repo {REPO} --keyring acme.asc");
            self.narrator.run(
                &shown,
                self.debucket(store)
                    .args([command, "--repo", REPO, "--keyring", "acme.asc"]),
            )?;
        }
        Ok(())
    }

    fn apt_get(&self, apt: &AptRoot, arguments: &[&str]) -> Result<()> {
        let shown = format!("apt-get {}", arguments.join(" "));
        self.narrator.run(
            &shown,
            apt.command("apt-get")
                .current_dir(self.folder.path())
                .args(arguments),
        )?;
        Ok(())
    }

    fn greet(&self, apt: &AptRoot, version: &str) -> Result<()> {
        let program = apt.path("usr/bin/helloworld");
        let outcome = self
            .narrator
            .run(&program.display().to_string(), &mut Command::new(&program))?;
        ensure!(
            outcome.stdout.contains(&format!("helloworld {version}")),
            "helloworld {version} was expected to greet"
        );
        ensure!(
            apt.installed("helloworld")?.as_deref() == Some(version),
            "dpkg does not have helloworld {version}"
        );
        Ok(())
    }
}

/// A version that follows that of the sources.
fn next_version(own: &Samples) -> String {
    format!("{}+next", own.version())
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
