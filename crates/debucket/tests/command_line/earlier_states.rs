//! What is advised where an earlier state of a suite is no longer whole helps as it stands.

use crate::way_on::Scene;

/// The three states of a suite, of which the first is to be brought back.
fn three_states() -> Scene {
    let scene = Scene::new();
    for version in ["1", "2", "3"] {
        scene.tool(version, &[]).expect(0);
        if version != "3" {
            let tool = format!("tool={version}");
            scene.run(&["remove", &tool]).expect(0);
        }
    }
    scene
}

const FIRST: [&str; 3] = ["rollback", "--to", "@~4"];
const SECOND: &str = "pool/main/t/tool/tool_2_all.deb";

impl Scene {
    /// Brings back the newest commit that is whole, as the history names it.
    #[track_caller]
    fn go_back_to_what_is_whole(&self, versions: &[&str]) {
        let log = self.run(&["log", "--verify", "--output", "json"]).stdout;
        let told: serde_json::Value = serde_json::from_str(&log).unwrap();
        let id = told["suites"][0]["newest_whole"].as_str().unwrap();
        let log = self.run(&["log", "--verify"]).stdout;
        let told = format!(
            "the newest earlier commit that is whole: {}\n",
            id.get(..12).unwrap()
        );
        assert!(log.ends_with(&told), "{log}");
        self.run(&["rollback", "--to", id.get(..12).unwrap()])
            .expect(0);
        self.run(&["verify", "--deep"]).expect(0);
        let list = self.run(&["list"]).expect(0);
        let found: Vec<_> = list
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1))
            .collect();
        assert_eq!(found, versions);
    }
}

#[test]
fn a_package_of_an_earlier_state_is_missing() {
    let scene = three_states();
    scene.delete("pool/main/t/tool/tool_1_all.deb");
    let lost = scene.run(&FIRST);
    assert!(
        lost.stderr.contains("tool_1_all.deb is missing\n"),
        "{lost:#?}"
    );
    scene.follow_with(&lost, "tool_1_all.deb");
    let log = scene.run(&["log", "--output", "json"]).json();
    let id = log[5]["id"].as_str().unwrap();
    scene.run(&["rollback", "--to", id]).expect(0);
    scene.run(&["verify", "--deep"]).expect(0);
    assert_eq!(scene.run(&["list"]).expect(0), "tool  1  all  main\n");
}

#[test]
fn the_key_of_a_package_of_an_earlier_state_has_other_content() {
    // Cut, damaged at the same size, or that of a later build.
    let scene = three_states();
    let whole = scene.get(SECOND);
    for bytes in [&whole[1..], &vec![0; whole.len()], b"another build"] {
        let scene = three_states();
        scene.put(SECOND, bytes);
        let lost = scene.run(&["rollback", "--to", "@~2"]);
        assert!(
            lost.stderr.contains("tool_2_all.deb has other content\n"),
            "{lost:#?}"
        );
        assert!(!lost.stderr.contains("again"), "{lost:#?}");
        assert!(
            lost.stderr
                .contains("`debucket log --suite stable --verify --repo ")
        );
        // Or the package alone.
        scene.tool("2", &[]).expect(0);
        scene.run(&["verify", "--deep"]).expect(0);
    }
    scene.delete(SECOND);
    scene.go_back_to_what_is_whole(&[]);
}

#[test]
fn an_index_of_an_earlier_state_is_lost_in_all_its_forms() {
    for damage in [None, Some("cut"), Some("same size")] {
        let scene = Scene::new();
        let mut before = scene.keys("by-hash/");
        let mut added = Vec::new();
        for version in ["1", "2", "3"] {
            scene.tool(version, &[]).expect(0);
            let after = scene.keys("by-hash/");
            added.push(
                after
                    .iter()
                    .filter(|key| !before.contains(key))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            before = after;
        }
        let harm = |key: &str| match damage {
            None => scene.delete(key),
            Some("cut") => scene.put(key, b"cut"),
            _ => scene.put(key, &vec![0; scene.get(key).len()]),
        };
        added[1].iter().for_each(|key| harm(key));
        for command in [
            &["rollback", "--to", "@~1"][..],
            &["list", "--commit", "@~1"],
            &["diff", "stable@~1", "stable"],
        ] {
            let lost = scene.run(command);
            let problem = match damage {
                None => "is missing\n",
                Some(_) => "has other content\n",
            };
            assert!(lost.stderr.contains(problem), "{lost:#?}");
            let told = "is no longer whole: dists/stable/main/binary-";
            assert!(lost.stderr.contains(told), "{lost:#?}");
            let told = "next: choose another commit: `debucket log --suite stable --verify --repo";
            assert!(lost.stderr.contains(told), "{lost:#?}");
        }
        scene.go_back_to_what_is_whole(&["1"]);
    }
}

/// A form that is damaged is not named again.
#[test]
fn a_form_of_an_earlier_index_has_other_content_of_the_same_size() {
    for format in ["gz", "zst"] {
        let scene = Scene::new();
        scene.tool("1", &[]).expect(0);
        let form = scene.get(&format!("dists/stable/main/binary-amd64/Packages.{format}"));
        let digest = deb_index::digest::Sha256::of(&form).to_string();
        scene.tool("2", &[]).expect(0);
        for file in scene.keys(&format!("by-hash/SHA256/{digest}")) {
            scene.put(&file, &vec![0; form.len()]);
        }
        scene.run(&["rollback", "--to", "@~1"]).expect(0);
        scene.run(&["verify", "--deep"]).expect(0);
    }
}
