//! Who makes a commit: the CI job where there is one, otherwise `user@host`.

use std::env;

use deb_index::suite::commit::Authorship;

/// The authorship of a commit with this message.
pub(crate) fn authorship(message: String) -> Authorship {
    Authorship {
        author: author(|name| env::var(name).ok().filter(|value| !value.is_empty())),
        tool: concat!("debucket ", env!("CARGO_PKG_VERSION")).to_owned(),
        message,
        ..Authorship::default()
    }
}

/// The author according to the environment: `DEBUCKET_AUTHOR`, a GitHub Actions or GitLab job, or the user.
fn author(variable: impl Fn(&str) -> Option<String>) -> String {
    let github = || {
        Some(format!(
            "{} ({}, run {})",
            variable("GITHUB_ACTOR")?,
            variable("GITHUB_REPOSITORY")?,
            variable("GITHUB_RUN_ID")?
        ))
    };
    let gitlab = || {
        Some(format!(
            "{} ({}, job {})",
            variable("GITLAB_USER_LOGIN")?,
            variable("CI_PROJECT_PATH")?,
            variable("CI_JOB_ID")?
        ))
    };
    let user = || {
        let user = variable("USER")
            .or_else(|| variable("LOGNAME"))
            .unwrap_or_else(|| "unknown".to_owned());
        let host = variable("HOSTNAME").or_else(|| std::fs::read_to_string("/etc/hostname").ok());
        host.map_or(user.clone(), |host| format!("{user}@{}", host.trim()))
    };
    let author = variable("DEBUCKET_AUTHOR")
        .or_else(github)
        .or_else(gitlab)
        .unwrap_or_else(user);
    author
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ci_job_is_named() {
        let github = |name: &str| match name {
            "GITHUB_ACTOR" => Some("ada".to_owned()),
            "GITHUB_REPOSITORY" => Some("acme/robot".to_owned()),
            "GITHUB_RUN_ID" => Some("7".to_owned()),
            _ => None,
        };
        assert_eq!(author(github), "ada (acme/robot, run 7)");
        assert_eq!(
            author(|name| (name == "DEBUCKET_AUTHOR").then(|| "me\nX".to_owned())),
            "me X"
        );
    }
}
