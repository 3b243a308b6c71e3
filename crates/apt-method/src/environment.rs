//! The process's environment variables, taken down once so that tests can bring their own.

use std::{collections::HashMap, path::PathBuf};

use nix::unistd::{User, getuid};

/// The environment variables that matter here.
#[derive(Debug, Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// A variable; an empty one counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

impl Environment {
    /// The home of `user`, or of the one that this process is. The latter is found without `HOME`, too,
    /// which timers do not have.
    pub fn home(&self, user: Option<&str>) -> Option<PathBuf> {
        let named = match user {
            Some(user) => User::from_name(user),
            None => match self.get("HOME") {
                Some(home) => return Some(home.into()),
                None => User::from_uid(getuid()),
            },
        };
        Some(named.ok()??.dir)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().collect())
    }
}
