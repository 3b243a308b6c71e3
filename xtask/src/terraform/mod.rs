//! `cargo xtask terraform`: the modules and the demo of `terraform/`, checked, applied, used, and destroyed.
//!
//! What needs no cloud comes first: the form, the tables of the READMEs, `terraform validate` and `terraform test`, checkov. The
//! stacks are applied to [moto](https://docs.getmoto.org), an emulator of AWS, while that goes on, since the provider mostly
//! waits. Then they are used: debucket publishes, a device boots and installs, each with the policies that Terraform rendered and
//! no other rights; and what they asked for is put to these policies again, along with what nobody may do.
//!
//! Moto creates and removes what Terraform asks for, and enforces IAM policies but for their conditions. The embedded S3 server
//! enforces these as well. Neither of them is AWS.

mod all_examples;
mod attempts;
mod emulator;
mod first_boot;
mod metadata;
mod policies;
mod quickstart;
mod readme;
mod sources;
mod stack;
mod stage;
mod tools;
mod usage;
mod world;

use std::{
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;

use self::{emulator::Moto, stack::Stack, tools::Tools};
use crate::{
    binaries::{Binaries, Profile, workspace},
    dist::sample::Samples,
    interrupt::TempFolder,
};

/// Checks the Terraform modules and the demo, applies them to an emulator, uses and destroys them.
#[derive(Debug, Args)]
pub(crate) struct Terraform {
    /// A mirror of providers (it holds a folder registry.terraform.io) [default: where Terraform finds them itself]
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// Say loudly that nothing was checked, and succeed, if Terraform or its AWS provider is missing
    #[arg(long)]
    if_available: bool,
    /// Write the tables of inputs and outputs into the READMEs, and do nothing else
    #[arg(long)]
    write_readme: bool,
    /// The package of the acquire method [default: one is made of the method as it is built here]
    #[arg(long, value_name = "FILE")]
    method_package: Option<PathBuf>,
    /// Use the programs of this folder instead of building them
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

/// Runs `step` and prints a line with its time and what it found.
fn step(title: &str, step: impl FnOnce() -> Result<String>) -> Result<()> {
    let started = Instant::now();
    let found = step().with_context(|| title.to_owned())?;
    println!(
        "{title:<34} ok {:>6.1} s  {found}",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

impl Terraform {
    /// Runs all steps; the first that fails ends the run.
    pub(crate) fn run(&self) -> Result<()> {
        let source = workspace().join("terraform");
        if self.write_readme {
            return readme::write(&source);
        }
        let tools = match Tools::find(self.plugin_dir.as_deref()) {
            Ok(tools) => tools,
            Err(error) if self.if_available => {
                say_loudly(&format!("{error:#}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let python = tools::find_moto()?;
        let checkov = tools::find_checkov()?;
        let binaries = Binaries::provide(self.bin_dir.as_deref(), Profile::Dev)?;
        let folder = TempFolder::new("terraform")?;
        step("fmt", || stack::check_format(&source))?;
        step("README tables", || readme::check(&source))?;
        let own = Samples::prepare(&binaries, &folder.path().join("own"))?;
        let method_package = match &self.method_package {
            Some(file) => std::path::absolute(file)?,
            None => own.method(own.version(), folder.path())?,
        };
        let moto = Moto::start(&python, folder.path())?;
        let public_key = stage::make_key(&binaries.debucket, folder.path())?;
        let stacks = Stacks::prepare(
            &tools,
            &source,
            folder.path(),
            &moto,
            &method_package,
            &public_key,
        )?;
        // Who follows the document has an account of their own.
        let account = Moto::start(&python, folder.path())?;
        thread::scope(|scope| {
            let following = scope.spawn(|| {
                step("docs/quickstart-aws.md", || {
                    quickstart::follow(&tools, &account, &own, folder.path())
                })
            });
            let applied = stacks.apply_beside(|| check(&tools, &source, folder.path(), &checkov));
            let used = applied.and_then(|()| {
                usage::run(&stacks, &moto, &binaries, &method_package, folder.path())
            });
            // Also after a failure: it may be one of both, and the first is the one to tell.
            let destroyed = stacks.destroy(&moto);
            let followed = following
                .join()
                .map_err(|_| anyhow!("the thread that follows the document panicked"))?;
            used.and(destroyed).and(followed)
        })
    }
}

fn say_loudly(reason: &str) {
    let line = "#".repeat(78);
    println!("{line}\n# TERRAFORM NOT CHECKED: {reason}\n{line}");
}

/// What needs no emulator: each module and the demo by itself, and checkov over all.
fn check(tools: &Tools, source: &Path, folder: &Path, checkov: &Path) -> Result<()> {
    let copy = folder.join("checked");
    sources::copy(source, &copy)?;
    for name in [
        "modules/apt-repository",
        "modules/publisher-oidc",
        "modules/reader-instance",
        "demo",
    ] {
        step(&format!("{name}: validate, test"), || {
            let stack = Stack::new(tools, copy.join(name));
            stack.init()?;
            stack.validate()?;
            stack.test()
        })?;
    }
    step("examples: validate", || {
        all_examples::write(&copy)?;
        let stack = Stack::new(tools, copy.join("examples"));
        stack.init()?;
        stack.validate()?;
        Ok(String::new())
    })?;
    step("checkov", || tools::run_checkov(checkov, source))
}

/// The two stacks that are applied: the demo, and all examples of the modules in one.
struct Stacks<'a> {
    demo: Stack<'a>,
    examples: Stack<'a>,
}

impl<'a> Stacks<'a> {
    fn prepare(
        tools: &'a Tools,
        source: &Path,
        folder: &Path,
        moto: &Moto,
        method_package: &Path,
        public_key: &Path,
    ) -> Result<Self> {
        let copy = folder.join("applied");
        sources::copy(source, &copy)?;
        let mut demo = Stack::new(tools, copy.join("demo"));
        demo.set("method_package", method_package.display());
        demo.set("public_key", public_key.display());
        demo.set("ssh_key", "ada");
        let examples = Stack::new(tools, copy.join("examples"));
        all_examples::write(&copy)?;
        moto.take_over(&copy)?;
        Ok(Self { demo, examples })
    }

    /// Applies them, while `check` runs: most of an apply is waiting for the emulator to look settled.
    fn apply_beside(&self, check: impl FnOnce() -> Result<()>) -> Result<()> {
        thread::scope(|scope| {
            let applying = scope.spawn(|| self.apply());
            let checked = check();
            let applied = applying
                .join()
                .map_err(|_| anyhow!("the thread that applies the stacks panicked"))?;
            checked.and(applied)
        })
    }

    fn apply(&self) -> Result<()> {
        let one = |name: &str, stack: &Stack<'_>| {
            step(&format!("{name}: apply"), || {
                stack.init()?;
                stack.apply()
            })
        };
        thread::scope(|scope| {
            let examples = scope.spawn(|| one("examples", &self.examples));
            let demo = one("demo", &self.demo);
            let examples = examples
                .join()
                .map_err(|_| anyhow!("the thread that applies the examples panicked"))?;
            demo.and(examples)
        })
    }

    fn destroy(&self, moto: &Moto) -> Result<()> {
        step("destroy", || {
            let found = moto.expect_full();
            thread::scope(|scope| {
                let examples = scope.spawn(|| self.examples.destroy());
                let demo = self.demo.destroy();
                let examples = examples
                    .join()
                    .map_err(|_| anyhow!("the thread that destroys the examples panicked"))?;
                demo.and(examples)
            })?;
            found?;
            moto.expect_empty()
        })
    }
}
