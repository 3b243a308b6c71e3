//! What is generated beside the programs: manual pages, completions, changelogs, notices. They are laid out as below `/usr/share`,
//! and compressed where Debian's policy wants it.
//!
//! Manual pages and completions come from the command line itself, as clap knows it, so they cannot lag behind it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;
use debucket::cli::Cli;

use super::{changelog, licences, product::Product, source::Source};
use crate::demo_deb::gzip;

/// The manual that the pages belong to.
const MANUAL: &str = "debucket manual";
/// The method's page, which is written by hand.
const METHOD_PAGE: &str = "crates/apt-method/packaging/s3.8";

/// Writes it into `folder`, which is made anew. `triple` is what the programs are built for; without it the notices are left out,
/// because cargo would fetch every crate of the lock file to know them.
pub(crate) fn write(source: &Source, triple: Option<&str>, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let commands = folder.join("man/man1");
    fs::create_dir_all(&commands)?;
    for (name, page) in manual_pages(&source.version)? {
        fs::write(commands.join(format!("{name}.gz")), gzip(&page)?)?;
    }
    let method = fs::read(source.root.join(METHOD_PAGE))
        .with_context(|| format!("cannot read {METHOD_PAGE}"))?;
    fs::create_dir_all(folder.join("man/man8"))?;
    fs::write(folder.join("man/man8/s3.8.gz"), gzip(&method)?)?;
    completions(folder)?;
    for product in Product::ALL {
        let doc = folder.join("doc").join(product.name());
        fs::create_dir_all(&doc)?;
        let changes = changelog::debian(
            &fs::read_to_string(source.root.join("CHANGELOG.md"))
                .context("cannot read CHANGELOG.md")?,
            product.name(),
            &source.version,
            &source.manifest(product)?.maintainer,
            source.epoch,
        )?;
        fs::write(doc.join("changelog.gz"), gzip(changes.as_bytes())?)?;
        if let Some(triple) = triple {
            let notices = licences::notices(source, product, triple)?;
            fs::write(
                doc.join("third-party-licences.gz"),
                gzip(notices.as_bytes())?,
            )?;
        }
    }
    Ok(())
}

/// A page for `debucket` and for each of its commands, as git has them; by the names of their files.
fn manual_pages(version: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut command = Cli::command();
    command.build();
    let mut waiting = vec![command];
    let mut pages = BTreeMap::new();
    while let Some(command) = waiting.pop() {
        // `help` prints what the pages say.
        let commands = command.get_subcommands();
        waiting.extend(
            commands
                .filter(|command| command.get_name() != "help")
                .cloned(),
        );
        let page = clap_mangen::Man::new(command)
            .manual(MANUAL)
            .source(format!("debucket {version}"));
        let mut text = Vec::new();
        page.render(&mut text)?;
        pages.insert(page.get_filename(), text);
    }
    Ok(pages)
}

/// Each where Debian's shells look for it.
fn completions(share: &Path) -> Result<()> {
    for (shell, place) in [
        (Shell::Bash, "bash-completion/completions/debucket"),
        (Shell::Zsh, "zsh/vendor-completions/_debucket"),
        (Shell::Fish, "fish/vendor_completions.d/debucket.fish"),
    ] {
        let file: PathBuf = share.join(place);
        fs::create_dir_all(file.parent().unwrap_or(share))?;
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "debucket", &mut script);
        fs::write(&file, script).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process;

    #[test]
    fn each_command_has_a_page_that_the_first_one_names() {
        let pages = manual_pages("1.2.3").unwrap();
        let read = |name: &str| String::from_utf8(pages[name].clone()).unwrap();
        let main = read("debucket.1");
        for command in Cli::command().get_subcommands() {
            let page = format!("debucket-{}.1", command.get_name());
            assert!(read(&page).contains("debucket 1.2.3"), "{page}");
            assert!(
                main.replace("\\-", "-")
                    .contains(&format!("debucket-{}(1)", command.get_name())),
                "{page}"
            );
        }
        assert!(read("debucket-key-generate.1").contains("user\\-id"));
        assert!(read("debucket-publish.1").contains("DEBUCKET_REPO"));
    }

    #[test]
    fn bash_completes_commands_and_options() {
        let share = tempfile::tempdir().unwrap();
        completions(share.path()).unwrap();
        let complete = |words: &str, word: &str| {
            let script = format!(
                "source {}/bash-completion/completions/debucket\nCOMP_WORDS=({words})\nCOMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n_debucket debucket {word} ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
                share.path().display()
            );
            let bash = process::run(Command::new("bash").args(["-c", &script]));
            bash.unwrap().success().unwrap().stdout
        };
        assert_eq!(complete("debucket pub", "pub"), "publish\n");
        assert_eq!(complete("debucket publish --dry", "--dry"), "--dry-run\n");
    }

    #[test]
    fn zsh_and_fish_have_scripts_of_their_own() {
        let share = tempfile::tempdir().unwrap();
        completions(share.path()).unwrap();
        let read = |name: &str| fs::read_to_string(share.path().join(name)).unwrap();
        let zsh = read("zsh/vendor-completions/_debucket");
        let fish = read("fish/vendor_completions.d/debucket.fish");
        assert!(zsh.starts_with("#compdef debucket\n"), "{zsh}");
        assert!(fish.contains("complete -c debucket"), "{fish}");
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(zsh.contains(name) && fish.contains(name), "{name}");
        }
    }
}
