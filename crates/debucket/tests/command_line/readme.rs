//! The commands of README.md do what it says.

use std::{env, fs, path::Path, process::Command};

use crate::{
    package,
    run::{Store, run},
};

/// The commands of "A day with debucket", each as a shell would get it.
fn day() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (_, day) = readme
        .split_once("## A day with debucket\n\n```sh\n")
        .unwrap();
    let (day, _) = day.split_once("```").unwrap();
    day.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_day_goes_as_the_readme_says() {
    let store = Store::start();
    let build = store.path("build");
    fs::create_dir(&build).unwrap();
    fs::rename(store.path("key.asc"), store.path("signing-key.asc")).unwrap();
    let key = store.path("signing-key.asc");
    // What the days before have left.
    for version in ["0.9", "1.0"] {
        let old = package::write(&build, "robot", version, "arm64", "walks");
        let to_both = [
            "publish",
            "--suite",
            "stable",
            "--suite",
            "testing",
            "--sign-key",
        ];
        run(store.debucket(&to_both).arg(&key).arg(&old)).expect(0);
        fs::remove_file(old).unwrap();
    }
    package::write(&build, "robot", "1.2", "arm64", "runs");
    let mut commands = day().into_iter();
    let export = commands.next().unwrap();
    for command in commands {
        if command.contains("robot_1.3") {
            package::write(&build, "robot", "1.3", "arm64", "flies");
        }
        let program = store.debucket(&[]);
        let folder = Path::new(program.get_program())
            .parent()
            .unwrap()
            .to_owned();
        let mut shell = Command::new("sh");
        shell.env_clear().current_dir(store.folder.path());
        for (name, value) in program.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        let path = env::join_paths([folder.as_path(), Path::new("/usr/bin"), Path::new("/bin")]);
        shell.env("PATH", path.unwrap());
        let output = shell
            .args(["-euc", &format!("{export}\n{command}")])
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{command}: {output:#?}");
    }
    let listed = store.read(&["list", "robot"]).expect(0);
    assert_eq!(
        listed.split_whitespace().collect::<Vec<_>>(),
        ["robot", "1.0", "arm64", "main"]
    );
}
