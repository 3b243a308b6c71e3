//! Secrets that must not appear in any message: a store may send back what was sent to it.

use crate::{credentials::Sources, settings::Settings};

/// A secret of at least so many characters is hidden even within a longer word.
const LONG: usize = 16;

/// A secret of fewer characters cannot be told from an ordinary word; stores give out none.
const SHORT: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Those that the requests for an item are made with.
    pub(crate) fn of(settings: &Settings, sources: &Sources) -> Self {
        let ours = [&settings.secret, &settings.token].into_iter().flatten();
        let environment = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
            .into_iter()
            .filter_map(|name| sources.environment().get(name));
        let proxy = settings.proxy.as_ref();
        let proxy = proxy.and_then(|proxy| proxy.0.split_once('@')?.0.rsplit_once(':'));
        let all = ours
            .map(|secret| secret.0.as_str())
            .chain(environment)
            .chain(proxy.map(|(_, password)| password))
            .filter(|secret| secret.len() >= SHORT);
        Self(all.map(str::to_owned).collect())
    }

    /// The text, with each secret replaced by `***`.
    pub(crate) fn hide(&self, words: String) -> String {
        self.0.iter().fold(words, |words, secret| {
            let mut hidden = String::with_capacity(words.len());
            let mut rest = words.as_str();
            while let Some((before, after)) = rest.split_once(secret.as_str()) {
                let is_part = before.ends_with(char::is_alphanumeric)
                    || after.starts_with(char::is_alphanumeric);
                hidden += before;
                hidden += if is_part && secret.len() < LONG {
                    secret
                } else {
                    "***"
                };
                rest = after;
            }
            hidden + rest
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_words_that_hold_them_are_not() {
        let secrets = Secrets(vec!["password".into(), "wJalrXUtnFEMI/K7MDENG".into()]);
        for (words, hidden) in [
            ("you sent password.", "you sent ***."),
            ("passwords: 1password", "passwords: 1password"),
            (
                "signed with AWS4wJalrXUtnFEMI/K7MDENG",
                "signed with AWS4***",
            ),
        ] {
            assert_eq!(secrets.hide(words.into()), hidden);
        }
    }
}
